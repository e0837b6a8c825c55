"""Carbon taken up in a season, against numpy and what is known without it."""

import json

import ee
import numpy as np
import pytest
import rasterio
from affine import Affine

from emulator import client, launch
from shared.earth import gpp
from shared.earth.curves import Observations, Period

from .conftest import band_values
from .season_series import CORNER, CRS, PIXEL, day

FIRST, AFTER = np.datetime64("2018-04-01"), np.datetime64("2018-05-11")
DAYS = np.arange(FIRST, AFTER)
EPOCH_DAYS = DAYS.astype(int)
PERIOD = Period(FIRST.astype(object), AFTER.astype(object))
SOSD, EOSD = 17_630.3, 17_655.8
#: A dry and a cold spell, besides an ordinary year (K, J m⁻²).
YEAR = 2 * np.pi * np.linspace(0, 1, len(DAYS))
MEAN = 283 - 11 * np.cos(YEAR)
WEATHER = {
    "surface_solar_radiation_downwards_sum": 12e6 - 9e6 * np.cos(YEAR),
    "temperature_2m": MEAN,
    "temperature_2m_min": MEAN - 5,
    "temperature_2m_max": MEAN + 7,
    "dewpoint_temperature_2m": MEAN - 4 - 12 * (np.arange(len(DAYS)) % 15 < 5),
}
NDVI = 0.45
GRID = {
    "dimensions": {"width": 1, "height": 1},
    "affineTransform": {
        "scaleX": PIXEL,
        "scaleY": -PIXEL,
        "translateX": CORNER[0],
        "translateY": CORNER[1],
    },
    "crsCode": CRS,
}


class Flat:
    """A curve that is the same number at all times."""

    minimum = 1

    def __init__(self, value):
        self._value = value
        ones = ee.Image.constant(ee.Array([[1.0]]))
        self.observed = Observations(ee.Array([[0.0]]), ones, ones, ones)

    def at(self, days):
        column = ee.Image.constant(days.multiply(0).add(self._value))
        return ee.Image.cat(column, column, column).rename("value", "std", "source")


@pytest.fixture(scope="module", autouse=True)
def weather(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weather")
    scenes = folder / "scenes"
    scenes.mkdir()
    entries = []
    for i, date in enumerate(DAYS):
        path = scenes / f"{date}.tif"
        profile = {"driver": "GTiff", "dtype": "float64", "count": len(WEATHER), "crs": CRS}
        transform = Affine(PIXEL, 0, CORNER[0], 0, -PIXEL, CORNER[1])
        with rasterio.open(path, "w", width=1, height=1, transform=transform, **profile) as file:
            file.write(np.array([[[values[i]]] for values in WEATHER.values()]))
        time = {"system:time_start": int(EPOCH_DAYS[i]) * 86_400_000}
        entries.append({"id": str(date), "file": path.name, "properties": time})
    manifest = {"collection": "test/weather", "bands": list(WEATHER), "scenes": entries}
    (scenes / "scenes.json").write_text(json.dumps(manifest))
    with launch.running(folder / "data", [scenes]) as url:
        client.connect(url)
        yield


def seasons():
    values = {"SOSD": SOSD, "EOSD": EOSD, "LENGTH": EOSD - SOSD}
    bands = [ee.Image.constant(v).toDouble().rename(f"{n}_1") for n, v in values.items()]
    none = [ee.Image.constant(0.0).updateMask(0).rename(f"{n}_2") for n in values]
    return ee.Image.cat(*bands, *none)


def graph(daily=None, plants=12):
    daily = ee.ImageCollection("test/weather") if daily is None else daily
    image = gpp.of_seasons(Flat(NDVI), seasons(), daily, ee.Image.constant(plants), PERIOD)
    return {name: values[0, 0] for name, values in band_values(image, GRID).items()}


def expected(row, dew):
    """Return what MOD17 says, a day after another."""
    efficiency, cold, warm, humid, dry = row
    total = 0.0
    counted = 0
    for i in range(len(DAYS)):
        if not SOSD <= EPOCH_DAYS[i] + 0.5 < EOSD:
            continue
        celsius = {name: values[i] - 273.15 for name, values in WEATHER.items()}
        mean, low, high = (celsius[f"temperature_2m{x}"] for x in ("", "_min", "_max"))
        daylight = mean + 0.45 * (high - mean)

        def saturation(t):
            return 610.7 * np.exp(17.38 * t / (239 + t))

        deficit = max(saturation(daylight) - saturation(celsius[dew]), 0)
        warmth = np.clip((low - cold) / (warm - cold), 0, 1)
        moisture = np.clip((dry - deficit) / (dry - humid), 0, 1)
        light = WEATHER["surface_solar_radiation_downwards_sum"][i] * 1e-6 * 0.45
        total += efficiency * warmth * moisture * light * (1.164 * NDVI - 0.143)
        counted += 1
    return total / counted * (EOSD - SOSD)


CROPS, BROADLEAF = (1.044, -8, 12.02, 650, 4300), (1.165, -6, 9.94, 650, 1650)


@pytest.mark.parametrize(("plants", "row"), [(12, CROPS), (4, BROADLEAF)])
def test_a_season_agrees_with_numpy(plants, row):
    found = graph(plants=plants)
    assert found["GPP_1"] == pytest.approx(expected(row, "dewpoint_temperature_2m"), rel=1e-9)
    assert 20 < found["GPP_1"] < 300, "g C m-2 of four weeks"
    assert np.isnan(found["GPP_2"])
    assert found["WEATHER"] == pytest.approx(100)


def test_without_a_dew_point_it_is_the_minimum():
    dry = ee.ImageCollection("test/weather").select([x for x in WEATHER if "dew" not in x])
    assert graph(dry)["GPP_1"] == pytest.approx(expected(CROPS, "temperature_2m_min"), rel=1e-9)


def test_some_days_without_weather_count_as_the_others_and_many_are_too_many():
    daily = ee.ImageCollection("test/weather")
    few = daily.filter(ee.Filter.calendarRange(115, 115, "day_of_year").Not())
    assert graph(few)["GPP_1"] == pytest.approx(graph()["GPP_1"], rel=0.03)
    assert graph(few)["WEATHER"] == pytest.approx(100 * 39 / 40)
    many = daily.filter(ee.Filter.calendarRange(113, 117, "day_of_year").Not())
    assert np.isnan(graph(many)["GPP_1"])


def test_no_weather_at_all_is_said_and_is_no_error():
    found = graph(ee.ImageCollection("test/weather").filterDate("1990-01-01", "1990-01-02"))
    assert np.isnan(found["GPP_1"])
    assert found["WEATHER"] == 0


def test_water_takes_up_nothing_that_we_know_of():
    assert np.isnan(graph(plants=0)["GPP_1"])


def test_the_season_is_where_it_is_meant_to_be():
    assert day(PERIOD.first) < SOSD < EOSD < day(PERIOD.after)
