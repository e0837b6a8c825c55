"""Gross primary productivity of growing seasons by light-use efficiency, in the form of MOD17.

    GPP a day = ε × f(Tmin) × f(VPD) × FPAR × PAR

Sources: docs/science.md, "Carbon".
"""

from dataclasses import astuple, dataclass
from typing import Any, Final

import ee

from shared.earth import gap_filling
from shared.earth.curves import DAY, Curve, Period, days_of, everywhere, total
from shared.earth.season import SEASONS

#: Share of shortwave radiation that photosynthesis can use (MOD17).
PAR_SHARE: Final = 0.45
#: FPAR from NDVI: slope and intercept (Myneni and Williams 1994), and its bounds (MOD15's).
FPAR_SLOPE, FPAR_INTERCEPT, FPAR_RANGE = 1.164, -0.143, (0.0, 0.95)
KELVIN: Final = 273.15
#: Saturation vapour pressure over water in Pa: a exp(b T / (c + T)), T in °C (Murray 1967).
MURRAY: Final = (610.7, 17.38, 239.0)
#: How far from the day's mean to its maximum the temperature of daylight is (MTCLIM; Running et al.
#: 1987).
DAYLIGHT: Final = 0.45
#: A season with weather for less of its days has no GPP.
MIN_COVERAGE: Final = 0.95
#: ERA5-Land's bands that are read. Without the dew point it is the minimum (FAO-56, equation 48).
RADIATION, MEAN_T, MIN_T, MAX_T, DEW_POINT = (
    *("surface_solar_radiation_downwards_sum", "temperature_2m", "temperature_2m_min"),
    *("temperature_2m_max", "dewpoint_temperature_2m"),
)


@dataclass(frozen=True)
class Plants:
    """A land cover's greatest efficiency (g C MJ⁻¹), and ramps: Tmin in °C, VPD in Pa."""

    efficiency: float
    no_growth_below: float
    full_growth_above: float
    full_growth_below: float
    no_growth_above: float


#: By number in MODIS' band LC_Type2 (University of Maryland's classes): Running and Zhao 2015,
#: user's guide of MOD17 collection 6, table 1.1. Mosaics of crops and wild plants count as crops.
LAND_COVERS: Final[dict[int, Plants]] = {
    1: Plants(0.962, -8, 8.31, 650, 4600),  # evergreen needleleaf forest
    2: Plants(1.268, -8, 9.09, 800, 3100),  # evergreen broadleaf forest
    3: Plants(1.086, -8, 10.44, 650, 2300),  # deciduous needleleaf forest
    4: Plants(1.165, -6, 9.94, 650, 1650),  # deciduous broadleaf forest
    5: Plants(1.051, -7, 9.50, 650, 2400),  # mixed forest
    6: Plants(1.281, -8, 8.61, 650, 4700),  # closed shrublands
    7: Plants(0.841, -8, 8.80, 650, 4800),  # open shrublands
    8: Plants(1.239, -8, 11.39, 650, 3200),  # woody savannas
    9: Plants(1.206, -8, 11.39, 650, 3100),  # savannas
    10: Plants(0.860, -8, 12.02, 650, 5300),  # grasslands
    12: Plants(1.044, -8, 12.02, 650, 4300),  # croplands
    14: Plants(1.044, -8, 12.02, 650, 4300),
}


def land_cover(collection: str | None, number: int, year: int) -> ee.Image:
    """Return LC_Type2 as it was last known in a year, or one number everywhere."""
    if collection is None:
        return ee.Image.constant(number)
    known = ee.ImageCollection(collection).filterDate("2000-01-01", f"{year + 1}-01-01")
    return ee.Image(known.sort("system:time_start", False).first()).select("LC_Type2")


def facts(weather: ee.ImageCollection) -> dict[str, Any]:
    """Return the properties of a map that say what weather it has."""
    return {"weather_days": weather.size()}


