"""Pixels of a region, and their reduction.

Weighted reducers weigh a pixel by the lesser of its mask and the share of it inside the
region; unweighted ones take the pixels whose centre is inside
(https://developers.google.com/earth-engine/guides/reducers_reduce_region).
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import shapely
from affine import Affine

from emulator.errors import EarthEngineError
from emulator.functions.arrays import make
from emulator.functions.geometry import Geometry, burnt
from emulator.functions.images import specified_grid
from emulator.functions.reducers import Reducer, State, applications, plain_outputs
from emulator.functions.values import Collection, Feature
from emulator.grids import DEFAULT_GRID, Grid, PixelBox
from emulator.raster import Array, Band, Image, Pixels, read_tiles, tile_side
from emulator.registry import algorithm

LEAST_COVERAGE = 1 / 256  # of a pixel; Earth Engine's guide says about 0.5 %


def coverage(geometry: Geometry, box: PixelBox, weighted: bool) -> Array:
    """Return the share of every pixel that is inside, or whether its centre is."""
    shape = geometry.projected(box.grid.crs)
    inside = burnt(shape, box).astype(np.float32)
    if not weighted or shape.area == 0:
        return inside
    rows, columns = np.nonzero(burnt(shape.boundary, box, all_touched=True))
    if len(rows):
        inside[rows, columns] = _shares(shape, box.affine, rows, columns)
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


def pixels_in(
    source: Image, geometry: Geometry, box: PixelBox, weighted: bool
) -> Iterator[tuple[PixelBox, tuple[Array, Array], list[Pixels]]]:
    """Yield the tiles that reach into a region: where in them, and every band's pixels there."""
    for tile in box.tiles(tile_side(source.bands)):
        share = coverage(geometry, tile, weighted)
        inside = np.nonzero(share)
        if not len(inside[0]):
            continue
        for _, pixels in read_tiles(source.bands, tile):
            yield (
                tile,
                inside,
                [
                    Pixels(_values(p, inside, band), np.minimum(p.mask[inside], share[inside]))
                    for band, p in zip(source.bands, pixels, strict=True)
                ],
            )


def _values(pixels: Pixels, inside: tuple[Array, Array], band: Band) -> Array:
    """Return the values of pixels; arrays as objects, null where masked."""
    values = pixels.data[inside]
    if not band.pixel_type.dimensions:
        return values
    objects = np.empty(len(values), object)
    for i in np.flatnonzero(pixels.mask[inside] > 0):
        objects[i] = make(values[i], band.pixel_type)
    return objects


def reduced(
    name: str, source: Image, reducer: Reducer, geometry: Geometry, box: PixelBox
) -> dict[str, Any]:
    """Reduce an image's bands over a region to a dictionary, tile by tile."""
    applied = applications(f"Image.{name}", reducer, source.names)
    states: list[State | None] = [None] * len(applied)
    for _, _, pixels in pixels_in(source, geometry, box, reducer.weighted):
        for i, (bands, _) in enumerate(applied):
            chosen = pixels[bands]
            if len(chosen) == 1:  # nothing to learn from what is masked
                valid = chosen[0].mask > 0
                chosen = [Pixels(chosen[0].data[valid], chosen[0].mask[valid])]
            if not len(chosen[0].data):
                continue
            part = reducer.summarise([p.data for p in chosen], [p.mask for p in chosen])
            states[i] = part if states[i] is None else reducer.merge(states[i], part)
    return {
        name: value
        for state, (_, names) in zip(states, applied, strict=True)
        for name, value in zip(names, plain_outputs(reducer, state), strict=True)
    }


def working_grid(
    name: str, source: Image, crs: Grid | None, transform: list[float] | None, scale: float | None
) -> Grid:
    """Return the grid to aggregate in; that of composites and constants must be replaced."""
    grid = specified_grid(source.bands[0].grid, crs, transform, scale)
    if grid == DEFAULT_GRID and not transform:
        raise EarthEngineError(
            f"Image.{name}: The default WGS84 projection is invalid for aggregations. "
            "Specify a scale or crs & crs_transform."
        )
    return grid


def bounded_box(
    name: str, geometry: Geometry, grid: Grid, best_effort: bool, max_pixels: int
) -> PixelBox:
    """Return the pixels of a region, of a coarser grid if there are too many and it may be."""
    box = region_box(geometry, grid)
    pixels = box.width * box.height
    if pixels <= max_pixels:
        return box
    if not best_effort or max_pixels < 1:
        raise EarthEngineError(
            f"Image.{name}: Too many pixels in the region. "
            f"Found {pixels}, but only {max_pixels} allowed."
        )
    coarser = grid.scale * math.sqrt(pixels / max_pixels)
    while box.width * box.height > max_pixels:
        coarser *= 1.01  # for the edges
        box = region_box(geometry, grid.at_scale(coarser))
    return box


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
    region = region_of("reduceRegion", source, geometry)
    grid = working_grid("reduceRegion", source, crs, transform, scale)
    box = bounded_box("reduceRegion", region, grid, best_effort, max_pixels)
    return reduced("reduceRegion", source, reducer, region, box)


def region_of(name: str, source: Image, geometry: Geometry | None) -> Geometry:
    """Return the region given, or the image's footprint."""
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
    grid = working_grid("reduceRegions", source, crs, transform, scale)
    most = math.inf if max_pixels is None else max_pixels

    def features() -> Iterator[Feature]:
        for feature in collection:
            values = {}
            if feature.footprint is not None:
                box = bounded_box("reduceRegions", feature.footprint, grid, False, most)
                values = reduced("reduceRegions", source, reducer, feature.footprint, box)
            if len(source.bands) == 1 and reducer.inputs == 1:
                values = dict(zip(reducer.outputs, values.values(), strict=False))
            yield feature.with_properties({**feature.properties, **values})

    return collection.with_elements(features())
