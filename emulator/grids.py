"""Projections, grids of pixels in them, and boxes of a grid."""

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pyproj
from affine import Affine

from emulator.errors import EarthEngineError

Array = np.ndarray
Transform = tuple[float, float, float, float, float, float]

MAX_GATHERED = 2**26  # pixels of an own grid that one tile may need
OUTLINE_POINTS = 8  # per side: a projected edge is a curve in longitude and latitude
EARTH_RADIUS = 6378137.0  # metres, WGS 84 semi-major axis: one degree is 111,319.49 m


@functools.lru_cache(maxsize=256)
def spatial_reference(crs: str) -> pyproj.CRS:
    """Return the parsed coordinate reference system."""
    try:
        return pyproj.CRS.from_user_input(crs)
    except pyproj.exceptions.CRSError:
        message = f"The CRS of a map projection could not be parsed. (crs='{crs}')"
        raise EarthEngineError(f"Projection: {message}") from None


@functools.lru_cache(maxsize=256)
def metres_per_unit(crs: str) -> float:
    """Return the nominal length in metres of one unit of a reference system."""
    reference = spatial_reference(crs)
    if reference.is_geographic:
        return math.radians(EARTH_RADIUS)
    return float(reference.axis_info[0].unit_conversion_factor)


@functools.lru_cache(maxsize=256)
def transformer(source: str, target: str) -> pyproj.Transformer:
    """Return the transformer from x, y in one reference system to x, y in another."""
    return pyproj.Transformer.from_crs(
        spatial_reference(source), spatial_reference(target), always_xy=True
    )


@dataclass(frozen=True, slots=True)
class Grid:
    """A projection in Earth Engine's sense: a reference system and a pixel grid in it."""

    crs: str
    transform: Transform = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)

    type_name = "Projection"

    @property
    def affine(self) -> Affine:
        """The transform from column, row to x, y."""
        return Affine(*self.transform)

    @property
    def scale(self) -> float:
        """The nominal length of a pixel's side in metres."""
        return math.sqrt(abs(self.affine.determinant)) * metres_per_unit(self.crs)

    def changed(self, change: Affine) -> Self:
        """Return the grid whose columns and rows `change` turns into this one's."""
        return replace(self, transform=tuple(self.affine @ change)[:6])

    def at_scale(self, metres: float) -> Self:
        """Return north-up square pixels whose edges are multiples of the scale."""
        side = metres / metres_per_unit(self.crs)
        return replace(self, transform=(side, 0.0, 0.0, 0.0, -side, 0.0))


#: What composites and constants have (https://developers.google.com/earth-engine/guides/projections)
DEFAULT_GRID = Grid("EPSG:4326")


@dataclass(frozen=True, slots=True)
class PixelBox:
    """A rectangle of a grid's pixels; `x` and `y` are the first column and row."""

    grid: Grid
    width: int
    height: int
    x: int = 0
    y: int = 0

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.height, self.width

    @property
    def affine(self) -> Affine:
        """The transform of the box's own pixels, whose first is 0, 0."""
        return self.grid.affine @ Affine.translation(self.x, self.y)

    @property
    def transform(self) -> Transform:
        """The same as numbers."""
        return tuple(self.affine)[:6]

    @property
    def corners(self) -> "PixelBox":
        """The box whose pixels' centres are the corners of this one's pixels."""
        grid = self.grid.changed(Affine.translation(-0.5, -0.5))
        return PixelBox(grid, self.width + 1, self.height + 1, self.x, self.y)

    def bounds(self, crs: str) -> tuple[float, float, float, float]:
        """Return the least and greatest x and y of the box in a reference system."""
        x, y = _outline(self, crs)
        return float(x.min()), float(y.min()), float(x.max()), float(y.max())

    def padded(self, columns: int, rows: int) -> "PixelBox":
        """Return the box with so many more pixels on every side."""
        return PixelBox(
            self.grid,
            self.width + 2 * columns,
            self.height + 2 * rows,
            self.x - columns,
            self.y - rows,
        )

    def moved(self, columns: int, rows: int) -> "PixelBox":
        """Return the box so many pixels further on."""
        return replace(self, x=self.x + columns, y=self.y + rows)

    def strips(self, rows: int) -> Iterator["PixelBox"]:
        """Yield boxes of at most so many rows that cover the box, from the first row on."""
        for y in range(self.y, self.y + self.height, rows):
            yield replace(self, y=y, height=min(rows, self.y + self.height - y))

    def tiles(self, side: int) -> Iterator["PixelBox"]:
        """Yield tiles that cover the box, row by row."""
        for strip in self.strips(side):
            for x in range(self.x, self.x + self.width, side):
                yield replace(strip, x=x, width=min(side, self.x + self.width - x))

    def intersection(self, other: "PixelBox | None") -> "PixelBox":
        """Return the pixels that are in both boxes of a grid; None: the whole grid."""
        if other is None:
            return self
        left, top = max(self.x, other.x), max(self.y, other.y)
        right = min(self.x + self.width, other.x + other.width)
        bottom = min(self.y + self.height, other.y + other.height)
        return PixelBox(self.grid, max(right - left, 0), max(bottom - top, 0), left, top)

    def slices_in(self, outer: "PixelBox") -> tuple[slice, slice]:
        """Return where the box lies in an array of another box of its grid."""
        top, left = self.y - outer.y, self.x - outer.x
        return slice(top, top + self.height), slice(left, left + self.width)

    @classmethod
    def around(cls, grid: Grid, bounds: tuple[float, float, float, float]) -> "PixelBox":
        """Return the pixels of a grid that bounds (in its reference system) touch."""
        west, south, east, north = bounds
        to_pixel = ~grid.affine
        corners = [to_pixel @ (x, y) for x in (west, east) for y in (south, north)]
        tolerance = 1e-6  # pixels: edges that meet up to rounding touch no further pixel
        left = math.floor(min(c for c, _ in corners) + tolerance)
        top = math.floor(min(r for _, r in corners) + tolerance)
        right = math.ceil(max(c for c, _ in corners) - tolerance)
        bottom = math.ceil(max(r for _, r in corners) - tolerance)
        return cls(grid, max(right - left, 1), max(bottom - top, 1), left, top)


