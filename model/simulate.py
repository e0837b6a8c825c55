"""Simulated Sentinel-2 pixels with known classes, to train the cloud model on.

Every pixel has a sun, a place, air and weather of its own: surfaces of `emulator.scenes.spectra`,
seen through the layers of `emulator.scenes.optics`. Distributions and limits:
docs/simulated-light.md.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.random import Generator

from emulator.scenes import optics, spectra
from emulator.scenes.optics import Layer, Sunlight
from emulator.scenes.sentinel2 import BANDS, LOOK
from emulator.scenes.spectra import GROUPS, NAMES, REFLECTANCE, Group
from shared.domain.classes import CLEAR, CLOUD, SHADOW, SNOW, THIN

#: From which share a pixel is of a class: optical cover, light that clouds take, ground under snow.
CLOUD_OPACITY, THIN_OPACITY, SHADE_SHARE, SNOW_SHARE = 0.5, 0.12, 0.5, 0.2
#: How often a group is a pixel's main surface: bright ones more often than on Earth, since they
#: are what is mistaken for clouds.
GROUP_SHARES = {
    Group.VEGETATION: 0.46, Group.SOIL: 0.13, Group.DESERT: 0.09, Group.ROCK: 0.07,
    Group.WATER: 0.11, Group.URBAN: 0.05, Group.BRIGHT: 0.04, Group.BURNT: 0.02, Group.ICE: 0.03,
}  # fmt: skip
#: Shares of pixels: with snow; under a kind of cloud; in a cloud's shadow only; the rest is clear.
SNOWY, CLOUDY, SHADED = 0.24, 0.44, 0.14
#: Kinds of cloud: share of the cloudy; depth at the median and its spread (logarithm); height of
#: the top (m), lowest and highest; share of ice, lowest and highest; share with a broken edge.
CLOUDS = {
    "cumulus": (0.24, 12.0, 1.1, 800, 4000, 0.0, 0.05, 0.55),
    "stratus and fog": (0.14, 9.0, 0.9, 100, 2000, 0.0, 0.1, 0.15),
    "altocumulus": (0.18, 5.0, 1.1, 2500, 6500, 0.0, 0.9, 0.3),
    "deep": (0.12, 35.0, 0.7, 6000, 12000, 0.7, 1.0, 0.1),
    "cirrus": (0.22, 0.8, 0.9, 6500, 12500, 1.0, 1.0, 0.15),
    "haze and smoke": (0.10, 1.1, 0.5, 500, 3000, 0.0, 0.0, 0.0),
}
HAZE = list(CLOUDS).index("haze and smoke")
#: Noise of the sensor: a floor and a share of the signal (SNR about 150; ESA User Handbook).
NOISE_FLOOR, NOISE_SHARE = 0.0003, 0.006
#: Calibration: common to all bands of a pixel, and each band's own (standard deviations; the
#: mission's requirement is 5 %, 3 % as a goal).
GAIN_COMMON, GAIN_BAND = 0.02, 0.012
NATIVE_M = np.array([metres for _, metres in BANDS.values()])
#: Of a background: dates, and the share of clouds and shadows that nobody noticed.
BACKGROUND_DATES, MISSED = 3, 0.03
#: How often a pixel is of one surface; water glints; high cirrus lies over everything else.
PURE, GLINTING, VEILED = 0.45, 0.25, 0.06
#: Glint is the sun's mirror image: Fresnel's reflection hardly changes with wavelength.
GLINT = np.array([1, 1, 1, 0.99, 0.99, 0.99, 0.98, 0.98, 0.98, 0.98, 0.97, 0.95, 0.9])
#: Clouds at an edge cover more or less of a wider native pixel (standard deviations by metres), and
#: shift between the bands' looks.
EDGE_SPREAD, PARALLAX = {10: 0.0, 20: 0.1, 60: 0.25}, 0.15
#: Pixels that are computed at once: what stays in the processor's cache.
AT_ONCE = 10_000


class Pixels(NamedTuple):
    """Reflectance (n, 13) float32, classes (n,) uint8, and each pixel's main surface (n,) str."""

    reflectance: np.ndarray
    classes: np.ndarray
    surface: np.ndarray


