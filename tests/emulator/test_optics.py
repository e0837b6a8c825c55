"""Light in layers: limits that physics sets, and published values."""

import numpy as np
import pytest

from emulator.scenes import optics, spectra
from emulator.scenes.relief import on_slopes, shifted
from emulator.scenes.sentinel2 import BANDS

B = {name: index for index, name in enumerate(BANDS)}
SUN = np.array(0.8)
DEPTHS = np.array([0, 0.05, 0.5, 3, 10, 40, 150])[:, None]
BIG, SMALL = np.array(30e-6), np.array(10e-6)


def water_cloud(depth=DEPTHS, sun=SUN):
    return optics.cloud(depth, np.array(0.0), SMALL, BIG, sun)


def ice_cloud(depth=DEPTHS, sun=SUN):
    return optics.cloud(depth, np.array(1.0), SMALL, BIG, sun)


@pytest.mark.parametrize("sun", [0.2, 0.26, 0.5, 0.8, 0.97])
@pytest.mark.parametrize("layer", [water_cloud, ice_cloud])
def test_no_light_comes_from_nowhere(layer, sun):
    cloud = layer(sun=np.array(sun))
    for part in cloud:
        assert (part >= 0).all()
        assert (part <= 1.06).all()  # a reflectance factor may exceed 1: more goes up than sideways
    assert (cloud.down <= 1).all()
    assert (np.diff(cloud.reflectance, axis=0) > -1e-6).all()
    assert (np.diff(cloud.down, axis=0) < 1e-6).all()
    assert (cloud.direct <= cloud.down + 1e-9).all()


def test_no_cloud_does_nothing():
    cloud = water_cloud()
    np.testing.assert_allclose(cloud.reflectance[0], 0, atol=1e-9)
    np.testing.assert_allclose(cloud.down[0], 1, atol=1e-9)


def test_two_half_layers_of_air_are_about_a_whole_one():
    half, whole = (optics.molecules(np.array(pressure), SUN) for pressure in (0.5, 1.0))
    for part, both in zip(whole, optics.over(half, half), strict=True):
        np.testing.assert_allclose(both, part, atol=0.015)


def test_thick_clouds_in_the_short_wave_infrared_tell_droplets_from_crystals():
    """Thick water clouds reflect some 0.6 at 1.6 µm and ice clouds 0.3 (Nakajima and King, 1990;
    Pilewskie and Twomey, 1987), less at 2.2 µm for droplets."""
    water, ice = water_cloud().reflectance[-1], ice_cloud().reflectance[-1]
    assert water[B["B11"]] == pytest.approx(0.6, abs=0.08)
    assert water[B["B12"]] == pytest.approx(0.45, abs=0.08)
    assert ice[B["B11"]] == pytest.approx(0.3, abs=0.08)
    assert ice[B["B12"]] > ice[B["B11"]]
    assert min(water[B["B2"]], ice[B["B2"]]) > 0.9


def monte_carlo(depth, cos_sun, draw_cosine, phase, photons=60_000):
    """Return the reflectance factor overhead and the albedo of a layer that absorbs nothing.

    Photons wander through it; each scattering counts what would leave straight up from there.
    """
    rng = np.random.default_rng(0)
    place = np.zeros(photons)  # optical depth
    way = np.tile([np.sqrt(1 - cos_sun**2), 0, cos_sun], (photons, 1))  # z is down
    overhead = escaped = 0.0
    while len(place):
        place = place + way[:, 2] * rng.exponential(size=len(place))
        escaped += (place < 0).sum()
        inside = (place > 0) & (place < depth)
        place, (x, y, z) = place[inside], way[inside].T
        overhead += (phase(-z) * np.exp(-place)).sum() / 4
        cosine, turn = draw_cosine(rng, len(place)), rng.uniform(0, 2 * np.pi, len(place))
        sine, across = np.sqrt(1 - cosine**2), np.sqrt(np.maximum(1 - z**2, 1e-12))
        way = np.column_stack([
            sine * (x * z * np.cos(turn) - y * np.sin(turn)) / across + x * cosine,
            sine * (y * z * np.cos(turn) + x * np.sin(turn)) / across + y * cosine,
            -sine * np.cos(turn) * across + z * cosine,
        ])  # fmt: skip
    return overhead / photons, escaped / photons


def rayleigh_cosine(rng, count):
    q = 4 * rng.random(count) - 2
    root = np.cbrt(q + np.sqrt(q * q + 1))
    return root - 1 / root


def henyey_greenstein(g):
    """Return the phase function, and how cosines are drawn from it."""
    return (
        lambda c: (1 - g * g) / (1 + g * g - 2 * g * c) ** 1.5,
        lambda rng, n: (1 + g * g - ((1 - g * g) / (1 - g + 2 * g * rng.random(n))) ** 2) / (2 * g),
    )


