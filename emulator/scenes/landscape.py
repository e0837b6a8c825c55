"""The synthetic land: what covers it, how it greens, and what it reflects at the top of the air.

Spectra are rounded by hand, typical values: surface shapes as in the ECOSTRESS spectral library
(Meerdink et al., 2019) under a clear continental sky, whose path reflectance lifts B1 to B3; the
levels were held against clear Sentinel-2 L1C scenes of Slovenia. They measure nothing.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.random import Generator
from scipy.ndimage import gaussian_filter
from scipy.special import expit

from emulator.scenes.noise import ranks, turbulence


class Cover(IntEnum):
    """Land cover classes."""

    DECIDUOUS = 0
    CONIFEROUS = 1
    WINTER_CROP = 2
    SUMMER_CROP = 3
    GRASSLAND = 4
    WATER = 5
    URBAN = 6


#: Top-of-atmosphere reflectance × 1000, B1 … B12, without green leaves; one row per Cover.
BARE = np.array([
    [112, 90, 82, 80, 105, 125, 140, 155, 165, 60, 1, 215, 145],
    [106, 78, 66, 52, 70, 110, 130, 140, 148, 50, 1, 100, 52],
    [128, 112, 112, 130, 152, 168, 182, 196, 210, 80, 1, 300, 235],
    [126, 108, 106, 122, 144, 160, 174, 188, 202, 76, 1, 290, 228],
    [116, 95, 92, 98, 130, 160, 175, 190, 202, 74, 1, 245, 165],
    [112, 88, 68, 44, 38, 32, 30, 26, 24, 8, 1, 10, 6],
    [145, 138, 142, 155, 168, 178, 186, 198, 204, 85, 1, 225, 200],
], np.float32) / 1000  # fmt: skip
#: The same in full leaf.
GREEN = np.array([
    [102, 74, 66, 36, 72, 225, 305, 330, 350, 105, 1, 155, 66],
    [101, 70, 54, 32, 52, 140, 172, 188, 200, 66, 1, 88, 38],
    [104, 78, 76, 44, 88, 270, 370, 400, 420, 125, 1, 180, 82],
    [105, 79, 80, 46, 92, 275, 360, 392, 412, 125, 1, 195, 90],
    [106, 82, 84, 54, 104, 250, 315, 340, 362, 110, 1, 210, 108],
    [112, 88, 70, 46, 44, 42, 40, 36, 34, 12, 1, 12, 8],
    [122, 105, 102, 92, 118, 185, 215, 232, 245, 90, 1, 205, 150],
], np.float32) / 1000  # fmt: skip
#: Old snow in the sun: bright up to the near infrared, dark beyond (Warren, 1982).
SNOW = np.array(
    [0.86, 0.86, 0.85, 0.85, 0.85, 0.84, 0.83, 0.80, 0.78, 0.40, 0.003, 0.10, 0.08], np.float32
)
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
])  # fmt: skip
#: Share of the ground whose snow the satellite sees: crowns hide it, water has none.
OPENNESS = np.array([0.35, 0.15, 1.0, 1.0, 1.0, 0.0, 0.7], np.float32)
#: Height (m) above which snow lies, by day of year: late winter, and one early fall of snow.
SNOW_LINE = ((60, 72, 88, 100, 292, 302), (540, 620, 800, 1500, 1500, 640))
SNOW_LINE_WIDTH = 25.0  # m over which the cover thins out
#: Slope of the spectrum of the forest's edges: smoother than turbulence.
PATCHES = 3.6
VALLEY_M, PEAK_M = 300.0, 900.0


@dataclass(frozen=True)
class Landscape:
    """Fields of shape (rows, columns): cover classes, heights (m), and what varies in a class."""

    cover: np.ndarray
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
        """Return the top-of-atmosphere reflectance (13, rows, columns), no clouds, no snow."""
        green = self.greenness(day_of_year)
        bare = BARE.T[:, self.cover]
        return (bare + green * (GREEN.T[:, self.cover] - bare)) * self.brightness

    def snow(self, day_of_year: float) -> np.ndarray:
        """Return the share of each pixel that is seen to be under snow."""
        above = self.height - np.interp(day_of_year, *SNOW_LINE)
        return (expit(above / SNOW_LINE_WIDTH) * OPENNESS[self.cover]).astype(np.float32)


def make_landscape(rng: Generator, size: int) -> Landscape:
    """Return a square of hills, forest, fields, villages, a lake and a river."""
    shape = (size, size)
    relief = ranks(turbulence(rng, shape, size, slope=4))
    fields, numbers = _fields(rng, size)
    cover = _cover(rng, relief, fields)
    in_field = np.isin(cover, (Cover.WINTER_CROP, Cover.SUMMER_CROP, Cover.GRASSLAND))
    texture = turbulence(rng, shape, 40) + rng.standard_normal(shape, dtype=np.float32) / 2
    per_field = rng.standard_normal((3, numbers.max() + 1), dtype=np.float32)[:, numbers] * in_field
    return Landscape(
        cover=cover,
        height=VALLEY_M + (PEAK_M - VALLEY_M) * relief,
        delay=6 * per_field[0] + 2 * texture + 10 * (relief - 0.5),
        vigour=1 + 0.06 * per_field[1] + 0.03 * texture,
        brightness=1 + 0.05 * per_field[2] + 0.025 * texture,
    )


def _cover(rng: Generator, relief: np.ndarray, fields: np.ndarray) -> np.ndarray:
    """Return the cover: fields in the plain, forest on the hills, water at the bottom."""
    shape = relief.shape
    woods = ranks(relief + 0.25 * turbulence(rng, shape, 50, PATCHES))
    conifers = ranks(relief + 0.4 * turbulence(rng, shape, 60, PATCHES))
    villages = gaussian_filter(turbulence(rng, shape, 20), 2)
    cover = fields.copy()
    cover[woods > 0.93] = Cover.GRASSLAND  # pastures on the tops
    forest = (woods > 0.52) & (woods <= 0.93)
    cover[forest] = np.where(conifers > 0.72, Cover.CONIFEROUS, Cover.DECIDUOUS)[forest]
    cover[(ranks(villages) > 0.95) & ~forest] = Cover.URBAN
    cover[(relief < 0.025) | _river(rng, shape)] = Cover.WATER
    return cover


def _river(rng: Generator, shape: tuple[int, int]) -> np.ndarray:
    """Return where a river of 4 to 5 pixels winds from south to north."""
    rows, cols = np.indices(shape)
    bends = gaussian_filter(rng.standard_normal(shape[0]), 25, mode="wrap")
    middle = shape[1] * (0.35 + 0.08 * bends / bends.std())
    return np.abs(cols - middle[rows]) < 2.3


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
    crops = (Cover.WINTER_CROP, Cover.SUMMER_CROP, Cover.GRASSLAND)
    return rng.choice(crops, number.max() + 1, p=(0.4, 0.35, 0.25))[number], number
