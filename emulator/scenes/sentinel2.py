"""Sentinel-2 as an observer: bands, orbits, acquisitions, the sun, and catalogue properties."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from emulator.clock import to_milliseconds

#: Band -> (centre wavelength in nm, native pixel in m): Sentinel-2 MSI, ESA User Handbook.
BANDS = {
    "B1": (443, 60), "B2": (490, 10), "B3": (560, 10), "B4": (665, 10), "B5": (705, 20),
    "B6": (740, 20), "B7": (783, 20), "B8": (842, 10), "B8A": (865, 20), "B9": (945, 60),
    "B10": (1375, 60), "B11": (1610, 20), "B12": (2190, 20),
}  # fmt: skip
#: When a detector's bands look at a place, from the first, B2, to the last, B9, 2.6 s later: 0 to 1
#: (ESA User Handbook).
LOOK = np.array([0.97, 0.0, 0.2, 0.38, 0.45, 0.55, 0.65, 0.1, 0.75, 1.0, 0.3, 0.5, 0.85])
#: Quality band -> (type, pixel in m), after the spectral ones (Earth Engine catalogue).
QUALITY = {
    "QA10": ("uint16", 10), "QA20": ("uint32", 20), "QA60": ("uint16", 60),
    "MSK_CLASSI_OPAQUE": ("uint8", 60), "MSK_CLASSI_CIRRUS": ("uint8", 60),
    "MSK_CLASSI_SNOW_ICE": ("uint8", 60),
}  # fmt: skip
COLLECTION = "COPERNICUS/S2_HARMONIZED"
#: The same images with the digital numbers as ESA delivers them.
RAW_COLLECTION = "COPERNICUS/S2"
#: Reflectance is stored as round(reflectance × 10000); 0 is no data (Level-1C, baseline < 04.00).
QUANTIFICATION = 10_000
BASELINE = "02.06"
PIXEL_M = 10
CRS = "EPSG:32633"
#: QA60 has no pixels between these, MSK_CLASSI_* none before the second (Earth Engine catalogue;
#: the second is the day on which QA60 is made of MSK_CLASSI_* again).
QA60_ENDS = to_milliseconds("2022-02-01")
CLASSI_STARTS = to_milliseconds("2024-02-28")

SEASON_START = datetime(2018, 3, 1, tzinfo=UTC)
SEASON_DAYS = 243  # of first passes, so that the second orbit's last is within October
#: A relative orbit repeats after 143 orbits, in 10 days (ESA User Handbook).
ORBITS_PER_DAY = 14.3
PROCESSING_TIME = timedelta(hours=3, minutes=7)


@dataclass(frozen=True)
class Orbit:
    """A relative orbit as one satellite flies it over the tile (angles in degrees)."""

    number: int
    spacecraft: str  # A or B
    first_pass: timedelta  # after SEASON_START
    first_absolute: int
    view_zenith: float
    view_azimuth: float
    cuts_tile: bool  # the edge of the swath crosses the tile


#: From R122 to R079 is 100 orbits or 7 days; the twin satellite flies R079 5 days from that: day 2.
ORBITS = (
    Orbit(122, "A", timedelta(hours=10, seconds=21), 14052, 5.1, 106.0, False),
    Orbit(79, "B", timedelta(days=2, hours=10, minutes=10, seconds=19), 5172, 10.3, 285.0, True),
)


@dataclass(frozen=True)
class Acquisition:
    """One pass of one satellite over one tile."""

    orbit: Orbit
    time: datetime
    tile: str = "33TVL"

    @property
    def id(self) -> str:
        """Return the image id: sensing time, generation time, tile."""
        return f"{_stamp(self.time)}_{_stamp(self.generated)}_T{self.tile}"

    @property
    def generated(self) -> datetime:
        """Return when the product was made."""
        return self.time + PROCESSING_TIME

    @property
    def day_of_year(self) -> float:
        """Return the day of the year, 1 at the start of 1 January."""
        year = self.time.replace(month=1, day=1, hour=0, minute=0, second=0, microsecond=0)
        return 1 + (self.time - year) / timedelta(days=1)

    def properties(self, lon: float, lat: float, cloudy_percentage: float) -> dict[str, Any]:
        """Return the image properties of Earth Engine's Sentinel-2 L1C catalogue."""
        zenith, azimuth = sun(self.time, lon, lat)
        orbit, sensed = self.orbit, _stamp(self.time)
        passes = round((self.time - SEASON_START - orbit.first_pass).days * ORBITS_PER_DAY)
        view = {f"MEAN_INCIDENCE_ZENITH_ANGLE_{band}": orbit.view_zenith for band in BANDS}
        view |= {f"MEAN_INCIDENCE_AZIMUTH_ANGLE_{band}": orbit.view_azimuth for band in BANDS}
        return {
            "system:index": self.id,
            "system:time_start": to_milliseconds(self.time.isoformat()),
            "system:time_end": to_milliseconds(self.time.isoformat()),
            "MGRS_TILE": self.tile,
            "SPACECRAFT_NAME": f"Sentinel-2{orbit.spacecraft}",
            "SENSING_ORBIT_NUMBER": orbit.number,
            "SENSING_ORBIT_DIRECTION": "DESCENDING",
            "DATATAKE_IDENTIFIER": f"GS2{orbit.spacecraft}_{sensed}_"
            f"{orbit.first_absolute + passes:06d}_N{BASELINE}",
            "PRODUCT_ID": f"S2{orbit.spacecraft}_MSIL1C_{sensed}_N{BASELINE.replace('.', '')}_"
            f"R{orbit.number:03d}_T{self.tile}_{_stamp(self.generated)}",
            "PROCESSING_BASELINE": BASELINE,
            "GENERATION_TIME": to_milliseconds(self.generated.isoformat()),
            "MEAN_SOLAR_ZENITH_ANGLE": zenith,
            "MEAN_SOLAR_AZIMUTH_ANGLE": azimuth,
            "CLOUDY_PIXEL_PERCENTAGE": cloudy_percentage,
            "CLOUD_COVERAGE_ASSESSMENT": cloudy_percentage,
        } | view


