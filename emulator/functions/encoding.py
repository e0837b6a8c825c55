"""Values as JSON, as `value:compute` and `Describe` write them."""

import math
from typing import Any

from emulator.errors import EarthEngineError
from emulator.functions.dates import Date, DateRange
from emulator.functions.projections import ErrorMargin
from emulator.functions.values import Collection, Feature, number_json
from emulator.grids import Grid
from emulator.raster import Band, Image, PixelType
from emulator.registry import type_name

MAX_ELEMENTS = 5000  # of a collection; EE: "Collection query aborted after accumulating over 5000"


#: Parts of a value that is written out; Earth Engine's limit is 100 MiB.
MAX_PARTS = 10_000_000


def within_size(value: Any) -> Any:
    """Return a value, or refuse one whose lists and dictionaries are too large written out.

    A list that holds the same list twice is small in memory, and doubles with every level.
    """
    if _parts(value, {}) > MAX_PARTS:
        raise EarthEngineError("Computed value is too large.")
    return value


def _parts(value: Any, known: dict[int, int]) -> int:
    if not isinstance(value, list | dict):
        return 1
    if id(value) not in known:
        items = value.values() if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_parts(item, known) for item in items)
    return known[id(value)]


def to_json(value: Any) -> Any:
    """Return what `value:compute` answers for a value."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return number_json(value)
        case list():
            return [to_json(item) for item in value]
        case dict():
            return {str(key): to_json(item) for key, item in sorted(value.items())}
        case Image():
            return _image(value)
        case Feature():
            return _feature(value)
        case Collection():
            return _collection(value)
        case Date():
            return {"type": "Date", "value": value.millis}
        case DateRange():
            return {"type": "DateRange", "dates": [value.start, value.end]}
        case Grid():
            return {"type": "Projection", "crs": value.crs, "transform": list(value.transform)}
        case PixelType():
            return _pixel_type(value)
        case ErrorMargin():
            size = {} if math.isinf(value.value) else {"value": value.value}
            return {"type": "ErrorMargin", "unit": value.unit, **size}
    if hasattr(value, "to_json"):
        return value.to_json()
    raise EarthEngineError(f"Object of type {type(value).__name__} cannot be encoded as JSON.")


def _pixel_type(kind: PixelType) -> dict[str, Any]:
    json: dict[str, Any] = {"type": "PixelType", "precision": kind.precision}
    if kind.min is not None:
        json |= {"min": kind.min, "max": kind.max}
    if kind.dimensions:
        json["dimensions"] = kind.dimensions
    return json


def _image(image: Image) -> dict[str, Any]:
    return {"type": "Image", "bands": [_band(b) for b in image.bands]} | _metadata(image)


def _band(band: Band) -> dict[str, Any]:
    json: dict[str, Any] = {"id": band.name, "data_type": _pixel_type(band.pixel_type)}
    if band.extent:
        json["dimensions"] = [band.extent.width, band.extent.height]
        if band.extent.x or band.extent.y:
            json["origin"] = [band.extent.x, band.extent.y]
    return json | {"crs": band.grid.crs, "crs_transform": list(band.grid.transform)}


def _metadata(element: Image | Collection) -> dict[str, Any]:
    json: dict[str, Any] = {} if element.id is None else {"id": element.id}
    if element.properties:
        json["properties"] = to_json(dict(element.properties))
    return json


def _feature(feature: Feature) -> dict[str, Any]:
    properties = dict(feature.properties)
    index = properties.pop("system:index", None)
    json = {
        "type": "Feature",
        "geometry": to_json(feature.footprint),
        "properties": to_json(properties),
    }
    return json if index is None else {**json, "id": index}


def _collection(collection: Collection) -> dict[str, Any]:
    elements = []
    for element in collection:
        if len(elements) == MAX_ELEMENTS:
            raise EarthEngineError(
                f"Collection query aborted after accumulating over {MAX_ELEMENTS} elements."
            )
        elements.append(to_json(element))
    members = {"bands": []} if collection.of_images else {"columns": _columns(collection)}
    json = {"type": collection.type_name, **members} | _metadata(collection)
    if collection.of_images and not elements:
        return json  # as the sample ee-list-add prints one
    return json | {"features": elements}


def _columns(collection: Collection) -> dict[str, str]:
    """Return the types of the first element's properties; Earth Engine tells no computed ones."""
    first = next(iter(collection), None) if collection.given else None
    if not isinstance(first, Feature):
        return {}
    types = {name: type_name(value) for name, value in first.properties.items()}
    return dict(sorted({**types, "system:index": "String"}.items()))
