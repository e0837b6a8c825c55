"""Harmonic regression with array images, as a gap filling of seasons uses it."""

import math

import ee
import numpy as np
import pytest
from conformance.cases import Grid, pixels
from conftest import end

pytestmark = pytest.mark.usefixtures("ee_emulator")

DATES = 24
TERMS = ["constant", "t", "cos", "sin", "cos2", "sin2", "cos3"]
WELL_POSED = len(TERMS) + 4  # dates; with fewer the terms may be nearly the same
GRID = Grid(40, 30)
CLEAR_FROM = 0.4  # of a uniform random number: 60 % of the pixels are clear


def years(date):
    """Return the time of a date: about 11 in a year, at uneven intervals."""
    return date / 11 + 0.01 * (date % 3)


def predictors(t):
    """Return the terms of a trend and of three harmonics (the third without a sine)."""
    angle = 2 * math.pi * t
    waves = [f(k * angle) for k in (1, 2) for f in (math.cos, math.sin)]
    return [1.0, t, *waves, math.cos(3 * angle)]


def response(date):
    """Return a masked image of a season with noise."""
    wave = math.cos(2 * math.pi * years(date))
    noise = ee.Image.random(date).multiply(0.2)
    return noise.add(ee.Image.random(1).multiply(wave)).rename("y")


def clear(date):
    """Return where a date is clear."""
    return ee.Image.random(1000 + date).gt(CLEAR_FROM)


@pytest.fixture(scope="module")
def series(ee_emulator):
    """A collection of predictors and response, and the same as arrays: dates first."""
    dates = range(DATES)
    collection = ee.ImageCollection(
        [
            ee.Image.constant(predictors(years(d)))
            .rename(TERMS)
            .addBands(response(d))
            .updateMask(clear(d))
            for d in dates
        ]
    )
    values = [pixels(response(d), GRID)["y"] for d in dates]
    masks = [pixels(clear(d).rename("clear"), GRID)["clear"] for d in dates]
    return collection, np.stack(values), np.stack(masks) > 0


def least_squares(values, valid):
    """Return each pixel's coefficients by numpy, (terms, rows, columns)."""
    design = np.array([predictors(years(d)) for d in range(DATES)])
    result = np.zeros((len(TERMS), *values.shape[1:]))
    for row, column in np.ndindex(*values.shape[1:]):
        keep = valid[:, row, column]
        if keep.sum() >= len(TERMS):
            solution = np.linalg.lstsq(design[keep], values[keep, row, column], rcond=None)
            result[:, row, column] = solution[0]
    return result


def directly(x, y):
    """Solve the overdetermined system."""
    return x.matrixSolve(y)


def by_normal_equations(x, y):
    """Solve the normal equations."""
    transposed = x.matrixTranspose()
    return transposed.matrixMultiply(x).matrixSolve(transposed.matrixMultiply(y))


def by_pseudo_inverse(x, y):
    """Multiply by the pseudo-inverse."""
    return x.matrixPseudoInverse().matrixMultiply(y)


@pytest.mark.parametrize("solve", [directly, by_normal_equations, by_pseudo_inverse])
def test_harmonics_of_a_masked_series_agree_with_numpy(series, solve):
    collection, values, valid = series
    array = collection.toArray()
    array = array.updateMask(array.arrayLength(0).gte(len(TERMS)))
    x, y = array.arraySlice(1, 0, len(TERMS)), array.arraySlice(1, len(TERMS))
    coefficients = solve(x, y).arrayProject([0]).arrayFlatten([TERMS])
    got = pixels(coefficients, GRID)
    expected = least_squares(values, valid)
    enough = valid.sum(axis=0) >= WELL_POSED
    assert enough.mean() > 0.8
    for name, wanted in zip(TERMS, expected, strict=True):
        np.testing.assert_allclose(got[name][enough], wanted[enough], rtol=1e-6, atol=1e-8)


def test_the_regression_reducer_agrees_with_numpy(series):
    collection, values, valid = series
    fit = collection.reduce(ee.Reducer.linearRegression(len(TERMS), 1))
    got = pixels(fit.select("coefficients").arrayProject([0]).arrayFlatten([TERMS]), GRID)
    expected = least_squares(values, valid)
    enough = valid.sum(axis=0) >= WELL_POSED
    for name, wanted in zip(TERMS, expected, strict=True):
        np.testing.assert_allclose(got[name][enough], wanted[enough], rtol=1e-6, atol=1e-8)


def test_an_image_of_arrays_cannot_be_exported():
    image = ee.Image([1, 2]).toArray()
    region = ee.Geometry.Rectangle([0, 0, 0.001, 0.001])
    asset = "projects/demo-project/assets/arrays"
    task = ee.batch.Export.image.toAsset(image, "arrays", asset, region=region, scale=10)
    task.start()
    status = end(task)
    assert status["state"] == "FAILED"
    assert "array" in status["error_message"]
