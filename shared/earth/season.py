"""The parameters of growing seasons, named and defined as the HR-VPP product's, per pixel.

A season belongs to the year in which it peaks; up to two a year. Curves are taken as straight
between steps of `STEP` days. Definitions and sources: docs/science.md, "The season".
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import ee

from shared.earth.curves import EPOCH, Observations, Period, everywhere, total
from shared.earth.gap_filling import is_held
from shared.earth.harmonic_curves import HarmonicCurve
from shared.earth.posterior_curves import PosteriorCurve

STEP: Final = 5  # days between the curve's values
#: How far before and after a year a season that peaks in it may begin and end.
REACH: Final = 200  # days
#: Shares of the rise to the peak, and of the fall from it (HR-VPP).
START_SHARE, END_SHARE = 0.25, 0.15
#: A side's minimum is the mean of the curve where it is within this share of the rise from its
#: lowest value (ours; TIMESAT takes the lowest value of a fitted function, which has no noise).
BASE_SHARE: Final = 0.1
#: A curve that varies less has no season: bare ground, water, evergreens (NDVI; ours).
MIN_AMPLITUDE: Final = 0.1
#: A rise or fall of this share of the curve's range ends one season and begins another (ours).
SEPARATION: Final = 0.25
#: Days on both sides of the peak that count as its own phase in QFLAG (ours).
PEAK_DAYS: Final = 15
#: More clear observations than this make a phase known (HR-VPP).
FEW: Final = 2
#: Beyond every index.
FAR: Final = 9.0

#: Bands of each season. Dates are days since 1970, LENGTH days, slopes index units a day, SPROD
#: and TPROD index units × days, the others index units. Those that end in _SE are standard errors.
PARAMETERS: Final = (
    *("SOSD", "SOSV", "EOSD", "EOSV", "MAXD", "MAXV", "MINV", "LENGTH"),
    *("LSLOPE", "RSLOPE", "AMPL", "SPROD", "TPROD", "QFLAG"),
)
ERRORS: Final = ("SOSD_SE", "EOSD_SE", "MAXV_SE", "SPROD_SE", "TPROD_SE")
DATES: Final = ("SOSD", "EOSD", "MAXD")
#: Those that grow as the index does.
VALUES: Final = (
    *("SOSV", "EOSV", "MAXV", "MINV", "AMPL", "LSLOPE", "RSLOPE", "SPROD", "TPROD"),
    *("MAXV_SE", "SPROD_SE", "TPROD_SE"),
)
#: QFLAG by which phases have more than two observations, (green-up, peak, green-down). 10 to 7 are
#: HR-VPP's, the others ours; NO_SEASON where the curve has none, TOO_FEW where there is no curve.
QUALITY: Final = {
    (1, 1, 1): 10,
    (0, 1, 1): 9,
    (1, 0, 1): 8,
    (1, 1, 0): 7,
    (0, 0, 1): 6,
    (0, 1, 0): 5,
    (1, 0, 0): 4,
    (0, 0, 0): 3,
}
NO_SEASON, TOO_FEW = 1, 0
SEASONS: Final = (1, 2)


@dataclass(frozen=True)
class Steps:
    """A curve's values (steps × 1) and the days since 1970 that they are of."""

    values: ee.Image
    days: tuple[float, ...]

    @property
    def column(self) -> ee.Image:
        """The days, in every pixel."""
        return everywhere(_column(self.days))

    def reversed(self) -> "Steps":
        """Return the curve with time running backwards: days are negative."""
        values = self.values.arraySort(self.column.multiply(-1))
        return Steps(values, tuple(-day for day in reversed(self.days)))

    def at(self, day: ee.Image) -> ee.Image:
        """Return the value at a step's day."""
        return total(self.values.multiply(self.column.eq(day)))


@dataclass(frozen=True)
class Flank:
    """One side of a season: its valley, and where the curve passes a share of the way up."""

    valley: ee.Image
    valley_day: ee.Image
    day: ee.Image
    value: ee.Image
    slope: ee.Image


