"""Features, collections, and the properties of all elements."""

import functools
import hashlib
import math
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import shapely
from scipy.special import ndtri

from emulator.errors import EarthEngineError, NotImplementedByEmulator
from emulator.functions.arrays import EEArray
from emulator.functions.dates import Date, date
from emulator.functions.elementwise import index_of
from emulator.functions.geometry import (
    EMPTY,
    OPERATIONS,
    Geometry,
    box,
    covering_cells,
    random_positions,
    transform,
)
from emulator.functions.images import (
    add_bands,
    cast,
    constant,
    image,
    load_image,
    select,
    update_mask,
)
from emulator.functions.objects import text, typed
from emulator.functions.projections import at_scale
from emulator.functions.reducers import Reducer, reduce_records
from emulator.functions.values import (
    Collection,
    Feature,
    catalogue,
    not_found,
    ordered,
    ordinary,
    property_of,
)
from emulator.grids import Grid
from emulator.patterns import selects
from emulator.raster import Image
from emulator.registry import InvalidTypeError, algorithm, coerce, coercion, lookup, within_count
from emulator.stored import StoredCollection

Element = Image | Feature | Collection


@coercion("Element")
def _element(value: Any) -> Element:
    if isinstance(value, Element):
        return value
    if isinstance(value, str | int | float):
        return image(value)
    raise InvalidTypeError


@coercion("Feature")
def _feature(value: Any) -> Feature:
    if isinstance(value, Feature):
        return value
    if isinstance(value, Geometry):
        return Feature({}, value)
    raise InvalidTypeError


@coercion("FeatureCollection")
def _collection(value: Any) -> Collection:
    if isinstance(value, Collection):
        return value
    if isinstance(value, list):
        return Collection.of(value)
    if isinstance(value, Feature | Geometry):
        return Collection.of([_feature(value)])
    raise InvalidTypeError


@coercion("ImageCollection")
def _images(value: Any) -> Collection:
    if isinstance(value, Collection):
        return value
    if isinstance(value, str):
        return load_collection(value, None)
    if isinstance(value, list):
        return from_images([image(item) for item in value])
    if isinstance(value, Image):
        return from_images([value])
    raise InvalidTypeError


# --- properties


@algorithm("Element.get")
def get(element: Element, name: str) -> Any:
    return property_of(element, name)


for _kind in ("Array", "Number", "String"):
    algorithm(f"Element.get{_kind}")(typed(property_of, _kind))


@algorithm("Element.set")
def set_property(element: Element, key: str, value: Any) -> Element:
    return element.with_properties({**element.properties, key: value})


@algorithm("Element.setMulti")
def set_properties(element: Element, properties: dict[str, Any]) -> Element:
    return element.with_properties({**element.properties, **properties})


@algorithm("Element.replaceProperties")
def replace_properties(destination: Element, source: Element | None) -> Element:
    new = ordinary(source.properties) if source else {}
    return destination.with_properties({**new, **index_of(destination)})


@algorithm("Element.toDictionary")
def to_dictionary(element: Element, names: list[str] | None) -> dict[str, Any]:
    if names is None:
        return ordinary(element.properties)
    return {name: property_of(element, name) for name in names}


@algorithm("Element.propertyNames")
def property_names(element: Element) -> list[str]:
    return list(element.properties)


@algorithm("Element.copyProperties", "Image.copyProperties")
def copy_properties(
    destination: Element, source: Element | None, names: list[str] | None, exclude: Any
) -> Element:
    if source is None:
        return destination
    if names is None:
        skipped = set(exclude or ())
        copied = {k: v for k, v in ordinary(source.properties).items() if k not in skipped}
    else:
        copied = {n: source.properties[n] for n in names if n in source.properties}
    return destination.with_properties({**destination.properties, **copied})


@algorithm("Image.id", "Feature.id")
def element_id(element: Element) -> str | None:
    return element.properties.get("system:index")


@algorithm("Image.date")
def image_date(source: Image) -> Date:
    return date(source.properties.get("system:time_start"))


