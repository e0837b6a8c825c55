"""The synthetic air: haze, clouds, cirrus and the shadows that they cast, as fields over a scene.

What light does in them is `optics`; here it is tabulated, since a scene has one sun.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.random import Generator
from scipy.ndimage import gaussian_filter, uniform_filter

from emulator.scenes import optics
from emulator.scenes.noise import ranks, turbulence
from emulator.scenes.optics import Layer, Sunlight
from emulator.scenes.relief import shifted
from emulator.scenes.sentinel2 import BANDS, LOOK, PIXEL_M

#: Clouds: outer scale in pixels, below which sizes follow a power law (Wood and Field, 2011), and
#: slope of the spectrum (smoother than turbulence, as liquid water columns are: the light that
#: leaves a cloud's sides smooths what is less than some 200 m; Davis et al., 1997), each from and
#: to; heights of their bases (m); deviations of the field to full thickness.
CLOUD_SIZES, CLOUD_SLOPES, BASES = (30, 400), (3.4, 4.2), (600, 3000)
CLOUD_THICKNESS = 2.0
#: Texture inside clouds: size in pixels and deviation (logarithm).
TEXTURE_SIZE, TEXTURE = 14, 0.35
#: Steps of a table of optical depths, and the depth at its end.
STEPS, DEEPEST = 512, 150.0
#: Under broken clouds: the share of their diffuse light that reaches their shadows, and the share
#: of the air there that the sun lights. Both follow how much cloud is within some pixels.
THROUGH, LIT_AIR, CROWD = 0.3, 0.7, 41
#: Optical depth at 550 nm of a clear day's haze.
CLEAR_HAZE = 0.1
#: How far around a pixel the ground lights its air, in pixels (Vermote et al., 1997).
AROUND = 51
#: How far what is 1 km up moves in pixels, along the track, from the first band's look to the
#: last's: 7 km/s × 2.6 s from 786 km (`LOOK`). The truth goes by B3.
PARALLAX_PER_KM = 2.3
TRUE_LOOK = LOOK[list(BANDS).index("B3")]


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
    """How much of what is in the air."""

    cover: float  # share of the sky under clouds
    base: float  # height of the clouds that casts their shadow, m
    haze: float  # optical depth at 550 nm
    cirrus: float  # optical depth
    density: float = 45.0  # optical depth of full thickness
    ice: float = 0.0  # share in the clouds
    droplet_m: float = 10e-6
    crystal_m: float = 28e-6
    top: float = 1800.0  # height from which the clouds' light comes, m
    aerosol: str = "continental"
    cirrus_top: float = 10_000.0
    vapour_cm: float = 1.8  # over sea level
    size: float = 45.0  # outer scale of the clouds, pixels
    slope: float = 3.4  # of their spectrum


@dataclass(frozen=True)
class Air:
    """Optical depths, each (rows, columns), and the weather that they are of."""

    weather: Weather
    zenith: float
    haze: np.ndarray
    cirrus: np.ndarray
    clouds: np.ndarray
    sunward: np.ndarray  # clouds between here and the sun
    crowd: np.ndarray  # share of the sky around that is under clouds

    @property
    def cos_sun(self) -> np.ndarray:
        """Return the cosine of the sun's zenith."""
        return np.cos(np.radians(self.zenith))

    def opacity(self) -> np.ndarray:
        """Return the optical cover of everything in the air, 0 to 1 (`optics.opacity`)."""
        clear = 1 - optics.opacity(self.clouds, self.weather.ice)
        clear = clear * (1 - optics.opacity(self.cirrus, 1.0))
        return 1 - clear * (1 - optics.haze_opacity(self.haze))

    def shade(self) -> np.ndarray:
        """Return the share of the light at 490 nm that clouds take from the ground."""
        blue = list(BANDS).index("B2")
        light = self._sunlight(optics.at(self._cloud_table(), blue), _steps(self.sunward))
        return 1 - light.beam - light.through

    def seen(
        self,
        surface: np.ndarray,
        relief: tuple[np.ndarray, np.ndarray],
        height: float,
        bands: list[int],
    ) -> np.ndarray:
        """Return the reflectance (bands, rows, columns) of the ground seen through this air.

        `surface` has the chosen bands. `relief` is `on_slopes`'; `height` is the mean ground's (m).
        """
        tables = (self._air_table(height), self._cloud_table(), self._cirrus_table())
        steps = tuple(map(_steps, (self.haze, self.clouds, self.cirrus, self.sunward)))
        gases = [
            optics.gases(optics.vapour_above(level, self.weather.vapour_cm), self.cos_sun)
            for level in (height, self.weather.top, self.weather.cirrus_top)
        ]
        uppers = [
            optics.molecules(optics.pressure_at(level), self.cos_sun)
            for level in (self.weather.top, self.weather.cirrus_top)
        ]
        looks = []
        for band, ground in zip(bands, surface, strict=True):
            air, clouds, cirrus = (optics.at(table, band) for table in tables)
            gas = [transmission[band].astype(np.float32) for transmission in gases]
            upper = [optics.at(layer, band) for layer in uppers]
            around = uniform_filter(ground, AROUND)
            light = self._sunlight(clouds, steps[3])._replace(slope=relief[0], open=relief[1])
            air = optics.at(air, steps[0])
            seen = optics.from_below(ground, around, air, light, gas[0])
            if self.weather.cover:
                moved = self._moved(steps[1], band)
                layer = optics.at(clouds, moved)
                seen = optics.through_cloud(seen, around, layer, upper[0], gas[1])
            if self.weather.cirrus:
                layer = optics.at(cirrus, steps[2])
                seen = optics.through_cloud(layer.down * seen, around, layer, upper[1], gas[2])
            looks.append(seen)
        return np.stack(looks).astype(np.float32)

    def _sunlight(self, clouds: Layer, steps: np.ndarray) -> Sunlight:
        """Return the light under the clouds on a plain, by a band's table of them."""
        apart = THROUGH + (1 - THROUGH) * self.crowd
        beam, down = clouds.direct[steps], clouds.down[steps]
        one = np.ones((), np.float32)
        return Sunlight(beam, (down - beam) * apart, LIT_AIR * (1 - self.crowd), one, one)

    def _moved(self, steps: np.ndarray, band: int) -> np.ndarray:
        pixels = PARALLAX_PER_KM * self.weather.base / 1000 * (LOOK[band] - TRUE_LOOK)
        return shifted(steps, round(pixels), 0)

    def _air_table(self, height: float) -> Layer:
        molecules = optics.molecules(optics.pressure_at(height), self.cos_sun)
        kind = np.array(list(optics.AEROSOLS).index(self.weather.aerosol))
        haze = optics.aerosol(_DEPTHS[:, None], kind, self.cos_sun)
        return _table(optics.over(molecules, haze))

    def _cloud_table(self) -> Layer:
        weather = self.weather
        ice, droplet, crystal = (
            np.array(value) for value in (weather.ice, weather.droplet_m, weather.crystal_m)
        )
        return _table(optics.cloud(_DEPTHS[:, None], ice, droplet, crystal, self.cos_sun))

    def _cirrus_table(self) -> Layer:
        one, crystal = np.ones(()), np.array(self.weather.crystal_m)
        return _table(optics.cloud(_DEPTHS[:, None], one, crystal, crystal, self.cos_sun))