def season_days(period: Period, year: int) -> list[date]:
    """Return the days at which the curve is looked at for a year's seasons."""
    first = max(period.first, date(year, 1, 1) - timedelta(REACH))
    last = min(period.after, date(year + 1, 1, 1) + timedelta(REACH))
    return Period(first, last).every(STEP)


def seasons(curve: HarmonicCurve | PosteriorCurve, period: Period, year: int) -> ee.Image:
    """Return PARAMETERS and ERRORS of both seasons that peak in a year: `SOSD_1` … `TPROD_SE_2`.

    Season 1 is the earlier, and the only one where there is one; where there is none it is masked
    but for `QFLAG_1` (1: no season, 0: too few observations). Errors are of the default preset
    only: masked in the other.
    """
    days = tuple(float((day - EPOCH).days) for day in season_days(period, year))
    if isinstance(curve, PosteriorCurve):
        value, variance = curve.curve(_column(days))
        errors = Errors(variance, curve.variance_of_sum)
    else:
        value, errors = curve.at(_column(days)).select("value"), None
    held = is_held(curve)
    found = seasons_of(Steps(value, days), year, curve.observed, errors).updateMask(held)
    return found.addBands(found.select("QFLAG_1").unmask(TOO_FEW, False), None, True)


@dataclass(frozen=True)
class Errors:
    """Variance of a curve's values at its steps, and of weighted sums of them."""

    variance: ee.Image
    of_sum: Callable[[ee.Array, ee.Image], ee.Image]


def seasons_of(
    steps: Steps, year: int, observed: Observations | None = None, errors: Errors | None = None
) -> ee.Image:
    """Return the bands of `seasons` for a curve given by its values."""
    tops = _tops(steps, year)
    separation = _range(steps.values).multiply(SEPARATION).max(MIN_AMPLITUDE)
    highest = _season(steps, tops, separation, observed, errors)
    around = [highest.select(name) for name in ("_left", "_right")]
    outside = steps.column.lt(around[0]).Or(steps.column.gt(around[1]))
    other = _season(steps, tops.multiply(outside), separation, observed, errors)
    valid, valid_other = (one.select("_valid") for one in (highest, other))
    valid_other = valid_other.And(valid)
    names = [*PARAMETERS, *ERRORS]
    swap = valid_other.And(other.select("MAXD").lt(highest.select("MAXD")))
    first = _choose(swap, other, highest, names).updateMask(valid)
    second = _choose(swap, highest, other, names).updateMask(valid_other)
    bands = [one.rename([f"{n}_{i}" for n in names]) for i, one in ((1, first), (2, second))]
    flag = bands[0].select("QFLAG_1").unmask(NO_SEASON, False)
    return ee.Image.cat(*bands).addBands(flag, None, True)


def _choose(condition: ee.Image, yes: ee.Image, no: ee.Image, names: list[str]) -> ee.Image:
    return no.select(names).where(condition, yes.select(names))


def _column(days: Sequence[float]) -> ee.Array:
    return ee.Array([[day] for day in days])


def _range(values: ee.Image) -> ee.Image:
    return _extreme(values, "max").subtract(_extreme(values, "min"))


def _extreme(values: ee.Image, which: str) -> ee.Image:
    reducer = ee.Reducer.max() if which == "max" else ee.Reducer.min()
    return values.arrayReduce(reducer, [0]).arrayGet([0, 0])


def _tops(steps: Steps, year: int) -> ee.Image:
    """Return 1 at the local maxima of a year (the last of equal values), 0 elsewhere."""
    begin, end = ((date(y, 1, 1) - EPOCH).days for y in (year, year + 1))
    last = len(steps.days) - 1
    inner = [float(begin <= d < end and 0 < i < last) for i, d in enumerate(steps.days)]
    before = steps.values.arraySlice(0, 0, -1)
    after = steps.values.arraySlice(0, 1)
    rising = after.gte(before)
    falling = after.lt(before)
    edge = everywhere(ee.Array([[0]]))
    top = edge.arrayCat(rising, 0).multiply(falling.arrayCat(edge, 0))
    return top.multiply(everywhere(_column(inner)))


