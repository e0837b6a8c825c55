"""Slope, aspect and light on an elevation model."""

import math
from collections.abc import Callable

import numpy as np

from emulator.errors import EarthEngineError, NotImplementedByEmulator
from emulator.functions.images import unique
from emulator.functions.neighbourhood import MAX_SEARCH, central_differences, pixel_size
from emulator.grids import PixelBox
from emulator.raster import BOOLEAN, BYTE, FLOAT, Array, Band, Image, Pixels, Reader, several
from emulator.registry import algorithm

AZIMUTH, ELEVATION = 270.0, 45.0  # degrees: Terrain.hillshade's defaults


def _elevation(name: str, source: Image) -> Band:
    if len(source.bands) == 1:
        return source.bands[0]
    for band in source.bands:
        if band.name == "elevation":
            return band
    raise EarthEngineError(f"{name}: The image needs a single band, or one named 'elevation'.")


def _surface(name: str, source: Image, function: Callable[[Array, Array], Array]) -> Band:
    """Return a band computed from the rise per metre to the east and to the north."""
    elevation = _elevation(f"Terrain.{name}", source)

    def compute(box: PixelBox, read: Reader) -> list[Pixels]:
        x, y, mask = central_differences(read(elevation, box.padded(1, 1)))
        width, height = pixel_size(box)
        return [Pixels(function(x / width, y / height), mask)]

    [band] = several([elevation], compute, [BYTE if name == "hillshade" else FLOAT])
    return band.renamed(name)


def _slope(east: Array, north: Array) -> Array:
    return np.degrees(np.arctan(np.hypot(east, north)))


def _aspect(east: Array, north: Array) -> Array:
    """Return the direction of the fall, clockwise from north, and 0 on level ground."""
    return np.where((east == 0) & (north == 0), 0, np.degrees(np.arctan2(-east, -north)) % 360)


def _hillshade(azimuth: float, elevation: float) -> Callable[[Array, Array], Array]:
    """Return the cosine of the angle between the light and the surface's normal, as bytes."""
    height, direction = math.radians(elevation), math.radians(azimuth)
    to_east, to_north = (f(direction) * math.cos(height) for f in (math.sin, math.cos))

    def shade(east: Array, north: Array) -> Array:
        cosine = math.sin(height) - to_east * east - to_north * north
        return np.clip(cosine / np.sqrt(1 + east**2 + north**2), 0, 1) * BYTE.max

    return shade


@algorithm("Terrain.slope")
def slope(source: Image) -> Image:
    return source.with_bands([_surface("slope", source, _slope)])


@algorithm("Terrain.aspect")
def aspect(source: Image) -> Image:
    return source.with_bands([_surface("aspect", source, _aspect)])


@algorithm("Terrain.hillshade")
def hillshade(source: Image, azimuth: float, elevation: float) -> Image:
    return source.with_bands([_surface("hillshade", source, _hillshade(azimuth, elevation))])


@algorithm("Terrain.products", "Terrain")
def products(source: Image) -> Image:
    functions = {"slope": _slope, "aspect": _aspect, "hillshade": _hillshade(AZIMUTH, ELEVATION)}
    added = [_surface(name, source, function) for name, function in functions.items()]
    return source.with_bands(unique([*source.bands, *added]))


@algorithm("Terrain.hillShadow")
def hill_shadow(
    source: Image, azimuth: float, zenith: float, neighborhood: int, hysteresis: bool
) -> Image:
    """Return 1 where nothing within the neighbourhood, in pixels, hides the sun, else 0."""
    if hysteresis:
        raise NotImplementedByEmulator("Terrain.hillShadow with hysteresis")
    if not 0 <= neighborhood <= MAX_SEARCH:
        raise EarthEngineError(
            f"Terrain.hillShadow: The neighborhood must be from 0 to {MAX_SEARCH} pixels."
        )
    elevation = _elevation("Terrain.hillShadow", source)
    direction = math.radians(azimuth)
    rise = 1 / math.tan(math.radians(zenith)) if zenith else math.inf  # of a ray, per metre

    def compute(box: PixelBox, read: Reader) -> Pixels:
        wide = box.padded(neighborhood, neighborhood)
        pixels = read(elevation, wide)
        width, height = pixel_size(box)
        metres = float(np.abs(width).mean())
        here = box.slices_in(wide)
        ground = pixels.data.astype(float)
        lit = np.ones(box.shape, bool)
        for step in range(1, neighborhood + 1):
            column = round(step * math.sin(direction) * math.copysign(1, width.flat[0]))
            row = round(step * math.cos(direction) * math.copysign(1, height))
            there = box.moved(column, row).slices_in(wide)
            ray = ground[here] + math.hypot(column, row) * metres * rise
            lit &= (ground[there] <= ray) | (pixels.mask[there] <= 0)
        return Pixels(lit.astype(BOOLEAN.dtype), pixels.mask[here])

    shadow = elevation.derived(compute, [elevation], BOOLEAN).renamed("shadow")
    return source.with_bands([shadow])
