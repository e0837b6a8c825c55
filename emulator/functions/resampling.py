"""How pixels of another size or place are made from a band's own.

Nothing else interpolates: without these, the nearest pixel of the fitting pyramid level is
taken (https://developers.google.com/earth-engine/guides/resample).
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from affine import Affine

from emulator.errors import EarthEngineError
from emulator.functions.elementwise import rounded_values
from emulator.functions.images import first_band
from emulator.functions.reducers import Reducer, applied
from emulator.grids import (
    Grid,
    PixelBox,
    metres_per_unit,
    pixel_positions,
    pyramid_factor,
    source_box,
)
from emulator.raster import (
    Array,
    Band,
    Image,
    Pixels,
    Reader,
    joined_strips,
    reprojected,
    require_scalars,
    several,
)
from emulator.registry import algorithm

#: The free parameter of cubic convolution (Keys 1981, doi 10.1109/TASSP.1981.1163711).
BICUBIC = -0.5
GATHERED = 2**24  # input values that are held in memory at once
EDGE = 1e-6  # pixels: edges that meet up to rounding do not overlap


def _linear(distance: Array) -> Array:
    return np.maximum(1 - np.abs(distance), 0)


def _cubic(distance: Array) -> Array:
    x, a = np.abs(distance), BICUBIC
    near = ((a + 2) * x - (a + 3)) * x**2 + 1
    far = a * (((x - 5) * x + 8) * x - 4)
    return np.where(x <= 1, near, np.where(x < 2, far, 0))


#: How many pixels an interpolation reaches over, and the weight at a distance.
INTERPOLATIONS: dict[str, tuple[int, Callable[[Array], Array]]] = {
    "bilinear": (1, _linear),
    "bicubic": (2, _cubic),
}


@algorithm("Image.resample")
def resample(source: Image, mode: str) -> Image:
    if mode not in INTERPOLATIONS:
        raise EarthEngineError(f"Image.resample: Unknown mode '{mode}'.")
    require_scalars(source.bands)
    return source.with_bands([_interpolated(band, *INTERPOLATIONS[mode]) for band in source.bands])


def _interpolated(band: Band, reach: int, weigh: Callable[[Array], Array]) -> Band:
    """Return a band that is interpolated between the valid pixels of a level of its own grid."""

    def compute(box: PixelBox, read: Reader) -> Pixels:
        if box.grid == band.grid:
            return read(band, box)
        level = _level(band, box.grid)
        columns, rows = (p - 0.5 for p in pixel_positions(box, level))  # between the centres
        left, top = np.floor(columns).astype(np.int64), np.floor(rows).astype(np.int64)
        around = source_box(level, left, top).padded(reach, reach)
        data, mask = read(band, around)
        total, weight = np.zeros(box.shape), np.zeros(box.shape)
        for y in range(1 - reach, reach + 1):
            for x in range(1 - reach, reach + 1):
                where = top + (y - around.y), left + (x - around.x)
                share = weigh(rows - top - y) * weigh(columns - left - x) * mask[where]
                total += share * np.where(mask[where] > 0, data[where], 0)
                weight += share
        values = np.divide(total, weight, out=np.zeros(box.shape), where=weight > EDGE)
        mask = np.clip(np.where(weight > EDGE, weight, 0), 0, 1).astype(np.float32)
        return Pixels(rounded_values(values, band.pixel_type), mask)

    return band.derived(compute, [band])


def _level(band: Band, wanted: Grid) -> Grid:
    """Return the grid of the pyramid level that fits the wanted pixels."""
    return band.grid.changed(Affine.scale(pyramid_factor(wanted, band.grid)))


@algorithm("Image.reduceResolution")
def reduce_resolution(source: Image, reducer: Reducer, best_effort: bool, max_pixels: int) -> Image:
    def reduced(bands: Sequence[Band]) -> list[Band]:
        compute = _combination(bands, reducer, best_effort, max_pixels)
        return several(bands, compute, reducer.kinds(bands[0].pixel_type))

    return source.with_bands(applied("Image.reduceResolution", reducer, source.bands, reduced))


def _combination(
    bands: Sequence[Band], reducer: Reducer, best_effort: bool, max_pixels: int
) -> Callable[[PixelBox, Reader], list[Pixels]]:
    """Return the function that reduces all input pixels under each output pixel."""

    def compute(box: PixelBox, read: Reader) -> list[Pixels]:
        level, across, down = _covering(bands[0].grid, box, best_effort, max_pixels)
        step = max(1, GATHERED // (len(across) * len(down) * box.width * len(bands)))
        strips = box.strips(step)
        return joined_strips(_combined(bands, reducer, strip, level, read) for strip in strips)

    return compute


def _covering(
    grid: Grid, box: PixelBox, best_effort: bool, max_pixels: int
) -> tuple[Grid, range, range]:
    """Return the grid whose pixels are combined, and offsets to those under an output pixel."""
    while True:
        west, east, north, south = _edges(box, grid)
        across = range(int(np.ceil(east - EDGE - np.floor(west + EDGE)).max()))
        down = range(int(np.ceil(south - EDGE - np.floor(north + EDGE)).max()))
        pixels = len(across) * len(down)
        # A pixel that is larger than the output's still meets four of these at a corner.
        if pixels <= (max(max_pixels, 4) if best_effort else max_pixels):
            return grid, across, down
        if not best_effort:
            raise EarthEngineError(
                "Image.reduceResolution: Too many input pixels per output pixel: "
                f"{pixels} (maximum: {max_pixels})."
            )
        grid = grid.changed(Affine.scale(2))


def _edges(box: PixelBox, grid: Grid) -> tuple[Array, Array, Array, Array]:
    """Return the box's pixels as west, east, north and south edges in pixels of a grid.

    One that is turned or bent there counts as an upright rectangle: an edge is the mean of
    the two corners on its side.
    """
    edges = []
    for p in np.broadcast_arrays(*pixel_positions(box.corners, grid)):
        ordered = np.sort([p[1:, 1:], p[1:, :-1], p[:-1, 1:], p[:-1, :-1]], axis=0)
        edges += [ordered[:2].mean(axis=0), ordered[2:].mean(axis=0)]
    west, east, north, south = edges
    return west, east, north, south


def _combined(
    bands: Sequence[Band], reducer: Reducer, strip: PixelBox, level: Grid, read: Reader
) -> list[Pixels]:
    west, east, north, south = _edges(strip, level)
    left, top = (np.floor(edge + EDGE).astype(np.int64) for edge in (west, north))
    right, bottom = (np.ceil(edge - EDGE).astype(np.int64) for edge in (east, south))
    around = source_box(level, np.stack([left, right - 1]), np.stack([top, bottom - 1]))
    inputs = [read(band, around) for band in bands]
    area = (east - west) * (south - north)
    values: list[list[Array]] = [[] for _ in bands]
    weights: list[list[Array]] = [[] for _ in bands]
    for row in range((bottom - top).max()):
        for column in range((right - left).max()):
            x, y = left + column, top + row
            width = np.maximum(np.minimum(east, x + 1) - np.maximum(west, x), 0)
            height = np.maximum(np.minimum(south, y + 1) - np.maximum(north, y), 0)
            share = width * height / area
            where = (
                np.minimum(y - around.y, around.height - 1),
                np.minimum(x - around.x, around.width - 1),
            )
            for pixels, value, weight in zip(inputs, values, weights, strict=True):
                value.append(pixels.data[where])
                weight.append(np.where(share > EDGE, share * pixels.mask[where], 0))
    return reducer.pixels([np.stack(v) for v in values], [np.stack(w) for w in weights])


# --- pixels in another place


@algorithm("Image.changeProj")
def change_proj(source: Image, old: Grid, new: Grid) -> Image:
    """Read the pixel at a place in the old projection at the same coordinates of the new one."""
    moved = new.affine @ ~old.affine  # coordinates in the old to those in the new
    return source.with_bands([_moved(band, old.crs, new, moved) for band in source.bands])


@algorithm("Image.translate")
def translate(source: Image, x: float, y: float, units: str, grid: Grid | None) -> Image:
    grid = grid or first_band("translate", source).grid
    if units.lower() == "pixels":
        step = grid.affine @ Affine.translation(x, y) @ ~grid.affine
    elif units.lower() in ("meters", "m"):
        metres = metres_per_unit(grid.crs)
        step = Affine.translation(x / metres, y / metres)
    else:
        raise EarthEngineError(f"Image.translate: Unknown units '{units}'.")
    return source.with_bands([_moved(band, grid.crs, grid, step) for band in source.bands])


def _moved(band: Band, old_crs: str, new: Grid, step: Affine) -> Band:
    """Return a band whose coordinates in one reference system become others in a new one."""

    def moved(grid: Grid) -> Grid:
        return Grid(new.crs, tuple(step @ grid.affine)[:6]) if grid.crs == old_crs else new

    def compute(box: PixelBox, read: Reader) -> Pixels:
        if box.grid.crs == new.crs:
            origin = Grid(old_crs, tuple(~step @ box.grid.affine)[:6])
            return read(band, replace(box, grid=origin))
        # From another projection: the nearest of pixels of the same size in the new one.
        size = new.at_scale(box.grid.scale)
        own = Band(band.name, band.pixel_type, size, compute, [band])
        return reprojected(own, size).compute(box, read)

    extent = band.extent
    if extent is not None:
        extent = replace(extent, grid=moved(extent.grid)) if extent.grid.crs == old_crs else None
    return Band(band.name, band.pixel_type, moved(band.grid), compute, [band], extent)