def _season(
    steps: Steps,
    tops: ee.Image,
    separation: ee.Image,
    observed: Observations | None,
    errors: Errors | None,
) -> ee.Image:
    """Return the parameters of the season with the highest top, and bands _left, _right, _valid.

    Where there is no top the numbers mean nothing, and _valid is 0.
    """
    height = steps.values.multiply(tops).subtract(tops.multiply(-1).add(1).multiply(FAR))
    peak = _extreme(height, "max")
    peak_day = _first(steps.column, height.eq(peak))
    start = _negative(
        _flank(steps.reversed(), peak, peak_day.multiply(-1), separation, START_SHARE)
    )
    end = _flank(steps, peak, peak_day, separation, END_SHARE)
    rise = peak.subtract(start.valley.max(end.valley))
    valid = rise.gte(separation).And(_extreme(tops, "max").gt(0))
    base = start.valley.add(end.valley).divide(2)
    length = end.day.subtract(start.day)
    weights = _integral_weights(steps.days, start.day, end.day)
    whole = total(weights.multiply(steps.values))
    bands = {
        "SOSD": start.day,
        "SOSV": start.value,
        "EOSD": end.day,
        "EOSV": end.value,
        "MAXD": peak_day,
        "MAXV": peak,
        "MINV": base,
        "LENGTH": length,
        "LSLOPE": start.slope,
        "RSLOPE": end.slope,
        "AMPL": peak.subtract(base),
        "SPROD": whole.subtract(base.multiply(length)),
        "TPROD": whole,
        "QFLAG": _quality(observed, start.valley_day, peak_day, end.valley_day),
        **_errors(errors, steps, start, end, peak_day, weights),
        "_left": start.valley_day,
        "_right": end.valley_day,
        "_valid": valid,
    }
    return ee.Image.cat(*[band.toDouble() for band in bands.values()]).rename(list(bands))


def _first(days: ee.Image, where: ee.Image) -> ee.Image:
    """Return the first day at which a column is not 0; a day far off if there is none."""
    return _extreme(days.add(where.eq(0).multiply(1e6)), "min")


def _flank(
    steps: Steps, peak: ee.Image, peak_day: ee.Image, separation: ee.Image, share: float
) -> Flank:
    """Return the side after the peak. It ends before the curve has risen again by `separation`."""
    days, values = steps.column, steps.values
    after = days.gte(peak_day)
    beside = values.multiply(after).add(after.eq(0).multiply(FAR))
    lowest = beside.arrayAccum(0, ee.Reducer.min())
    beyond = beside.subtract(lowest).gte(separation).arrayAccum(0, ee.Reducer.max())
    own = after.multiply(beyond.eq(0))
    falling = values.multiply(own).add(own.eq(0).multiply(FAR))
    lowest_value = _extreme(falling, "min")
    valley_day = _first(days, falling.eq(lowest_value))
    # The lowest of many uncertain values lies below what it is the value of.
    level = lowest_value.add(peak.subtract(lowest_value).multiply(BASE_SHARE))
    low = falling.lte(level)
    valley = total(values.multiply(low)).divide(total(low))
    value = valley.add(peak.subtract(valley).multiply(share))
    below_day = _first(days, values.lt(value).multiply(own))
    below = steps.at(below_day)
    above = steps.at(below_day.subtract(STEP))
    slope = below.subtract(above).divide(STEP)
    day = below_day.subtract(below.subtract(value).divide(slope))
    return Flank(valley, valley_day, day, value, slope)


