"""What surfaces reflect at the ground in Sentinel-2's bands: a table by hand, snow by formula.

The rows are typical band averages, rounded to 0.005 or so by us after the shapes in published
libraries: ECOSTRESS (Meerdink et al., 2019), USGS splib07 (Kokaly et al., 2017), soils of
ICRAF-ISRIC (2010), waters of Pope and Fry (1997) with scattering, urban materials of Kotthaus et
al. (2014). They measure nothing, and a surface of a name is drawn around its row (`vary`). B10 sees
no ground, so that its values matter little.
"""

from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.random import Generator

from emulator.scenes.sentinel2 import BANDS

WAVELENGTH_NM = np.array([nm for nm, _ in BANDS.values()], float)


class Group(StrEnum):
    """Kinds of surfaces that lie beside each other and replace each other over a season."""

    VEGETATION = "vegetation"
    SOIL = "soil"
    DESERT = "desert"
    ROCK = "rock"
    WATER = "water"
    URBAN = "urban"
    BRIGHT = "bright artificial"
    BURNT = "burnt"
    ICE = "ice"


class Surface(NamedTuple):
    """One row: reflectance × 1000 in B1 … B12."""

    group: Group
    reflectance: tuple[int, ...]


_V, _S, _D, _R, _W = Group.VEGETATION, Group.SOIL, Group.DESERT, Group.ROCK, Group.WATER
_U, _B = Group.URBAN, Group.BRIGHT
#: Columns: B1 B2 B3 B4 B5 B6 B7 B8 B8A B9 B10 B11 B12.
SURFACES: dict[str, Surface] = {
    name: Surface(group, tuple(row))
    for name, group, *row in (
        ("broadleaf crop", _V, 24, 29, 72, 30, 95, 330, 430, 445, 460, 450, 280, 225, 100),
        ("cereal, green", _V, 24, 30, 66, 36, 95, 275, 350, 370, 385, 380, 220, 185, 85),
        ("deciduous forest", _V, 16, 20, 46, 22, 70, 235, 305, 322, 340, 335, 190, 150, 60),
        ("leafless forest", _V, 38, 46, 63, 78, 108, 150, 172, 192, 208, 215, 190, 230, 165),
        ("autumn forest", _V, 25, 32, 72, 92, 160, 250, 290, 308, 322, 325, 190, 225, 120),
        ("coniferous forest", _V, 12, 15, 30, 18, 44, 125, 155, 168, 180, 176, 80, 78, 33),
        ("larch, dry", _V, 28, 34, 55, 62, 95, 155, 180, 195, 208, 210, 120, 165, 90),
        ("meadow", _V, 26, 33, 72, 42, 108, 262, 320, 340, 358, 355, 220, 205, 105),
        ("alpine grass", _V, 32, 42, 75, 66, 122, 220, 258, 275, 292, 295, 200, 240, 140),
        ("dry grass", _V, 58, 74, 112, 148, 188, 232, 260, 285, 308, 318, 260, 330, 235),
        ("stubble and straw", _V, 85, 110, 160, 212, 248, 282, 308, 332, 352, 362, 310, 400, 305),
        ("shrub", _V, 24, 32, 50, 48, 84, 160, 192, 210, 228, 230, 150, 190, 110),
        ("savanna", _V, 40, 52, 78, 105, 142, 185, 208, 226, 245, 252, 210, 295, 210),
        ("tundra and lichen", _V, 80, 105, 140, 155, 190, 245, 270, 288, 302, 305, 230, 320, 215),
        ("peat bog", _V, 22, 28, 45, 52, 80, 135, 155, 168, 180, 180, 100, 145, 80),
        ("rape in flower", _V, 30, 45, 150, 125, 200, 330, 400, 420, 435, 425, 260, 200, 90),
        ("dark soil", _S, 28, 35, 48, 66, 78, 90, 102, 113, 123, 136, 150, 185, 165),
        ("loam", _S, 58, 74, 108, 152, 174, 194, 213, 232, 246, 260, 280, 330, 295),
        ("wet loam", _S, 35, 45, 66, 92, 108, 122, 135, 147, 156, 160, 120, 175, 135),
        ("red soil", _S, 38, 47, 75, 182, 206, 222, 240, 258, 270, 282, 300, 360, 325),
        ("light clay", _S, 108, 138, 192, 252, 280, 302, 322, 340, 352, 362, 360, 430, 365),
        ("chalky soil", _S, 165, 205, 265, 320, 345, 365, 382, 398, 408, 412, 400, 460, 400),
        ("quartz sand", _D, 140, 190, 285, 395, 430, 456, 478, 500, 512, 522, 500, 600, 565),
        ("red sand", _D, 75, 98, 165, 325, 360, 386, 404, 422, 434, 444, 450, 540, 500),
        ("white sand", _D, 400, 455, 535, 590, 610, 625, 640, 650, 655, 650, 540, 610, 500),
        ("gypsum", _D, 480, 530, 595, 645, 660, 672, 682, 690, 690, 670, 450, 520, 340),
        ("salt, dry", _D, 415, 465, 535, 585, 602, 618, 630, 638, 640, 625, 480, 550, 450),
        ("salt, wet", _D, 280, 320, 375, 405, 412, 412, 408, 400, 392, 340, 100, 215, 120),
        ("playa clay", _D, 195, 248, 340, 428, 452, 472, 488, 502, 508, 512, 480, 560, 475),
        ("desert pavement", _D, 95, 118, 160, 210, 232, 248, 262, 275, 284, 290, 300, 365, 335),
        ("beach, wet", _D, 130, 160, 205, 245, 258, 265, 268, 268, 265, 240, 90, 185, 130),
        ("limestone", _R, 215, 248, 298, 338, 355, 370, 382, 392, 397, 398, 400, 430, 385),
        ("dolomite scree", _R, 265, 292, 328, 352, 362, 370, 376, 381, 384, 384, 380, 405, 350),
        ("granite", _R, 138, 158, 188, 213, 225, 234, 240, 246, 250, 251, 260, 290, 270),
        ("basalt", _R, 48, 54, 62, 70, 73, 76, 79, 82, 84, 86, 95, 112, 110),
        ("shale", _R, 70, 80, 95, 112, 120, 128, 135, 142, 147, 150, 165, 200, 180),
        ("clear deep water", _W, 34, 27, 14, 5, 4, 3, 3, 2, 2, 2, 1, 1, 1),
        ("lake water", _W, 28, 30, 38, 18, 17, 9, 8, 7, 6, 4, 1, 2, 2),
        ("green water", _W, 28, 34, 62, 26, 45, 24, 20, 15, 12, 8, 1, 4, 3),
        ("turbid water", _W, 58, 74, 112, 108, 92, 58, 56, 43, 38, 18, 1, 7, 5),
        ("silty river", _W, 78, 104, 158, 188, 178, 128, 128, 108, 98, 48, 1, 14, 9),
        ("shallow over sand", _W, 110, 132, 140, 58, 34, 14, 12, 9, 8, 4, 1, 3, 2),
        ("flooded field", _W, 38, 46, 66, 62, 68, 78, 84, 86, 86, 70, 5, 45, 28),
        ("asphalt", _U, 66, 75, 86, 97, 102, 106, 110, 114, 117, 120, 125, 140, 133),
        ("concrete", _U, 168, 194, 233, 264, 277, 288, 296, 304, 309, 312, 310, 345, 322),
        ("red tiles", _U, 68, 78, 108, 208, 234, 254, 274, 294, 305, 315, 330, 380, 355),
        ("dark roof", _U, 45, 50, 57, 63, 66, 68, 71, 74, 76, 78, 85, 98, 96),
        ("gravel", _U, 118, 138, 168, 196, 208, 218, 227, 235, 240, 244, 250, 280, 258),
        ("solar panel", _U, 62, 56, 46, 45, 47, 56, 75, 105, 122, 140, 130, 150, 118),
        ("white roof", _B, 470, 600, 672, 698, 704, 706, 702, 694, 688, 662, 480, 560, 430),
        ("metal roof", _B, 415, 438, 460, 476, 483, 489, 494, 498, 500, 500, 500, 520, 500),
        ("blue metal roof", _B, 205, 262, 222, 132, 128, 148, 215, 295, 328, 350, 360, 380, 325),
        ("greenhouse plastic", _B, 300, 335, 368, 378, 386, 415, 438, 452, 458, 440, 300, 375, 262),
        ("marble and lime", _B, 520, 590, 660, 705, 720, 732, 740, 746, 748, 742, 650, 690, 590),
        ("char", Group.BURNT, 30, 33, 38, 45, 50, 57, 64, 73, 80, 90, 110, 150, 152),
        ("ash", Group.BURNT, 105, 118, 136, 152, 160, 168, 176, 184, 190, 196, 200, 240, 225),
        ("glacier ice", Group.ICE, 430, 455, 440, 375, 345, 305, 255, 205, 182, 100, 20, 11, 9),
        ("dirty ice", Group.ICE, 190, 210, 225, 220, 212, 198, 180, 160, 150, 110, 30, 40, 32),
        ("lake ice", Group.ICE, 300, 310, 295, 240, 215, 180, 145, 110, 92, 45, 5, 8, 6),
    )
}  # fmt: skip
NAMES = tuple(SURFACES)
GROUPS = np.array([surface.group.value for surface in SURFACES.values()])
REFLECTANCE = np.array([surface.reflectance for surface in SURFACES.values()]) / 1000

