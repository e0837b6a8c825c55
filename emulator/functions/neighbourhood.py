"""What is computed with a pixel's neighbours.

A band reads the box that is asked for with a margin, and computes it from that, so tiles
need not know of each other. Functions that take `Pixels` and weights get the margin that
the weights reach over, and return the pixels without it.
"""

import functools
import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import scipy
from scipy import ndimage, sparse

from emulator.errors import EarthEngineError, NotImplementedByEmulator
from emulator.functions.images import first_band, matching
from emulator.functions.kernels import SHAPES, Kernel, shape_kernel
from emulator.functions.reducers import Reducer, check_bands, named
from emulator.grids import PixelBox, metres_per_unit, spatial_reference
from emulator.raster import (
    DOUBLE,
    FLOAT,
    INT64,
    Array,
    Band,
    Image,
    Pixels,
    PixelType,
    Reader,
    is_valid_everywhere,
    joined_strips,
    ones,
    require_scalars,
    several,
)
from emulator.registry import algorithm

STACKED = 2**24  # values of neighbours that are held in memory at once
DIRECT_CELLS = 15**2  # of a kernel: with more, a Fourier transform is faster than a sum
MAX_SEARCH = 2048  # pixels around a tile that are read at once: the limit is ours
MAX_NEIGHBOURS = 4096  # bands: the limit is ours
MAX_OBJECT = 1024  # pixels (https://developers.google.com/earth-engine/guides/image_objects)

Focal = Callable[[Pixels, Array], Pixels]


def _reach(weights: Array) -> tuple[int, int]:
    """Return how many columns and rows a kernel reaches over."""
    return weights.shape[1] // 2, weights.shape[0] // 2


def _inner(values: Array, columns: int, rows: int) -> Array:
    return values[rows : values.shape[0] - rows, columns : values.shape[1] - columns]


def _inner_pixels(pixels: Pixels, columns: int, rows: int) -> Pixels:
    data = _inner(pixels.data, columns, rows)
    if is_valid_everywhere(pixels.mask):
        return Pixels(data, ones(data.shape))
    return Pixels(data, _inner(pixels.mask, columns, rows))


def _present(pixels: Pixels) -> Array:
    """Return the values, with 0 where they are masked."""
    if is_valid_everywhere(pixels.mask):
        return pixels.data
    return np.where(pixels.mask > 0, pixels.data, 0)


def _check_search(name: str, pixels: int) -> None:
    if not 0 <= pixels <= MAX_SEARCH:
        raise EarthEngineError(f"Image.{name}: {pixels} pixels are not from 0 to {MAX_SEARCH}.")


def focal(band: Band, kernel: Kernel, run: Focal, kind: PixelType, times: int = 1) -> Band:
    """Return a band computed from each pixel's neighbours, `times` one after the other."""
    require_scalars([band])

    def compute(box: PixelBox, read: Reader) -> Pixels:
        weights = kernel.weights(box.grid.scale)
        columns, rows = (reach * times for reach in _reach(weights))
        _check_search("focal", max(columns, rows))
        pixels = read(band, box.padded(columns, rows))
        for _ in range(times):
            pixels = run(pixels, weights)
        return Pixels(pixels.data.astype(kind.dtype, copy=False), pixels.mask)

    return band.derived(compute, [band], kind)


# --- sums, extremes and reductions


def _weighted_sum(values: Array, weights: Array) -> Array:
    """Return the sum of the neighbours times the weights."""
    footprint = weights != 0
    level = weights[footprint][:1]
    if not level.size:
        return np.zeros_like(_inner(values, *_reach(weights)), dtype=float)
    if (weights[footprint] != level).any():
        return _summed(values.astype(float), weights)
    sums = _summed(values.astype(float), footprint.astype(float))
    return (np.rint(sums) if values.dtype.kind in "iub" else sums) * level


def _summed(values: Array, weights: Array) -> Array:
    if weights.size <= DIRECT_CELLS:
        return _inner(ndimage.correlate(values, weights, mode="constant"), *_reach(weights))
    return scipy.signal.oaconvolve(values, weights[::-1, ::-1], mode="valid")


