"""The synthetic land: what covers it, how it greens, and what it reflects at the ground.

Each cover mixes two spectra of `spectra`, one without and one with green leaves.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum

import numpy as np
from numpy.random import Generator
from scipy.ndimage import gaussian_filter
from scipy.special import expit

from emulator.scenes.noise import ranks, turbulence
from emulator.scenes.sentinel2 import SEASON_DAYS, SEASON_START
from emulator.scenes.spectra import NAMES, REFLECTANCE, snow


class Cover(IntEnum):
    """Land cover classes."""

    DECIDUOUS = 0
    CONIFEROUS = 1
    WINTER_CROP = 2
    SUMMER_CROP = 3
    GRASSLAND = 4
    WATER = 5
    URBAN = 6
    ROOF = 7
    GREENHOUSE = 8
    SAND = 9
    ROCK = 10


#: Spectra without and with green leaves, one row per Cover; several are mixed evenly.
SPECTRA = (
    (("leafless forest",), ("deciduous forest",)),
    (("coniferous forest",), ("coniferous forest",)),
    (("loam",), ("cereal, green",)),
    (("loam",), ("broadleaf crop",)),
    (("dry grass",), ("meadow",)),
    (("lake water",), ("green water",)),
    (("asphalt", "concrete", "red tiles", "dark roof"), ("asphalt", "red tiles", "meadow")),
    (("white roof", "metal roof"), ("white roof", "metal roof")),
    (("greenhouse plastic",), ("greenhouse plastic", "broadleaf crop")),
    (("white sand", "gravel"), ("white sand", "gravel")),
    (("limestone",), ("limestone", "alpine grass")),
)
#: What bare fields are made of beside their own row: from dark to white soils.
SOILS = ("dark soil", "loam", "light clay", "chalky soil")
#: Double-logistic greenness (Beck et al., 2006), one row per Cover: winter level, summer level,
#: day of year and rate (per day) of greening, the same of browning.
PHENOLOGY = np.array([
    [0.05, 0.95, 116, 0.12, 291, 0.09],
    [0.75, 0.95, 120, 0.05, 285, 0.05],
    [0.10, 0.95, 95, 0.10, 183, 0.18],
    [0.02, 0.95, 165, 0.12, 254, 0.12],
    [0.25, 0.85, 104, 0.08, 296, 0.06],
    [0.10, 0.60, 150, 0.05, 270, 0.05],
    [0.20, 0.55, 110, 0.07, 290, 0.06],
    [0, 0, 1, 1, 1, 1],
    [0.1, 0.9, 100, 0.1, 280, 0.1],
    [0, 0, 1, 1, 1, 1],
    [0.1, 0.5, 150, 0.1, 270, 0.1],
])  # fmt: skip
#: Share of the ground whose snow the satellite sees: crowns hide it, water has none.
OPENNESS = np.array([0.35, 0.15, 1, 1, 1, 0, 0.7, 0.8, 0.3, 1, 0.9], np.float32)
SNOW_LINE_WIDTH = 25.0  # m over which the cover thins out
#: Slope of the spectrum of the forest's edges: smoother than turbulence.
PATCHES = 3.6
#: Strongest glint of water.
GLINT = 0.25
#: Share of the woods' range beyond which the tops are rock.
ROCKY = 0.985
#: What ground reflects at most.
BRIGHTEST = 0.95
#: Old snow: optical grain diameters in m, and soot, as `spectra.snow` takes them.
SNOW_GRAIN, SNOW_SOOT = 5e-4, 0.5


@dataclass(frozen=True)
class Kind:
    """A kind of region: when it is seen, how high it is, and what covers it."""

    start: datetime
    days: int  # of first passes
    heights: tuple[float, float]  # m, valley and peak
    #: Height (m) above which snow lies, by day of year.
    snow_line: tuple[tuple[float, ...], tuple[float, ...]]
    under_water: float = 0.025  # share of the square
    instead: dict[Cover, tuple[tuple[str, ...], tuple[str, ...]]] = field(default_factory=dict)


NO_SNOW = ((1,), (1e5,))
_PAVEMENT, _SAND = ("desert pavement",), ("quartz sand",)
#: By name. All are seen from the same place, so that a desert has the sun of 46° N.
KINDS = {
    # Late winter's snow goes, and some falls early in autumn.
    "foothills": Kind(
        SEASON_START, SEASON_DAYS, (300, 900),
        ((60, 72, 88, 100, 292, 302), (540, 620, 800, 1500, 1500, 640)),
    ),
    "winter": Kind(
        datetime(2018, 1, 3, tzinfo=UTC), 70, (500, 1500),
        ((1, 15, 25, 40, 50, 75), (900, 500, 450, 1000, 600, 1100)),
    ),
    "desert": Kind(
        SEASON_START, SEASON_DAYS, (300, 600), NO_SNOW, 0.0,
        {
            Cover.DECIDUOUS: (_PAVEMENT, ("desert pavement", "shrub")),
            Cover.CONIFEROUS: (("red sand",), ("red sand",)),
            Cover.WINTER_CROP: (_SAND, _SAND),
            Cover.SUMMER_CROP: (("playa clay",), ("broadleaf crop",)),
            Cover.GRASSLAND: (("quartz sand", "dry grass"), ("savanna",)),
            Cover.WATER: (("salt, dry", "salt, wet"), ("salt, wet",)),
            Cover.SAND: (("white sand",), ("white sand",)),
            Cover.ROCK: (("basalt",), ("basalt",)),
        },
    ),
    "coast": Kind(
        SEASON_START, SEASON_DAYS, (0, 250), NO_SNOW, 0.45,
        {
            Cover.WATER: (("clear deep water", "lake water"), ("turbid water", "green water")),
            Cover.SAND: (("white sand", "beach, wet"), ("white sand", "beach, wet")),
        },
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Landscape:
    """Fields of shape (rows, columns): cover classes, heights (m), and what varies in a class."""

    kind: Kind
    cover: np.ndarray
    bare: np.ndarray  # (13, rows, columns) reflectance without green leaves
    green: np.ndarray  # the same in full leaf
    height: np.ndarray
    delay: np.ndarray  # days that the season comes late
    vigour: np.ndarray  # factor on greenness
    brightness: np.ndarray  # factor on reflectance

    def greenness(self, day_of_year: float) -> np.ndarray:
        """Return the share of green leaves, 0 to 1."""
        low, high, up, up_rate, down, down_rate = PHENOLOGY.T[:, self.cover]
        day = day_of_year - self.delay
        season = expit(up_rate * (day - up)) * expit(down_rate * (down - day))
        return np.clip((low + (high - low) * season) * self.vigour, 0, 1).astype(np.float32)

    def reflectance(self, day_of_year: float) -> np.ndarray:
        """Return the ground's reflectance (13, rows, columns) without snow."""
        ground = self.bare + self.greenness(day_of_year) * (self.green - self.bare)
        return np.minimum(ground * self.brightness, BRIGHTEST)

    @property
    def snow_spectrum(self) -> np.ndarray:
        """Return old snow's reflectance (13,)."""
        return snow(np.array(SNOW_GRAIN), np.array(SNOW_SOOT)).astype(np.float32)

    def glint(self, rng: Generator) -> np.ndarray:
        """Return what the sun's mirror image adds to water (rows, columns), other waves each time.

        Most images have next to none: the satellite looks away from it.
        """
        strength = GLINT * rng.random() ** 3
        waves = np.exp(0.5 * turbulence(rng, self.cover.shape, 12))
        return (strength * waves * (self.cover == Cover.WATER)).astype(np.float32)

    def snow(self, day_of_year: float) -> np.ndarray:
        """Return the share of each pixel that is seen to be under snow."""
        above = self.height - np.interp(day_of_year, *self.kind.snow_line)
        return (expit(above / SNOW_LINE_WIDTH) * OPENNESS[self.cover]).astype(np.float32)