class Pairs(NamedTuple):
    """Pixels, and what the same places look like on earlier clear dates (n, 13)."""

    reflectance: np.ndarray
    classes: np.ndarray
    surface: np.ndarray
    background: np.ndarray


@dataclass(frozen=True)
class Places:
    """Where pixels are: what covers them and how they lie; n pixels of up to 3 surfaces."""

    members: np.ndarray  # (n, 3) rows of the table
    spectra: np.ndarray  # (n, 3, 13) reflectance of these very surfaces
    shares: np.ndarray  # (n, 3)
    snow: np.ndarray  # (n,) share of the ground
    snow_spectrum: np.ndarray  # (n, 13)
    glint: np.ndarray  # (n,) reflectance of water beside its colour
    context: np.ndarray  # (n,) how much the kilometre around is like the pixel
    height: np.ndarray  # (n,) m
    tilt: np.ndarray  # (n,) slope in radians
    facing: np.ndarray  # (n,) from the sun's azimuth, radians
    hidden: np.ndarray  # (n,) bool: another slope takes the sun

    def reflectance(self) -> np.ndarray:
        """Return the ground's reflectance (n, 13), at 10 m."""
        ground = np.einsum("nm,nmb->nb", self.shares, self.spectra)
        water = (self.shares * (GROUPS[self.members] == Group.WATER)).sum(1)
        ground += (self.glint * water)[:, None] * GLINT
        snow = self.snow[:, None]
        return ground + snow * (self.snow_spectrum - ground)


@dataclass(frozen=True)
class Skies:
    """The sun and the air over pixels, (n,) each."""

    cos_sun: np.ndarray
    vapour: np.ndarray  # cm at sea level
    haze: np.ndarray  # optical depth at 550 nm
    kind: np.ndarray  # index into AEROSOLS


@dataclass(frozen=True)
class Clouds:
    """Clouds above pixels and between them and the sun."""

    layer: Layer  # (n, 13) each
    cover: np.ndarray  # (n, 13) share of each band's native pixel
    top: np.ndarray  # (n,) m
    opacity: np.ndarray  # (n,) of the 10 m pixel
    beam: np.ndarray  # (n, 13) what is left of the sun's
    through: np.ndarray  # (n, 13) diffuse light from the clouds
    sky: np.ndarray  # (n, 1) share of the air that is lit

    def shade(self) -> np.ndarray:
        """Return the share (n,) of the light at 490 nm that clouds take."""
        blue = list(BANDS).index("B2")
        return 1 - self.beam[:, blue] - self.through[:, blue]


def simulate(n: int, seed: int) -> Pixels:
    """Return n pixels: reflectance at the top of the air, classes 0 to 4 and surfaces' names."""
    return Pixels(*_draw(n, seed, with_background=False)[:3])


def simulate_pairs(n: int, seed: int) -> Pairs:
    """Return n pixels with a background each: the median of clear dates, the season changing."""
    return _draw(n, seed, with_background=True)