@algorithm("Element.geometry", "Image.geometry", "Feature.geometry")
def element_geometry(
    element: Element, error: Any, proj: Grid | None, geodesic: bool | None
) -> Geometry:
    shape = coerce("Geometry", element)
    if proj is None:
        return shape
    return transform(shape, proj, error, shape.geodesic if geodesic is None else geodesic)


# --- features


@algorithm("Feature")
def feature(shape: Any, metadata: dict[str, Any], geometry_key: str | None) -> Feature:
    if isinstance(shape, Feature):
        return shape.with_properties({**shape.properties, **metadata})
    return Feature(metadata, None if shape is None else coerce("Geometry", shape))


@algorithm("Feature.setGeometry")
def set_geometry(element: Element, shape: Geometry | None) -> Feature:
    return Feature(element.properties, shape)


@algorithm("Feature.select")
def select_properties(
    element: Element, selectors: list[str], names: list[str] | None, retain_geometry: bool
) -> Element:
    found = [
        name
        for selector in selectors
        for name in (
            [selector]
            if selector in element.properties
            else [each for each in element.properties if selects(selector, each)]
        )
    ]
    if names is not None and len(names) != len(found):
        raise EarthEngineError(
            f"Feature.select: {len(found)} properties were selected, {len(names)} new names given."
        )
    chosen = {new: element.properties[old] for old, new in zip(found, names or found, strict=True)}
    selected = element.with_properties({**index_of(element), **chosen})
    if retain_geometry or not isinstance(selected, Feature):
        return selected
    return Feature(selected.properties, None)


@algorithm("Feature.toArray")
def to_array(source: Feature, names: list[str]) -> EEArray:
    return coerce("Array", [coerce("Number", property_of(source, name)) for name in names])


def _on_features(operation: Callable[..., Any]) -> Callable[..., Any]:
    """Make of an operation on geometries the one on the geometries of elements."""
    closest = operation is OPERATIONS["closestPoint"]  # alone, it gives a bare geometry

    def apply(element: Element, *arguments: Any) -> Any:
        others = [coerce("Geometry", a) if isinstance(a, Element) else a for a in arguments]
        result = operation(coerce("Geometry", element), *others)
        if closest or not isinstance(result, Geometry):
            return result
        return Feature(element.properties, result)

    return apply


for _name, _operation in OPERATIONS.items():
    algorithm(f"Feature.{_name}")(_on_features(_operation))
algorithm("ProjectionTransform")(_on_features(transform))


# --- making collections


@algorithm("ImageCollection.load")
def load_collection(asset: str, version: Any) -> Collection:
    stored = catalogue().collection(asset)
    if stored is None:
        raise not_found("ImageCollection.load", "ImageCollection", asset)
    return _loaded(stored, asset)


def _loaded(stored: StoredCollection, asset: str | None) -> Collection:
    return Collection((load_image(item) for item in stored), None, asset, True, stored)


@algorithm("Collection.loadTable")
def load_table(asset: str, geometry_column: Any, version: Any) -> Collection:
    rows = catalogue().table(asset)
    if rows is None:
        raise not_found("Collection.loadTable", "Collection", asset)
    features = (_from_geojson(i, row) for i, row in enumerate(rows))
    return Collection(features, id=asset, given=True)


def _from_geojson(index: int, row: Mapping[str, Any]) -> Feature:
    shape = row.get("geometry")
    properties = {"system:index": str(row.get("id", index)), **(row.get("properties") or {})}
    return Feature(properties, coerce("Geometry", shape) if shape else None)


@algorithm("ImageCollection.fromImages")
def from_images(images: list[Any]) -> Collection:
    return Collection(_indexed(image(item) for item in images), of_images=True)


@algorithm("Collection")
def from_elements(elements: list[Any]) -> Collection:
    return Collection(_indexed(elements), given=True)