def make_landscape(rng: Generator, size: int, kind: Kind = KINDS["foothills"]) -> Landscape:
    """Return a square of hills, forest, fields, villages, a lake and a river, or their like."""
    shape = (size, size)
    relief = ranks(turbulence(rng, shape, size, slope=4))
    fields, numbers = _fields(rng, size)
    cover = _cover(rng, relief, fields, kind.under_water)
    in_field = np.isin(cover, (Cover.WINTER_CROP, Cover.SUMMER_CROP, Cover.GRASSLAND))
    per_field = rng.standard_normal((4, numbers.max() + 1), dtype=np.float32)[:, numbers] * in_field
    texture = turbulence(rng, shape, 40) + rng.standard_normal(shape, dtype=np.float32) / 2
    bare, green = _spectra(kind, cover, per_field[3] + 0.3 * texture)
    grain = rng.standard_normal(shape, dtype=np.float32)
    return Landscape(
        kind=kind,
        cover=cover,
        bare=bare,
        green=green,
        height=kind.heights[0] + (kind.heights[1] - kind.heights[0]) * relief,
        delay=6 * per_field[0] + 2 * texture + 10 * (relief - 0.5),
        vigour=1 + 0.06 * per_field[1] + 0.03 * texture,
        brightness=np.exp(0.07 * per_field[2] + 0.05 * texture + 0.03 * grain),
    )


