"""Geometries as text: GeoJSON or WKT."""

import json

import shapely
import shapely.wkt
from shapely.geometry.base import BaseGeometry

#: What json and shapely raise for text that is no geometry.
UNREADABLE = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    RecursionError,
    shapely.errors.ShapelyError,
)


class InvalidShape(ValueError):
    """The text is no geometry."""


def parse_shape(text: str) -> BaseGeometry:
    """Return the geometry that a text describes."""
    try:
        if text.lstrip().startswith("{"):
            return shapely.geometry.shape(json.loads(text))
        return shapely.wkt.loads(text)
    except UNREADABLE as error:
        raise InvalidShape from error
