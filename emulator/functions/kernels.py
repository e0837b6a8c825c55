"""Kernels: weights around a pixel.

Kernels in pixels are in pixels of the grid that is asked for, so the output scale decides
what a neighbour is; kernels in metres cover the same ground at every scale
(https://developers.google.com/earth-engine/guides/image_convolutions).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from emulator.errors import EarthEngineError
from emulator.raster import Array
from emulator.registry import accepts, algorithm

MAX_RADIUS = 512  # pixels (https://developers.google.com/earth-engine/apidocs/ee-kernel-circle)


@dataclass(frozen=True, slots=True)
class Kernel:
    """Weights around a centre, as a function of the pixels' size in metres."""

    weights: Callable[[float], Array]  # rows and columns are odd in number, the centre is 0, 0
    measures_distance: bool = False  # the weights are distances to the centre

    type_name = "Kernel"

    def to_json(self) -> Any:
        """Return the weights in pixels of one metre, and where the centre is."""
        weights = self.weights(1)
        center = [weights.shape[1] // 2, weights.shape[0] // 2]
        return {"type": "Kernel", "center": center, "weights": weights.tolist()}


accepts("Kernel", Kernel)


def _finished(weights: Array, normalize: bool, magnitude: float = 1) -> Array:
    """Make the weights sum to 1, or to 0 where any is negative, and scale them."""
    if normalize and (weights < 0).any():
        weights = weights - weights.mean()
    elif normalize and weights.any():
        weights = weights / weights.sum()
    return weights * magnitude


def _in_pixels(length: float, units: str, scale: float) -> float:
    if units.lower() in ("meters", "m"):
        length = length / scale
    elif units.lower() != "pixels":
        raise EarthEngineError(f"Kernel: Unknown units '{units}'.")
    if not 0 <= length <= MAX_RADIUS:
        raise EarthEngineError(f"Kernel: Radius {length:g} is not from 0 to {MAX_RADIUS} pixels.")
    return length


def _offsets(reach: int) -> tuple[Array, Array]:
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
#: Edge detectors, as the API samples print them (ee_kernel_sobel.py and siblings).
EDGES: dict[str, list[list[float]]] = {
    "compass": [[1, 1, -1], [1, -2, -1], [1, 1, -1]],
    "kirsch": [[5, -3, -3], [5, 0, -3], [5, -3, -3]],
    "laplacian4": [[0, 1, 0], [1, -4, 1], [0, 1, 0]],
    "laplacian8": [[1, 1, 1], [1, -8, 1], [1, 1, 1]],
    "prewitt": [[1, 0, -1], [1, 0, -1], [1, 0, -1]],
    "roberts": [[1, 0], [0, -1]],
    "sobel": [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]],
}


def shape_kernel(name: str, radius: float, units: str, normalize: bool, magnitude: float) -> Kernel:
    """Return a kernel that is constant inside a shape."""

    def weights(scale: float) -> Array:
        reach = _in_pixels(radius, units, scale)
        inside = SHAPES[name](*_offsets(math.floor(reach)), reach)
        return _finished(inside.astype(float), normalize, magnitude)

    return Kernel(weights)


def _distance_kernel(
    name: str, radius: float, units: str, normalize: bool, magnitude: float
) -> Kernel:
    def weights(scale: float) -> Array:
        y, x = _offsets(math.floor(_in_pixels(radius, units, scale)))
        return _finished(DISTANCES[name](y, x).astype(float), normalize, magnitude)

    return Kernel(weights, measures_distance=True)


