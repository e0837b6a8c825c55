"""The maps of a tile and year: season parameters, an index in regular steps, carbon taken up.

Bands, units and scales are shared.domain.products' own; docs/science.md, "The maps".
"""

from collections.abc import Sequence
from datetime import date

import ee

from shared.domain.products import RANGES, Band, bands_of, steps
from shared.domain.runs import GPP, NDVI, SEASON, ProductParameters, Run, RunConfiguration
from shared.earth import gap_filling, gpp, season
from shared.earth.curves import Curve, Period, dates_as_days
from shared.earth.harmonic_curves import HarmonicCurve
from shared.earth.index_series import index_series, relative
from shared.earth.posterior_curves import PosteriorCurve


def map_of(
    kind: str, run: Run, year: int, scenes: ee.ImageCollection, masks: ee.ImageCollection
) -> ee.Image:
    """Return a map of a kind, its bands stored as `bands_of` says.

    `masks` has an image at least, all of the run's period; `scenes` may have others. Outside the
    land, where no mask has a pixel, all bands are masked; on land without a clear observation
    the first band is there and says so.
    """
    products = run.configuration.products
    assert products is not None
    index = products.index_of(kind)
    series = relative(index_series(scenes, masks, index, products.cloud_below), index)
    curve = gap_filling.curve_of(
        series, period_of(run.configuration), products.preset, has_trust=True
    )
    found = {SEASON: _season, NDVI: _regular, GPP: _carbon}[kind](curve, run, year, products)
    stored = [_stored(found.select(band.name), band) for band in bands_of(run, kind, year)]
    # Of many images: the mean of a mask would count resolutions in.
    land = masks.select("class").max().mask()
    result = ee.Image.cat(*stored).updateMask(land)
    return result.set(gpp.facts(weather_of(run, products))) if kind == GPP else result


def chosen_of(collection: ee.ImageCollection | str, image_ids: Sequence[str]) -> ee.ImageCollection:
    """Return the images of a collection that have one of some ids."""
    chosen = ee.Filter.inList("system:index", list(image_ids))
    return ee.ImageCollection(collection).filter(chosen)


def period_of(run: RunConfiguration) -> Period:
    """Return the days of a run's images."""
    return Period(run.first_instant.date(), run.last_instant.date())


def weather_of(run: Run, products: ProductParameters) -> ee.ImageCollection:
    """Return the weather of a run's period."""
    period = period_of(run.configuration)
    return ee.ImageCollection(products.weather).filterDate(
        period.first.isoformat(), period.after.isoformat()
    )


def _season(
    curve: HarmonicCurve | PosteriorCurve, run: Run, year: int, products: ProductParameters
) -> ee.Image:
    amplitude = products.index_of(SEASON).amplitude
    found = season.scaled(season.seasons(curve, period_of(run.configuration), year), amplitude)
    dates = [f"{name}_{number}" for name in season.DATES for number in season.SEASONS]
    coded = [season.yydoy(found.select(name), year).rename(name) for name in dates]
    return found.addBands(ee.Image.cat(*coded), None, True)


def _regular(
    curve: HarmonicCurve | PosteriorCurve, run: Run, year: int, products: ProductParameters
) -> ee.Image:
    days: list[date] = steps(run, year)
    regular = gap_filling.regular_series(curve, dates_as_days(days))
    index = products.index_of(NDVI)
    columns = [
        gap_filling.columns(
            regular.select(band).multiply(index.amplitude), [f"{name}_{day:%Y%m%d}" for day in days]
        )
        for band, name in (("value", index.name), ("std", "STD"))
    ]
    return ee.Image.cat(_count(curve), *columns)


def _carbon(
    curve: HarmonicCurve | PosteriorCurve, run: Run, year: int, products: ProductParameters
) -> ee.Image:
    plants = gpp.land_cover(products.land_cover, products.land_cover_class, year)
    period = period_of(run.configuration)
    found = season.seasons(curve, period, year)
    return gpp.of_seasons(curve, found, weather_of(run, products), plants, period)


def _count(curve: Curve) -> ee.Image:
    return curve.observed.count.rename("COUNT")


def _stored(image: ee.Image, band: Band) -> ee.Image:
    """Return a band as it is stored: a whole number of its scale, kept within its type."""
    whole = image.divide(band.scale).round().clamp(*RANGES[band.data_type])
    return whole.cast({band.name: band.data_type}).rename(band.name)