def _indexed(elements: Iterable[Any]) -> Iterator[Any]:
    """Give elements of a list their position as an index, unless they have one."""
    for position, element in enumerate(elements):
        yield _with_index(coerce("Element", element), str(position))


def _with_index(element: Any, index: str) -> Any:
    if "system:index" in element.properties:
        return element
    return element.with_properties({"system:index": index, **element.properties})


# --- collection to collection


@algorithm("Collection.filter")
def filter_collection(source: Collection, condition: Any) -> Collection:
    chosen = coerce("Filter", condition)
    if source.stored is not None and (rows := chosen.rows(source.stored)) is not None:
        return _loaded(source.stored.take(np.flatnonzero(rows)), source.id)
    return source.with_elements(e for e in source if chosen.test(e, e))


@algorithm("Collection.limit")
def limit(source: Collection, count: int | None, key: str | None, ascending: bool) -> Collection:
    if source.stored is not None and key is not None:
        numbers = source.stored.column(key)
        if numbers is not None and numbers.dtype != object:
            # A stable sort; NaN, for a missing value, comes last either way.
            order = np.argsort(numbers if ascending else -numbers, kind="stable")
            return _loaded(source.stored.take(order[:count]), source.id)

    def elements() -> Iterator[Any]:
        chosen = source if key is None else ordered(source, key, ascending)
        for position, element in enumerate(chosen):
            if position == count:
                return
            yield element

    return source.with_elements(elements())


@algorithm("Collection.map")
def map_collection(
    source: Collection, function: Callable[[Any], Any], drop_nulls: bool
) -> Collection:
    def elements() -> Iterator[Any]:
        for element in source:
            mapped = _mapped(function, element)
            if mapped is None and drop_nulls:
                continue
            if isinstance(mapped, Geometry):
                mapped = Feature({}, mapped)
            if not isinstance(mapped, Element):
                raise EarthEngineError(
                    "Collection.map: A mapped algorithm must return a Feature or Image."
                )
            index = element.properties.get("system:index")
            yield mapped if index is None else _with_index(mapped, index)

    return Collection(elements(), source.properties, source.id, source.of_images)


def _mapped(function: Callable[[Any], Any], element: Any) -> Any:
    """Return a function's result for an element; an error names the element."""
    try:
        return function(element)
    except NotImplementedByEmulator:
        raise
    except EarthEngineError as error:
        where = f"Error in map(ID={element.properties.get('system:index')})"
        raise EarthEngineError(f"{where}:\n{error.message}", error.code) from error


@algorithm("Collection.merge", "ImageCollection.merge")
def merge(first: Collection, second: Collection) -> Collection:
    def elements() -> Iterator[Any]:
        for prefix, source in (("1_", first), ("2_", second)):
            for element in source:
                index = prefix + str(element.properties.get("system:index", ""))
                yield element.with_properties({**element.properties, "system:index": index})

    return first.with_elements(elements())


@algorithm("Collection.flatten")
def flatten(source: Collection) -> Collection:
    def elements() -> Iterator[Any]:
        for outer in source:
            prefix = outer.properties.get("system:index", "")
            for element in coerce("FeatureCollection", outer):
                index = f"{prefix}_{element.properties.get('system:index', '')}"
                yield element.with_properties({**element.properties, "system:index": index})

    return source.with_elements(elements())


@algorithm("Collection.distinct")
def distinct(source: Collection, properties: Any) -> Collection:
    names = [properties] if isinstance(properties, str) else properties

    def elements() -> Iterator[Any]:
        seen = set()
        for element in source:
            key = repr([_comparable(property_of(element, name)) for name in names])
            if key not in seen:
                seen.add(key)
                yield element

    return source.with_elements(elements())


def _comparable(value: Any) -> Any:
    return value.to_json() if isinstance(value, Geometry) else value


@algorithm("Collection.remap")
def remap(source: Collection, old: list[Any], new: list[int], name: str) -> Collection:
    if len(old) != len(new):
        raise EarthEngineError("Collection.remap: The lists must have the same length.")

    def elements() -> Iterator[Any]:
        for element in source:
            value = property_of(element, name)
            if value in old:
                changed = {**element.properties, name: new[old.index(value)]}
                yield element.with_properties(changed)

    return source.with_elements(elements())