def of_seasons(
    curve: Curve,
    seasons: ee.Image,
    weather: ee.ImageCollection,
    plants: ee.Image,
    period: Period,
) -> ee.Image:
    """Return GPP_1 and GPP_2, g C m⁻² from SOSD to EOSD, and WEATHER, % of days that have weather.

    `weather` are daily images of ERA5-Land (J m⁻², K), none or more; `plants` is a number of
    LAND_COVERS, and where it is another there is no GPP. Days without weather count as the
    season's others on average; with more than a twentieth of them there is no GPP.
    """
    daily = weather.map(_with_dew_point).merge(ee.ImageCollection([_nothing(period)]))
    daily = daily.sort("system:time_start")
    days = days_of(daily.aggregate_array("system:time_start"))
    known = daily.map(lambda image: image.mask().reduce(ee.Reducer.min()).gt(0).toDouble())
    parameters = _parameters(plants)
    light = daily.map(lambda image: _uptake(image, parameters).unmask(0, False))
    weights = known.toArray()
    value = gap_filling.regular_series(curve, days).select("value")
    fpar = value.multiply(FPAR_SLOPE).add(FPAR_INTERCEPT).max(FPAR_RANGE[0]).min(FPAR_RANGE[1])
    uptake = light.toArray().multiply(fpar).multiply(weights)
    noons = everywhere(days.add(0.5))
    bands = [
        _of_season(seasons, number, uptake, weights, noons).updateMask(parameters.select(0).mask())
        for number in SEASONS
    ]
    share = total(weights).multiply(100 / period.days).rename("WEATHER")
    return ee.Image.cat(*bands, share)


def _of_season(
    seasons: ee.Image, number: int, uptake: ee.Image, weights: ee.Image, noons: ee.Image
) -> ee.Image:
    start, end, length = (seasons.select(f"{x}_{number}") for x in ("SOSD", "EOSD", "LENGTH"))
    inside = noons.gte(start).And(noons.lt(end))
    seen = total(weights.multiply(inside))
    mean = total(uptake.multiply(inside)).divide(seen)
    enough = seen.gte(length.multiply(MIN_COVERAGE).subtract(1))
    return mean.multiply(length).updateMask(enough).rename(f"GPP_{number}")


def _with_dew_point(image: ee.Image) -> ee.Image:
    # A band that is there already keeps its name; the second one gets another.
    whole = image.addBands(image.select([MIN_T], [DEW_POINT]))
    wanted = whole.select([RADIATION, MEAN_T, MIN_T, MAX_T, DEW_POINT])
    return ee.Image(wanted.toDouble().copyProperties(image, ["system:time_start"]))


def _nothing(period: Period) -> ee.Image:
    """Return a day without weather, so that no weather at all is no error."""
    names = [RADIATION, MEAN_T, MIN_T, MAX_T, DEW_POINT]
    image = ee.Image.constant([0.0] * len(names)).rename(names).updateMask(0)
    return image.set("system:time_start", period_start(period))


def period_start(period: Period) -> float:
    """Return a period's start in milliseconds since 1970."""
    return (period.middle - period.days / 2) * DAY


def _parameters(plants: ee.Image) -> ee.Image:
    """Return Plants' fields as bands 0 to 4; masked on other land covers."""
    numbers = list(LAND_COVERS)
    rows = zip(*(astuple(plants) for plants in LAND_COVERS.values()), strict=True)
    return ee.Image.cat(*[plants.remap(numbers, list(row)) for row in rows])


def _uptake(day: ee.Image, parameters: ee.Image) -> ee.Image:
    """Return what plants that take all light would take up, g C m⁻² a day."""
    efficiency, cold, warm, humid, dry = (parameters.select(index) for index in range(5))
    mean, low, high, dew = (
        day.select(name).subtract(KELVIN) for name in (MEAN_T, MIN_T, MAX_T, DEW_POINT)
    )
    daylight = mean.add(high.subtract(mean).multiply(DAYLIGHT))
    deficit = _saturation(daylight).subtract(_saturation(dew)).max(0)
    warmth = low.subtract(cold).divide(warm.subtract(cold)).clamp(0, 1)
    moisture = dry.subtract(deficit).divide(dry.subtract(humid)).clamp(0, 1)
    light = day.select(RADIATION).multiply(1e-6 * PAR_SHARE)
    return efficiency.multiply(light).multiply(warmth).multiply(moisture)


def _saturation(celsius: ee.Image) -> ee.Image:
    a, b, c = MURRAY
    return celsius.multiply(b).divide(celsius.add(c)).exp().multiply(a)
