"""The gap filling of 2019: harmonics of two orders under the observations, and which was taken."""

import json
import math
from pathlib import Path

import ee
import numpy as np
import pytest
import rasterio
from conformance.cases import Grid, pixels

SIDE = 12  # pixels
DATES = 30
DAYS = 9  # between dates
DAY = 24 * 3600 * 1000  # ms
START = 1517443200000  # 2018-02-01
YEAR = 365.2425 * DAY
GRID = Grid(SIDE, SIDE, "EPSG:32633", (10, 0, 465180, 0, -10, 5080260))
ORDERS = (3, 1)
CLOUDY = 6553  # B4 of a cloud, above every clear one


@pytest.fixture
def season(tmp_path):
    """A scene folder of a season with clouds; red and infrared of its dates as (dates, H, W)."""
    rng = np.random.default_rng(5)
    ripeness = np.sin(np.linspace(0, math.pi, DATES))[:, None, None] * rng.random((1, SIDE, SIDE))
    red = np.rint(1500 - 900 * ripeness + rng.normal(0, 30, (DATES, SIDE, SIDE)))
    infrared = np.rint(1600 + 2400 * ripeness + rng.normal(0, 30, (DATES, SIDE, SIDE)))
    red[rng.random(red.shape) < 0.3] = CLOUDY
    red[:25, 0, 0] = CLOUDY  # too few dates for the higher order
    write_scenes(tmp_path / "scenes", red, infrared)
    return tmp_path / "scenes", red, infrared


def write_scenes(folder: Path, red, infrared):
    folder.mkdir()
    entries = []
    for date in range(DATES):
        file = f"{date:02d}.tif"
        profile = {"driver": "GTiff", "dtype": "uint16", "count": 2, "width": SIDE, "height": SIDE}
        transform = rasterio.Affine(*GRID.transform)
        with rasterio.open(
            folder / file, "w", crs=GRID.crs, transform=transform, **profile
        ) as target:
            target.write(np.stack([red[date], infrared[date]]).astype("uint16"))
        time = {"system:time_start": START + date * DAYS * DAY}
        entries.append({"id": f"d{date:02d}", "file": file, "properties": time})
    manifest = {"collection": "SEASON/S2", "bands": ["B4", "B8"], "scenes": entries}
    (folder / "scenes.json").write_text(json.dumps(manifest))


def terms(order):
    waves = [f"{wave}{k}" for k in range(1, order + 1) for wave in ("cos", "sin")]
    return ["constant", "t", *waves]


def with_terms(image, order):
    """Add the predictors at an image's time: a constant, a trend and waves."""
    t = ee.Date(image.get("system:time_start")).difference(ee.Date("1970-01-01"), "year")
    angle = ee.Image(t).multiply(2 * math.pi)
    waves = [
        getattr(ee.Image(ee.Number(t).multiply(2 * math.pi * k)), wave)()
        for k in range(1, order + 1)
        for wave in ("cos", "sin")
    ]
    predictors = ee.Image.cat([ee.Image(1), angle, *waves]).rename(terms(order))
    return image.addBands(predictors)


def ndvi(image):
    """Return the index where the red is not a cloud's."""
    index = image.normalizedDifference(["B8", "B4"]).rename("NDVI")
    return ee.Image(index.updateMask(image.select("B4").lt(CLOUDY))).copyProperties(
        image, ["system:time_start"]
    )


def fitted(series, order):
    """Return a function that predicts an image's NDVI from a regression over the series."""
    names = terms(order)
    regression = (
        series.map(lambda image: with_terms(image, order))
        .select([*names, "NDVI"])
        .reduce(ee.Reducer.linearRegression(len(names), 1))
    )
    coefficients = regression.select("coefficients").arrayProject([0]).arrayFlatten([names])

    def predict(image):
        predictors = with_terms(image, order).select(names)
        value = predictors.multiply(coefficients).reduce(ee.Reducer.sum())
        inside = value.gt(-1).And(value.lt(1))
        return value.updateMask(inside if order > 1 else ee.Image(1)).rename("NDVI")

    return predict


def filled(image, fits):
    """Put observations over fits, and say which was taken: -1 observed, else the order."""
    layers = [(fits[order](image), order) for order in sorted(ORDERS)]
    layers.append((image.select("NDVI"), -1))
    value, quality = ee.Image().double().rename("NDVI"), ee.Image().double().rename("quality")
    for layer, code in layers:
        value = value.blend(layer.double())
        quality = quality.blend(ee.Image(code).double().updateMask(layer.mask()).rename("quality"))
    return value.addBands(quality)


def expected(red, infrared, date):
    """Compute the same with numpy, pixel by pixel."""
    times = (START + np.arange(DATES) * DAYS * DAY) / YEAR
    index = (infrared - red) / (infrared + red)
    clear = red < CLOUDY
    value, quality = np.zeros((SIDE, SIDE)), np.zeros((SIDE, SIDE))
    for row, column in np.ndindex(SIDE, SIDE):
        keep = clear[:, row, column]
        if keep[date]:
            value[row, column], quality[row, column] = index[date, row, column], -1
            continue
        for order in ORDERS:
            angle = 2 * math.pi * times
            waves = [f(k * angle) for k in range(1, order + 1) for f in (np.cos, np.sin)]
            design = np.stack([np.ones(DATES), angle, *waves], axis=1)
            if keep.sum() <= design.shape[1]:
                continue
            solution = np.linalg.lstsq(design[keep], index[keep, row, column], rcond=None)[0]
            prediction = design[date] @ solution
            if order == 1 or -1 < prediction < 1:
                value[row, column], quality[row, column] = prediction, order
                break
    return value, quality


def test_gap_filling_of_2019(start_emulator, season):
    folder, red, infrared = season
    start_emulator("--scenes", str(folder))
    series = (
        ee.ImageCollection("SEASON/S2")
        .filterDate("2018-01-01", "2019-01-01")
        .map(ndvi)
        .sort("system:time_start")
    )
    fits = {order: fitted(series, order) for order in ORDERS}
    images = series.toList(DATES)
    for date in (0, 12, 29):
        got = pixels(filled(ee.Image(images.get(date)), fits), GRID)
        value, quality = expected(red, infrared, date)
        np.testing.assert_array_equal(got["quality"], quality)
        np.testing.assert_allclose(got["NDVI"], value, atol=2e-5)  # NDVI has 32 bits
        assert {-1, 3} <= set(np.unique(quality)) <= {-1, 0, 1, 3}  # 0: not enough dates
