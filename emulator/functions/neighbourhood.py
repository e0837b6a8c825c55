"""Kernels and what is computed with a pixel's neighbours.

Kernels in pixels are in pixels of the grid that is asked for, so the output scale decides
what a neighbour is; kernels in metres cover the same ground at every scale.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from emulator.errors import EarthEngineError, NotImplementedByEmulator
from emulator.functions.reducers import Reducer, named
from emulator.raster import (
    DOUBLE,
    FLOAT,
    Array,
    Band,
    Image,
    PixelBox,
    Pixels,
    Reader,
    is_valid_everywhere,
    ones,
)
from emulator.registry import InvalidTypeError, algorithm, coercion

MAX_RADIUS = 512  # pixels (https://developers.google.com/earth-engine/apidocs/ee-kernel-circle)


@dataclass(frozen=True, slots=True)
class Kernel:
    """Weights around a centre, as a function of the pixels' size in metres."""

    weights: Callable[[float], Array]  # rows and columns are odd in number, the centre is 0, 0

    type_name = "Kernel"


@coercion("Kernel")
def _kernel(value: Any) -> Kernel:
    if isinstance(value, Kernel):
        return value
    raise InvalidTypeError


def _finished(weights: Array, normalize: bool, magnitude: float) -> Array:
    total = weights.sum()
    return weights * (magnitude / total if normalize and total else magnitude)


def _radius(radius: float, units: str, scale: float) -> float:
    if units.lower() in ("meters", "m"):
        radius = radius / scale
    elif units.lower() != "pixels":
        raise EarthEngineError(f"Kernel: Unknown units '{units}'.")
    if radius > MAX_RADIUS:
        raise EarthEngineError(f"Kernel: Radius {radius:g} is larger than {MAX_RADIUS} pixels.")
    return radius


def _offsets(radius: float) -> tuple[Array, Array]:
    reach = math.floor(radius)
    steps = np.arange(-reach, reach + 1)
    return np.abs(steps)[:, None], np.abs(steps)[None, :]


#: Inside or outside, from the distances to the centre in rows and columns and the radius.
SHAPES: dict[str, Callable[[Array, Array, float], Array]] = {
    "square": lambda y, x, r: (x <= r) & (y <= r),
    "circle": lambda y, x, r: x**2 + y**2 <= r**2,
    "diamond": lambda y, x, r: x + y <= r,
    "plus": lambda y, x, r: (x == 0) | (y == 0),
    "cross": lambda y, x, r: x == y,
    "octagon": lambda y, x, r: (np.maximum(x, y) <= r) & (x + y <= r * math.sqrt(2)),
}
#: Distances to the centre.
DISTANCES: dict[str, Callable[[Array, Array], Array]] = {
    "euclidean": np.hypot,
    "manhattan": np.add,
    "chebyshev": np.maximum,
}


def shape_kernel(name: str, radius: float, units: str, normalize: bool, magnitude: float) -> Kernel:
    """Return a kernel that is constant inside a shape."""

    def weights(scale: float) -> Array:
        reach = _radius(radius, units, scale)
        inside = SHAPES[name](*_offsets(reach), reach)
        return _finished(inside.astype(float), normalize, magnitude)

    return Kernel(weights)


def _register_kernels() -> None:
    for name in SHAPES:
        algorithm(f"Kernel.{name}")(
            lambda radius, units, normalize, magnitude, name=name: shape_kernel(
                name, radius, units, normalize, magnitude
            )
        )
    for name, distance in DISTANCES.items():
        algorithm(f"Kernel.{name}")(_distance_kernel(distance))


def _distance_kernel(distance: Callable[[Array, Array], Array]) -> Callable[..., Kernel]:
    def make(radius: float, units: str, normalize: bool, magnitude: float) -> Kernel:
        def weights(scale: float) -> Array:
            y, x = _offsets(_radius(radius, units, scale))
            return _finished(distance(y, x).astype(float), normalize, magnitude)

        return Kernel(weights)

    return make


_register_kernels()