@algorithm("Image.convolve")
def convolve(source: Image, kernel: Kernel) -> Image:
    """Sum the weighted neighbours, masked ones as 0; the output keeps the input's mask."""

    def run(pixels: Pixels, weights: Array) -> Pixels:
        inner = _inner_pixels(pixels, *_reach(weights))
        return Pixels(_weighted_sum(_present(pixels), weights[::-1, ::-1]), inner.mask)

    def convolved(band: Band) -> Band:
        return focal(band, kernel, run, DOUBLE if band.pixel_type == DOUBLE else FLOAT)

    return source.with_bands([convolved(band) for band in source.bands])


def _extreme(highest: bool) -> Focal:
    """Take the extreme of the valid neighbours (a filter with the others at the far end)."""
    run = ndimage.maximum_filter if highest else ndimage.minimum_filter

    def apply(pixels: Pixels, weights: Array) -> Pixels:
        data, mask = pixels
        around = weights > 0
        # A filter over a rectangle needs no footprint, and is separable then.
        window = {"size": around.shape} if around.all() else {"footprint": around}
        kind = np.iinfo(data.dtype) if data.dtype.kind in "iu" else np.finfo(data.dtype)
        far = data.dtype.type(kind.min if highest else kind.max)
        columns, rows = _reach(weights)
        whole = is_valid_everywhere(mask)
        filled = data if whole else np.where(mask > 0, data, far)
        result = _inner(run(filled, mode="constant", cval=far, **window), columns, rows)
        if whole:
            return Pixels(result, ones(result.shape))
        reached = ndimage.maximum_filter(mask, mode="constant", **window)
        return Pixels(result, _inner(reached, columns, rows))

    return apply


def _mean(pixels: Pixels, weights: Array) -> Pixels:
    total = _weighted_sum(_present(pixels), weights)
    if is_valid_everywhere(pixels.mask):
        return Pixels(total / weights.sum(), ones(total.shape))
    count = _weighted_sum(pixels.mask > 0, weights)
    valid = _weighted_sum(pixels.mask > 0, weights != 0) > 0
    mean = np.divide(total, count, out=np.zeros_like(total), where=valid)
    return Pixels(mean, valid.astype(np.float32))