def acquisitions(
    count: int, tile: str = "33TVL", start: datetime = SEASON_START, days: int = SEASON_DAYS
) -> Iterator[Acquisition]:
    """Yield `count` passes over some days, the two orbits in turn, equally far apart."""
    passes = -(-count // len(ORBITS))
    if passes > days:
        raise ValueError(f"{count} images of one tile: at most {days * len(ORBITS)}.")
    revisit = timedelta(days=(days - 1) // max(passes - 1, 1))
    for index in range(count):
        cycle, place = divmod(index, len(ORBITS))
        orbit = ORBITS[place]
        yield Acquisition(orbit, start + orbit.first_pass + cycle * revisit, tile)


def sun(time: datetime, lon: float, lat: float) -> tuple[float, float]:
    """Return the sun's zenith and azimuth (from north, clockwise) in degrees (Spencer, 1971)."""
    hour = time.hour + time.minute / 60 + time.second / 3600
    year = 2 * np.pi / 365 * (time.timetuple().tm_yday - 1 + (hour - 12) / 24)
    waves = np.array([1, *(f(n * year) for n in (1, 2, 3) for f in (np.cos, np.sin))])
    declination = waves @ [
        0.006918, -0.399912, 0.070257, -0.006758, 0.000907, -0.002697, 0.00148,
    ]  # fmt: skip
    equation_of_time = 229.18 * (
        waves[:5] @ [0.000075, 0.001868, -0.032077, -0.014615, -0.040849]
    )  # minutes
    hour_angle = np.radians(15 * hour + equation_of_time / 4 + lon - 180)
    phi = np.radians(lat)
    cos_zenith = np.sin(phi) * np.sin(declination) + np.cos(phi) * np.cos(declination) * np.cos(
        hour_angle
    )
    azimuth = np.arctan2(
        np.sin(hour_angle),
        np.cos(hour_angle) * np.sin(phi) - np.tan(declination) * np.cos(phi),
    )
    return float(np.degrees(np.arccos(cos_zenith))), float(np.degrees(azimuth) + 180)


def _stamp(time: datetime) -> str:
    return time.strftime("%Y%m%dT%H%M%S")