@algorithm("Collection.randomColumn")
def random_column(
    source: Collection, name: str, seed: int, distribution: str, keys: list[str]
) -> Collection:
    """Add numbers that depend on the seed and the row's keys only (the generator is ours)."""
    if distribution not in ("uniform", "normal"):
        raise EarthEngineError(f"Collection.randomColumn: Unknown distribution '{distribution}'.")

    def elements() -> Iterator[Any]:
        for element in source:
            key = repr([seed, *(_comparable(property_of(element, k)) for k in keys)])
            number = _uniform(key)
            if distribution == "normal":
                number = float(ndtri(number or 2.0**-54))
            yield element.with_properties({**element.properties, name: number})

    return source.with_elements(elements())


def _uniform(key: str) -> float:
    """Return a number in [0, 1) out of the first 53 bits of a hash."""
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
    return (int.from_bytes(digest[:8], "big") >> 11) / 2**53


@algorithm("FeatureCollection.makeArray")
def make_array(source: Collection, names: list[str], name: str) -> Collection:
    def elements() -> Iterator[Any]:
        for element in source:
            values = [property_of(element, each) for each in names]
            if all(isinstance(value, int | float) for value in values):
                array = coerce("Array", values)
                yield element.with_properties({**element.properties, name: array})

    return source.with_elements(elements())


@algorithm("FeatureCollection.randomPoints")
def random_points(region: Geometry, count: int, seed: int, error: Any) -> Collection:
    generator = np.random.default_rng(abs(seed))
    places = random_positions(region, within_count(count), generator)
    return Collection(
        Feature({"system:index": str(i)}, Geometry(shapely.Point(place)))
        for i, place in enumerate(places)
    )


@algorithm("Geometry.coveringGrid")
def covering_grid(shape: Geometry, proj: Grid, scale: float | None) -> Collection:
    grid = proj if scale is None else at_scale(proj, scale)
    return Collection(
        Feature({"system:index": f"{column},{row}"}, cell)
        for column, row, cell in covering_cells(shape, grid)
    )


@algorithm("ImageCollection.combine")
def combine(primary: Collection, secondary: Collection, overwrite: bool) -> Collection:
    def elements() -> Iterator[Image]:
        others = {e.properties.get("system:index"): e for e in secondary}
        for element in primary:
            other = others.get(element.properties.get("system:index"))
            if other is not None:
                yield add_bands(element, other, None, overwrite)

    return primary.with_elements(elements())


@algorithm("ImageCollection.cast")
def cast_collection(source: Collection, types: dict[str, Any], order: list[str]) -> Collection:
    return source.with_elements(cast(item, types, order) for item in source)


def _names(value: Any) -> list[str]:
    return [] if value is None else [value] if isinstance(value, str) else value


@algorithm("Image.linkCollection")
def link_collection(
    source: Image, collection: Collection, bands: Any, properties: Any, match: str
) -> Image:
    wanted = property_of(source, match)
    condition = lookup("Filter.equals").call({"leftField": match, "rightValue": wanted})
    found = first(filter_collection(collection, condition))
    linked = source
    if bands is not None:
        template = found or first(collection)
        if template is None:
            raise EarthEngineError("Image.linkCollection: The collection is empty.")
        chosen = select(template, _names(bands), None)
        shown = chosen if found else update_mask(chosen, constant(0))
        linked = add_bands(linked, shown, None, True)
    copied = {name: property_of(found, name) if found else None for name in _names(properties)}
    return Image(linked.bands, {**source.properties, **copied}, source.footprint, source.id)


# --- collection to value


@algorithm("Collection.size")
def size(source: Collection) -> int:
    return len(source)


@algorithm("Collection.first")
def first(source: Collection) -> Any:
    return next(iter(source), None)


