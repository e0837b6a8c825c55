"""Pixels of a region: reduceRegion, reduceRegions, sample.

Weighted reducers weigh a pixel by the lesser of its mask and the share of it inside the
region; unweighted ones take the pixels whose centre is inside
(https://developers.google.com/earth-engine/guides/reducers_reduce_region).
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import shapely
from affine import Affine
from rasterio.features import rasterize

from emulator.errors import EarthEngineError
from emulator.functions.geometry import Geometry
from emulator.functions.images import specified_grid
from emulator.functions.reducers import Reducer, outputs_of
from emulator.functions.values import Collection, Feature
from emulator.raster import Array, Grid, Image, PixelBox, Pixels, coordinates, read_tiles
from emulator.registry import algorithm

LEAST_COVERAGE = 1 / 256  # of a pixel; Earth Engine's guide says about 0.5 %


def coverage(geometry: Geometry, box: PixelBox, weighted: bool) -> Array:
    """Return the share of every pixel that is inside, or whether its centre is."""
    shape = geometry.projected(box.grid.crs)
    transform = Affine(*box.transform)
    if shape.is_empty:
        return np.zeros(box.shape, np.float32)
    inside = rasterize([shape], box.shape, transform=transform, dtype="uint8").astype(np.float32)
    if not weighted or shape.area == 0:
        return inside
    edge = rasterize([shape.boundary], box.shape, transform=transform, all_touched=True)
    rows, columns = np.nonzero(edge)
    if len(rows):
        inside[rows, columns] = _shares(shape, transform, rows, columns)
    return np.where(inside < LEAST_COVERAGE, 0, inside)


def _shares(shape: shapely.Geometry, transform: Affine, rows: Array, columns: Array) -> Array:
    corners = [(columns + i, rows + j) for i, j in ((0, 0), (1, 0), (1, 1), (0, 1), (0, 0))]
    rings = np.stack([np.stack(transform @ corner, axis=-1) for corner in corners], axis=1)
    pixels = shapely.polygons(rings)
    return shapely.area(shapely.intersection(pixels, shape)) / abs(transform.determinant)


def region_box(geometry: Geometry, grid: Grid) -> PixelBox:
    """Return the pixels of a grid that a geometry's bounds touch."""
    bounds = geometry.projected(grid.crs).bounds
    if math.isnan(bounds[0]):
        return PixelBox(grid, 1, 1)
    return PixelBox.around(grid, bounds)


def _selected(
    source: Image, geometry: Geometry, box: PixelBox, weighted: bool
) -> Iterator[tuple[PixelBox, tuple[Array, Array], list[Pixels]]]:
    """Yield tile by tile where there is anything, with weights and pixels there."""
    for tile in box.tiles():
        share = coverage(geometry, tile, weighted)
        inside = np.nonzero(share)
        if not len(inside[0]):
            continue
        for _, pixels in read_tiles(source.bands, tile):
            yield (
                tile,
                inside,
                [Pixels(p.data[inside], np.minimum(p.mask[inside], share[inside])) for p in pixels],
            )


def _columns(source: Image, geometry: Geometry, box: PixelBox, weighted: bool) -> list[Pixels]:
    """Return for every band the values and weights in a region, one after the other."""
    parts = [pixels for _, _, pixels in _selected(source, geometry, box, weighted)]
    return [
        Pixels(
            np.concatenate([part[i].data for part in parts] or [np.empty(0, b.pixel_type.dtype)]),
            np.concatenate([part[i].mask for part in parts] or [np.empty(0, np.float32)]),
        )
        for i, b in enumerate(source.bands)
    ]


def reduced(source: Image, reducer: Reducer, geometry: Geometry, box: PixelBox) -> dict[str, Any]:
    """Reduce an image's bands over a region to a dictionary."""
    columns = _columns(source, geometry, box, reducer.weighted)
    if reducer.inputs > 1:
        if len(columns) != reducer.inputs:
            raise EarthEngineError(
                f"Image.reduceRegion: Need {reducer.inputs} bands for the reducer, "
                f"image has {len(columns)}."
            )
        values = outputs_of(reducer, [c.data for c in columns], [c.mask for c in columns])
        return dict(zip(reducer.outputs, values, strict=True))
    result = {}
    for band, (data, weights) in zip(source.bands, columns, strict=True):
        valid = weights > 0
        values = outputs_of(reducer, [data[valid]], [weights[valid]])
        single = len(values) == 1
        for name, value in zip(reducer.outputs, values, strict=True):
            result[band.name if single else f"{band.name}_{name}"] = value
    return result