def _spectra(kind: Kind, cover: np.ndarray, soil: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what covers reflect bare and green, (13, rows, columns); `soil` runs dark to white."""
    rows = [kind.instead.get(which, SPECTRA[which]) for which in Cover]
    bare, green = (
        np.array([np.mean([_row(name) for name in names], 0) for names in column], np.float32)
        for column in zip(*rows, strict=True)
    )
    soils = np.array([_row(name) for name in SOILS])
    places = np.linspace(-2, 2, len(SOILS))
    ploughed = np.stack([np.interp(soil, places, band) for band in soils.T])
    crops = {Cover.WINTER_CROP, Cover.SUMMER_CROP} - kind.instead.keys()
    fields = np.isin(cover, list(crops))
    return np.where(fields, ploughed, bare.T[:, cover]).astype(np.float32), green.T[:, cover]


def _row(name: str) -> np.ndarray:
    return REFLECTANCE[NAMES.index(name)]


def _cover(
    rng: Generator, relief: np.ndarray, fields: np.ndarray, under_water: float
) -> np.ndarray:
    """Return the cover: fields in the plain, forest on the hills, water at the bottom."""
    shape = relief.shape
    woods = ranks(relief + 0.25 * turbulence(rng, shape, 50, PATCHES))
    conifers = ranks(relief + 0.4 * turbulence(rng, shape, 60, PATCHES))
    villages = gaussian_filter(turbulence(rng, shape, 20), 2)
    cover = fields.copy()
    cover[woods > 0.93] = Cover.GRASSLAND  # pastures on the tops
    forest = (woods > 0.52) & (woods <= 0.93)
    cover[forest] = np.where(conifers > 0.72, Cover.CONIFEROUS, Cover.DECIDUOUS)[forest]
    cover[woods > ROCKY] = Cover.ROCK
    urban = (ranks(villages) > 0.95) & ~forest
    cover[urban] = Cover.URBAN
    halls = ranks(gaussian_filter(rng.standard_normal(shape), 1.2)) > 0.93
    cover[urban & halls] = Cover.ROOF
    pits = ranks(turbulence(rng, shape, 25)) > 0.99
    cover[pits & ~forest & ~urban] = Cover.SAND
    river = _from_river(rng, shape)
    banks = turbulence(rng, shape, 30) > 0.5
    cover[(river < 4.3) & banks] = Cover.SAND
    cover[(relief < under_water) | (river < 2.3)] = Cover.WATER
    return cover


def _from_river(rng: Generator, shape: tuple[int, int]) -> np.ndarray:
    """Return how many pixels each is from the middle of a river that winds south to north."""
    rows, cols = np.indices(shape)
    bends = gaussian_filter(rng.standard_normal(shape[0]), 25, mode="wrap")
    middle = shape[1] * (0.35 + 0.08 * bends / bends.std())
    return np.abs(cols - middle[rows])


def _fields(rng: Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the crop and the number of each pixel's field: rectangles in slanted strips."""
    rows, cols = np.indices((size, size))
    slant = rng.uniform(0.2, 0.5)
    across = cols * np.cos(slant) + rows * np.sin(slant) + size
    along = rows * np.cos(slant) - cols * np.sin(slant) + size
    strip = (across // rng.uniform(16, 24)).astype(int)
    length = rng.uniform(9, 30, strip.max() + 1)[strip]
    offset = rng.uniform(0, 30, strip.max() + 1)[strip]
    plot = ((along + offset) // length).astype(int)
    number = strip * (plot.max() + 1) + plot
    crops = (Cover.WINTER_CROP, Cover.SUMMER_CROP, Cover.GRASSLAND, Cover.GREENHOUSE)
    return rng.choice(crops, number.max() + 1, p=(0.39, 0.34, 0.25, 0.02))[number], number
