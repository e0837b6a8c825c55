"""The fit of 2019: harmonics of 10, 5 or 1 waves a year, as many as the observations hold.

Formulas: docs/science.md.
"""

from dataclasses import dataclass
from typing import Final

import ee

from shared.earth.curves import (
    LIMIT,
    YEAR,
    Observations,
    Period,
    everywhere,
    harmonics,
    kept_near,
    total,
    trend,
)

ORDERS: Final = (10, 5, 1)
#: Added to the diagonal of the equations so that they have one solution with few observations;
#: too small to move one that is determined.
RIDGE: Final = 1e-7


@dataclass(frozen=True)
class HarmonicCurve:
    """Least squares of 1, time and harmonics; of each time the highest order that may be used."""

    observed: Observations
    period: Period

    minimum = 2 + 2 * ORDERS[-1] + 1

    @property
    def weights(self) -> ee.Image:
        """How much each observation counts, times × 1: all alike."""
        return self.observed.weights

    def at(self, days: ee.Array) -> ee.Image:
        """Return array bands `value`, `std` and `source`: 10, 5 or 1, the order."""
        result = self._of_order(days, ORDERS[-1])
        near = kept_near(self.observed, result.select("value"))
        result = result.addBands(near, None, True)
        for order in reversed(ORDERS[:-1]):
            finer = self._of_order(days, order)
            usable = finer.select("value").abs().lt(LIMIT).multiply(self._allowed(order))
            result = finer.multiply(usable).add(result.multiply(usable.multiply(-1).add(1)))
        return result

    def _of_order(self, days: ee.Array, order: int) -> ee.Image:
        at_observations = everywhere(_design(self.observed.days, self.period, order))
        terms = 2 + 2 * order
        weights = self.observed.weights
        weighted = at_observations.multiply(weights.arrayRepeat(1, terms))
        # Least squares by the equations themselves: their squares would lose half of the digits.
        ridge = everywhere(ee.Array.identity(terms).multiply(RIDGE))
        nothing = everywhere(ee.Array([[0.0]] * terms))
        fit = weighted.arrayCat(ridge, 0).matrixSolve(self.observed.values.arrayCat(nothing, 0))
        residuals = weighted.matrixMultiply(fit).subtract(self.observed.values)
        freedom = self.observed.count.subtract(terms).max(1)
        std = total(residuals.pow(2)).divide(freedom).sqrt()
        value = everywhere(_design(days, self.period, order)).matrixMultiply(fit)
        flat = value.multiply(0)
        return ee.Image.cat(value, flat.add(std), flat.add(order)).rename("value", "std", "source")

    def _allowed(self, order: int) -> ee.Image:
        """Return 1 where there are more observations than terms, and no gap hides a whole wave."""
        enough = self.observed.count.gt(2 + 2 * order)
        return enough.And(longest_gap(self.observed, self.period).lte(YEAR / order))


def longest_gap(observed: Observations, period: Period) -> ee.Image:
    """Return the most days without observation, the period's ends included."""
    start, end = (period.middle + side * period.days / 2 for side in (-1, 1))
    days = everywhere(observed.days)
    seen = observed.weights.multiply(days.subtract(start)).add(start)  # its start where not seen
    latest = everywhere(ee.Array([[start]])).arrayCat(
        seen.arrayAccum(0, ee.Reducer.max()), 0
    )  # before each observation, and at the end
    following = days.arrayCat(everywhere(ee.Array([[end]])), 0)
    gaps = following.subtract(latest)
    seen_or_end = observed.weights.arrayCat(everywhere(ee.Array([[1.0]])), 0)
    return gaps.multiply(seen_or_end).arrayReduce(ee.Reducer.max(), [0]).arrayGet([0, 0])


def _design(days: ee.Array, period: Period, order: int) -> ee.Array:
    ones = days.multiply(0).add(1)
    return ee.Array.cat([ones, trend(days, period), *harmonics(days, order)], 1)
