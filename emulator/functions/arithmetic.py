"""Arithmetic on bands that is not in the table of element-wise operations."""

from typing import Any

import numpy as np

from emulator.errors import EarthEngineError
from emulator.functions.elementwise import cast_values, index_of, number_type, union
from emulator.functions.images import first_band, matching, select
from emulator.grids import PixelBox
from emulator.raster import (
    DOUBLE,
    FLOAT,
    Band,
    Image,
    Pixels,
    PixelType,
    Reader,
    combined,
    pointwise,
    require_scalars,
)
from emulator.registry import algorithm


@algorithm("Image.normalizedDifference")
def normalized_difference(source: Image, names: list[str] | None) -> Image:
    a, b = select(source, names or [0, 1], None).bands
    require_scalars([a, b])

    def compute(box: PixelBox, read: Reader) -> Pixels:
        first, second = read(a, box), read(b, box)
        x, y = first.data.astype(np.float32), second.data.astype(np.float32)
        total = x + y
        data = np.divide(x - y, total, out=np.zeros(box.shape, np.float32), where=total != 0)
        mask = combined([first.mask, second.mask])
        negative = (x < 0) | (y < 0)
        return Pixels(data, mask * ~negative if negative.any() else mask)

    kind = PixelType("float", -1, 1)
    band = Band("nd", kind, a.grid, compute, [a, b], a.extent)
    return Image([band], index_of(source), source.footprint)


@algorithm("Image.clamp")
def clamp(source: Image, low: float, high: float) -> Image:
    return source.with_bands(
        [
            pointwise(b, [b], lambda data, t=b.pixel_type: cast_values(np.clip(data, low, high), t))
            for b in source.bands
        ]
    )


@algorithm("Image.unitScale")
def unit_scale(source: Image, low: float, high: float) -> Image:
    def scaled(band: Band) -> Band:
        kind = DOUBLE if band.pixel_type.precision == "double" else FLOAT
        return pointwise(
            band, [band], lambda data: (data.astype(kind.dtype) - low) / (high - low), kind
        )

    return source.with_bands([scaled(band) for band in source.bands])


@algorithm("Image.remap")
def remap(source: Image, old: list[float], new: list[float], default: Any, name: Any) -> Image:
    if len(old) != len(new):
        raise EarthEngineError("Image.remap: 'from' and 'to' must have the same length.")
    [band] = matching(source, 0 if name is None else name)
    require_scalars([band])
    order = np.argsort(old)
    keys, targets = np.asarray(old)[order], np.asarray(new)[order]
    kind = union(*[number_type(v) for v in [*new, *([] if default is None else [default])]])

    def compute(box: PixelBox, read: Reader) -> Pixels:
        pixels = read(band, box)
        where = np.minimum(np.searchsorted(keys, pixels.data), len(keys) - 1)
        known = keys[where] == pixels.data
        data = np.where(known, targets[where], 0 if default is None else default)
        mask = pixels.mask * known if default is None else pixels.mask
        return Pixels(data.astype(kind.dtype), mask)

    derived = band.derived(compute, [band], kind).renamed("remapped")
    return source.with_bands([derived])


# What lies outside the range of a piecewise linear function becomes.
OUTSIDE = ("extrapolate", "clamp", "mask", "input")


@algorithm("Image.interpolate")
def interpolate(source: Image, x: list[float], y: list[float], behavior: str) -> Image:
    if len(x) != len(y) or len(x) < 2 or np.any(np.diff(x) <= 0):
        raise EarthEngineError(
            "Image.interpolate: x must be strictly increasing, and as long as y (at least 2)."
        )
    if behavior not in OUTSIDE:
        raise EarthEngineError(f"Image.interpolate: Unknown behavior '{behavior}'.")
    slopes = np.diff(y) / np.diff(x)
    band = first_band("interpolate", source)

    def compute(box: PixelBox, read: Reader) -> Pixels:
        data, mask = read(band, box)
        data = data.astype(float)
        inside = (data >= x[0]) & (data <= x[-1])
        if behavior == "extrapolate":
            piece = np.clip(np.searchsorted(x, data, side="right") - 1, 0, len(slopes) - 1)
            return Pixels(np.take(y, piece) + slopes[piece] * (data - np.take(x, piece)), mask)
        values = np.interp(data, x, y)
        if behavior == "input":
            values = np.where(inside, values, data)
        return Pixels(values, mask * inside if behavior == "mask" else mask)

    return source.with_bands([band.derived(compute, [band], DOUBLE)])


@algorithm("Image.polynomial")
def polynomial(source: Image, coefficients: list[float]) -> Image:
    return source.with_bands(
        [
            pointwise(
                band,
                [band],
                lambda data: np.polynomial.polynomial.polyval(data.astype(float), coefficients),
                DOUBLE,
            )
            for band in source.bands
        ]
    )