def _stacks(pixels: Pixels, weights: Array) -> Iterator[tuple[Array, Array]]:
    """Yield values and masks of every neighbour, for strips of rows from the first on."""
    cells = list(zip(*np.nonzero(weights), strict=True))
    columns, rows = _reach(weights)
    height, width = pixels.data.shape[0] - 2 * rows, pixels.data.shape[1] - 2 * columns
    step = max(1, STACKED // (width * max(len(cells), 1)))
    for start in range(0, height, step):
        stop = min(start + step, height)
        windows = [(slice(start + y, stop + y), slice(x, x + width)) for y, x in cells]
        yield (
            np.stack([pixels.data[window] for window in windows]),
            np.stack([pixels.mask[window] for window in windows]),
        )


#: What weighs a neighbour, from masks and the kernel's weights.
INPUT_WEIGHTS: dict[str, Callable[[Array, Array], Array]] = {
    "kernel": lambda mask, weight: np.where(mask > 0, weight, 0),
    "mask": lambda mask, weight: mask,
    "min": np.minimum,
}


def _reduced(
    reducer: Reducer, inputs: Sequence[Pixels], weights: Array, input_weight: str
) -> list[Pixels]:
    """Return every output of a reducer over the neighbourhoods of all inputs together."""
    cells = weights[weights != 0][:, None, None].astype(np.float32)
    weigh = INPUT_WEIGHTS[input_weight]
    strips = zip(*[_stacks(pixels, weights) for pixels in inputs], strict=True)
    return joined_strips(
        reducer.pixels([values for values, _ in strip], [weigh(masks, cells) for _, masks in strip])
        for strip in strips
    )


def _focal_reduction(name: str) -> Focal:
    def apply(pixels: Pixels, weights: Array) -> Pixels:
        [result] = _reduced(named(name), [pixels], weights, "kernel")
        return result

    return apply


def _focal_algorithm(name: str, run: Focal, averaging: bool) -> Callable[..., Image]:
    def apply(
        source: Image,
        radius: float,
        kernel_type: str,
        units: str,
        iterations: int,
        kernel: Kernel | None,
    ) -> Image:
        if kernel is None and kernel_type not in SHAPES:
            raise EarthEngineError(f"Image.{name}: Unknown kernel type '{kernel_type}'.")
        if iterations < 0:
            raise EarthEngineError(f"Image.{name}: The number of iterations is negative.")
        around = kernel or shape_kernel(kernel_type, radius, units, False, 1)
        return source.with_bands(
            [
                focal(b, around, run, DOUBLE if averaging else b.pixel_type, iterations)
                for b in source.bands
            ]
        )

    return apply


for _name, _run, _averaging in (
    ("Min", _extreme(highest=False), False),
    ("Max", _extreme(highest=True), False),
    ("Median", _focal_reduction("median"), True),
    ("Mean", _mean, True),
    ("Mode", _focal_reduction("mode"), False),
):
    algorithm(f"Image.focal{_name}", f"Image.focal_{_name.lower()}")(
        _focal_algorithm(f"focal{_name}", _run, _averaging)
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
    if input_weight not in INPUT_WEIGHTS:
        raise EarthEngineError(f"Image.reduceNeighborhood: Unknown weight '{input_weight}'.")
    run = functools.partial(_reduced, reducer, input_weight=input_weight)
    if optimization == "boxcar" and (reducer.name, input_weight) == ("Reducer.mean", "kernel"):
        run = _means
    reduced = functools.partial(
        _reduced_bands, reducer=reducer, kernel=kernel, run=run, skip_masked=skip_masked
    )
    if reducer.inputs == 1:
        return source.with_bands(
            [
                output.renamed(f"{band.name}_{name}")
                for band in source.bands
                for name, output in zip(reducer.outputs, reduced([band]), strict=True)
            ]
        )
    check_bands("Image.reduceNeighborhood", reducer, len(source.bands))
    outputs = zip(reducer.outputs, reduced(source.bands), strict=True)
    return source.with_bands([output.renamed(name) for name, output in outputs])


def _means(inputs: Sequence[Pixels], weights: Array) -> list[Pixels]:
    return [_mean(pixels, weights) for pixels in inputs]


def _reduced_bands(
    bands: Sequence[Band],
    reducer: Reducer,
    kernel: Kernel,
    run: Callable[[Sequence[Pixels], Array], list[Pixels]],
    skip_masked: bool,
) -> list[Band]:
    """Return a band for each output of a reducer that takes all the bands."""

    def compute(box: PixelBox, read: Reader) -> list[Pixels]:
        weights = kernel.weights(box.grid.scale)
        reach = _reach(weights)
        inputs = [read(band, box.padded(*reach)) for band in bands]
        outputs = run(inputs, weights)
        if not skip_masked:
            return outputs
        present = np.minimum.reduce([_inner_pixels(p, *reach).mask > 0 for p in inputs])
        return [Pixels(data, mask * present) for data, mask in outputs]

    return several(bands, compute, reducer.kinds(bands[0].pixel_type))


@algorithm("Image.neighborhoodToBands")
def neighborhood_to_bands(source: Image, kernel: Kernel) -> Image:
    """Return the neighbours, row by row: x counts columns from the centre, y rows."""
    weights = kernel.weights(1)
    if weights.shape != kernel.weights(2).shape:
        raise NotImplementedByEmulator("Image.neighborhoodToBands with a kernel in metres")
    if np.count_nonzero(weights) > MAX_NEIGHBOURS:
        raise EarthEngineError(f"Image.neighborhoodToBands: More than {MAX_NEIGHBOURS} neighbours.")

    def shifted(band: Band, x: int, y: int) -> Band:
        def compute(box: PixelBox, read: Reader) -> Pixels:
            return read(band, box.moved(x, y))

        return band.derived(compute, [band]).renamed(f"{band.name}_{x}_{y}")

    columns, rows = _reach(weights)
    cells = [(int(x) - columns, int(y) - rows) for y, x in np.argwhere(weights)]
    return source.with_bands([shifted(band, x, y) for band in source.bands for x, y in cells])


@algorithm("Image.entropy")
def entropy(source: Image, kernel: Kernel) -> Image:
    def run(pixels: Pixels, weights: Array) -> Pixels:
        parts = [_entropy(values, masks) for values, masks in _stacks(pixels, weights)]
        return Pixels(np.concatenate(parts), _inner_pixels(pixels, *_reach(weights)).mask)

    return source.with_bands([focal(band, kernel, run, FLOAT) for band in source.bands])


def _entropy(values: Array, masks: Array) -> Array:
    """Return log2(n) - sum(c log2(c)) / n, for the counts c of equal values along axis 0."""
    ordered = np.sort(np.where(masks > 0, values, np.nan), axis=0)  # NaN comes last
    n = (masks > 0).sum(axis=0)
    run, total = np.zeros(n.shape), np.zeros(n.shape)
    for i, row in enumerate(ordered):
        run = np.where(i > 0 and row == ordered[i - 1], run, 0) + 1
        ends = (row == row) & (ordered[i + 1] != row if i + 1 < len(ordered) else True)
        total += np.where(ends, run * np.log2(run), 0)
    some = np.maximum(n, 1)
    return np.log2(some) - total / some


# --- derivatives


def central_differences(pixels: Pixels) -> tuple[Array, Array, Array]:
    """Return half the differences of the neighbours, to the east and to the south, and a mask.

    The pixels have a margin of one; without a pixel or one of its neighbours there is none.
    """
    data = pixels.data.astype(float)
    x = (data[1:-1, 2:] - data[1:-1, :-2]) / 2
    y = (data[2:, 1:-1] - data[:-2, 1:-1]) / 2
    if is_valid_everywhere(pixels.mask):
        return x, y, ones(x.shape)
    mask = pixels.mask
    sides = mask[1:-1, 2:], mask[1:-1, :-2], mask[2:, 1:-1], mask[:-2, 1:-1]
    return x, y, np.minimum.reduce([mask[1:-1, 1:-1], *sides])


def pixel_size(box: PixelBox) -> tuple[Array, float]:
    """Return the width and the signed height (south is negative) of pixels in metres.

    Degrees of longitude shrink with the cosine of the latitude.
    """
    a, _, _, _, e, f = box.transform
    metres = metres_per_unit(box.grid.crs)
    width = np.full((box.height, 1), a * metres)
    if spatial_reference(box.grid.crs).is_geographic:
        latitudes = f + e * (np.arange(box.height) + 0.5)
        width = width * np.cos(np.radians(latitudes))[:, None]
    return width, e * metres


@algorithm("Image.derivative")
def derivative(source: Image) -> Image:
    """Return the derivatives in columns and rows, per pixel."""

    def compute(band: Band, box: PixelBox, read: Reader) -> list[Pixels]:
        x, y, mask = central_differences(read(band, box.padded(1, 1)))
        return [Pixels(x, mask), Pixels(y, mask)]

    return source.with_bands(
        [
            output.renamed(f"{band.name}_{axis}")
            for band in source.bands
            for axis, output in zip(
                "xy", several([band], functools.partial(compute, band), [FLOAT] * 2), strict=True
            )
        ]
    )


@algorithm("Image.gradient")
def gradient(source: Image) -> Image:
    """Return the derivatives to the east and to the north, per metre, of the first band."""
    band = first_band("gradient", source)
    bands = several([band], _gradient(band), [FLOAT] * 2)
    return source.with_bands([b.renamed(n) for b, n in zip(bands, "xy", strict=True)])


def _gradient(band: Band) -> Callable[[PixelBox, Reader], list[Pixels]]:
    def compute(box: PixelBox, read: Reader) -> list[Pixels]:
        x, y, mask = central_differences(read(band, box.padded(1, 1)))
        width, height = pixel_size(box)
        return [Pixels(x / width, mask), Pixels(y / height, mask)]

    return compute


# --- distances


@algorithm("Image.distance")
def distance(source: Image, kernel: Kernel | None, skip_masked: bool) -> Image:
    if kernel is None:
        raise NotImplementedByEmulator("Image.distance without a kernel")
    if not kernel.measures_distance:
        raise EarthEngineError(
            "Image.distance: The kernel must be a chebyshev, euclidean or manhattan kernel."
        )

    def run(pixels: Pixels, weights: Array) -> Pixels:
        nearest = _nearest((pixels.data != 0) & (pixels.mask > 0), weights)
        mask = np.isfinite(nearest).astype(np.float32)
        if skip_masked:
            mask = mask * (_inner_pixels(pixels, *_reach(weights)).mask > 0)
        return Pixels(np.where(np.isfinite(nearest), nearest, 0), mask)

    return source.with_bands([focal(band, kernel, run, FLOAT) for band in source.bands])


def _nearest(sources: Array, distances: Array) -> Array:
    """Return the least distance to a source within a kernel; infinite without one.

    In each column the nearest source is the one the fewest rows away, whatever the metric.
    """
    columns, rows = _reach(distances)
    table = np.append(distances[rows:], np.full((1, distances.shape[1]), np.inf), axis=0)
    steps = np.minimum(_inner(_rows_to_source(sources, rows), 0, rows), rows + 1)
    width = sources.shape[1] - 2 * columns
    nearest = np.full((steps.shape[0], width), np.inf)
    for x in range(distances.shape[1]):
        np.minimum(nearest, table[:, x][steps[:, x : x + width]], out=nearest)
    return nearest


def _rows_to_source(sources: Array, reach: int) -> Array:
    """Return how many rows above or below the nearest source is, at most reach + 1."""
    steps = np.where(sources, 0, reach + 1)
    for rows in (steps, steps[::-1]):
        for i in range(1, len(rows)):
            np.minimum(rows[i], rows[i - 1] + 1, out=rows[i])
    return steps


SQUARED = "squared_euclidean"
#: Distances from zeros to the nearest other cell, by metric.
TRANSFORMS: dict[str, Callable[[Array], Array]] = {
    SQUARED: lambda zeros: ndimage.distance_transform_edt(zeros) ** 2,
    "manhattan": functools.partial(ndimage.distance_transform_cdt, metric="taxicab"),
    "chebyshev": functools.partial(ndimage.distance_transform_cdt, metric="chessboard"),
}


@algorithm("Image.fastDistanceTransform")
def fast_distance_transform(source: Image, neighborhood: int, units: str, metric: str) -> Image:
    if units != "pixels" or metric not in TRANSFORMS:
        raise EarthEngineError(
            f"Image.fastDistanceTransform: Unknown units or metric: '{units}', '{metric}'."
        )
    _check_search("fastDistanceTransform", neighborhood)
    band = first_band("fastDistanceTransform", source)
    require_scalars([band])
    limit = neighborhood**2 if metric == SQUARED else neighborhood

    def compute(box: PixelBox, read: Reader) -> Pixels:
        pixels = read(band, box.padded(neighborhood, neighborhood))
        sources = (pixels.data != 0) & (pixels.mask > 0)
        if not sources.any():
            return Pixels(np.zeros(box.shape, np.float32), np.zeros(box.shape, np.float32))
        distances = _inner(TRANSFORMS[metric](~sources), neighborhood, neighborhood)
        return Pixels(np.rint(distances).astype(np.float32), (distances <= limit).astype("f4"))

    return source.with_bands([band.derived(compute, [band], FLOAT).renamed("distance")])


@algorithm("Image.directionalDistanceTransform")
def directional_distance_transform(
    source: Image, angle: float, max_distance: int, label_band: str | None
) -> Image:
    """Search along a line; the angle is counter-clockwise from the east.

    So 90 minus the sun's azimuth is the way to the sun, where a shadow's cloud is
    (google/earthengine-community tutorials/sentinel-2-s2cloudless).
    """
    if label_band is None and len(source.bands) != 1:
        raise EarthEngineError(
            "Image.directionalDistanceTransform: Several bands need a labelBand."
        )
    _check_search("directionalDistanceTransform", max_distance)
    [searched] = matching(source, label_band or 0)
    others = [band for band in source.bands if band is not searched]
    steps = _line(math.radians(angle), max_distance)

    def compute(box: PixelBox, read: Reader) -> list[Pixels]:
        wide = box.padded(max_distance, max_distance)
        searched_pixels = read(searched, wide)
        sources = (searched_pixels.data != 0) & (searched_pixels.mask > 0)
        inputs = [read(band, wide) for band in others]
        distances = np.full(box.shape, np.inf)
        found = [Pixels(np.zeros(box.shape), np.zeros(box.shape, np.float32)) for _ in others]
        for column, row in steps:
            there = box.moved(column, row).slices_in(wide)
            new = sources[there] & np.isinf(distances)
            distances[new] = math.hypot(column, row)
            for target, pixels in zip(found, inputs, strict=True):
                target.data[new], target.mask[new] = (
                    pixels.data[there][new],
                    pixels.mask[there][new],
                )
        reached = np.isfinite(distances)
        return [Pixels(np.where(reached, distances, 0), reached.astype(np.float32)), *found]

    kinds = [FLOAT, *[band.pixel_type for band in others]]
    outputs = several([searched, *others], compute, kinds)
    names = ["distance", *[band.name for band in others]]
    return source.with_bands([o.renamed(n) for o, n in zip(outputs, names, strict=True)])


def _line(angle: float, length: int) -> list[tuple[int, int]]:
    """Return columns and rows (to the south) of the pixels on a line from 0, 0."""
    x, y = math.cos(angle), -math.sin(angle)
    longest = max(abs(x), abs(y))
    steps = [(round(i * x / longest), round(i * y / longest)) for i in range(length + 1)]
    return [step for step in steps if math.hypot(*step) <= length]


# --- objects


def neighbours(eight_connected: bool) -> Array:
    """Return which of the 3 by 3 pixels around one are connected with it."""
    return ndimage.generate_binary_structure(2, 2 if eight_connected else 1)


def components(values: Array, valid: Array, connected: Array) -> Array:
    """Return for every pixel the number of its component of connected equal valid values."""
    numbers = np.arange(valid.size).reshape(valid.shape)
    height, width = valid.shape
    first, second = [numbers[:0, 0]], [numbers[:0, 0]]
    for y, x in np.argwhere(connected | connected[::-1, ::-1]) - 1:
        if (y, x) <= (0, 0):
            continue  # found from the other side
        here = slice(0, height - y), slice(max(-x, 0), width - max(x, 0))
        there = slice(y, height), slice(max(x, 0), width + min(x, 0))
        same = valid[here] & valid[there] & (values[here] == values[there])
        first.append(numbers[here][same])
        second.append(numbers[there][same])
    ends = np.concatenate(first), np.concatenate(second)
    graph = sparse.coo_array((np.ones(ends[0].size, bool), ends), (valid.size,) * 2)
    _, labels = sparse.csgraph.connected_components(graph, directed=False)
    return labels.reshape(valid.shape)


def _check_object_size(name: str, size: int) -> None:
    if not 0 < size <= MAX_OBJECT:
        raise EarthEngineError(f"Image.{name}: maxSize must be from 1 to {MAX_OBJECT}.")


@algorithm("Image.connectedPixelCount")
def connected_pixel_count(source: Image, max_size: int, eight_connected: bool) -> Image:
    _check_object_size("connectedPixelCount", max_size)
    require_scalars(source.bands)
    connected = neighbours(eight_connected)

    def counted(band: Band) -> Band:
        def compute(box: PixelBox, read: Reader) -> Pixels:
            # An object that reaches over the margin is larger than the greatest count.
            pixels = read(band, box.padded(max_size, max_size))
            labels = components(pixels.data, pixels.mask > 0, connected)
            counts = np.minimum(np.bincount(labels.ravel()), max_size)
            inner = _inner_pixels(pixels, max_size, max_size)
            count = counts[_inner(labels, max_size, max_size)]
            return Pixels(count.astype(COUNT.dtype), inner.mask)

        return band.derived(compute, [band], COUNT)

    return source.with_bands([counted(band) for band in source.bands])


COUNT = PixelType.of("uint32")
#: Bits of a label for the column and for the row of an object's first pixel, from the middle.
LABEL_BITS = 26


@algorithm("Image.connectedComponents")
def connected_components(source: Image, connectedness: Kernel, max_size: int) -> Image:
    """Add band `labels`: a number from the place of an object's first pixel in the grid."""
    _check_object_size("connectedComponents", max_size)
    connected = connectedness.weights(1) != 0
    if connected.shape != (3, 3):
        raise NotImplementedByEmulator("Image.connectedComponents with a kernel beyond 3 by 3")
    band = first_band("connectedComponents", source)
    require_scalars([band])

    def compute(box: PixelBox, read: Reader) -> Pixels:
        wide = box.padded(max_size, max_size)
        pixels = read(band, wide)
        objects = components(pixels.data, pixels.mask > 0, connected)
        _, first, sizes = np.unique(objects, return_index=True, return_counts=True)
        rows, columns = np.unravel_index(first, wide.shape)
        middle = 2 ** (LABEL_BITS - 1)
        labels = ((rows + wide.y + middle) << LABEL_BITS) | (columns + wide.x + middle)
        inner = _inner(objects, max_size, max_size)
        small = sizes[inner] <= max_size
        mask = _inner_pixels(pixels, max_size, max_size).mask
        return Pixels(labels[inner], mask * small)

    labelled = band.derived(compute, [band], INT64).renamed("labels")
    return source.with_bands([*source.bands, labelled])