#: Imaginary part of ice's refractive index in the bands, rounded from Warren and Brandt (2008) up
#: to B9, from Kou et al. (1993) beyond.
ICE_ABSORPTION = np.array(
    [
        *(1e-10, 5e-10, 2.8e-9, 1.6e-8, 3.2e-8, 6e-8, 1.2e-7),
        *(2.1e-7, 2.5e-7, 6e-7, 1.6e-5, 3e-4, 3.2e-4),
    ]
)  # fmt: skip
#: The same of liquid water: Kou et al. (1993), Pope and Fry (1997).
WATER_ABSORPTION = np.array(
    [
        *(3e-10, 6e-10, 2.8e-9, 2.3e-8, 4.7e-8, 1.4e-7, 1.5e-7),
        *(2.7e-7, 3.4e-7, 2.6e-6, 1e-4, 8.6e-5, 3e-4),
    ]
)  # fmt: skip
#: Kokhanovsky and Zege (2004): length in grains over which snow absorbs, and what soot adds to it
#: in B1, falling with wavelength, per unit of `soot`.
SNOW_PATH, SOOT_B1 = 13.0, 0.01
#: What differs between surfaces of a name: brightness, tilt over the spectrum, each band
#: (standard deviations of the logarithm).
BRIGHTNESS_SPREAD, TILT_SPREAD, BAND_SPREAD = 0.18, 0.08, 0.025


