"""The parameters of growing seasons, named and defined as the HR-VPP product's, per pixel.

A season belongs to the year in which it peaks; up to two a year. Curves are taken as straight
between steps of `STEP` days. Definitions and sources: docs/science.md.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import ee

from shared.earth.curves import EPOCH, FAR, Observations, Period, everywhere, reduced, total
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
#: Where the curve's standard deviation is higher it is not held by observations (NDVI; ours).
HELD: Final = 0.1
#: A side has its minimum where it is held, and not in a gap, if there it has fallen by this share
#: of its fall, and is level for so many steps (ours).
FALLEN, LEVEL_STEPS = 0.75, 6
#: Days on both sides of the peak that count as its own phase in QFLAG (ours).
PEAK_DAYS: Final = 15
#: More clear observations than this make a phase known (HR-VPP).
FEW: Final = 2

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
        return Steps(self.turned(self.values), tuple(-day for day in reversed(self.days)))

    def turned(self, column: ee.Image) -> ee.Image:
        """Return a column of these steps in the order of the reversed curve."""
        return column.arraySort(self.column.multiply(-1))

    def at(self, day: ee.Image) -> ee.Image:
        """Return the value at a step's day."""
        return total(self.values.multiply(self.column.eq(day)))


@dataclass(frozen=True)
class Flank:
    """One side of a season: its valley, and where the curve passes a share of the way up.

    `low` is 1 at the steps whose mean the valley is.
    """

    valley: ee.Image
    low: ee.Image
    valley_day: ee.Image
    day: ee.Image
    value: ee.Image
    slope: ee.Image


def season_days(period: Period, year: int) -> list[date]:
    """Return the days at which the curve is looked at for a year's seasons.

    Two years look at the same days, so that a peak at New Year is of one of them.
    """
    first = date(year, 1, 1) - timedelta(REACH)
    last = date(year + 1, 1, 1) + timedelta(REACH)
    return [day for day in period.every(STEP) if first <= day < last]


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
    separation = _range(steps.values).multiply(SEPARATION).max(MIN_AMPLITUDE)
    tops = _tops(steps, year, separation)
    highest = _season(steps, tops, separation, observed, errors)
    around = [highest.select(name) for name in ("_left", "_right")]
    outside = steps.column.lt(around[0]).Or(steps.column.gt(around[1]))
    other = _season(steps, tops.multiply(outside), separation, observed, errors)
    valid, valid_other = (one.select("_valid") for one in (highest, other))
    names = [*PARAMETERS, *ERRORS]
    is_earlier = other.select("MAXD").lt(highest.select("MAXD"))
    swap = valid_other.And(is_earlier.Or(valid.Not()))
    first = _choose(swap, other, highest, names).updateMask(valid.Or(valid_other))
    second = _choose(swap, highest, other, names).updateMask(valid.And(valid_other))
    bands = [one.rename([f"{n}_{i}" for n in names]) for i, one in ((1, first), (2, second))]
    flag = bands[0].select("QFLAG_1").unmask(NO_SEASON, False)
    return ee.Image.cat(*bands).addBands(flag, None, True)


def _choose(condition: ee.Image, yes: ee.Image, no: ee.Image, names: list[str]) -> ee.Image:
    return no.select(names).where(condition, yes.select(names))


def _column(days: Sequence[float]) -> ee.Array:
    return ee.Array([[day] for day in days])


def _range(values: ee.Image) -> ee.Image:
    return reduced(values, ee.Reducer.max()).subtract(reduced(values, ee.Reducer.min()))


def _tops(steps: Steps, year: int, separation: ee.Image) -> ee.Image:
    """Return 1 at the local maxima of a year's seasons (the last of equal values), 0 elsewhere."""
    begin, end = ((date(y, 1, 1) - EPOCH).days for y in (year, year + 1))
    last = len(steps.days) - 1
    inner = [float(begin <= d < end and 0 < i < last) for i, d in enumerate(steps.days)]
    before = steps.values.arraySlice(0, 0, -1)
    after = steps.values.arraySlice(0, 1)
    rising = after.gte(before)
    falling = after.lt(before)
    edge = everywhere(ee.Array([[0]]))
    top = edge.arrayCat(rising, 0).multiply(falling.arrayCat(edge, 0))
    mirrored = steps.reversed()
    others = _of_earlier_peak(steps, begin, separation).Or(
        mirrored.turned(_of_earlier_peak(mirrored, 1 - end, separation))
    )
    return top.multiply(everywhere(_column(inner))).multiply(others.eq(0))


def _of_earlier_peak(steps: Steps, begin: int, separation: ee.Image) -> ee.Image:
    """Return 1 at steps from a day on that belong to a season which peaks before it."""
    mirrored = steps.reversed()
    # Back from that day, the peak lies before the curve has fallen by `separation`.
    depth = mirrored.values.multiply(-1)
    climb = _until_risen(depth, mirrored.column.gt(-begin), separation)
    lowest = _lowest(depth, climb)
    peak = lowest.multiply(-1)
    peak_day = _first(mirrored.column, _where(depth, climb).eq(lowest)).multiply(-1)
    own = _until_risen(steps.values, steps.column.gte(peak_day), separation)
    return own.And(steps.column.gte(begin)).And(steps.values.lte(peak))


