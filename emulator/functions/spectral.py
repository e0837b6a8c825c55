"""What is computed from all bands of a pixel together: colours and mixtures."""

import itertools
from collections.abc import Callable, Sequence

import numpy as np

from emulator.errors import EarthEngineError, NotImplementedByEmulator
from emulator.grids import PixelBox
from emulator.raster import (
    DOUBLE,
    FLOAT,
    Array,
    Band,
    Image,
    Pixels,
    PixelType,
    Reader,
    combined,
    several,
)
from emulator.registry import algorithm

MAX_NON_NEGATIVE = 8  # endmembers: every one of their subsets is tried


def _together(
    bands: Sequence[Band],
    function: Callable[[Array], Array],
    names: Sequence[str],
    kind: PixelType,
) -> list[Band]:
    """Return the bands that a function makes of (bands, rows, columns)."""

    def compute(box: PixelBox, read: Reader) -> list[Pixels]:
        pixels = [read(band, box) for band in bands]
        mask = combined(p.mask for p in pixels)
        values = function(np.stack([p.data for p in pixels]).astype(float))
        return [Pixels(value, mask) for value in values]

    outputs = several(bands, compute, [kind] * len(names))
    return [output.renamed(name) for output, name in zip(outputs, names, strict=True)]


def _three_bands(name: str, source: Image) -> Sequence[Band]:
    if len(source.bands) != 3:
        raise EarthEngineError(f"Image.{name}: Expected 3 bands, got {len(source.bands)}.")
    return source.bands


@algorithm("Image.rgbToHsv")
def rgb_to_hsv(source: Image) -> Image:
    names = ("hue", "saturation", "value")
    bands = _three_bands("rgbToHsv", source)
    return source.with_bands(_together(bands, _hsv, names, FLOAT))


@algorithm("Image.hsvToRgb")
def hsv_to_rgb(source: Image) -> Image:
    names = ("red", "green", "blue")
    bands = _three_bands("hsvToRgb", source)
    return source.with_bands(_together(bands, _rgb, names, FLOAT))


def _hsv(rgb: Array) -> Array:
    """Return hue, saturation and value from 0 to 1 (Smith 1978, doi 10.1145/965139.807361)."""
    red, green, blue = rgb
    value = rgb.max(axis=0)
    range_ = value - rgb.min(axis=0)
    some = np.where(range_ == 0, 1, range_)
    sixths = np.select(
        [range_ == 0, value == red, value == green],
        [0, (green - blue) / some % 6, (blue - red) / some + 2],
        (red - green) / some + 4,
    )
    saturation = np.divide(range_, value, out=np.zeros_like(value), where=value != 0)
    return np.stack([sixths / 6, saturation, value])


def _rgb(hsv: Array) -> Array:
    hue, saturation, value = hsv
    sixths = [(n + hue * 6) % 6 for n in (5, 3, 1)]  # red, green, blue
    return np.stack(
        [value * (1 - saturation * np.clip(np.minimum(k, 4 - k), 0, 1)) for k in sixths]
    )


@algorithm("Image.spectralDistance")
def spectral_distance(first: Image, second: Image, metric: str) -> Image:
    if metric not in DISTANCES:
        raise NotImplementedByEmulator(f"Image.spectralDistance with metric '{metric}'")
    count = len(first.bands)
    if len(second.bands) != count:
        raise EarthEngineError(
            "Image.spectralDistance: The images must have the same number of bands. "
            f"Got {count} and {len(second.bands)}."
        )
    distance = DISTANCES[metric]

    def between(values: Array) -> Array:
        return distance(values[:count], values[count:])[None]

    bands = _together([*first.bands, *second.bands], between, ["distance"], DOUBLE)
    return first.with_bands(bands)


def _angle(first: Array, second: Array) -> Array:
    lengths = np.sqrt((first**2).sum(axis=0) * (second**2).sum(axis=0))
    product = (first * second).sum(axis=0)
    cosine = np.divide(product, lengths, out=np.ones_like(product), where=lengths > 0)
    return np.arccos(np.clip(cosine, -1, 1))


def _divergence(first: Array, second: Array) -> Array:
    p, q = first / first.sum(axis=0), second / second.sum(axis=0)
    return ((p - q) * np.log(p / q)).sum(axis=0)


#: Between spectra (bands, rows, columns), in radians, nats and squared units.
DISTANCES: dict[str, Callable[[Array, Array], Array]] = {
    "sam": _angle,
    "sid": _divergence,  # Chang, 1999, doi 10.1109/IGARSS.1999.773549
    "sed": lambda first, second: ((first - second) ** 2).sum(axis=0),
}


@algorithm("Image.unmix")
def unmix(
    source: Image, endmembers: list[list[float]], sum_to_one: bool, non_negative: bool
) -> Image:
    if not endmembers or any(len(each) != len(source.bands) for each in endmembers):
        raise EarthEngineError(
            f"Image.unmix: Every endmember needs {len(source.bands)} values, one for each band."
        )
    spectra = np.array(endmembers, dtype=float).T  # (bands, endmembers)
    count = len(endmembers)
    if non_negative and count > MAX_NON_NEGATIVE:
        raise NotImplementedByEmulator(f"Image.unmix to {count} endmembers that are not negative")
    solve = _non_negative if non_negative else _fractions

    def unmixed(values: Array) -> Array:
        fractions = solve(spectra, values.reshape(len(values), -1), sum_to_one)
        return fractions.reshape(count, *values.shape[1:])

    names = [f"band_{i}" for i in range(count)]
    return source.with_bands(_together(source.bands, unmixed, names, DOUBLE))


def _fractions(spectra: Array, pixels: Array, sum_to_one: bool) -> Array:
    """Return the least-squares fractions (endmembers, pixels), constrained if wanted."""
    free = np.linalg.pinv(spectra) @ pixels
    if not sum_to_one:
        return free
    spread = np.linalg.pinv(spectra.T @ spectra).sum(axis=1, keepdims=True)
    return free + spread / spread.sum() * (1 - free.sum(axis=0))


def _non_negative(spectra: Array, pixels: Array, sum_to_one: bool) -> Array:
    """Return the best of the solutions with some endmembers that has no negative fraction."""
    count = spectra.shape[1]
    best = np.zeros((count, pixels.shape[1]))
    nothing = (pixels**2).sum(axis=0)  # left over by no endmember at all
    least = np.full_like(nothing, np.inf) if sum_to_one else nothing
    for size in range(1, count + 1):
        for chosen in map(list, itertools.combinations(range(count), size)):
            fractions = _fractions(spectra[:, chosen], pixels, sum_to_one)
            residual = ((pixels - spectra[:, chosen] @ fractions) ** 2).sum(axis=0)
            better = (fractions >= 0).all(axis=0) & (residual < least)
            least[better] = residual[better]
            best[:, better] = 0
            best[np.ix_(chosen, better.nonzero()[0])] = fractions[:, better]
    return best
