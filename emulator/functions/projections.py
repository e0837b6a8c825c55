"""Projections, pixel types and error margins."""

import functools
import math
import re
from dataclasses import dataclass
from typing import Any

from affine import Affine

from emulator.errors import EarthEngineError
from emulator.functions.elementwise import CAST_ALIASES, CASTS
from emulator.grids import Grid, spatial_reference
from emulator.raster import PixelType
from emulator.registry import InvalidTypeError, algorithm, coercion

INFINITE_METRES = 2.0e7  # from which an error margin is infinite (sample ee-errormargin)


@dataclass(frozen=True, slots=True)
class ErrorMargin:
    """A tolerance; the emulator computes exactly and mostly has no use for it."""

    value: float
    unit: str = "meters"

    type_name = "ErrorMargin"


@coercion("ErrorMargin")
def _error_margin(value: Any) -> ErrorMargin:
    if isinstance(value, ErrorMargin):
        return value
    if isinstance(value, dict):
        return error_margin(value.get("value"), value["unit"])
    if isinstance(value, int | float):
        return error_margin(value, "meters")
    raise InvalidTypeError


@algorithm("ErrorMargin")
def error_margin(value: float | None, unit: str) -> ErrorMargin:
    size = abs(value or 0)
    if unit == "infinite" or (unit == "meters" and size >= INFINITE_METRES):
        return ErrorMargin(math.inf, "infinite")
    return ErrorMargin(size, unit)


@coercion("Projection")
def _projection(value: Any) -> Grid:
    if isinstance(value, Grid):
        return value
    if isinstance(value, str):
        return projection(value, None, None)
    if isinstance(value, dict) and "crs" in value:
        return projection(value["crs"], value.get("transform"), None)
    raise InvalidTypeError


@algorithm("Projection", "Proj")
def projection(crs: str, transform: list[float] | None, transform_wkt: str | None) -> Grid:
    if transform and transform_wkt:
        raise EarthEngineError("Projection: May not specify both 'transform' and 'transformWkt'.")
    if transform_wkt:
        transform = _affine(transform_wkt)
    name = _code(crs) or crs
    return Grid(name, tuple(float(t) for t in transform)) if transform else Grid(name)


@functools.lru_cache(maxsize=256)
def _code(crs: str) -> str | None:
    """Return the authority's code of a reference system, or None where it is in no database."""
    authority = spatial_reference(crs).to_authority(min_confidence=100)
    return ":".join(authority) if authority else None


ELEMENT = re.compile(r'PARAMETER\["elt_([01])_([012])",\s*([-+.\deE]+)\]')


def _affine(text: str) -> list[float]:
    """Read the well-known text that `Projection.transform` writes."""
    given = {(int(row), int(column)): float(value) for row, column, value in ELEMENT.findall(text)}
    if not text.lstrip().startswith('PARAM_MT["Affine"'):
        raise EarthEngineError("Projection: The transform's WKT could not be parsed.")
    return [
        given.get((row, column), float(row == column)) for row in range(2) for column in range(3)
    ]


@algorithm("Projection.crs")
def crs(grid: Grid) -> str | None:
    return _code(grid.crs)


@algorithm("Projection.wkt")
def wkt(grid: Grid) -> str:
    return spatial_reference(grid.crs).to_wkt("WKT1_GDAL")


@algorithm("Projection.transform")
def transform(grid: Grid) -> str:
    """Return the transform in the well-known text of OGC 01-009, as Earth Engine does."""
    xs, xh, xt, yh, ys, yt = grid.transform
    elements = {(0, 0): xs, (0, 1): xh, (0, 2): xt, (1, 0): yh, (1, 1): ys, (1, 2): yt}
    lines = [
        f'PARAMETER["elt_{row}_{column}", {value}]'
        for (row, column), value in elements.items()
        if value != (1.0 if row == column else 0.0)
    ]
    body = ", \n  ".join(
        ['PARAM_MT["Affine"', 'PARAMETER["num_row", 3]', 'PARAMETER["num_col", 3]', *lines]
    )
    return body + "]"


@algorithm("Projection.nominalScale")
def nominal_scale(grid: Grid) -> float:
    return grid.scale


@algorithm("Projection.atScale")
def at_scale(grid: Grid, metres: float) -> Grid:
    factor = metres / grid.scale
    return scale(grid, factor, factor)


@algorithm("Projection.scale")
def scale(grid: Grid, x: float, y: float) -> Grid:
    return grid.changed(Affine.scale(x, y))


@algorithm("Projection.translate")
def translate(grid: Grid, x: float, y: float) -> Grid:
    return grid.changed(Affine.translation(x, y))


@coercion("PixelType")
def _pixel_type(value: Any) -> PixelType:
    if isinstance(value, PixelType):
        return value
    if isinstance(value, str):
        return pixel_type(value, None, None, 0)
    raise InvalidTypeError


@algorithm("PixelType")
def pixel_type(precision: Any, low: float | None, high: float | None, dimensions: int) -> PixelType:
    if isinstance(precision, PixelType):
        named = precision  # the client wraps every argument of the type
    elif precision in NAMED_TYPES:
        named = NAMED_TYPES[precision]
    else:
        raise EarthEngineError(f"PixelType: Unknown precision '{precision}'.")
    return PixelType(
        named.precision,
        named.min if low is None else low,
        named.max if high is None else high,
        dimensions or named.dimensions,
    )


NAMED_TYPES = CASTS | {alias: CASTS[name] for alias, name in CAST_ALIASES.items()}
for _name, _kind in CASTS.items():
    algorithm(f"PixelType.{_name}")(lambda kind=_kind: kind)


@algorithm("PixelType.precision")
def precision(kind: PixelType) -> str:
    return kind.precision


@algorithm("PixelType.minValue")
def min_value(kind: PixelType) -> float | None:
    return kind.min


@algorithm("PixelType.maxValue")
def max_value(kind: PixelType) -> float | None:
    return kind.max


@algorithm("PixelType.dimensions")
def dimensions(kind: PixelType) -> int:
    return kind.dimensions
