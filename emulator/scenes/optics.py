"""Sunlight through air, aerosol and clouds to the satellite: layers in two streams, put together.

All functions work on arrays that broadcast, bands last. Physics and sources:
docs/simulated-light.md.
"""

from typing import NamedTuple

import numpy as np

from emulator.scenes.sentinel2 import BANDS
from emulator.scenes.spectra import (
    ICE_ABSORPTION,
    WATER_ABSORPTION,
    WAVELENGTH_NM,
    absorption_per_m,
)

#: Optical depth of the molecules at sea level (Bodhaine et al., 1999, as 0.00864 λ^-4.05 by
#: Teillet, 1990; λ in µm), and the scale height of the air (m).
RAYLEIGH_DEPTH = 0.00864 * (WAVELENGTH_NM / 1000) ** -4.05
SCALE_HEIGHT = 8000.0
#: Ozone's absorption per atm-cm in the bands (Chappuis band; Burrows et al., 1999), and a column.
OZONE_PER_ATM_CM = np.array(
    [0.003, 0.021, 0.104, 0.051, 0.021, 0.009, 0.007, 0.002, 0.001, 0, 0, 0, 0]
)
OZONE_ATM_CM = 0.32
#: Transmission of well mixed gases (O2, CO2, CH4) for a path down and up with the sun overhead.
MIXED_GASES = np.array([1, 1, 1, 1, 0.995, 0.985, 1, 0.995, 1, 1, 0.99, 0.96, 0.965])
#: Water vapour takes 1 − exp(−a u^b), u in cm along the path down and up. Strong bands go as the
#: root of the path, weak ones nearly as the path (Goody, 1964); a and b fitted by eye to published
#: transmissions: 0.2 to 0.5 in B9, 0.95 in B8, none in B10 below some 5 km (Gao et al., 1993).
VAPOUR_FACTOR = np.array(
    [0, 0, 0, 0.002, 0.006, 0.003, 0.001, 0.016, 0.001, 0.5, 7.0, 0.003, 0.009]
)
VAPOUR_POWER = np.array([1, 1, 1, 0.9, 0.8, 0.8, 0.8, 0.7, 0.8, 0.55, 0.55, 0.8, 0.8])
VAPOUR_SCALE_HEIGHT = 2000.0
#: Light that reaches B10's detector at wavelengths beside the band (reflectance).
B10_LEAK = 0.0010
#: Asymmetry of scattering: droplets, and rough ice crystals (Baum et al., 2011).
DROPLET_ASYMMETRY, CRYSTAL_ASYMMETRY = 0.85, 0.77
#: Share of a large particle's cross-section that absorption can take at most, and the rate by its
#: absorption times radius (geometrical optics; Twomey and Bohren, 1980).
ABSORBED_AT_MOST, ABSORBED_RATE = 0.47, 1.7
#: Reflectance factor overhead by the streams' albedo: of a thick layer, by the sun's cosine (level,
#: slope), and the rate at which scaled depth gets there; fitted to Monte Carlo calculations.
TOWARDS_NADIR = (0.62, 0.46, 0.6)
#: The same ratio of a thin layer: of Henyey and Greenstein's phase function, of aerosol (AERONET;
#: Dubovik et al., 2002), and of clouds, whose rainbow, glory and rough crystals throw back more.
HENYEY_GREENSTEIN_BACKWARD, AEROSOL_BACKWARD, CLOUD_BACKWARD = 0.3, 0.5, 0.65
#: Below this the albedo of scattering is held: the formulas need some absorption.
CONSERVATIVE = 1e-6
_B10 = list(BANDS).index("B10")


#: Kinds of aerosol: Ångström's exponent, albedo of one scattering in B1 and in B12, asymmetry
#: (typical of AERONET's climatology; Dubovik et al., 2002).
AEROSOLS = {
    "continental": (1.3, 0.93, 0.90, 0.66),
    "smoke": (1.8, 0.90, 0.86, 0.62),
    "dust": (0.25, 0.88, 0.98, 0.73),
    "maritime": (0.4, 0.98, 0.98, 0.74),
}
#: Haze is ordinary up to this depth at 550 nm; only what goes beyond covers anything.
CLEAR_AIR_DEPTH = 0.3


