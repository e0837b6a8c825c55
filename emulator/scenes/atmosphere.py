"""The synthetic air: haze, cirrus, cumulus and the shadows that they cast."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.random import Generator
from scipy.ndimage import gaussian_filter

from emulator.scenes.noise import ranks, turbulence
from emulator.scenes.sentinel2 import BANDS, PIXEL_M

#: Aerosol scattering falls as wavelength^-1.3 (Ångström, 1929; 1.3 is continental), B2 = 1.
HAZE_DEPTH = np.array([(490 / nm) ** 1.3 for nm, _ in BANDS.values()], np.float32)
#: Haze lies below the water vapour, which hides it in B10 (Gao et al., 1993).
HAZE_DEPTH[list(BANDS).index("B10")] = 0
HAZE_WHITE = np.full(len(BANDS), 0.32, np.float32)
#: What a thick layer reflects; B10 sees cirrus, above the water vapour, and hardly cumulus.
CIRRUS = np.array(
    [0.40, 0.40, 0.40, 0.40, 0.41, 0.42, 0.42, 0.42, 0.42, 0.30, 0.14, 0.28, 0.20], np.float32
)
CUMULUS = np.array(
    [0.95, 0.96, 0.96, 0.98, 1.00, 1.00, 1.00, 0.99, 1.00, 0.45, 0.006, 0.78, 0.62], np.float32
)
#: Share of the light that a full shadow takes: skylight still lights the short wavelengths.
SHADOW = np.array(
    [0.18, 0.28, 0.40, 0.48, 0.52, 0.60, 0.62, 0.63, 0.64, 0.50, 0.0, 0.70, 0.70], np.float32
)
#: Cumulus: largest size in pixels, slope of the spectrum (smoother than turbulence, as liquid water
#: columns are), deviations of the field to full brightness, and opacity per thickness.
CLOUD_SIZE, CLOUD_SLOPE, CLOUD_THICKNESS, CLOUD_DENSITY = 45, 3.4, 2.0, 9
#: Darkest and brightest cumulus, as shares of CUMULUS.
CLOUD_BRIGHTNESS = (0.42, 1.0)


class Sky(StrEnum):
    """Kinds of weather."""

    CLEAR = "clear"
    PARTLY = "partly cloudy"
    OVERCAST = "overcast"
    HAZY = "hazy"


#: Share of the season's images under each sky.
SKIES = {Sky.CLEAR: 0.35, Sky.PARTLY: 0.35, Sky.OVERCAST: 0.15, Sky.HAZY: 0.15}


@dataclass(frozen=True)
class Weather:
    """How much of what is in the air; opacities are at 490 nm, 0 to 1."""

    cover: float  # share of the sky under cumulus
    base: float  # height of the cumulus, m
    haze: float
    cirrus: float


@dataclass(frozen=True)
class Air:
    """Opacities, each (rows, columns), 0 to 1; `depth` is the cumulus' brightness, 0 to 1."""

    haze: np.ndarray
    cirrus: np.ndarray
    cumulus: np.ndarray
    depth: np.ndarray
    shade: np.ndarray

    def veil(self, surface: np.ndarray) -> np.ndarray:
        """Return the reflectance (13, rows, columns) of a surface seen through this air."""
        low, high = CLOUD_BRIGHTNESS
        cloud = CUMULUS[:, None, None] * (low + (high - low) * self.depth)
        seen = surface * (1 - SHADOW[:, None, None] * self.shade)
        seen = _layer(seen, HAZE_DEPTH[:, None, None] * self.haze, HAZE_WHITE[:, None, None])
        seen = _layer(seen, self.cumulus, cloud)
        return _layer(seen, self.cirrus, CIRRUS[:, None, None])

    def opacity(self) -> np.ndarray:
        """Return the share of the light at 490 nm that does not come from the surface."""
        return 1 - (1 - self.haze) * (1 - self.cumulus) * (1 - self.cirrus)


def draw_weather(sky: Sky, rng: Generator) -> Weather:
    """Return weather of a kind."""
    base = rng.uniform(700, 1600)
    if sky is Sky.PARTLY:
        return Weather(rng.uniform(0.08, 0.6), base, rng.uniform(0.0, 0.06), 0)
    if sky is Sky.OVERCAST:
        return Weather(rng.uniform(0.93, 1), base, 0.05, 0)
    if sky is Sky.HAZY:
        return Weather(0, base, rng.uniform(0.05, 0.35), rng.choice((0, 1)) * rng.uniform(0.2, 0.5))
    return Weather(0, base, rng.uniform(0, 0.04), 0)


def shadow_shift(base: float, zenith: float, azimuth: float) -> tuple[int, int]:
    """Return the way from a cloud to its shadow in rows and columns: away from the sun."""
    length = base * np.tan(np.radians(zenith)) / PIXEL_M
    direction = np.radians(azimuth)
    return round(length * np.cos(direction)), round(-length * np.sin(direction))


def make_air(weather: Weather, sun: tuple[float, float], size: int, rng: Generator) -> Air:
    """Return the air over a square; `sun` is its zenith and azimuth in degrees."""
    shape = (size, size)
    shift = shadow_shift(weather.base, *sun)
    above, sunward = _clouds(weather.cover, shape, shift, rng)
    haze = weather.haze * (0.75 + 0.5 * ranks(turbulence(rng, shape, size, slope=4)))
    streaks = gaussian_filter(turbulence(rng, shape, 60), (2, 9))
    return Air(
        haze=haze,
        cirrus=weather.cirrus * ranks(streaks),
        cumulus=_opacity(above),
        depth=np.clip(above, 0, 1),
        shade=_opacity(sunward),
    )


def _clouds(
    cover: float, shape: tuple[int, int], shift: tuple[int, int], rng: Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the clouds' thickness over each pixel and between it and the sun (> 0: cloud)."""
    if not cover:
        return np.full(shape, -1, np.float32), np.full(shape, -1, np.float32)
    extent = (shape[0] + abs(shift[0]), shape[1] + abs(shift[1]))
    field = turbulence(rng, extent, CLOUD_SIZE, CLOUD_SLOPE)
    thickness = (field - np.quantile(field, 1 - cover)) / CLOUD_THICKNESS
    rows, cols = (_windows(n, s) for n, s in zip(shape, shift, strict=True))
    return thickness[rows[0], cols[0]], thickness[rows[1], cols[1]]


def _windows(length: int, shift: int) -> tuple[slice, slice]:
    """Return a window and the one that lies `shift` before it, both inside their union."""
    start = max(shift, 0)
    return slice(start, start + length), slice(start - shift, start - shift + length)


def _opacity(thickness: np.ndarray) -> np.ndarray:
    """Return the opacity of cumulus: soft over the first pixels of its edge."""
    return 1 - np.exp(-np.clip(thickness, 0, None) * CLOUD_DENSITY)


def _layer(below: np.ndarray, opacity: np.ndarray, reflectance: np.ndarray) -> np.ndarray:
    return below + opacity * (reflectance - below)