@pytest.mark.parametrize("sun", [0.9, 0.6, 0.35])
@pytest.mark.parametrize("band", ["B1", "B4"])
def test_rayleigh_reflectance_is_what_photons_make_of_it(sun, band):
    air = optics.molecules(np.array(1.0), np.array(sun))
    depth = optics.RAYLEIGH_DEPTH[B[band]]
    overhead, escaped = monte_carlo(depth, sun, rayleigh_cosine, lambda c: 0.75 * (1 + c**2))
    assert air.reflectance[B[band]] == pytest.approx(overhead, rel=0.05)
    assert 1 - air.down[B[band]] == pytest.approx(escaped, rel=0.05)


@pytest.mark.parametrize("sun", [0.85, 0.45])
@pytest.mark.parametrize(("g", "depth"), [(0.85, 0.5), (0.85, 4), (0.85, 15), (0.66, 0.3)])
def test_two_streams_are_near_what_photons_make_of_it(sun, g, depth):
    phase, draw = henyey_greenstein(g)
    overhead, escaped = monte_carlo(depth, sun, draw, phase, photons=20_000)
    layer = optics.scatter(np.array(depth), np.array(1.0), np.array(g), np.array(sun))
    assert 1 - layer.down == pytest.approx(escaped, rel=0.15, abs=0.01)
    assert layer.reflectance == pytest.approx(overhead, rel=0.2, abs=0.01)


def test_b10_sees_high_clouds_only():
    for height, least, most in ((0, 0, 1e-4), (3000, 0, 0.01), (11_000, 0.2, 0.7)):
        vapour = optics.vapour_above(np.array(height), np.array(2.0))
        assert least <= optics.gases(vapour, SUN)[B["B10"]] <= most


def test_b9_and_b8_lose_what_is_published():
    gas = optics.gases(np.array(2.0), SUN)
    assert 0.2 < gas[B["B9"]] < 0.5
    assert 0.93 < gas[B["B8"]] < 0.97
    assert gas[B["B8A"]] > 0.99


def test_snow_is_bright_before_and_dark_beyond_one_micrometre():
    fresh, old = spectra.snow(np.array([1e-4, 1e-3]), np.array([0.1, 0.1]))
    assert fresh[B["B4"]] > 0.93
    assert 0.1 < fresh[B["B11"]] < 0.25
    assert old[B["B11"]] < 0.02
    assert 0.75 < old[B["B8A"]] < 0.9
    assert spectra.snow(np.array(1e-3), np.array(10.0))[B["B2"]] < 0.8


def test_a_shadow_is_darker_and_bluer_than_the_light():
    one, none = np.ones(len(BANDS)), np.zeros(len(BANDS))
    air = optics.over(
        optics.molecules(np.array(1.0), SUN), optics.aerosol(np.array(0.1), np.array(0), SUN)
    )
    ground, gas = 0.3 * one, optics.gases(np.array(1.5), SUN)
    lit = optics.from_below(ground, ground, air, optics.Sunlight(one, none, one, one, one), gas)
    dark = optics.from_below(
        ground, ground, air, optics.Sunlight(none, none, 0.7 * one, one, one), gas
    )
    share = dark / lit
    assert (share < 0.6).all()
    assert share[B["B2"]] > 3 * share[B["B8A"]] > 0


def test_every_surface_is_possible():
    assert spectra.REFLECTANCE.shape == (len(spectra.NAMES), len(BANDS))
    assert (spectra.REFLECTANCE > 0).all()
    assert (spectra.REFLECTANCE < 0.8).all()
    assert len(set(spectra.NAMES)) == len(spectra.NAMES)


def test_slopes_towards_the_sun_are_brighter_and_hills_cast_shadows():
    _, cols = np.indices((120, 120))
    ridge = 300.0 * np.exp(-(((cols - 60) / 10.0) ** 2))
    beam, sky = on_slopes(ridge, 60, 90)  # the sun in the east
    assert beam[60, 70] > 1.2  # the eastern slope
    assert beam[60, 50] < 0.3  # the western one
    assert beam[60, 30] < 0.5  # and the plain behind it
    np.testing.assert_allclose(beam[60, 110], 1, atol=0.02)
    assert sky.max() <= 1
    assert sky[60, 50] < 0.95
    south, _ = on_slopes(ridge.T, 60, 180)
    np.testing.assert_allclose(south[70, 60], beam[60, 70], atol=1e-3)


def test_fields_move_down_and_right():
    field = np.arange(12.0).reshape(3, 4)
    assert shifted(field, 1, 1)[1, 1] == field[0, 0]
    assert shifted(field, -2, 0)[0, 3] == field[2, 3]