def _until_risen(values: ee.Image, where: ee.Image, separation: ee.Image) -> ee.Image:
    """Return 1 where `where` is, until the curve there has risen again by `separation`."""
    beside = _where(values, where)
    lowest = beside.arrayAccum(0, ee.Reducer.min())
    beyond = beside.subtract(lowest).gte(separation).arrayAccum(0, ee.Reducer.max())
    return where.multiply(beyond.eq(0))


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
    peak = reduced(height, ee.Reducer.max())
    peak_day = _first(steps.column, height.eq(peak))
    variance = errors.variance if errors else steps.values.multiply(0)
    held, mirrored = variance.lte(HELD**2), steps.reversed()
    back = (peak, peak_day.multiply(-1), separation, START_SHARE, steps.turned(held))
    start = _negative(_flank(mirrored, *back), mirrored)
    end = _flank(steps, peak, peak_day, separation, END_SHARE, held)
    rise = peak.subtract(start.valley.max(end.valley))
    # A peak in a gap may be the prior's alone.
    least = separation.max(Steps(variance, steps.days).at(peak_day).sqrt())
    valid = rise.gte(least).And(reduced(tops, ee.Reducer.max()).gt(0))
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
    return reduced(days.add(where.eq(0).multiply(1e6)), ee.Reducer.min())


def _flank(
    steps: Steps,
    peak: ee.Image,
    peak_day: ee.Image,
    separation: ee.Image,
    share: float,
    held: ee.Image,
) -> Flank:
    """Return the side after the peak. It ends before the curve has risen again by `separation`."""
    days, values = steps.column, steps.values
    own = _until_risen(values, days.gte(peak_day), separation)
    seen = own.multiply(held)
    fallen = peak.subtract(_lowest(values, seen)).divide(peak.subtract(_lowest(values, own)))
    is_level = total(_low(values, seen, peak)).gte(LEVEL_STEPS).And(fallen.gte(FALLEN))
    known = seen.max(own.multiply(is_level.Not()))
    low = _low(values, known, peak)
    valley = total(values.multiply(low)).divide(total(low))
    valley_day = _first(days, _where(values, known).eq(_lowest(values, known)))
    value = valley.add(peak.subtract(valley).multiply(share))
    below_day = _first(days, values.lt(value).multiply(own))
    below = steps.at(below_day)
    above = steps.at(below_day.subtract(STEP))
    slope = below.subtract(above).divide(STEP)
    day = below_day.subtract(below.subtract(value).divide(slope))
    return Flank(valley, low, valley_day, day, value, slope)


def _low(values: ee.Image, where: ee.Image, peak: ee.Image) -> ee.Image:
    """Return 1 at the steps whose mean is a side's minimum: near its lowest.

    The lowest of many uncertain values lies below what it is the value of.
    """
    lowest = _lowest(values, where)
    near = lowest.add(peak.subtract(lowest).multiply(BASE_SHARE))
    return _where(values, where).lte(near)


def _lowest(values: ee.Image, where: ee.Image) -> ee.Image:
    return reduced(_where(values, where), ee.Reducer.min())


def _where(values: ee.Image, where: ee.Image) -> ee.Image:
    """Return values, and a higher one than all where `where` is 0."""
    return values.multiply(where).add(where.eq(0).multiply(FAR))


def _negative(flank: Flank, mirrored: Steps) -> Flank:
    """Return a flank of the reversed curve as one of the curve."""
    return Flank(
        flank.valley,
        mirrored.turned(flank.low),
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
    """Return standard errors from the curve's, dates and integrals as linear functions of it."""
    if errors is None:
        nothing = ee.Image(0).updateMask(0)
        return dict.fromkeys(ERRORS, nothing)
    first, last = (
        _movement(steps, flank, peak_day, share)
        for flank, share in ((start, START_SHARE), (end, END_SHARE))
    )
    base = _share(start.low).add(_share(end.low)).divide(2)
    level = start.valley.add(end.valley).divide(2)
    whole = weights.add(last.multiply(end.value)).subtract(first.multiply(start.value))
    below = base.multiply(end.day.subtract(start.day)).add(last.subtract(first).multiply(level))
    sums = {"SOSD": first, "EOSD": last, "SPROD": whole.subtract(below), "TPROD": whole}
    days = _column(steps.days)
    found = {f"{name}_SE": errors.of_sum(days, w).sqrt() for name, w in sums.items()}
    return {**found, "MAXV_SE": Steps(errors.variance, steps.days).at(peak_day).sqrt()}


def _movement(steps: Steps, flank: Flank, peak_day: ee.Image, share: float) -> ee.Image:
    """Return by how much a flank's day moves for each step's value that rises by 1, in days."""
    threshold = _share(flank.low).multiply(1 - share)
    threshold = threshold.add(steps.column.eq(peak_day).multiply(share))
    here = steps.column.subtract(flank.day).abs().divide(-STEP).add(1).max(0)
    return threshold.subtract(here).divide(flank.slope)


def _share(where: ee.Image) -> ee.Image:
    return where.divide(total(where))


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