@algorithm("Image.reduceRegion")
def reduce_region(
    source: Image,
    reducer: Reducer,
    geometry: Geometry | None,
    scale: float | None,
    crs: Grid | None,
    transform: list[float] | None,
    best_effort: bool,
    max_pixels: int,
    tile_scale: float,
) -> dict[str, Any]:
    if not source.bands:
        return {}
    geometry = _region("reduceRegion", source, geometry)
    grid = specified_grid(source.bands[0].grid, crs, transform, scale)
    box = region_box(geometry, grid)
    pixels = box.width * box.height
    if pixels > max_pixels:
        if not best_effort:
            raise EarthEngineError(
                "Image.reduceRegion: Too many pixels in the region. "
                f"Found {pixels}, but only {max_pixels} allowed."
            )
        coarser = grid.scale * math.sqrt(pixels / max_pixels) * 1.01  # 1 %: for the edges
        box = region_box(geometry, grid.at_scale(coarser))
    return reduced(source, reducer, geometry, box)


def _region(name: str, source: Image, geometry: Geometry | None) -> Geometry:
    region = geometry or source.footprint
    if region is None:
        raise EarthEngineError(f"Image.{name}: The image is unbounded: a region is required.")
    return region


@algorithm("Image.reduceRegions")
def reduce_regions(
    source: Image,
    collection: Collection,
    reducer: Reducer,
    scale: float | None,
    crs: Grid | None,
    transform: list[float] | None,
    tile_scale: float,
    max_pixels: int | None,
) -> Collection:
    grid = specified_grid(source.bands[0].grid, crs, transform, scale)

    def features() -> Iterator[Feature]:
        for feature in collection:
            box = region_box(feature.footprint, grid)
            values = reduced(source, reducer, feature.footprint, box)
            if len(source.bands) == 1 and reducer.inputs == 1:
                values = dict(zip(reducer.outputs, values.values(), strict=True))
            yield feature.with_properties({**feature.properties, **values})

    return collection.with_elements(features())


@algorithm("Image.sample")
def sample(
    source: Image,
    region: Geometry | None,
    scale: float | None,
    grid: Grid | None,
    factor: float | None,
    count: int | None,
    seed: int,
    drop_nulls: bool,
    tile_scale: float,
    geometries: bool,
) -> Collection:
    """Return a region's pixels, all or a random choice, as features."""
    region = _region("sample", source, region)
    box = region_box(region, specified_grid(source.bands[0].grid, grid, None, scale))

    def features() -> Iterator[Feature]:
        rows = _rows(source, region, box, drop_nulls)
        chosen = _choice(len(rows), factor, count, seed)
        for index, position in enumerate(chosen):
            values, point = rows[position]
            shape = _point(point, box.grid.crs) if geometries else None
            yield Feature({"system:index": str(index), **values}, shape)

    return Collection(features())


Row = tuple[dict[str, Any], tuple[float, float]]


def _rows(source: Image, region: Geometry, box: PixelBox, drop_nulls: bool) -> list[Row]:
    rows: list[Row] = []
    for tile, inside, pixels in _selected(source, region, box, weighted=False):
        x, y = np.broadcast_arrays(*coordinates(tile, tile.grid.crs))
        columns = [
            [v if valid else None for v, valid in zip(p.data.tolist(), p.mask > 0, strict=True)]
            for p in pixels
        ]
        points = zip(x[inside].tolist(), y[inside].tolist(), strict=True)
        for point, *values in zip(points, *columns, strict=True):
            if not drop_nulls or None not in values:
                rows.append((dict(zip(source.names, values, strict=True)), point))
    return rows


def _choice(n: int, factor: float | None, count: int | None, seed: int) -> Sequence[int]:
    """Return the positions to keep, in order: a share, a number, or all of them."""
    if factor is None and (count is None or count >= n):
        return range(n)
    chances = np.random.default_rng(abs(seed)).random(n)
    if factor is not None:
        return np.nonzero(chances < factor)[0].tolist()
    return np.sort(np.argsort(chances)[:count]).tolist()


def _point(point: tuple[float, float], crs: str) -> Geometry:
    return Geometry(Geometry(shapely.Point(point), crs, False).lonlat)


@algorithm("Image.sampleRegions")
def sample_regions(
    source: Image,
    collection: Collection,
    properties: list[str] | None,
    scale: float | None,
    grid: Grid | None,
    tile_scale: float,
    geometries: bool,
) -> Collection:
    own = specified_grid(source.bands[0].grid, grid, None, scale)

    def features() -> Iterator[Feature]:
        for feature in collection:
            box = region_box(feature.footprint, own)
            kept = feature.properties if properties is None else properties
            copied = {k: feature.properties[k] for k in kept if k in feature.properties}
            prefix = feature.properties.get("system:index", "0")
            rows = _rows(source, feature.footprint, box, True)
            for index, (values, point) in enumerate(rows):
                shape = _point(point, own.crs) if geometries else None
                yield Feature({**copied, **values, "system:index": f"{prefix}_{index}"}, shape)

    return Collection(features())