def _draw(n: int, seed: int, with_background: bool) -> Pairs:
    if n < 1:
        raise ValueError(f"n is {n}; a simulation needs at least 1 pixel.")
    sizes = [min(AT_ONCE, n - start) for start in range(0, n, AT_ONCE)]
    seeds = np.random.SeedSequence([seed]).spawn(len(sizes))
    parts = [
        _some(size, np.random.default_rng(child), with_background)
        for size, child in zip(sizes, seeds, strict=True)
    ]
    return Pairs(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _some(n: int, rng: Generator, with_background: bool) -> Pairs:
    cos_sun = _suns(n, rng)
    places = _places(cos_sun, rng)
    skies = _skies(cos_sun, places, rng)
    clouds, skies = _clouds(skies, rng)
    reflectance, veil = _veil(_seen(places, skies, clouds, rng), skies, rng)
    opacity = 1 - (1 - clouds.opacity) * (1 - optics.haze_opacity(skies.haze)) * (1 - veil)
    classes = np.select(
        [
            opacity >= CLOUD_OPACITY,
            clouds.shade() >= SHADE_SHARE,
            opacity >= THIN_OPACITY,
            places.snow >= SNOW_SHARE,
        ],
        [CLOUD, SHADOW, THIN, SNOW],
        CLEAR,
    )
    background = _background(places, skies, rng) if with_background else np.empty((n, 0))
    return Pairs(
        _sense(reflectance, rng).astype(np.float32),
        classes.astype(np.uint8),
        np.array(NAMES)[places.members[:, 0]],
        background.astype(np.float32),
    )


def _suns(n: int, rng: Generator) -> np.ndarray:
    """Return cosines of the sun's zenith, which is 15 to 75 degrees."""
    return np.cos(np.radians(15 + 60 * rng.beta(1.3, 1.4, n)))


def _places(cos_sun: np.ndarray, rng: Generator) -> Places:
    n = len(cos_sun)
    members = _members(n, rng)
    main = GROUPS[members[:, 0]]
    pure = rng.random(n) < PURE
    shares = np.sort(rng.dirichlet((2, 1, 0.5), n), axis=1)[:, ::-1]
    shares = np.where(pure[:, None], (1, 0, 0), shares)
    steep = np.isin(main, (Group.ROCK, Group.ICE))
    height = np.minimum(rng.exponential(500, n) + 1500 * steep * rng.random(n), 4200)
    low_sun = cos_sun < np.cos(np.radians(50))
    chance = SNOWY * (0.3 + 1.6 * low_sun + 2.5 * (height > 1800))
    chance *= np.select([main == Group.WATER, main == Group.DESERT], [0, 0.2], 1)
    snow = np.where(rng.random(n) < 0.55, rng.uniform(0.85, 1, n), rng.random(n))
    snow *= rng.random(n) < chance
    grain = np.clip(4e-4 * np.exp(0.7 * rng.standard_normal(n)), 8e-5, 2.5e-3)
    soot = np.clip(0.3 * np.exp(1.2 * rng.standard_normal(n)), 0, 15)
    flat = np.isin(main, (Group.WATER, Group.URBAN, Group.BRIGHT, Group.SOIL, Group.DESERT))
    slope = np.select([main == Group.WATER, steep, flat], [0, 22, 4], 10)
    tilt = np.radians(np.minimum(np.abs(rng.standard_normal(n)) * slope, 50))
    return Places(
        members=members,
        spectra=np.stack(
            [spectra.vary(REFLECTANCE[members[:, m]], rng) for m in range(members.shape[1])], 1
        ),
        shares=shares,
        snow=snow,
        snow_spectrum=spectra.snow(grain, soot) * rng.uniform(0.85, 1.03, (n, 1)),
        glint=np.where(rng.random(n) < GLINTING, 0.4 * rng.random(n) ** 2, 0),
        context=rng.uniform(0.3, 1, n),
        height=height,
        tilt=tilt,
        facing=rng.uniform(-np.pi, np.pi, n),
        hidden=rng.random(n) < tilt * (1 - cos_sun),
    )


def _members(n: int, rng: Generator) -> np.ndarray:
    """Return rows of the table (n, 3): a main surface, and such as lie beside it."""
    groups = rng.choice(np.array(list(GROUP_SHARES)), n, p=list(GROUP_SHARES.values()))
    rows = {group: np.flatnonzero(group == GROUPS) for group in Group}
    land = np.concatenate([rows[Group.VEGETATION], rows[Group.SOIL]])
    members = np.empty((n, 3), int)
    for group, row in rows.items():
        here = np.flatnonzero(groups == group)
        members[here, 0] = rng.choice(row, len(here))
        alike = rng.choice(row, len(here))
        members[here, 1] = np.where(rng.random(len(here)) < 0.5, alike, rng.choice(land, len(here)))
    members[:, 2] = rng.choice(len(NAMES), n)
    return members


def _skies(cos_sun: np.ndarray, places: Places, rng: Generator) -> Skies:
    """Return ordinary clear air: drier under a low sun, cleaner in the heights."""
    n = len(cos_sun)
    desert = GROUPS[places.members[:, 0]] == Group.DESERT
    vapour = 2.6 * np.exp(0.55 * rng.standard_normal(n)) * np.clip(cos_sun, 0.3, 0.9)
    haze = 0.11 * np.exp(0.6 * rng.standard_normal(n) - places.height / 2500)
    kinds = np.array(list(optics.AEROSOLS))
    kind = rng.choice(len(kinds), n, p=(0.62, 0.1, 0.08, 0.2))
    kind = np.where(desert & (rng.random(n) < 0.6), list(kinds).index("dust"), kind)
    return Skies(cos_sun, np.clip(vapour, 0.15, 6), np.clip(haze, 0.02, 0.45), kind)


def _clouds(skies: Skies, rng: Generator, often: float = 1) -> tuple[Clouds, Skies]:
    """Return clouds, and the air with the haze that is one of their kinds.

    `often` thins out how many pixels clouds and their shadows fall on.
    """
    n = len(skies.cos_sun)
    state = rng.random(n) / often
    cloudy, shaded = state < CLOUDY, (state >= CLOUDY) & (state < CLOUDY + SHADED)
    kind = rng.choice(len(CLOUDS), n, p=[row[0] for row in CLOUDS.values()])
    _, median, spread, lowest, highest, no_ice, ice, broken = np.array(list(CLOUDS.values()))[
        kind
    ].T
    depth = np.minimum(median * np.exp(spread * rng.standard_normal(n)), 150)
    hazy = kind == HAZE
    skies = replace(
        skies,
        haze=np.where(hazy & (cloudy | shaded), skies.haze + np.minimum(depth, 4), skies.haze),
        kind=np.where(hazy & cloudy, rng.choice(3, n, p=(0.35, 0.45, 0.2)), skies.kind),
    )
    depth = np.where(hazy | ~(cloudy | shaded), 0, depth)
    ice_share = rng.uniform(no_ice, np.maximum(ice, no_ice + 1e-9))
    layer = optics.cloud(
        depth[:, None],
        ice_share[:, None],
        np.clip(10e-6 * np.exp(0.35 * rng.standard_normal((n, 1))), 4e-6, 25e-6),
        np.clip(28e-6 * np.exp(0.4 * rng.standard_normal((n, 1))), 8e-6, 80e-6),
        skies.cos_sun[:, None],
        optics.CLOUD_BACKWARD * np.clip(np.exp(0.35 * rng.standard_normal((n, 1))), 0.4, 1.8),
    )
    sides = np.clip(np.exp(0.15 * rng.standard_normal((n, 1))), 0.55, 1.25)
    layer = layer._replace(reflectance=layer.reflectance * sides)
    edge = cloudy & (rng.random(n) < broken)
    covered = np.where(cloudy, np.where(edge, rng.random(n), 1), 0)
    sunward = np.where(edge, rng.random(n) < 0.5, cloudy)
    sunward = np.where(shaded, np.where(rng.random(n) < 0.7, 1, rng.random(n)), sunward)[:, None]
    apart = np.where(shaded, rng.uniform(0.05, 0.5, n), np.where(edge, rng.uniform(0.3, 1, n), 1))
    return Clouds(
        layer=layer,
        cover=_native_cover(covered, edge, rng),
        top=rng.uniform(lowest, highest),
        opacity=covered * optics.opacity(depth, ice_share),
        beam=1 - sunward + sunward * layer.direct,
        through=sunward * (layer.down - layer.direct) * apart[:, None],
        sky=np.where(cloudy & ~edge, 0, rng.uniform(0.3, 0.95, n))[:, None],
    ), skies


def _native_cover(covered: np.ndarray, edge: np.ndarray, rng: Generator) -> np.ndarray:
    """Return the clouds' share (n, 13) of each band's own pixel, each band a moment later."""
    n = len(covered)
    wider = {metres: spread * rng.standard_normal(n) for metres, spread in EDGE_SPREAD.items()}
    cover = np.stack([covered + edge * wider[metres] for metres in NATIVE_M], axis=1)
    drift = edge * PARALLAX * rng.standard_normal(n)
    return np.clip(cover + drift[:, None] * (LOOK - LOOK.mean()), 0, 1)


def _seen(places: Places, skies: Skies, clouds: Clouds, rng: Generator) -> np.ndarray:
    """Return the reflectance (n, 13) at the top of the air, without high cirrus and sensor."""
    cos_sun = skies.cos_sun[:, None]
    ground = places.reflectance()
    other = ground[rng.permutation(len(ground))]
    around = other + places.context[:, None] * (ground - other)
    ground = ground + np.select([NATIVE_M == 60, NATIVE_M == 20], [0.5, 0.2], 0) * (around - ground)
    air = optics.over(
        optics.molecules(optics.pressure_at(places.height)[:, None], cos_sun),
        optics.aerosol(skies.haze[:, None], skies.kind, cos_sun),
    )
    vapour = optics.vapour_above(places.height, skies.vapour)[:, None]
    light = Sunlight(
        clouds.beam, clouds.through, clouds.sky, *(part[:, None] for part in _relief(places, skies))
    )
    below = optics.from_below(ground, around, air, light, optics.gases(vapour, cos_sun))
    top = np.maximum(clouds.top, places.height + 100)
    vapour = optics.vapour_above(top, skies.vapour)[:, None]
    cloudy = optics.through_cloud(
        below,
        around,
        clouds.layer,
        optics.molecules(optics.pressure_at(top)[:, None], cos_sun),
        optics.gases(vapour, cos_sun),
    )
    return below + clouds.cover * (cloudy - below)


def _relief(places: Places, skies: Skies) -> tuple[np.ndarray, np.ndarray]:
    """Return the beam on the slope by that on a plain, and the share of sky that is open."""
    sine = np.sqrt(1 - skies.cos_sun**2)
    cosine = np.cos(places.tilt) * skies.cos_sun
    cosine += np.sin(places.tilt) * sine * np.cos(places.facing)
    slope = np.clip(cosine / skies.cos_sun, 0, 2.5)
    return np.where(places.hidden, 0, slope), (1 + np.cos(places.tilt)) / 2


def _veil(below: np.ndarray, skies: Skies, rng: Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the reflectance under a veil of high cirrus, which some pixels have, and its cover."""
    n = len(below)
    depth = np.where(rng.random(n) < VEILED, 0.5 * np.exp(rng.standard_normal(n)), 0)
    some = np.flatnonzero(depth)
    cos_sun = skies.cos_sun[some, None]
    layer = optics.cloud(depth[some, None], np.ones(1), 1e-5, 2.5e-5, cos_sun)
    top = rng.uniform(7500, 12500, len(some))
    gas = optics.gases(optics.vapour_above(top, skies.vapour[some])[:, None], cos_sun)
    seen = below.copy()
    seen[some] = gas * layer.reflectance + layer.down * layer.up * below[some] / (
        1 - layer.albedo * np.minimum(below[some], 0.9)
    )
    return seen, optics.opacity(depth, 1.0)


def _background(places: Places, skies: Skies, rng: Generator) -> np.ndarray:
    """Return the median (n, 13) of earlier dates of the same places, nearly all clear."""
    n = len(places.snow)
    ploughed = rng.random(n) < 0.06
    dates = []
    for _ in range(BACKGROUND_DATES):
        shares = places.shares * rng.gamma(12, 1 / 12, places.shares.shape)
        shares = np.where(ploughed[:, None], shares[:, (1, 0, 2)] + (0.3, 0, 0), shares)
        shares /= shares.sum(1, keepdims=True)
        stays = rng.random(n) < 0.75
        fallen = np.where(rng.random(n) < 0.02, rng.random(n), 0)
        changed = np.exp(0.05 * rng.standard_normal((n, 1, 1)))
        then = replace(
            places,
            spectra=places.spectra * changed,
            shares=shares,
            snow=np.where(stays, places.snow, fallen),
            glint=np.where(rng.random(n) < GLINTING, places.glint, 0),
        )
        cos_sun = np.clip(skies.cos_sun + 0.06 * rng.standard_normal(n), 0.2, 0.98)
        sky = _skies(cos_sun, places, rng)
        clouds, sky = _clouds(sky, rng, MISSED)
        dates.append(_sense(_seen(then, sky, clouds, rng), rng))
    return np.median(dates, axis=0)


def _sense(reflectance: np.ndarray, rng: Generator) -> np.ndarray:
    """Return what the sensor makes of it: noise, calibration, and B10's stray light."""
    n = len(reflectance)
    leak = optics.B10_LEAK * (np.array(list(BANDS)) == "B10")
    gain = 1 + GAIN_COMMON * rng.standard_normal((n, 1))
    gain = gain + GAIN_BAND * rng.standard_normal(reflectance.shape)
    noise = rng.standard_normal(reflectance.shape) * (NOISE_FLOOR + NOISE_SHARE * reflectance)
    return np.maximum((reflectance + leak) * gain + noise, 1e-4)