class Layer(NamedTuple):
    """What a layer does to light: all shares of what comes in, 0 to 1."""

    reflectance: np.ndarray  # sunlight, towards the sensor (as a reflectance factor)
    down: np.ndarray  # sunlight that passes, direct and scattered
    direct: np.ndarray  # sunlight that passes in its direction or scattered by a few degrees
    up: np.ndarray  # light from below that passes to the sensor
    albedo: np.ndarray  # diffuse light from below that it throws back


def over(top: Layer, bottom: Layer) -> Layer:
    """Return two layers as one (the adding method, without directions; van de Hulst, 1980).

    Good for thin layers: that diffuse light takes longer ways than `up` is left out.
    """
    again = 1 / (1 - top.albedo * bottom.albedo)
    return Layer(
        top.reflectance + top.down * bottom.reflectance * top.up * again,
        top.down * bottom.down * again,
        top.direct * bottom.direct,
        top.up * bottom.up * again,
        bottom.albedo + bottom.up**2 * top.albedo * again,
    )


def at(layer: Layer, places: object) -> Layer:
    """Return the same layer at some places: an index into each of its arrays."""
    return Layer(*(part[places] for part in layer))  # type: ignore[call-overload]


def scatter(
    depth: np.ndarray,
    albedo: np.ndarray,
    asymmetry: np.ndarray,
    cos_sun: np.ndarray,
    backward: float | np.ndarray = HENYEY_GREENSTEIN_BACKWARD,
) -> Layer:
    """Return a layer of particles: two streams, delta-Eddington (Meador and Weaver, 1980).

    `depth` is its optical depth, `albedo` that of one scattering. The reflectance factor seen from
    overhead is the streams' albedo times `backward` for a thin layer, since backward is where
    particles scatter least; a thick one evens that out (`TOWARDS_NADIR`).
    """
    forward = asymmetry**2
    depth = depth * (1 - albedo * forward)
    albedo = np.minimum(albedo * (1 - forward) / (1 - albedo * forward), 1 - CONSERVATIVE)
    asymmetry = asymmetry / (1 + asymmetry)
    gamma1 = (7 - albedo * (4 + 3 * asymmetry)) / 4
    gamma2 = -(1 - albedo * (4 - 3 * asymmetry)) / 4
    k = np.sqrt(gamma1**2 - gamma2**2)
    streams = _Streams(depth, albedo, asymmetry, gamma1, gamma2, k, np.exp(-k * depth))
    reflected, down = streams.beam(cos_sun)
    _, up = streams.beam(np.ones(()))
    return Layer(
        np.maximum(reflected, 0) * _towards_nadir(depth, cos_sun, backward),
        np.clip(down, 0, 1),
        np.exp(-depth / cos_sun),
        np.clip(up, 0, 1),
        np.clip(streams.diffuse(), 0, 1),
    )


def _towards_nadir(
    depth: np.ndarray, cos_sun: np.ndarray, backward: float | np.ndarray
) -> np.ndarray:
    level, slope, rate = TOWARDS_NADIR
    thick = level + slope * cos_sun
    return thick - (thick - backward) * np.exp(-rate * depth)