@algorithm("Kernel.rectangle")
def rectangle(x: float, y: float, units: str, normalize: bool, magnitude: float) -> Kernel:
    def weights(scale: float) -> Array:
        columns = 2 * math.floor(_radius(x, units, scale)) + 1
        rows = 2 * math.floor(_radius(y, units, scale)) + 1
        return _finished(np.ones((rows, columns)), normalize, magnitude)

    return Kernel(weights)


@algorithm("Kernel.gaussian")
def gaussian(radius: float, sigma: float, units: str, normalize: bool, magnitude: float) -> Kernel:
    def weights(scale: float) -> Array:
        y, x = _offsets(_radius(radius, units, scale))
        spread = _radius(sigma, units, scale)
        return _finished(np.exp(-(x**2 + y**2) / (2 * spread**2)), normalize, magnitude)

    return Kernel(weights)


@algorithm("Kernel.fixed")
def fixed(
    width: int, height: int, rows: list[list[float]], x: int, y: int, normalize: bool
) -> Kernel:
    weights = np.array(rows, dtype=float)
    height, width = weights.shape
    x, y = (width // 2 if x < 0 else x), (height // 2 if y < 0 else y)
    reach_x, reach_y = max(x, width - 1 - x), max(y, height - 1 - y)
    centred = np.zeros((2 * reach_y + 1, 2 * reach_x + 1))
    centred[reach_y - y : reach_y - y + height, reach_x - x : reach_x - x + width] = weights
    return Kernel(lambda scale: _finished(centred, normalize, 1))


@algorithm("Kernel.add")
def add(first: Kernel, second: Kernel, normalize: bool) -> Kernel:
    def weights(scale: float) -> Array:
        a, b = first.weights(scale), second.weights(scale)
        rows, columns = max(len(a), len(b)), max(a.shape[1], b.shape[1])
        return _finished(_padded(a, rows, columns) + _padded(b, rows, columns), normalize, 1)

    return Kernel(weights)


def _padded(weights: Array, rows: int, columns: int) -> Array:
    y, x = (rows - weights.shape[0]) // 2, (columns - weights.shape[1]) // 2
    return np.pad(weights, ((y, y), (x, x)))


def _neighbours(band: Band, kernel: Kernel, times: int = 1) -> Callable[..., tuple[Pixels, Array]]:
    """Return a function that reads a box with the margin a kernel needs, and the weights."""

    def fetch(box: PixelBox, read: Reader) -> tuple[Pixels, Array]:
        weights = kernel.weights(box.grid.scale)
        y, x = weights.shape[0] // 2 * times, weights.shape[1] // 2 * times
        return read(band, box.padded(x, y)), weights

    return fetch


def _cropped(values: Array, box: PixelBox) -> Array:
    y, x = (values.shape[0] - box.height) // 2, (values.shape[1] - box.width) // 2
    return values[y : y + box.height, x : x + box.width]


@algorithm("Image.convolve")
def convolve(source: Image, kernel: Kernel) -> Image:
    """Sum the weighted neighbours; the output keeps the input's mask."""

    def convolved(band: Band) -> Band:
        kind = DOUBLE if band.pixel_type.precision == "double" else FLOAT
        fetch = _neighbours(band, kernel)

        def compute(box: PixelBox, read: Reader) -> Pixels:
            (data, mask), weights = fetch(box, read)
            values = np.where(mask > 0, data, 0).astype(np.float64)
            summed = ndimage.convolve(values, weights, mode="constant")
            return Pixels(_cropped(summed, box).astype(kind.dtype), _cropped(mask, box))

        return band.derived(compute, [band], kind)

    return source.with_bands([convolved(band) for band in source.bands])


def _focal_extreme(highest: bool) -> Callable[[Pixels, Array], Pixels]:
    """Take the extreme of the valid neighbours (a filter with the others at the far end)."""
    run = ndimage.maximum_filter if highest else ndimage.minimum_filter

    def apply(pixels: Pixels, weights: Array) -> Pixels:
        data, mask = pixels
        around = weights > 0
        kind = np.iinfo(data.dtype) if data.dtype.kind in "iu" else np.finfo(data.dtype)
        far = data.dtype.type(kind.min if highest else kind.max)
        filled = data if is_valid_everywhere(mask) else np.where(mask > 0, data, far)
        result = run(filled, footprint=around, mode="constant", cval=far)
        if is_valid_everywhere(mask):
            return Pixels(result, mask)
        reached = ndimage.maximum_filter(mask, footprint=around, mode="constant")
        return Pixels(result, reached)

    return apply


def _focal_reduction(reducer: Reducer) -> Callable[[Pixels, Array], Pixels]:
    """Reduce the stack of shifted copies, one for each cell of the kernel."""

    def apply(pixels: Pixels, weights: Array) -> Pixels:
        values, masks, cell_weights = [], [], []
        padded = [np.pad(a, [(n // 2, n // 2) for n in weights.shape]) for a in pixels]
        rows, columns = pixels.data.shape
        for y, x in zip(*np.nonzero(weights), strict=True):
            window = slice(y, y + rows), slice(x, x + columns)
            values.append(padded[0][window])
            masks.append(padded[1][window])
            cell_weights.append(weights[y, x])
        stack = np.stack(masks) * np.array(cell_weights, np.float32)[:, None, None]
        [(result, valid)] = reducer.compute([np.stack(values)], [stack])
        return Pixels(result, np.broadcast_to(valid, result.shape).astype(np.float32))

    return apply


def _focal(
    name: str, apply: Callable[[], Callable[[Pixels, Array], Pixels]], averaging: bool
) -> Callable[..., Image]:
    def focal(
        source: Image,
        radius: float,
        kernel_type: str,
        units: str,
        iterations: int,
        kernel: Kernel | None,
    ) -> Image:
        if kernel is None and kernel_type not in SHAPES:
            raise EarthEngineError(f"Image.{name}: Unknown kernel type '{kernel_type}'.")
        around = kernel or shape_kernel(kernel_type, radius, units, False, 1)
        run = apply()

        def changed(band: Band) -> Band:
            kind = DOUBLE if averaging else band.pixel_type
            fetch = _neighbours(band, around, iterations)

            def compute(box: PixelBox, read: Reader) -> Pixels:
                pixels, weights = fetch(box, read)
                for _ in range(iterations):
                    pixels = run(pixels, weights)
                data = _cropped(pixels.data, box).astype(kind.dtype, copy=False)
                whole = is_valid_everywhere(pixels.mask)
                return Pixels(data, ones(box.shape) if whole else _cropped(pixels.mask, box))

            return band.derived(compute, [band], kind)

        return source.with_bands([changed(band) for band in source.bands])

    return focal


for _name, _apply, _averaging in (
    ("Min", lambda: _focal_extreme(False), False),
    ("Max", lambda: _focal_extreme(True), False),
    ("Median", lambda: _focal_reduction(named("median")), True),
    ("Mean", lambda: _focal_reduction(named("mean")), True),
    ("Mode", lambda: _focal_reduction(named("mode")), False),
):
    algorithm(f"Image.focal{_name}", f"Image.focal_{_name.lower()}")(
        _focal(f"focal{_name}", _apply, _averaging)
    )


@algorithm("Image.reduceNeighborhood")
def reduce_neighborhood(
    source: Image,
    reducer: Reducer,
    kernel: Kernel,
    input_weight: str,
    skip_masked: bool,
    optimization: str | None,
) -> Image:
    if len(reducer.outputs) != 1 or reducer.inputs != 1 or input_weight not in ("kernel", "mask"):
        raise NotImplementedByEmulator("Image.reduceNeighborhood with these arguments")
    cells = kernel if input_weight == "kernel" else _unweighted(kernel)
    run = _focal_reduction(reducer)

    def changed(band: Band) -> Band:
        kind = reducer.types[0] or band.pixel_type
        fetch = _neighbours(band, cells)

        def compute(box: PixelBox, read: Reader) -> Pixels:
            pixels, weights = fetch(box, read)
            data, mask = (_cropped(a, box) for a in run(pixels, weights))
            if skip_masked:
                mask = mask * (_cropped(pixels.mask, box) > 0)
            return Pixels(data.astype(kind.dtype, copy=False), mask)

        return band.derived(compute, [band], kind).renamed(f"{band.name}_{reducer.outputs[0]}")

    return source.with_bands([changed(band) for band in source.bands])


def _unweighted(kernel: Kernel) -> Kernel:
    return Kernel(lambda scale: (kernel.weights(scale) != 0).astype(float))
