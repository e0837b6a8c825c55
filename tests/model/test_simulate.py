"""Simulated pixels: what they promise to a model that learns from them."""

import numpy as np
import pytest

from emulator.scenes.sentinel2 import BANDS
from emulator.scenes.spectra import NAMES
from model.simulate import simulate, simulate_pairs
from shared.domain.classes import CLEAR, CLOUD, SHADOW, SNOW, THIN

B = {name: index for index, name in enumerate(BANDS)}


@pytest.fixture(scope="module")
def pixels():
    return simulate(30_000, seed=3)


def test_shapes_types_and_range(pixels):
    reflectance, classes, surface = pixels
    assert (reflectance.shape, reflectance.dtype) == ((30_000, 13), np.float32)
    assert (classes.shape, classes.dtype) == ((30_000,), np.uint8)
    assert set(surface) == set(NAMES)
    assert np.isfinite(reflectance).all()
    assert reflectance.min() > 0
    assert reflectance.max() < 2.5


def test_the_seed_decides_and_seeds_differ():
    once, again, other = simulate(500, 1), simulate(500, 1), simulate(500, 2)
    assert all(np.array_equal(a, b) for a, b in zip(once, again, strict=True))
    assert not np.array_equal(once.reflectance, other.reflectance)


def test_every_class_has_enough_pixels(pixels):
    shares = np.bincount(pixels.classes, minlength=5) / len(pixels.classes)
    assert (shares > (0.3, 0.15, 0.05, 0.03, 0.1)).all()


def median(pixels, kind, band):
    return np.median(pixels.reflectance[pixels.classes == kind, B[band]])


def test_classes_differ_as_they_do_in_images(pixels):
    assert median(pixels, CLOUD, "B2") > 3 * median(pixels, CLEAR, "B2")
    assert median(pixels, CLEAR, "B2") < median(pixels, THIN, "B2") < median(pixels, CLOUD, "B2")
    assert median(pixels, SHADOW, "B8") < median(pixels, CLEAR, "B8") / 2
    assert median(pixels, SNOW, "B11") < median(pixels, SNOW, "B3") / 3
    b10 = pixels.reflectance[:, B["B10"]]
    assert np.median(b10[pixels.classes == CLEAR]) < 0.0015
    assert np.quantile(b10[pixels.classes == CLOUD], 0.9) > 0.05


def test_clear_ground_is_what_it_was_and_clouds_are_brighter():
    pairs = simulate_pairs(10_000, seed=4)
    assert pairs.background.shape == pairs.reflectance.shape
    change = pairs.reflectance - pairs.background
    blue = change[:, B["B2"]]
    assert abs(np.median(blue[pairs.classes == CLEAR])) < 0.005
    assert np.median(np.abs(blue[pairs.classes == CLEAR])) < 0.02
    assert np.median(blue[pairs.classes == CLOUD]) > 0.2
    assert np.median(change[pairs.classes == SHADOW, B["B8"]]) < -0.1


@pytest.mark.parametrize("n", [0, -3])
def test_less_than_a_pixel_is_refused(n):
    with pytest.raises(ValueError, match=f"n is {n}; a simulation needs at least 1 pixel"):
        simulate(n, 1)