class _Streams(NamedTuple):
    """Meador and Weaver's quantities; equation numbers are theirs."""

    depth: np.ndarray
    albedo: np.ndarray
    asymmetry: np.ndarray
    gamma1: np.ndarray
    gamma2: np.ndarray
    k: np.ndarray
    fading: np.ndarray  # exp(−kτ)

    def diffuse(self) -> np.ndarray:
        """Return the reflectance of diffuse light (equation 25)."""
        twice = self.fading**2
        return self.gamma2 * (1 - twice) / (self.k + self.gamma1 + (self.k - self.gamma1) * twice)

    def beam(self, cosine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return reflectance and transmittance of a beam (equations 14 and 15)."""
        depth, albedo, asymmetry, gamma1, gamma2, k, fading = self
        # The formulas are 0/0 where k cos = 1; beside it they are smooth.
        cosine = np.where(np.abs(1 - k * cosine) < 1e-3, cosine * 1.003, cosine)
        gamma3 = (2 - 3 * asymmetry * cosine) / 4
        gamma4 = 1 - gamma3
        alpha1 = gamma1 * gamma4 + gamma2 * gamma3
        alpha2 = gamma1 * gamma3 + gamma2 * gamma4
        direct = np.exp(-depth / cosine)
        kc, kg3, kg4 = k * cosine, k * gamma3, k * gamma4
        # Everything is multiplied by exp(−kτ), so that nothing grows.
        scale = albedo / ((1 - kc**2) * ((k + gamma1) + (k - gamma1) * fading**2))
        reflected = scale * (
            (1 - kc) * (alpha2 + kg3)
            - (1 + kc) * (alpha2 - kg3) * fading**2
            - 2 * (kg3 - alpha2 * kc) * direct * fading
        )
        scattered = scale * (
            -(1 + kc) * (alpha1 + kg4) * direct
            + (1 - kc) * (alpha1 - kg4) * direct * fading**2
            + 2 * (kg4 + alpha1 * kc) * fading
        )
        return reflected, direct + scattered


def molecules(pressure: np.ndarray, cos_sun: np.ndarray) -> Layer:
    """Return the air itself, `pressure` of it as a share of the whole, seen from overhead.

    One scattering with Rayleigh's phase function, more of them by a factor fitted to a Monte Carlo
    calculation (within 4 %, tests/emulator/test_optics.py); transmission of 6S (Vermote et al.,
    1997).
    """
    depth = RAYLEIGH_DEPTH * pressure
    phase = 0.75 * (1 + cos_sun**2)
    once = phase * (1 - np.exp(-depth * (1 / cos_sun + 1))) / (4 * (cos_sun + 1))
    return Layer(
        once * (1 + depth * (0.6 + 0.5 / cos_sun)),
        _rayleigh_transmission(depth, cos_sun),
        np.exp(-depth / cos_sun),
        _rayleigh_transmission(depth, np.ones(())),
        0.75 * depth / (1 + 0.75 * depth),
    )


def _rayleigh_transmission(depth: np.ndarray, cosine: np.ndarray) -> np.ndarray:
    fading = np.exp(-depth / cosine)
    return ((2 / 3 + cosine) + (2 / 3 - cosine) * fading) / (4 / 3 + depth)


def aerosol(depth_550: np.ndarray, kind: np.ndarray, cos_sun: np.ndarray) -> Layer:
    """Return a layer of aerosol; `kind` (…) is an index into `AEROSOLS`.

    Its depth falls as wavelength^-exponent (Ångström, 1929).
    """
    exponent, first, last, asymmetry = (
        np.array(column)[kind][..., None] for column in zip(*AEROSOLS.values(), strict=True)
    )
    place = (WAVELENGTH_NM - WAVELENGTH_NM[0]) / (WAVELENGTH_NM[-1] - WAVELENGTH_NM[0])
    albedo = first + (last - first) * place
    depth = depth_550 * (550 / WAVELENGTH_NM) ** exponent
    return scatter(depth, albedo, asymmetry, cos_sun, AEROSOL_BACKWARD)


def cloud(
    depth: np.ndarray,
    ice: np.ndarray,
    droplet_m: np.ndarray,
    crystal_m: np.ndarray,
    cos_sun: np.ndarray,
    backward: float | np.ndarray = CLOUD_BACKWARD,
) -> Layer:
    """Return a cloud of droplets and a share of `ice` crystals, effective radii in m."""
    droplets = _absorbed(WATER_ABSORPTION, droplet_m)
    crystals = _absorbed(ICE_ABSORPTION, crystal_m)
    albedo = 1 - (droplets + ice * (crystals - droplets))
    asymmetry = DROPLET_ASYMMETRY + ice * (CRYSTAL_ASYMMETRY - DROPLET_ASYMMETRY)
    # What absorbs scatters forward the more: diffraction is left.
    asymmetry = asymmetry + (1 - albedo) * (1 - asymmetry)
    return scatter(depth, albedo, asymmetry, cos_sun, backward)


def _absorbed(imaginary: np.ndarray, radius: np.ndarray) -> np.ndarray:
    return ABSORBED_AT_MOST * (
        1 - np.exp(-ABSORBED_RATE / 2 / ABSORBED_AT_MOST * absorption_per_m(imaginary) * radius)
    )


def opacity(depth: np.ndarray, ice: float | np.ndarray) -> np.ndarray:
    """Return the optical cover of a cloud: the share of the light from below that it scatters.

    Light scattered by a few degrees still shows the surface and does not count (delta scaling).
    """
    asymmetry = DROPLET_ASYMMETRY + ice * (CRYSTAL_ASYMMETRY - DROPLET_ASYMMETRY)
    return 1 - np.exp(-depth * (1 - asymmetry**2))


def haze_opacity(depth_550: np.ndarray) -> np.ndarray:
    """Return the optical cover of aerosol: as a cloud's, of what is beyond ordinary haze."""
    asymmetry = AEROSOLS["continental"][-1]
    return 1 - np.exp(-np.maximum(depth_550 - CLEAR_AIR_DEPTH, 0) * (1 - asymmetry**2))


def gases(vapour_cm: np.ndarray, cos_sun: np.ndarray) -> np.ndarray:
    """Return the transmission (…, 13), down and up, from the top of the air to a height.

    `vapour_cm` is the water vapour above that height, as cm of rain.
    """
    path = 1 / cos_sun + 1
    ozone = np.exp(-OZONE_PER_ATM_CM * OZONE_ATM_CM * path)
    vapour = np.exp(-VAPOUR_FACTOR * (vapour_cm * path) ** VAPOUR_POWER)
    return ozone * vapour * MIXED_GASES ** (path / 2)


def vapour_above(height_m: np.ndarray, sea_level_cm: np.ndarray) -> np.ndarray:
    """Return the water vapour above a height, in cm."""
    return sea_level_cm * np.exp(-np.asarray(height_m) / VAPOUR_SCALE_HEIGHT)


def pressure_at(height_m: np.ndarray) -> np.ndarray:
    """Return the share of the air above a height."""
    return np.exp(-np.asarray(height_m) / SCALE_HEIGHT)


class Sunlight(NamedTuple):
    """The light on a place's air and ground; everything 1 is a plain under a clear sky."""

    beam: np.ndarray  # share of the sun's beam that no cloud takes
    through: np.ndarray  # diffuse light that comes out of the clouds towards here
    sky: np.ndarray  # share of the air around that the sun lights, seen from here
    slope: np.ndarray  # beam on the slope by that on a plain; 0: the relief's shadow
    open: np.ndarray  # share of the sky that the relief leaves open


def from_below(
    surface: np.ndarray, around: np.ndarray, air: Layer, light: Sunlight, gas: np.ndarray
) -> np.ndarray:
    """Return the light (reflectance) that comes up through the air below the clouds.

    `around` is what the kilometre around reflects: part of the light comes from there (Vermote et
    al., 1997). `gas` is the transmission to the ground by that to the clouds.
    """
    lit = light.beam + (1 - light.beam) * light.sky
    beam = air.direct * light.beam * light.slope
    sky = ((air.down - air.direct) * lit + air.down * light.through) * light.open
    # A slope that looks away from sky sees the land instead, lit as a plain.
    land = (1 - light.open) * around * air.down * (light.beam + light.through)
    straight = np.minimum(air.up, 1 - 1.4 * (1 - air.up))
    upwards = straight * surface + (air.up - straight) * around
    seen = upwards * (beam + sky + land) / (1 - air.albedo * around)
    return gas * (air.reflectance * (lit + light.through) + seen)


def through_cloud(
    below: np.ndarray, around: np.ndarray, layer: Layer, upper: Layer, gas: np.ndarray
) -> np.ndarray:
    """Return what is seen of `below` (reflectance) under a cloud, with the cloud's own light.

    `upper` is the air above it, `gas` the transmission down to its top. The air's own light is in
    `below` already; as much as the cloud hides of that is put back above it.
    """
    own = upper.down * layer.reflectance * upper.up + (1 - layer.up) * upper.reflectance
    return gas * own + layer.up * below / (1 - layer.albedo * around)