@algorithm("Collection.toList")
def to_list(source: Collection, count: int, offset: int) -> list[Any]:
    return list(source)[offset : offset + count]


@algorithm("Collection.iterate")
def iterate(source: Collection, function: Callable[..., Any], start: Any) -> Any:
    return functools.reduce(lambda state, element: function(element, state), source, start)


@algorithm("Collection.geometry")
def geometry(source: Collection, error: Any) -> Geometry | None:
    return source.footprint or EMPTY


@algorithm("Collection.union")
def union(source: Collection, error: Any) -> Collection:
    shapes = [e.footprint.lonlat for e in source if e.footprint]
    united = Geometry(shapely.unary_union(shapes))
    return Collection.of([Feature({"system:index": "union_result"}, united)])


@algorithm("Collection.bounds")
def bounds(source: Collection, error: Any, proj: Any) -> Geometry:
    shapes = [e.footprint.projected(proj.crs) for e in source if e.footprint]
    if not shapes:
        return EMPTY
    return Geometry(box(*shapely.total_bounds(shapes)), proj.crs, geodesic=False)


@algorithm("Collection.reduceColumns")
def reduce_columns(
    source: Collection, reducer: Reducer, selectors: list[str], weight_selectors: Any
) -> dict[str, Any]:
    def columns(names: list[str]) -> list[list[Any]]:
        return [[property_of(e, name) for name in names] for e in source]

    weights = columns(weight_selectors) if weight_selectors else None
    return reduce_records(reducer, columns(selectors), weights)


def _values(source: Collection, name: str) -> list[Any]:
    return [v for e in source if (v := property_of(e, name)) is not None]


@algorithm("AggregateFeatureCollection.array")
def aggregate_array(source: Collection, name: str) -> list[Any]:
    return _values(source, name)


def _numbers(source: Collection, name: str) -> list[float]:
    return [coerce("Number", value) for value in _values(source, name)]


AGGREGATES: dict[str, Callable[[list[Any]], Any]] = {
    "first": lambda values: values[0] if values else None,
    "count": len,
    "min": lambda values: min(values, default=None),
    "max": lambda values: max(values, default=None),
    "histogram": lambda values: {text(k): n for k, n in Counter(values).items()},
    "count_distinct": lambda values: len({repr(value) for value in values}),
}


def _if_any(function: Callable[[list[float]], float], least: int = 1) -> Any:
    return lambda values: function(values) if len(values) >= least else None


NUMERIC_AGGREGATES: dict[str, Callable[[list[float]], Any]] = {
    "sum": sum,
    "product": math.prod,
    "mean": _if_any(statistics.fmean),
    "total_var": _if_any(statistics.pvariance),
    "total_sd": _if_any(statistics.pstdev),
    "sample_var": _if_any(statistics.variance, least=2),
    "sample_sd": _if_any(statistics.stdev, least=2),
}


def _aggregate(function: Callable[[list[Any]], Any], values: Any) -> Callable[..., Any]:
    return lambda source, name: function(values(source, name))


@algorithm("AggregateFeatureCollection.stats")
def stats(source: Collection, name: str) -> dict[str, Any]:
    values = _numbers(source, name)
    total = sum(values)
    return {
        "total_count": len(source),
        "valid_count": len(values),
        "weight_sum": len(values),
        "weighted_sum": total,
        "sum": total,
        "sum_sq": sum(value**2 for value in values),
        **{key: AGGREGATES[key](values) for key in ("min", "max")},
        **{key: NUMERIC_AGGREGATES[key](values) for key in SPREADS},
    }


#: The parts of `aggregate_stats` beside sums, counts and ends.
SPREADS = ("mean", "total_var", "total_sd", "sample_var", "sample_sd")


for _name, _function in AGGREGATES.items():
    algorithm(f"AggregateFeatureCollection.{_name}")(_aggregate(_function, _values))
for _name, _function in NUMERIC_AGGREGATES.items():
    algorithm(f"AggregateFeatureCollection.{_name}")(_aggregate(_function, _numbers))
