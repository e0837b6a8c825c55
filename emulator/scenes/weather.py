"""The synthetic region's weather as ERA5-Land has it: one image a day, 0.1°, a few pixels.

Radiation at the top of the air, and below by sunshine: FAO Irrigation and Drainage Paper 56 (Allen
et al., 1998), equations 21 to 25 and 35. Sunshine follows the sky of the satellite's images, and
wanders between. Temperature is an annual wave with wandering departures, its daily range grows with
sunshine; rain falls on dull days. It measures nothing.

Bands and units: https://developers.google.com/earth-engine/datasets/catalog/
ECMWF_ERA5_LAND_DAILY_AGGR.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.random import Generator
from scipy.special import expit

from emulator.clock import to_milliseconds
from emulator.scenes.atmosphere import Sky

WEATHER_COLLECTION = "ECMWF/ERA5_LAND/DAILY_AGGR"
WEATHER_BANDS = [
    "temperature_2m",
    "surface_solar_radiation_downwards_sum",
    "total_precipitation_sum",
    "temperature_2m_min",
    "temperature_2m_max",
]
#: ERA5-Land's grid: pixels of 0.1° whose centres are multiples of it.
PIXEL_DEGREES, EDGE_DEGREES = 0.1, 0.05
#: Solar constant, J m⁻² per minute (equation 21), and share of it that reaches the ground under a
#: dull sky, and under a clear one beyond that (equation 35).
SOLAR_CONSTANT, MINUTES_A_DAY = 0.0820e6, 24 * 60
DULL_SHARE, SUNNY_SHARE = 0.25, 0.50
#: Sunshine as a share of the day.
SUNSHINE = {Sky.CLEAR: 0.9, Sky.PARTLY: 0.6, Sky.HAZY: 0.7, Sky.OVERCAST: 0.1}
#: Temperature at 46° N and sea level's change northwards: mean and amplitude (K), coldest day,
#: deviation of the departures (K), K per degree; daily range (K) without and by sunshine.
MEAN, AMPLITUDE, COLDEST_DAY, DEPARTURE = 283.6, 10.5, 20, 3.5
LATITUDE, NORTHWARDS = 46.0, -0.7
RANGE, SUNNY_RANGE = 4.0, 9.0
#: What of a day's departure is left the day after.
MEMORY = 0.75
#: Sunshine below which it may rain; shape and scale (m) of a day's rain (gamma distribution).
RAINY, RAIN_SHAPE, RAIN_M = 0.45, 0.8, 0.009
DAYS_A_YEAR = 365
NODATA = -1


@dataclass(frozen=True)
class Day:
    """One day over the whole region: sunshine 0 to 1, departure in K, rain in m."""

    date: date
    sunshine: float
    departure: float
    rain: float

    @property
    def start_ms(self) -> int:
        """The day's start, UTC, in ms since 1970."""
        return to_milliseconds(self.date.isoformat())

    def bands(self, latitudes: np.ndarray) -> np.ndarray:
        """Return `WEATHER_BANDS` (bands, rows) at latitudes in degrees."""
        day = self.date.timetuple().tm_yday
        wave = -np.cos(2 * np.pi * (day - COLDEST_DAY) / DAYS_A_YEAR)
        mean = MEAN + AMPLITUDE * wave + self.departure + NORTHWARDS * (latitudes - LATITUDE)
        half_range = (RANGE + SUNNY_RANGE * self.sunshine) / 2
        below = (DULL_SHARE + SUNNY_SHARE * self.sunshine) * radiation_above(day, latitudes)
        rain = np.full_like(mean, self.rain)
        return np.stack([mean, below, rain, mean - half_range, mean + half_range])


def radiation_above(day: int, latitudes: np.ndarray) -> np.ndarray:
    """Return a day's radiation at the top of the air in J m⁻² (equations 21 to 25)."""
    year = 2 * np.pi * day / DAYS_A_YEAR
    distance, declination = 1 + 0.033 * np.cos(year), 0.409 * np.sin(year - 1.39)
    phi = np.radians(latitudes)
    sunset = np.arccos(np.clip(-np.tan(phi) * np.tan(declination), -1, 1))
    daily = sunset * np.sin(phi) * np.sin(declination)
    daily += np.cos(phi) * np.cos(declination) * np.sin(sunset)
    return MINUTES_A_DAY / np.pi * SOLAR_CONSTANT * distance * daily


def days(year: int, skies: Mapping[date, Sky], rng: Generator) -> list[Day]:
    """Return a year's weather; `skies` are the days that the satellite saw."""
    dull = departure = 0.0
    weather = []
    for index in range(DAYS_A_YEAR):
        day = date(year, 1, 1) + timedelta(days=index)
        fresh = rng.standard_normal(2) * np.sqrt(1 - MEMORY**2)
        dull = MEMORY * dull + fresh[0]
        departure = MEMORY * departure + DEPARTURE * fresh[1]
        sunshine = SUNSHINE[skies[day]] if day in skies else float(expit(-2 * dull))
        rain = rng.gamma(RAIN_SHAPE, RAIN_M) * max(0.0, 1 - sunshine / RAINY)
        weather.append(Day(day, sunshine, float(departure), float(rain)))
    return weather


def grid(lon: float, lat: float, margin: float) -> tuple[int, int, float, float]:
    """Return columns, rows, west and north edge of the pixels within `margin` degrees."""
    west, east = (round((lon + side * margin) / PIXEL_DEGREES) for side in (-1, 1))
    south, north = (round((lat + side * margin) / PIXEL_DEGREES) for side in (-1, 1))
    corner = west * PIXEL_DEGREES - EDGE_DEGREES, north * PIXEL_DEGREES + EDGE_DEGREES
    return east - west + 1, north - south + 1, *corner