#: Depths of a table: their cube roots are equally far apart, so that thin layers are resolved.
_DEPTHS = DEEPEST * (np.arange(STEPS) / (STEPS - 1)) ** 3


def _table(layer: Layer) -> Layer:
    """Return a layer's parts, (depths, bands), as tables by band."""
    shape = (STEPS, len(BANDS))
    return Layer(*(np.broadcast_to(part, shape).T.astype(np.float32) for part in layer))


def _steps(depth: np.ndarray) -> np.ndarray:
    """Return the nearest steps of a table."""
    return np.rint(np.cbrt(depth / DEEPEST) * (STEPS - 1)).astype(np.intp).clip(0, STEPS - 1)


def draw_weather(sky: Sky, rng: Generator) -> Weather:
    """Return weather of a kind."""
    base = _between(BASES, rng)
    air = Weather(
        0, base, rng.uniform(0.03, 0.25), 0,
        droplet_m=rng.uniform(6e-6, 16e-6), crystal_m=rng.uniform(15e-6, 50e-6),
        top=base + rng.uniform(100, 1500), vapour_cm=rng.uniform(0.8, 3.0),
        cirrus_top=rng.uniform(8500, 12_000),
        size=_between(CLOUD_SIZES, rng), slope=rng.uniform(*CLOUD_SLOPES),
    )  # fmt: skip
    if sky is Sky.PARTLY:
        cirrus = rng.choice((0, 1), p=(0.85, 0.15)) * rng.uniform(0.1, 0.6)
        density = rng.uniform(20, 70)
        return replace(air, cover=rng.uniform(0.08, 0.6), density=density, cirrus=cirrus)
    if sky is Sky.OVERCAST:
        density = 4 * 15 ** rng.random()
        overcast = replace(air, cover=rng.uniform(0.93, 1), density=density)
        frontal = replace(overcast, ice=rng.uniform(0.6, 1), top=rng.uniform(5000, 10_000))
        return frontal if rng.random() < 0.4 else overcast
    if sky is Sky.HAZY:
        kind = rng.choice(("continental", "smoke", "dust"))
        return (
            replace(air, haze=rng.uniform(0.45, 1.5), aerosol=str(kind)),
            replace(air, cirrus=rng.uniform(0.4, 2.5)),
            replace(air, cover=1.0, density=rng.uniform(0.6, 2.5), ice=rng.uniform(0, 1),
                    top=rng.uniform(2500, 6500)),
        )[rng.integers(3)]  # fmt: skip
    return air


