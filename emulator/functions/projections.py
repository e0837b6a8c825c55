"""Projections, pixel types and error margins."""

from dataclasses import dataclass
from typing import Any

from affine import Affine

from emulator.errors import EarthEngineError
from emulator.functions.elementwise import CAST_ALIASES, CASTS
from emulator.raster import Grid, PixelType, spatial_reference
from emulator.registry import InvalidTypeError, algorithm, coercion


@dataclass(frozen=True, slots=True)
class ErrorMargin:
    """A tolerance; the emulator computes exactly and mostly has no use for it."""

    value: float
    unit: str = "meters"

    type_name = "ErrorMargin"

    @property
    def metres(self) -> float:
        """The tolerance in metres."""
        return self.value


@coercion("ErrorMargin")
def _error_margin(value: Any) -> ErrorMargin:
    if isinstance(value, ErrorMargin):
        return value
    if isinstance(value, dict):
        return ErrorMargin(value["value"], value["unit"])
    if isinstance(value, int | float):
        return ErrorMargin(value)
    raise InvalidTypeError


@algorithm("ErrorMargin")
def error_margin(value: float | None, unit: str) -> ErrorMargin:
    return ErrorMargin(value or 0, unit)


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
    spatial_reference(crs)  # an unknown one is refused here
    return Grid(crs, tuple(float(t) for t in transform)) if transform else Grid(crs)


@algorithm("Projection.crs")
def crs(grid: Grid) -> str:
    return grid.crs


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
