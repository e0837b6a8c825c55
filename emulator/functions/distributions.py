"""Reducers that need the distribution of their values: percentiles, modes, histograms."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from emulator.errors import EarthEngineError
from emulator.functions.reducers import (
    Reduced,
    Reducer,
    State,
    check_count,
    column,
    least_weight,
    makes,
    present,
    register,
)
from emulator.functions.statistics import (
    count_values,
    filled,
    ratio,
    total_weight,
    weighted_sum,
)
from emulator.raster import DOUBLE, INDEX, MATRIX, VECTOR, Array, PixelType, is_valid_everywhere

#: Distinct values of a region that are kept; above it they are gathered into half as many
#: ranges of equal weight, each standing for its mean: percentiles are exact up to here.
MAX_DISTINCT = 2**20


class Distribution(NamedTuple):
    """Values and weights; those of a region are distinct and in order.

    `unit` is the weight of the lightest record, None if values stand for single records.
    """

    values: Array
    weights: Array
    unit: float | None


def _distribution(inputs: Sequence[Array], weights: Sequence[Array]) -> Distribution:
    [values], [weight] = inputs, weights
    if values.ndim > 1:
        return Distribution(values, weight, None)
    kept = weight > 0
    unit = float(weight[kept].min()) if kept.any() else math.inf
    return Distribution(*_condensed(values[kept], weight[kept]), unit)


def _condensed(values: Array, weights: Array) -> tuple[Array, Array]:
    """Return distinct values in order with their weights together."""
    if values.dtype == object:
        totals: dict[str, list[Any]] = {}
        for value, weight in zip(values, weights, strict=True):
            totals.setdefault(repr(value), [value, 0.0])[1] += weight
        return column([v for v, _ in totals.values()], nulls=True), np.array(
            [w for _, w in totals.values()]
        )
    distinct, where = np.unique(values, return_inverse=True)
    return distinct, np.bincount(where, weights, len(distinct))


def _merged_distributions(a: Distribution, b: Distribution) -> Distribution:
    values, weights = _condensed(*(np.concatenate(both) for both in zip(a[:2], b[:2], strict=True)))
    if len(values) > MAX_DISTINCT:
        values, weights = _ranges(values, weights, MAX_DISTINCT // 2)
    return Distribution(values, weights, min(a.unit, b.unit))


def _ranges(values: Array, weights: Array, count: int) -> tuple[Array, Array]:
    share = np.cumsum(weights) / weights.sum()
    bucket = np.minimum((share * count).astype(np.int64), count - 1)
    bucket[0], bucket[-1] = -1, count  # the extremes stay what they are
    _, where = np.unique(bucket, return_inverse=True)
    totals = np.bincount(where, weights)
    return np.bincount(where, weights * values) / totals, totals


def _distributed(
    outputs: Sequence[str],
    types: Sequence[PixelType | None],
    finish: Callable[[Distribution], list[Reduced]],
    **more: Any,
) -> Reducer:
    def finish_any(found: Distribution) -> list[Reduced]:
        if found.unit is not None and not len(found.values):
            return [Reduced(None, False)] * len(outputs)
        return finish(found)

    return Reducer(
        tuple(outputs), tuple(types), _distribution, _merged_distributions, finish_any, **more
    )


def percentiles_of(found: Distribution, percentages: Sequence[float]) -> list[Array]:
    """Return percentiles, interpolated linearly between ranks.

    Earth Engine's interpolation is not published; this is numpy's default, with a weight for
    a number of equal values. Where no weight is, the result has no meaning.
    """
    values = np.moveaxis(filled(found.values, found.weights, highest=True), 0, -1)
    weights = found.weights
    if found.unit is None and (
        is_valid_everywhere(weights) or ((weights == 0) | (weights == 1)).all()
    ):
        count = np.asarray(count_values(values, weights))
        # What is sorted at a time lies together, which halves the time.
        ordered = np.sort(np.ascontiguousarray(values), axis=-1)
        return [_rank(ordered, count, percentage / 100) for percentage in percentages]
    order = np.argsort(values, axis=-1)
    ordered = np.take_along_axis(values, order, axis=-1)
    weights = np.moveaxis(np.broadcast_to(weights, found.values.shape), 0, -1)
    summed = np.cumsum(np.take_along_axis(weights, order, axis=-1), axis=-1, dtype=np.float64)
    unit = found.unit
    if unit is None:
        unit = np.where(weights > 0, weights, np.inf).min(axis=-1)
    return [_weighted_rank(ordered, summed, unit, p / 100) for p in percentages]


def _rank(ordered: Array, count: Array, share: float) -> Array:
    position = np.maximum(count - 1, 0) * share
    if count.size and (first := position.flat[0]) == position.min() == position.max():
        low, high = int(first), min(int(first) + 1, ordered.shape[-1] - 1)
        below, above = ordered[..., low], ordered[..., high]
    else:
        low = position.astype(np.intp)
        high = np.minimum(low + 1, np.maximum(count - 1, 0))
        below, above = (
            np.take_along_axis(ordered, i[..., None], axis=-1)[..., 0] for i in (low, high)
        )
    return _between(below, above, position - low)


def _weighted_rank(ordered: Array, summed: Array, unit: Any, share: float) -> Array:
    """Return the value at a share of all weight; the last unit of a weight leads to the next."""
    position = np.maximum(summed[..., -1] - unit, 0) * share
    tolerance = 1e-9 * summed[..., -1]  # of rounding in sums
    low = (summed <= (position + tolerance)[..., None]).sum(axis=-1)
    low = np.minimum(low, ordered.shape[-1] - 1)
    high = np.minimum(low + 1, ordered.shape[-1] - 1)
    below, above, end = (
        np.take_along_axis(a, i[..., None], axis=-1)[..., 0]
        for a, i in ((ordered, low), (ordered, high), (summed, low))
    )
    with np.errstate(invalid="ignore"):
        part = (position - (end - unit)) / unit
    return _between(below, above, np.where(part > tolerance / unit, part, 0))


def _between(below: Array, above: Array, part: Array) -> Array:
    below = below.astype(np.float64)
    with np.errstate(invalid="ignore"):  # stand-ins for no value are infinite
        return np.where(part > 0, below + (above - below) * part, below)


def _valid(found: Distribution) -> Array:
    return present(found.weights)


@makes("percentile")
def percentile(
    percentages: list[float], names: list[str] | None, buckets: Any, width: Any, raw: Any
) -> Reducer:
    if names is not None and len(names) != len(percentages):
        raise EarthEngineError("Reducer.percentile: Every percentile needs one output name.")
    if not all(0 <= p <= 100 for p in percentages):
        raise EarthEngineError("Reducer.percentile: Percentiles must be between 0 and 100.")

    def finish(found: Distribution) -> list[Reduced]:
        return [Reduced(p, _valid(found)) for p in percentiles_of(found, percentages)]

    outputs = names or [f"p{p:g}" for p in percentages]
    return _distributed(outputs, (DOUBLE,) * len(outputs), finish)


@makes("median")
def median(buckets: Any, width: Any, raw: Any) -> Reducer:
    return percentile([50], ["median"], None, None, None)


@makes("intervalMean")
def interval_mean(low: float, high: float, buckets: Any, width: Any, raw: Any) -> Reducer:
    """Take the mean of the values from one percentile to the other, both included."""

    def finish(found: Distribution) -> list[Reduced]:
        first, last = percentiles_of(found, [low, high])
        values = np.where(found.weights > 0, found.values, np.inf)
        nearest = np.where(values >= first, values, np.inf).min(axis=0)  # none may be between
        inside = (values >= first) & (values <= np.maximum(last, nearest))
        weights = np.where(inside, found.weights, 0)
        return [
            Reduced(
                ratio(weighted_sum(found.values, weights), total_weight(weights)), _valid(found)
            )
        ]

    return _distributed(["mean"], [DOUBLE], finish)


def _mode(values: Array, weights: Array) -> Array:
    """Return the value with the most weight; the smallest of several."""
    order = np.argsort(values, axis=0, kind="stable")
    ordered = np.take_along_axis(values, order, axis=0)
    weight = np.take_along_axis(np.broadcast_to(weights, values.shape), order, axis=0)
    best, best_weight = ordered[0].copy(), np.full(ordered[0].shape, -1.0)
    run = np.zeros(ordered[0].shape)
    for i in range(len(ordered)):
        same = (ordered[i] == ordered[i - 1]) if i else np.zeros(ordered[0].shape, bool)
        run = np.where(same, run, 0) + weight[i]
        better = run > best_weight
        best, best_weight = np.where(better, ordered[i], best), np.where(better, run, best_weight)
    return best


@makes("mode")
def mode(buckets: Any, width: Any, raw: Any) -> Reducer:
    def finish(found: Distribution) -> list[Reduced]:
        if found.unit is None:
            return [Reduced(_mode(found.values, found.weights), _valid(found))]
        return [Reduced(found.values[found.weights.argmax()], True)]

    return _distributed(["mode"], [None], finish)


def _distinct(found: Distribution) -> list[Reduced]:
    if found.unit is not None:
        return [Reduced(np.asarray(len(found.values)), True)]
    count = np.asarray(count_values(found.values, found.weights))
    ordered = np.sort(filled(found.values, found.weights, highest=True), axis=0)
    position = np.arange(1, len(ordered)).reshape(-1, *[1] * count.ndim)
    new = ((ordered[1:] != ordered[:-1]) & (position < count)).sum(axis=0)
    return [Reduced((count > 0) + new, count > 0)]


for _name, _nulls in (("countDistinct", True), ("countDistinctNonNull", False)):
    register(
        _name,
        _distributed(["count"], [INDEX], _distinct, weighted=False, empty=(0,), nulls=_nulls),
    )


def _frequencies(found: Distribution) -> list[Reduced]:
    values = found.values.tolist()
    keys = [str(int(v) if isinstance(v, float) and v.is_integer() else v) for v in values]
    return [Reduced(dict(zip(keys, found.weights.tolist(), strict=True)), True)]


register(
    "frequencyHistogram",
    _distributed(["histogram"], [None], _frequencies, empty=({},), objects=True),
)

MAX_BUCKETS = 256  # unless told otherwise (the default is not published)


class Buckets(NamedTuple):
    """A histogram: lower end, width, and for each bucket its weight and the mean in it."""

    start: float
    width: float
    weights: Array
    means: Array


def _check_buckets(name: str, most: int | None, least_width: float | None) -> None:
    if most is not None:
        check_count(name, "maxBuckets", most)
    if least_width is not None and not 0 < least_width < math.inf:
        raise EarthEngineError(f"Reducer.{name}: 'minBucketWidth' must be positive.")


def _buckets(found: Distribution, most: int | None, least_width: float | None) -> Buckets:
    """Divide a distribution into buckets whose width is a power of two, or the least given.

    They start at a multiple of the width. Integers are not divided further than to 1, and
    what is not finite is in no bucket.
    """
    finite = np.isfinite(found.values)
    if not finite.all():
        found = found._replace(values=found.values[finite], weights=found.weights[finite])
    if not len(found.values):
        return Buckets(0.0, 1.0, np.zeros(0), np.zeros(0))
    most = 2 ** max(math.ceil(math.log2(most or MAX_BUCKETS)), 1)
    low, high = float(found.values[0]), float(found.values[-1])
    width = _width((high - low) / (most - 1), found.values.dtype.kind != "f", least_width)
    first = math.floor(low / width)
    index = np.floor(found.values / width).astype(np.int64) - first
    weights = np.bincount(index, found.weights)
    middles = (first + np.arange(len(weights)) + 0.5) * width
    sums = np.bincount(index, found.weights * found.values)
    means = np.where(weights > 0, ratio(sums, weights), middles)
    return Buckets(first * width, width, weights, means)


def _width(needed: float, whole_numbers: bool, least: float | None) -> float:
    if least is None:
        wanted = 2.0 ** math.ceil(math.log2(needed)) if needed > 0 else 1.0
        least = max(wanted, 1.0) if whole_numbers else wanted
    while least < needed:
        least *= 2
    return least


@makes("histogram")
def histogram(most: int | None, least_width: float | None, raw: Any) -> Reducer:
    _check_buckets("histogram", most, least_width)

    def finish(found: Distribution) -> list[Reduced]:
        buckets = _buckets(found, most, least_width)
        table = {
            "bucketMeans": buckets.means.tolist(),
            "bucketMin": buckets.start,
            "bucketWidth": buckets.width,
            "histogram": buckets.weights.tolist(),
        }
        return [Reduced(table, True)]

    return _distributed(["histogram"], [None], finish, objects=True)


@makes("autoHistogram")
def auto_histogram(
    most: int | None, least_width: float | None, raw: Any, cumulative: bool
) -> Reducer:
    _check_buckets("autoHistogram", most, least_width)

    def table(found: Distribution) -> Array:
        buckets = _buckets(found, most, least_width)
        edges = buckets.start + buckets.width * np.arange(len(buckets.weights))
        counts = np.cumsum(buckets.weights) if cumulative else buckets.weights
        return np.stack([edges, counts], axis=-1)

    def finish(found: Distribution) -> list[Reduced]:
        if found.unit is not None:
            return [Reduced(table(found), True)]
        valid, tables = _valid(found), np.empty(found.weights.shape[1:], object)
        for where in np.ndindex(valid.shape):
            one = (slice(None), *where)
            own = _distribution([found.values[one]], [found.weights[one]])
            tables[where] = table(own) if valid[where] else np.zeros((0, 2))
        return [Reduced(tables, valid)]

    return _distributed(["histogram"], [MATRIX], finish)


def _check_bins(name: str, low: float, high: float, steps: int) -> None:
    check_count(name, "steps", steps)
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise EarthEngineError(f"Reducer.{name}: 'max' must be greater than 'min'.")


def _bins(values: Array, low: float, high: float, steps: int) -> Array:
    """Return the bin of every value; `steps` outside all of them."""
    width = (high - low) / steps
    inside = (values >= low) & (values < high)
    index = np.floor((np.where(inside, values, low) - low) / width).astype(np.int64)
    return np.where(inside, np.minimum(index, steps - 1), steps)


def _edges(low: float, high: float, steps: int) -> Array:
    return low + (high - low) / steps * np.arange(steps)


def _weights_by_bin(bins: Array, weights: Array, steps: int) -> Array:
    """Return the weight in every bin, with the bins as the last axis."""
    shape = bins.shape[1:]
    pixels = np.arange(math.prod(shape)).reshape(shape)
    flat = (pixels * (steps + 1) + bins).ravel()
    sums = np.bincount(
        flat, np.broadcast_to(weights, bins.shape).ravel(), pixels.size * (steps + 1)
    )
    return sums.reshape(*shape, steps + 1)[..., :steps]


@makes("fixedHistogram")
def fixed_histogram(low: float, high: float, steps: int, cumulative: bool) -> Reducer:
    _check_bins("fixedHistogram", low, high, steps)

    def summarise(inputs: Sequence[Array], weights: Sequence[Array]) -> State:
        counts = _weights_by_bin(_bins(inputs[0], low, high, steps), weights[0], steps)
        return counts, present(weights[0])

    def finish(state: State) -> list[Reduced]:
        counts = np.cumsum(state[0], axis=-1) if cumulative else state[0]
        edges = np.broadcast_to(_edges(low, high, steps), counts.shape)
        return [Reduced(np.stack([edges, counts], axis=-1), state[1])]

    return Reducer(("histogram",), (MATRIX,), summarise, _added, finish)


def _added(first: State, second: State) -> State:
    return first[0] + second[0], first[1] | second[1]


@makes("fixed2DHistogram")
def fixed_2d_histogram(
    x_low: float, x_high: float, x_steps: int, y_low: float, y_high: float, y_steps: int
) -> Reducer:
    """Count by bins of both axes: rows are those of x (not published)."""
    _check_bins("fixed2DHistogram", x_low, x_high, x_steps)
    _check_bins("fixed2DHistogram", y_low, y_high, y_steps)
    check_count("fixed2DHistogram", "steps", x_steps * y_steps)

    def summarise(inputs: Sequence[Array], weights: Sequence[Array]) -> State:
        x = _bins(inputs[0], x_low, x_high, x_steps)
        y = _bins(inputs[1], y_low, y_high, y_steps)
        outside, steps = (x == x_steps) | (y == y_steps), x_steps * y_steps
        one = least_weight(weights) > 0
        counts = _weights_by_bin(np.where(outside, steps, x * y_steps + y), one, steps)
        return counts.reshape(*counts.shape[:-1], x_steps, y_steps), one.any(axis=0)

    def finish(state: State) -> list[Reduced]:
        counts, valid = state
        axes = (_edges(x_low, x_high, x_steps), _edges(y_low, y_high, y_steps))
        x, y = (np.broadcast_to(a, (*counts.shape[:-2], len(a))) for a in axes)
        return [Reduced(values, valid) for values in (counts, x, y)]

    outputs, types = ("histogram", "xAxis", "yAxis"), (MATRIX, VECTOR, VECTOR)
    return Reducer(outputs, types, summarise, _added, finish, inputs=2, weighted=False)