def _between(limits: tuple[float, float], rng: Generator) -> float:
    """Return a value between limits, whose logarithm is as likely anywhere."""
    least, most = limits
    return float(least * (most / least) ** rng.random())


def shadow_shift(base: float, zenith: float, azimuth: float) -> tuple[int, int]:
    """Return the way from a cloud to its shadow in rows and columns: away from the sun."""
    length = base * np.tan(np.radians(zenith)) / PIXEL_M
    direction = np.radians(azimuth)
    return round(length * np.cos(direction)), round(-length * np.sin(direction))


def make_air(weather: Weather, sun: tuple[float, float], size: int, rng: Generator) -> Air:
    """Return the air over a square; `sun` is its zenith and azimuth in degrees."""
    shape = (size, size)
    clouds, sunward = _clouds(weather, shape, shadow_shift(weather.base, *sun), rng)
    haze = weather.haze * (0.75 + 0.5 * ranks(turbulence(rng, shape, size, slope=4)))
    streaks = gaussian_filter(turbulence(rng, shape, 60), (2, 9))
    crowd = uniform_filter(optics.opacity(clouds, weather.ice), CROWD)
    return Air(weather, sun[0], haze, weather.cirrus * ranks(streaks), clouds, sunward, crowd)


def clear_air(weather: Weather, sun: tuple[float, float], size: int) -> Air:
    """Return the same air without clouds and with little haze, the same everywhere."""
    none = np.zeros((size, size), np.float32)
    clear = replace(weather, cover=0, cirrus=0, haze=CLEAR_HAZE, aerosol="continental")
    return Air(clear, sun[0], none + np.float32(CLEAR_HAZE), none, none, none, none)


def _clouds(
    weather: Weather, shape: tuple[int, int], shift: tuple[int, int], rng: Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the clouds' optical depth over each pixel, and between it and the sun."""
    if not weather.cover:
        return np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    extent = (shape[0] + abs(shift[0]), shape[1] + abs(shift[1]))
    field = turbulence(rng, extent, weather.size, weather.slope)
    thickness = np.clip(field - np.quantile(field, 1 - weather.cover), 0, None) / CLOUD_THICKNESS
    texture = np.exp(TEXTURE * turbulence(rng, extent, TEXTURE_SIZE))
    depth = (weather.density * thickness * texture).astype(np.float32)
    rows, cols = (_windows(n, s) for n, s in zip(shape, shift, strict=True))
    return depth[rows[0], cols[0]], depth[rows[1], cols[1]]


def _windows(length: int, shift: int) -> tuple[slice, slice]:
    """Return a window and the one that lies `shift` before it, both inside their union."""
    start = max(shift, 0)
    return slice(start, start + length), slice(start - shift, start - shift + length)
