"""Filling the gaps of a vegetation index over time, by a preset.

    curve = curve_of(series, period, "default")
    filled_series(curve)                 array bands at the observations' times
    regular_series(curve, dates)         array bands at dates of one's own
    filled_image(image, curve)           the four bands of one image, as the system of 2019 exported

All of one curve share its fit. Docs: docs/science.md.
"""

from typing import Final

import ee

from shared.earth.curves import Curve, Period, dates_as_days, observations
from shared.earth.harmonic_curves import HarmonicCurve
from shared.earth.posterior_curves import PosteriorCurve
from shared.errors import InvalidConfiguration

OBSERVED: Final = -1  # in band `quality`
PRESETS: Final[dict[str, type[HarmonicCurve] | type[PosteriorCurve]]] = {
    "original": HarmonicCurve,
    "default": PosteriorCurve,
}


def curve_of(
    series: ee.ImageCollection, period: Period, preset: str = "default", has_trust: bool = False
) -> HarmonicCurve | PosteriorCurve:
    """Return a preset's curve through a series: one band, `system:time_start`, masked in gaps.

    The series must have an image, and none outside the period. Order does not matter. With
    `has_trust` it has a second band (curves.TRUST), which the preset `original` overlooks.
    """
    return PRESETS[preset](observations(series.sort("system:time_start"), has_trust), period)


def check_preset(preset: str) -> None:
    """Raise InvalidConfiguration unless there is such a preset."""
    if preset not in PRESETS:
        known = " or ".join(PRESETS)
        raise InvalidConfiguration([f"preset is {preset!r}, expected {known}"])


def is_held(curve: Curve) -> ee.Image:
    """Return 1 where a pixel has observations enough for a curve."""
    return curve.observed.count.gte(curve.minimum)


def filled_series(curve: Curve) -> ee.Image:
    """Return array bands `value`, `std`, `quality`, `valid`, `weight` at the observations' times.

    An observation is the value, and `quality` -1; else quality is the curve's source: 10, 5 or 1
    harmonics, 20, or 21 for a value that few observations hold. `std` is the standard deviation
    between a clear observation and the curve. `valid` is 0 where there is neither: too few
    observations. `weight` is how much an observation counted: its trust, less where it looks
    clouded.
    """
    seen = curve.observed.weights
    fit = curve.at(curve.observed.days)
    gap = seen.multiply(-1).add(1)
    value = curve.observed.values.multiply(seen).add(fit.select("value").multiply(gap))
    quality = fit.select("source").multiply(gap).add(seen.multiply(OBSERVED))
    valid = seen.max(gap.multiply(is_held(curve)))
    return ee.Image.cat(value, fit.select("std"), quality, valid, curve.weights).rename(
        "value", "std", "quality", "valid", "weight"
    )


def regular_series(curve: Curve, days: ee.Array) -> ee.Image:
    """Return array bands `value`, `std` and `source` of the curve; masked where it is not held."""
    return curve.at(days).updateMask(is_held(curve))


def filled_image(image: ee.Image, curve: Curve) -> ee.Image:
    """Return bands NDVI, NDVI_final, quality (int8) and std of one image of a series.

    NDVI is the observation; NDVI_final the same, and the curve's value where there is none.
    """
    day = ee.Array([[image.date().millis()]]).toDouble().divide(86_400_000)
    fit = curve.at(day).arrayGet([0, 0]).updateMask(is_held(curve))
    observed = image.select(0).toDouble().rename("NDVI")
    final = observed.unmask(fit.select("value"), False).rename("NDVI_final")
    quality = observed.mask().gt(0).selfMask().multiply(OBSERVED)
    quality = quality.unmask(fit.select("source"), False).toInt8().rename("quality")
    return ee.Image.cat(observed, final, quality, fit.select("std")).set(
        "system:time_start", image.date().millis()
    )


def columns(image: ee.Image, names: list[str]) -> ee.Image:
    """Return the elements of a column (times × 1) as bands."""
    return image.arrayProject([0]).arrayFlatten([names])


def regular_days(period: Period, step: int) -> ee.Array:
    """Return each `step`th day of a period as a column of days since 1970."""
    return dates_as_days(period.every(step))