@functools.lru_cache(maxsize=16)
def coordinates(box: PixelBox, crs: str) -> tuple[Array, Array]:
    """Return x and y of the pixels' centres, in shapes that broadcast to the box's."""
    columns = (np.arange(box.width) + (box.x + 0.5))[None, :]
    rows = (np.arange(box.height) + (box.y + 0.5))[:, None]
    x, y = _apply(box.grid.affine, columns, rows)
    if crs == box.grid.crs:
        return x, y
    x, y = np.broadcast_arrays(x, y)
    return transformer(box.grid.crs, crs).transform(x, y)


def _apply(affine: Affine, x: Array, y: Array) -> tuple[Array, Array]:
    if affine.b == 0 and affine.d == 0:
        return affine.a * x + affine.c, affine.e * y + affine.f
    return affine.a * x + affine.b * y + affine.c, affine.d * x + affine.e * y + affine.f


def pixel_positions(box: PixelBox, grid: Grid) -> tuple[Array, Array]:
    """Return the fractional column and row in another grid of the box's pixel centres."""
    return _apply(~grid.affine, *coordinates(box, grid.crs))


def source_box(grid: Grid, columns: Array, rows: Array) -> PixelBox:
    """Return the box of a grid that holds columns and rows, unless it is absurdly large."""
    left, top = int(columns.min()), int(rows.min())
    box = PixelBox(grid, int(columns.max()) - left + 1, int(rows.max()) - top + 1, left, top)
    if box.width * box.height > MAX_GATHERED:
        raise EarthEngineError("Reprojection output too large.")
    return box


def pyramid_factor(wanted: Grid, grid: Grid) -> int:
    """Return the side, in pixels of a grid, of a pixel of the level to read.

    The level is the coarsest whose pixels are not larger than the wanted ones
    (https://developers.google.com/earth-engine/guides/scale). The first level has the band's own
    pixels; where a file has finer ones, these serve whoever wants less than a pixel.
    """
    ratio = wanted.scale / grid.scale * (1 + 1e-9)
    return int(2 ** max(0, math.floor(math.log2(ratio))))


def _outline(box: PixelBox, crs: str) -> tuple[Array, Array]:
    """Return x and y of points along a box's edges, counter-clockwise if north is up."""
    steps = np.linspace(0, 1, OUTLINE_POINTS, endpoint=False)
    along, edge = np.tile(steps, 4), np.repeat(np.arange(4), OUTLINE_POINTS)
    columns = np.choose(edge, [along, 1, 1 - along, 0]) * box.width
    rows = np.choose(edge, [1, 1 - along, 0, along]) * box.height
    x, y = _apply(box.affine, columns, rows)
    return (x, y) if crs == box.grid.crs else transformer(box.grid.crs, crs).transform(x, y)


def footprint(box: PixelBox) -> dict[str, Any]:
    """Return the outline of a box as a GeoJSON polygon in longitude and latitude."""
    ring = np.column_stack(_outline(box, "EPSG:4326")).tolist()
    return {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}


def within(positions: Array, count: int) -> Array:
    """Tell which positions are among a number of columns or rows."""
    return (positions >= 0) & (positions < count)
