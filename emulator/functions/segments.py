"""Homogeneous regions of an image: as features, and what is in them."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import shapely
import shapely.geometry
from rasterio import features

from emulator.errors import EarthEngineError
from emulator.functions.geometry import Geometry
from emulator.functions.geometry import box as rectangle
from emulator.functions.images import matching
from emulator.functions.neighbourhood import components, neighbours
from emulator.functions.reducers import Reducer, applications, applied, named, outputs_of
from emulator.functions.regions import bounded_box, coverage, region_of, working_grid
from emulator.functions.values import Collection, Feature
from emulator.grids import Grid, PixelBox
from emulator.raster import Array, Band, Image, Pixels, Reader, read, together
from emulator.registry import algorithm


def segments(labels: Array, valid: Array, eight: bool) -> Array:
    """Return numbers from 0 for connected pixels of equal labels, -1 where they are not valid."""
    _, numbers = np.unique(components(labels, valid, neighbours(eight))[valid], return_inverse=True)
    result = np.full(labels.shape, -1, np.int32)
    result[valid] = numbers
    return result


def _pixels_of(numbers: Array) -> list[Array]:
    """Return the flat positions of every segment's pixels."""
    flat = numbers.ravel()
    order = np.argsort(flat, kind="stable")
    starts = np.searchsorted(flat[order], np.arange(flat.max(initial=-1) + 2))
    return [order[start:end] for start, end in pairwise(starts)]


def _reduced(
    reducer: Reducer, inputs: Sequence[Pixels], positions: Sequence[Array]
) -> Iterator[list[Any]]:
    """Yield the reducer's outputs for every segment."""
    data, weights = ([a.ravel() for a in arrays] for arrays in zip(*inputs, strict=True))
    for where in positions:
        own = [w[where] for w in weights]
        values = [v[where] for v in data]
        if len(own) == 1:
            values, own = [values[0][own[0] > 0]], [own[0][own[0] > 0]]
        yield outputs_of(reducer, values, own)


@algorithm("Image.reduceToVectors")
def reduce_to_vectors(
    source: Image,
    reducer: Reducer | None,
    geometry: Geometry | None,
    scale: float | None,
    geometry_type: str,
    eight: bool,
    label: str | None,
    crs: Grid | None,
    transform: list[float] | None,
    best_effort: bool,
    max_pixels: int,
    tile_scale: float,
    native: bool,
) -> Collection:
    reducer = reducer or named("countEvery")
    _check_bands(reducer, len(source.bands))
    if geometry_type not in SHAPES:
        raise EarthEngineError(f"Image.reduceToVectors: Unknown geometryType '{geometry_type}'.")
    region = region_of("reduceToVectors", source, geometry)
    grid = working_grid("reduceToVectors", source, crs, transform, scale)
    box = bounded_box("reduceToVectors", region, grid, best_effort, max_pixels)
    labels, *inputs = read(source, box)
    numbers = segments(labels.data, (labels.mask > 0) & (coverage(region, box, False) > 0), eight)
    positions = _pixels_of(numbers)
    properties = _properties(reducer, source.names[1:], inputs or [labels], positions)
    if label:
        for own, where in zip(properties, positions, strict=True):
            own[label] = labels.data.flat[where[0]].item()
    outlines = _outlines(numbers, box, eight)

    def made() -> Iterator[Feature]:
        for i, own in enumerate(properties):
            shape = Geometry(SHAPES[geometry_type](outlines[i]), box.grid.crs, geodesic=False)
            placed = shape if native else Geometry(shape.lonlat, geodesic=False)
            yield Feature({"system:index": str(i), **own}, placed)

    return Collection(made())


def _check_bands(reducer: Reducer, count: int) -> None:
    """Refuse an image that has not a band of labels and those that a reducer takes."""
    needed = 0 if reducer.name == "Reducer.countEvery" else reducer.inputs
    if count - 1 < needed or (needed != 1 and count - 1 > needed):
        raise EarthEngineError(
            f"Image.reduceToVectors: Need 1+{needed} bands for {reducer.name}, image has {count}."
        )


#: What represents a segment, from its outline.
SHAPES = {
    "polygon": lambda outline: outline,
    "bb": lambda outline: rectangle(*outline.bounds),
    "centroid": shapely.centroid,
}


def _properties(
    reducer: Reducer, names: Sequence[str], inputs: Sequence[Pixels], positions: Sequence[Array]
) -> list[dict[str, Any]]:
    """Return every segment's reduced inputs; of a single input under the outputs' own names."""
    properties: list[dict[str, Any]] = [{} for _ in positions]
    uses = [(slice(None), list(reducer.outputs))]
    if len(inputs) > 1:
        uses = applications("Image.reduceToVectors", reducer, names)
    for chosen, outputs in uses:
        for own, found in zip(
            properties, _reduced(reducer, inputs[chosen], positions), strict=True
        ):
            own.update(zip(outputs, found, strict=True))
    return properties


def _outlines(numbers: Array, box: PixelBox, eight: bool) -> dict[int, shapely.Geometry]:
    found = features.shapes(
        numbers, numbers >= 0, connectivity=8 if eight else 4, transform=box.affine
    )
    return {int(number): shapely.geometry.shape(outline) for outline, number in found}


@algorithm("Image.reduceConnectedComponents")
def reduce_connected_components(
    source: Image, reducer: Reducer, label_band: str | None, max_size: int
) -> Image:
    [label] = matching(source, 0 if label_band is None else label_band)
    inputs = [band for band in source.bands if band is not label]

    def reduced(bands: Sequence[Band]) -> list[Band]:
        return _component_bands(reducer, label, bands, max_size)

    return source.with_bands(applied("Image.reduceConnectedComponents", reducer, inputs, reduced))


def _component_bands(
    reducer: Reducer, label: Band, inputs: Sequence[Band], max_size: int
) -> list[Band]:
    """Return a band for each output, whose pixels have the value of their component."""
    kinds = reducer.kinds(inputs[0].pixel_type)

    def compute(box: PixelBox, read: Reader) -> list[Pixels]:
        wide = box.padded(max_size, max_size)
        inner = box.slices_in(wide)
        labels = read(label, wide)
        numbers = segments(labels.data, labels.mask > 0, eight=True)
        positions = _small(numbers, inner, max_size)
        found = _reduced(reducer, [read(band, wide) for band in inputs], positions)
        tables = [Pixels(np.zeros(wide.shape), np.zeros(wide.shape, np.float32)) for _ in kinds]
        for where, values in zip(positions, found, strict=True):
            for (data, mask), value in zip(tables, values, strict=True):
                if value is not None:
                    data.flat[where], mask.flat[where] = value, 1
        return [Pixels(data[inner], mask[inner]) for data, mask in tables]

    return together(label, [label, *inputs], compute, kinds)


def _small(numbers: Array, inner: tuple[slice, slice], max_size: int) -> list[Array]:
    """Return the flat positions of the segments in the inner part that are not too large."""
    everything = _pixels_of(numbers)
    wanted = np.unique(numbers[inner])
    small = []
    for number in wanted[wanted >= 0]:
        rows, columns = np.divmod(everything[number], numbers.shape[1])
        if max(np.ptp(rows), np.ptp(columns)) < max_size:
            small.append(everything[number])
    return small
