"""Curves through the observations of a pixel over time: what the presets of gap filling share.

A series is a collection of images with `system:time_start`, whose first band is masked where
nothing was observed. A second one, TRUST, if there is one, says how much an observation counts,
above 0 to 1. In arrays axis 0 is the time, ordered as the series.
"""

import math
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, Protocol

import ee

DAY: Final = 86_400_000  # ms
YEAR: Final = 365.25  # days
EPOCH: Final = date(1970, 1, 1)
TRUST: Final = "trust"
#: NDVI is not beyond; others that move as far as NDVI does may be.
LIMIT: Final = 1.0
#: Beyond all.
FAR: Final = 100.0
#: How far beyond a pixel's observations a curve may go: a share of their range, at least so much
#: (index units; ours). Few of them, or of a part of a year, may agree with a wave without limits.
BEYOND_SHARE, BEYOND_LEAST = 0.5, 0.3


@dataclass(frozen=True)
class Period:
    """The days that a curve is for, from `first` to before `after`, UTC.

    Give observations of some weeks more on both sides, in it: what is near the ends is held from
    one side only.
    """

    first: date
    after: date

    @property
    def days(self) -> int:
        """Its length."""
        return (self.after - self.first).days

    @property
    def middle(self) -> float:
        """Days from 1970 to its middle."""
        return (self.first - EPOCH).days + self.days / 2

    @property
    def years(self) -> list[int]:
        """The years that it has days of."""
        return list(range(self.first.year, (self.after - timedelta(1)).year + 1))

    def every(self, step: int) -> list[date]:
        """Return each `step`th day from the first."""
        return [self.first + timedelta(i) for i in range(0, self.days, step)]


@dataclass(frozen=True)
class Observations:
    """Columns (times × 1) of days since 1970, and per pixel of values, weights and trust.

    A weight is 1 where there is a value, and trust what it counts; where there is none all are 0.
    """

    days: ee.Array
    values: ee.Image
    weights: ee.Image
    trust: ee.Image

    @property
    def count(self) -> ee.Image:
        """Number of observations."""
        return total(self.weights)


class Curve(Protocol):
    """A fit that can be asked for any time of its period."""

    @property
    def observed(self) -> Observations:
        """What it goes through."""

    @property
    def weights(self) -> ee.Image:
        """How much each observation counts, times × 1: 1 in full, 0 where there is none."""

    @property
    def minimum(self) -> int:
        """Observations that it needs to say anything."""

    def at(self, days: ee.Array) -> ee.Image:
        """Return array bands `value`, `std` and `source` at days since 1970, all times × 1.

        `std` is the standard deviation of what a clear observation would differ by; `source` says
        what the value is from.
        """


def observations(series: ee.ImageCollection, has_trust: bool = False) -> Observations:
    """Return a series as arrays. A series without images is Earth Engine's error."""
    values = series.map(lambda image: _everywhere_valid(image.select(0)))
    weights = series.map(lambda image: image.select(0).mask().gt(0).toDouble()).toArray()
    trust = series.map(lambda image: _everywhere_valid(image.select(TRUST)))
    # Constants would count the mask's resolution in; all pixels are valid here, so that all
    # arrays have one length.
    return Observations(
        days_of(series.aggregate_array("system:time_start")),
        values.toArray(),
        weights,
        trust.toArray().multiply(weights) if has_trust else weights,
    )


def _everywhere_valid(band: ee.Image) -> ee.Image:
    return band.toDouble().unmask(0, False)


def days_of(times: ee.List) -> ee.Array:
    """Return milliseconds since 1970 as a column of days."""
    return ee.Array.cat([ee.Array(times).toDouble().divide(DAY)], 1)


def dates_as_days(dates: list[date]) -> ee.Array:
    """Return the starts of days as a column of days since 1970."""
    return ee.Array([[float((day - EPOCH).days)] for day in dates])


def harmonics(days: ee.Array, order: int) -> list[ee.Array]:
    """Return columns cos kt, sin kt for k from 1 to the order, t = 2π × years since 1970."""
    angles = [days.multiply(2 * math.pi * k / YEAR) for k in range(1, order + 1)]
    return [wave for angle in angles for wave in (angle.cos(), angle.sin())]


def trend(days: ee.Array, period: Period) -> ee.Array:
    """Return a column of years since the middle of a period."""
    return days.subtract(period.middle).divide(YEAR)


def kept_near(observed: Observations, values: ee.Image) -> ee.Image:
    """Return a curve's values (times × 1), not far beyond the range of a pixel's observations."""
    gap = observed.weights.eq(0).multiply(FAR)
    low = reduced(observed.values.add(gap), ee.Reducer.min())
    high = reduced(observed.values.subtract(gap), ee.Reducer.max())
    margin = high.subtract(low).multiply(BEYOND_SHARE).max(BEYOND_LEAST)
    # Of no observation `low` is FAR above `high`, and all is near.
    least, most = low.min(high), high.max(low)
    lowest = least.subtract(margin).max(least.min(-LIMIT))
    highest = most.add(margin).min(most.max(LIMIT))
    return values.max(lowest).min(highest)


def total(column: ee.Image) -> ee.Image:
    """Return the sum of a column as a number."""
    return reduced(column, ee.Reducer.sum())


def reduced(column: ee.Image, reducer: ee.Reducer) -> ee.Image:
    """Return what a reducer makes of a column, a number."""
    return column.arrayReduce(reducer, [0]).arrayGet([0, 0])


def everywhere(array: ee.Array) -> ee.Image:
    """Return an image with one array in all pixels."""
    return ee.Image.constant(array)