def _negative(flank: Flank) -> Flank:
    """Return a flank of the reversed curve as one of the curve."""
    return Flank(
        flank.valley,
        flank.valley_day.multiply(-1),
        flank.day.multiply(-1),
        flank.value,
        flank.slope.multiply(-1),
    )


def _integral_weights(days: Sequence[float], start: ee.Image, end: ee.Image) -> ee.Image:
    """Return what each step's value counts for in the integral from one day to another, in days."""
    column = everywhere(_column(days))
    until_end, until_start = (
        _hat_integral(column.multiply(-1).add(day).divide(STEP)) for day in (end, start)
    )
    return until_end.subtract(until_start).multiply(STEP)


def _hat_integral(distance: ee.Image) -> ee.Image:
    """Return the integral up to a distance of the hat that is 1 at 0 and 0 from -1 and 1 on."""
    inside = distance.max(-1).min(1)
    return inside.subtract(inside.multiply(inside.abs()).divide(2)).add(0.5)


def _errors(
    errors: Errors | None,
    steps: Steps,
    start: Flank,
    end: Flank,
    peak_day: ee.Image,
    weights: ee.Image,
) -> dict[str, ee.Image]:
    """Return standard errors from the curve's; thresholds and dates of the integrals held fixed."""
    if errors is None:
        nothing = ee.Image(0).updateMask(0)
        return dict.fromkeys(ERRORS, nothing)
    spread = Steps(errors.variance.sqrt(), steps.days)
    days = _column(steps.days)
    ends = everywhere(_column(steps.days))
    base = ends.eq(start.valley_day).add(ends.eq(end.valley_day)).divide(2)
    above = weights.subtract(base.multiply(end.day.subtract(start.day)))
    return {
        "SOSD_SE": _nearest(spread, start.day).divide(start.slope.abs()),
        "EOSD_SE": _nearest(spread, end.day).divide(end.slope.abs()),
        "MAXV_SE": spread.at(peak_day),
        "SPROD_SE": errors.of_sum(days, above).sqrt(),
        "TPROD_SE": errors.of_sum(days, weights).sqrt(),
    }


def _nearest(steps: Steps, day: ee.Image) -> ee.Image:
    """Return the value at the step nearest to a day."""
    first = steps.days[0]
    return steps.at(day.subtract(first).divide(STEP).round().multiply(STEP).add(first))


def _quality(
    observed: Observations | None, left: ee.Image, peak: ee.Image, right: ee.Image
) -> ee.Image:
    """Return QUALITY of the phases: valley to peak, around the peak, peak to valley."""
    if observed is None:
        return ee.Image(QUALITY[1, 1, 1])
    days = everywhere(observed.days)
    edges = [left, peak.subtract(PEAK_DAYS), peak.add(PEAK_DAYS), right]
    known = [
        total(days.gte(begin).And(days.lte(end)).multiply(observed.weights)).gt(FEW)
        for begin, end in itertools.pairwise(edges)
    ]
    code = known[0].multiply(4).add(known[1].multiply(2)).add(known[2])
    codes = {up * 4 + top * 2 + down: flag for (up, top, down), flag in QUALITY.items()}
    return code.remap(list(codes), list(codes.values()))


def scaled(found: ee.Image, factor: float) -> ee.Image:
    """Return `seasons` of a curve that is so many times as high: thresholds stay what they were."""
    names = [f"{name}_{number}" for name in VALUES for number in SEASONS]
    return found.addBands(found.select(names).multiply(factor), None, True)


def yydoy(day: ee.Image, year: int) -> ee.Image:
    """Return a date around a year as HR-VPP codes it: 18123 is day 123 of 2018; int32."""
    whole = day.round()
    result = whole.multiply(0)
    for y in (year - 1, year, year + 1):
        first = (date(y, 1, 1) - EPOCH).days
        code = whole.subtract(first).add(1 + 1000 * (y % 100))
        result = result.where(whole.gte(first), code)
    return result.toInt32()
