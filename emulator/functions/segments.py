"""Homogeneous regions of an image: as features, and what is in them."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import shapely
import shapely.geometry
from affine import Affine
from rasterio import features
from scipy import sparse

from emulator.errors import EarthEngineError
from emulator.functions.geometry import Geometry
from emulator.functions.geometry import box as rectangle
from emulator.functions.images import matching
from emulator.functions.reducers import Reducer, check_bands, named, outputs_of
from emulator.functions.regions import bounded_box, coverage, region_of, working_grid
from emulator.functions.values import Collection, Feature
from emulator.raster import Array, Band, Grid, Image, PixelBox, Pixels, Reader, read
from emulator.registry import algorithm

NEIGHBOURS = [(0, 1), (1, 0)]  # rows and columns; the ones behind are found from the other side
DIAGONALS = [(1, 1), (1, -1)]


def segments(labels: Array, valid: Array, eight: bool) -> Array:
    """Return numbers from 0 for connected pixels of equal labels, -1 where they are not valid."""
    nodes = np.arange(labels.size).reshape(labels.shape)
    ends: list[tuple[Array, Array]] = []
    for rows, columns in NEIGHBOURS + (DIAGONALS if eight else []):
        here = (slice(0, labels.shape[0] - rows), slice(max(-columns, 0), _end(-columns)))
        there = (slice(rows, None), slice(max(columns, 0), _end(columns)))
        same = (labels[here] == labels[there]) & valid[here] & valid[there]
        ends.append((nodes[here][same], nodes[there][same]))
    sources, targets = (np.concatenate(side) for side in zip(*ends, strict=True))
    graph = sparse.coo_array((np.ones(len(sources), bool), (sources, targets)), [labels.size] * 2)
    _, component = sparse.csgraph.connected_components(graph, directed=False)
    _, numbers = np.unique(component[valid.ravel()], return_inverse=True)
    result = np.full(labels.shape, -1, np.int32)
    result[valid] = numbers
    return result


def _end(columns: int) -> int | None:
    return columns if columns < 0 else None


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
    rest = source.bands[1:]
    needed = 0 if reducer.name == "Reducer.countEvery" else reducer.inputs
    if len(rest) < needed or (needed != 1 and len(rest) > needed):
        raise EarthEngineError(
            f"Image.reduceToVectors: Need 1+{needed} bands for {reducer.name}, "
            f"image has {len(source.bands)}."
        )
    if geometry_type not in SHAPES:
        raise EarthEngineError(f"Image.reduceToVectors: Unknown geometryType '{geometry_type}'.")
    region = region_of("reduceToVectors", source, geometry)
    grid = working_grid("reduceToVectors", source, crs, transform, scale)
    box = bounded_box("reduceToVectors", region, grid, best_effort, max_pixels)
    labels, *inputs = read(source, box)
    numbers = segments(labels.data, (labels.mask > 0) & (coverage(region, box, False) > 0), eight)
    positions = _pixels_of(numbers)
    properties: list[dict[str, Any]] = [{} for _ in positions]
    for names, values in _tables(reducer, rest, inputs or [labels]):
        for own, found in zip(properties, _reduced(reducer, values, positions), strict=True):
            own.update(zip(names, found, strict=True))
    if label:
        for own, where in zip(properties, positions, strict=True):
            own[label] = labels.data.flat[where[0]].item()
    shapes = _outlines(numbers, box, eight)

    def made() -> Iterator[Feature]:
        for i, own in enumerate(properties):
            shape = Geometry(SHAPES[geometry_type](shapes[i]), box.grid.crs, geodesic=False)
            placed = shape if native else Geometry(shape.lonlat, geodesic=False)
            yield Feature({"system:index": str(i), **own}, placed)

    return Collection(made())


#: What represents a segment, from its outline.
SHAPES = {
    "polygon": lambda outline: outline,
    "bb": lambda outline: rectangle(*outline.bounds),
    "centroid": shapely.centroid,
}


def _tables(
    reducer: Reducer, bands: Sequence[Band], inputs: Sequence[Pixels]
) -> list[tuple[list[str], Sequence[Pixels]]]:
    """Return the output names and inputs of every application of a reducer."""
    if reducer.inputs > 1 or len(inputs) == 1:
        return [(list(reducer.outputs), inputs)]
    return [
        (band_outputs(reducer, band.name), [pixels])
        for band, pixels in zip(bands, inputs, strict=True)
    ]


def band_outputs(reducer: Reducer, band: str) -> list[str]:
    """Return the names of a single-input reducer's outputs for one of several bands."""
    if len(reducer.outputs) == 1:
        return [band]
    return [f"{band}_{output}" for output in reducer.outputs]


def _outlines(numbers: Array, box: PixelBox, eight: bool) -> dict[int, shapely.Geometry]:
    found = features.shapes(
        numbers, numbers >= 0, connectivity=8 if eight else 4, transform=Affine(*box.transform)
    )
    return {int(number): shapely.geometry.shape(outline) for outline, number in found}


@algorithm("Image.reduceConnectedComponents")
def reduce_connected_components(
    source: Image, reducer: Reducer, label_band: str | None, max_size: int
) -> Image:
    [label] = matching(source, 0 if label_band is None else label_band)
    inputs = [band for band in source.bands if band is not label]
    if reducer.inputs > 1:
        check_bands("Image.reduceConnectedComponents", reducer, len(inputs))
        return source.with_bands(
            _component_bands(reducer, label, inputs, reducer.outputs, max_size)
        )
    return source.with_bands(
        [
            made
            for band in inputs
            for made in _component_bands(
                reducer, label, [band], band_outputs(reducer, band.name), max_size
            )
        ]
    )


def _component_bands(
    reducer: Reducer, label: Band, inputs: Sequence[Band], names: Sequence[str], max_size: int
) -> list[Band]:
    """Return a band for each output, whose pixels have the value of their component."""

    def compute(box: PixelBox, read: Reader) -> Pixels:
        around = box.padded(max_size, max_size)
        labels = read(label, around)
        numbers = segments(labels.data, labels.mask > 0, eight=True)
        inner = box.slices_in(around)
        wanted = np.unique(numbers[inner])
        positions, everything = [], _pixels_of(numbers)
        for number in wanted[wanted >= 0]:
            where = everything[number]
            rows, columns = np.divmod(where, around.width)
            if max(np.ptp(rows), np.ptp(columns)) < max_size:
                positions.append(where)
        tables = [np.zeros(around.shape) for _ in names]
        valid = [np.zeros(around.shape, np.float32) for _ in names]
        found = _reduced(reducer, [read(band, around) for band in inputs], positions)
        for where, values in zip(positions, found, strict=True):
            for table, mask, value in zip(tables, valid, values, strict=True):
                if value is not None:
                    table.flat[where], mask.flat[where] = value, 1
        return Pixels(
            [Pixels(t[inner], m[inner]) for t, m in zip(tables, valid, strict=True)], None
        )

    whole = label.derived(compute, [label, *inputs])

    def output(index: int, name: str) -> Band:
        kind = reducer.types[index] or inputs[0].pixel_type

        def pick(box: PixelBox, read: Reader) -> Pixels:
            pixels = read(whole, box).data[index]
            return Pixels(pixels.data.astype(kind.dtype, copy=False), pixels.mask)

        return label.derived(pick, [whole], kind).renamed(name)

    return [output(i, name) for i, name in enumerate(names)]