def _edge_kernel(name: str, magnitude: float, normalize: bool) -> Kernel:
    weights = np.array(EDGES[name], dtype=float)
    height, width = weights.shape
    return _around(weights, width // 2, height // 2, normalize, magnitude)


def _register() -> None:
    for make, names in (
        (shape_kernel, SHAPES),
        (_distance_kernel, DISTANCES),
        (_edge_kernel, EDGES),
    ):
        for name in names:
            algorithm(f"Kernel.{name}")(_bound(make, name))


def _bound(make: Callable[..., Kernel], name: str) -> Callable[..., Kernel]:
    return lambda *arguments: make(name, *arguments)


_register()


@algorithm("Kernel.rectangle")
def rectangle(x: float, y: float, units: str, normalize: bool, magnitude: float) -> Kernel:
    def weights(scale: float) -> Array:
        columns = 2 * math.floor(_in_pixels(x, units, scale)) + 1
        rows = 2 * math.floor(_in_pixels(y, units, scale)) + 1
        return _finished(np.ones((rows, columns)), normalize, magnitude)

    return Kernel(weights)


@algorithm("Kernel.gaussian")
def gaussian(radius: float, sigma: float, units: str, normalize: bool, magnitude: float) -> Kernel:
    def weights(scale: float) -> Array:
        # A radius of 3 is printed as 5 by 5 weights (ee_kernel_gaussian.py).
        reach = max(math.ceil(_in_pixels(radius, units, scale)) - 1, 0)
        y, x = _offsets(reach)
        spread = _in_pixels(sigma, units, scale)
        if not spread:
            raise EarthEngineError("Kernel.gaussian: The standard deviation must be positive.")
        return _finished(np.exp(-(x**2 + y**2) / (2 * spread**2)), normalize, magnitude)

    return Kernel(weights)


@algorithm("Kernel.fixed")
def fixed(
    width: int, height: int, rows: list[list[float]], x: int, y: int, normalize: bool
) -> Kernel:
    try:
        weights = np.array(rows, dtype=float)
    except (TypeError, ValueError):
        weights = np.empty(0)
    if weights.ndim != 2 or not weights.size:
        raise EarthEngineError("Kernel.fixed: The weights must be rows of numbers, equally many.")
    if width not in (-1, weights.shape[1]) or height not in (-1, weights.shape[0]):
        raise EarthEngineError(f"Kernel.fixed: The weights are not {height} by {width}.")
    height, width = weights.shape
    x, y = (width // 2 if x < 0 else x), (height // 2 if y < 0 else y)
    if x >= width or y >= height:
        raise EarthEngineError("Kernel.fixed: The focus is outside of the weights.")
    return _around(weights, x, y, normalize)


def _around(weights: Array, x: int, y: int, normalize: bool, magnitude: float = 1) -> Kernel:
    """Return a kernel whose centre is at column x, row y of the weights."""
    weights = _finished(weights, normalize, magnitude)
    height, width = weights.shape
    reach_x, reach_y = max(x, width - 1 - x), max(y, height - 1 - y)
    centred = np.zeros((2 * reach_y + 1, 2 * reach_x + 1))
    centred[reach_y - y : reach_y - y + height, reach_x - x : reach_x - x + width] = weights
    return Kernel(lambda scale: centred)


@algorithm("Kernel.add")
def add(first: Kernel, second: Kernel, normalize: bool) -> Kernel:
    def weights(scale: float) -> Array:
        a, b = first.weights(scale), second.weights(scale)
        size = [max(sides) for sides in zip(a.shape, b.shape, strict=True)]
        return _finished(_padded(a, size) + _padded(b, size), normalize)

    return Kernel(weights)


def _padded(weights: Array, size: Sequence[int]) -> Array:
    more = [(n - side) // 2 for n, side in zip(size, weights.shape, strict=True)]
    return np.pad(weights, [(n, n) for n in more])


@algorithm("Kernel.inverse")
def inverse(kernel: Kernel) -> Kernel:
    def weights(scale: float) -> Array:
        given = kernel.weights(scale)
        return np.divide(1, given, out=np.zeros_like(given), where=given != 0)

    return Kernel(weights)


@algorithm("Kernel.rotate")
def rotate(kernel: Kernel, rotations: int) -> Kernel:
    return Kernel(lambda scale: np.rot90(kernel.weights(scale), -rotations))