def absorption_per_m(imaginary: np.ndarray) -> np.ndarray:
    """Return the absorption coefficient 4πk/λ (per m) of a substance in the bands."""
    return 4 * np.pi * imaginary / (WAVELENGTH_NM * 1e-9)


def snow(grain_m: np.ndarray, soot: np.ndarray) -> np.ndarray:
    """Return the reflectance (..., 13) of deep snow: exp(−√(13 d κ)), Kokhanovsky and Zege (2004).

    `grain_m` is the optical grain diameter d, 0.1 mm (fresh) to 2 mm (wet); `soot` is 0 (clean) to
    some 10 (grey).
    """
    ice = SNOW_PATH * absorption_per_m(ICE_ABSORPTION) * np.asarray(grain_m)[..., None]
    dirt = SOOT_B1 * np.asarray(soot)[..., None] * WAVELENGTH_NM[0] / WAVELENGTH_NM
    return np.exp(-np.sqrt(ice + dirt))


def vary(reflectance: np.ndarray, rng: Generator) -> np.ndarray:
    """Return spectra (n, 13) as other places of the same name would have them, below 0.95."""
    count = len(reflectance)
    place = np.log(WAVELENGTH_NM / 900) / np.log(2.5)
    spread = BRIGHTNESS_SPREAD * rng.standard_normal((count, 1))
    spread = spread + TILT_SPREAD * rng.standard_normal((count, 1)) * place
    spread = spread + BAND_SPREAD * rng.standard_normal((count, len(BANDS)))
    return np.minimum(reflectance * np.exp(spread), 0.95)
