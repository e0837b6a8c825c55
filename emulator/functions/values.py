"""Features, collections and the catalogue that a graph is evaluated against."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Protocol

import shapely

from emulator.errors import EarthEngineError
from emulator.functions.geometry import Geometry
from emulator.stored import StoredCollection, StoredImage


class Catalogue(Protocol):
    """What graphs load from; None means that there is no such asset."""

    def image(self, id: str) -> StoredImage | None:
        """Return an image by its id."""

    def collection(self, id: str) -> StoredCollection | None:
        """Return a collection's images by its id."""

    def table(self, id: str) -> Sequence[Mapping[str, Any]] | None:
        """Return a table's features (GeoJSON, properties as `value:compute` writes them)."""

    def classifier(self, id: str) -> str | None:
        """Return a trained classifier by its id: JSON text of what `classifiers.encode` made."""

    def geotiff(self, uri: str) -> Path:
        """Return the file of a Cloud Storage object that must exist."""


CATALOGUE: ContextVar[Catalogue] = ContextVar("catalogue")


def catalogue() -> Catalogue:
    """Return the catalogue of the evaluation under way."""
    return CATALOGUE.get()


def not_found(algorithm: str, kind: str, asset: str) -> EarthEngineError:
    """Return the error of a load without a result; Earth Engine does not tell the two causes."""
    return EarthEngineError(
        f"{algorithm}: {kind} asset '{asset}' not found "
        "(does not exist or caller does not have access)."
    )


def number_json(value: float) -> float | str:
    """Return what JSON can hold of a number: infinities and NaN go as text."""
    if math.isfinite(value):
        return value
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


class Feature:
    """A geometry, if any, with properties."""

    __slots__ = ("footprint", "properties")

    type_name = "Feature"
    id = None

    def __init__(self, properties: Mapping[str, Any], footprint: Geometry | None) -> None:
        self.properties = properties
        self.footprint = footprint

    def with_properties(self, properties: Mapping[str, Any]) -> "Feature":
        """Return a feature with this one's geometry and other properties."""
        return Feature(properties, self.footprint)


class Collection:
    """Elements that are made when they are first asked for, and kept."""

    def __init__(
        self,
        elements: Iterable[Any],
        properties: Mapping[str, Any] | None = None,
        id: str | None = None,
        of_images: bool = False,
        stored: StoredCollection | None = None,
        given: bool = False,
    ) -> None:
        self._coming = iter(elements)
        self._made: list[Any] = []
        self.properties = properties or {}
        self.id = id
        self.of_images = of_images
        self.stored = stored  # what the elements are loaded from, if nothing else
        self.given = given  # the elements are listed or loaded, not computed

    @property
    def type_name(self) -> str:
        """Earth Engine's name of the type."""
        return "ImageCollection" if self.of_images else "FeatureCollection"

    @classmethod
    def of(cls, elements: Sequence[Any]) -> "Collection":
        """Return a collection of elements that exist already."""
        return cls(elements, given=True)

    def __iter__(self) -> Iterator[Any]:
        position = 0
        while True:
            while position < len(self._made):
                yield self._made[position]
                position += 1
            try:
                self._made.append(next(self._coming))
            except StopIteration:
                return

    def __len__(self) -> int:
        self._made.extend(self._coming)
        return len(self._made)

    def with_elements(self, elements: Iterable[Any]) -> "Collection":
        """Return a collection with this one's metadata and other elements."""
        return Collection(elements, self.properties, self.id, self.of_images, given=self.given)

    def with_properties(self, properties: Mapping[str, Any]) -> "Collection":
        """Return a collection with these elements and other properties."""
        return Collection(self, properties, self.id, self.of_images, given=self.given)

    @property
    def footprint(self) -> Geometry | None:
        """The elements' geometries together."""
        shapes = [element.footprint for element in self if element.footprint]
        if len(shapes) == 1:
            return shapes[0]
        return Geometry(shapely.union_all([s.lonlat for s in shapes])) if shapes else None


def property_of(element: Any, name: str) -> Any:
    """Return an element's property, also the ones that are not kept among the others."""
    if name in element.properties:
        return element.properties[name]
    if name == "system:id":
        return element.id
    if name == "system:band_names":
        return getattr(element, "names", None)
    if name in ("system:footprint", ".geo", ".all"):
        return element.footprint
    return None


def ordinary(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the properties that are not the system's."""
    return {name: value for name, value in properties.items() if not name.startswith("system:")}


def sort_key(value: Any) -> tuple[int, Any]:
    """Return a key that sorts nulls last and values of one kind together."""
    if value is None:
        return 2, 0
    return (0, value) if isinstance(value, bool | int | float) else (1, str(value))


def ordered(elements: Iterable[Any], key: str, ascending: bool) -> list[Any]:
    """Return elements sorted by a property; those without it come last either way."""
    known, unknown = [], []
    for element in elements:
        (unknown if property_of(element, key) is None else known).append(element)
    known.sort(key=lambda e: sort_key(property_of(e, key)), reverse=not ascending)
    return known + unknown
