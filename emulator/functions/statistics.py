"""Reducers that are statistics of one input, or of pairs: sums, moments, ranks, histograms."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy
from scipy import special

from emulator.errors import EarthEngineError
from emulator.functions.reducers import (
    Reduced,
    Reducer,
    State,
    check_count,
    combine,
    folding,
    least_weight,
    makes,
    named,
    numeric,
    present,
    recording,
    register,
)
from emulator.functions.values import Collection, Feature
from emulator.raster import BOOLEAN, DOUBLE, INDEX, MATRIX, VECTOR, Array, is_valid_everywhere

# --- what folds


def weighted_sum(values: Array, weights: Array) -> Array:
    if is_valid_everywhere(weights):
        return values.sum(axis=0, dtype=np.float64)
    return np.where(weights > 0, values * weights.astype(np.float64), 0).sum(axis=0)


def total_weight(weights: Array) -> Array:
    return weights.sum(axis=0, dtype=np.float64)


def ratio(part: Any, whole: Any) -> Array:
    part, whole = np.asarray(part, np.float64), np.asarray(whole)
    return np.divide(part, whole, out=np.zeros_like(part), where=whole != 0)


def count_values(values: Array, weights: Array) -> Array:
    return (weights > 0).sum(axis=0)


def _product(values: Array, weights: Array) -> Array:
    return np.where(weights > 0, values, 1).astype(np.float64).prod(axis=0)


def _min(values: Array, weights: Array) -> Array:
    return filled(values, weights, highest=True).min(axis=0)


def _max(values: Array, weights: Array) -> Array:
    return filled(values, weights, highest=False).max(axis=0)


def filled(values: Array, weights: Array, highest: bool) -> Array:
    """Put the type's last or first value where there is none; text has no such value."""
    if is_valid_everywhere(weights) or values.dtype == object:
        return values
    if values.dtype.kind == "f":
        filler: Any = np.inf if highest else -np.inf
    else:
        limits = np.iinfo(values.dtype)
        filler = limits.max if highest else limits.min
    return np.where(weights > 0, values, values.dtype.type(filler))


def _any_nonzero(values: Array, weights: Array) -> Array:
    return ((values != 0) & (weights > 0)).any(axis=0)


def _all_nonzero(values: Array, weights: Array) -> Array:
    return ((values != 0) | (weights <= 0)).all(axis=0)


def _bits(function: np.ufunc) -> Callable[[Array, Array], Array]:
    def apply(values: Array, weights: Array) -> Array:
        whole = values.astype(np.int64)
        return function.reduce(np.where(weights > 0, whole, function.identity), axis=0)

    return apply


FOLDING = {
    "sum": folding("sum", weighted_sum, np.add, DOUBLE, empty=(0,)),
    "product": folding("product", _product, np.multiply, DOUBLE, weighted=False),
    "count": folding("count", count_values, np.add, INDEX, weighted=False, empty=(0,)),
    "countEvery": folding(
        "count",
        lambda values, weights: np.full(weights.shape[1:], len(weights)),
        np.add,
        INDEX,
        weighted=False,
        empty=(0,),
        nulls=True,
    ),
    "anyNonZero": folding("any", _any_nonzero, np.logical_or, BOOLEAN, weighted=False),
    "allNonZero": folding("all", _all_nonzero, np.logical_and, BOOLEAN, weighted=False),
    "bitwiseAnd": folding(
        "bitwiseAnd", _bits(np.bitwise_and), np.bitwise_and, None, weighted=False
    ),
    "bitwiseOr": folding("bitwiseOr", _bits(np.bitwise_or), np.bitwise_or, None, weighted=False),
}
ALIASES = {"or": "anyNonZero", "and": "allNonZero"}


for _name, _reducer in FOLDING.items():
    register(_name, _reducer)
for _name, _other in ALIASES.items():
    register(_name, FOLDING[_other])


# --- the value of one record


def _chosen(
    name: str, inputs: int, position: Callable[[Array, Array], Array], prefer: Any, nulls: bool
) -> Reducer:
    """Return a reducer to one record: its first value, and those of the other inputs."""

    def summarise(values: Sequence[Array], weights: Sequence[Array]) -> State:
        index = np.asarray(position(values[0], weights[0]))
        where = (index, *np.indices(index.shape, sparse=True))
        return [v[where] for v in values], present(weights[0])

    def merge(first: State, second: State) -> State:
        take = first[1] & (~second[1] | prefer(first[0][0], second[0][0]))
        return (first if take else second)[0], first[1] | second[1]

    def finish(state: State) -> list[Reduced]:
        return [Reduced(values, state[1]) for values in state[0]]

    outputs = (name, *(f"{name}{i}" for i in range(1, inputs)))
    types = (None,) + (DOUBLE,) * (inputs - 1)
    return Reducer(outputs, types, summarise, merge, finish, inputs, weighted=False, nulls=nulls)


def _first(values: Array, weights: Array) -> Array:
    return (weights > 0).argmax(axis=0)


def _last(values: Array, weights: Array) -> Array:
    return len(weights) - 1 - (weights[::-1] > 0).argmax(axis=0)


for _name, _nulls in (("", True), ("NonNull", False)):
    register(f"first{_name}", _chosen("first", 1, _first, lambda a, b: True, _nulls))
    register(f"last{_name}", _chosen("last", 1, _last, lambda a, b: False, _nulls))


@makes("min")
def minimum(inputs: int) -> Reducer:
    check_count("min", "numInputs", inputs)
    if inputs == 1:
        return folding("min", _min, np.minimum, None, weighted=False)
    return _chosen(
        "min", inputs, lambda v, w: filled(v, w, True).argmin(axis=0), np.less_equal, False
    )


@makes("max")
def maximum(inputs: int) -> Reducer:
    check_count("max", "numInputs", inputs)
    if inputs == 1:
        return folding("max", _max, np.maximum, None, weighted=False)
    return _chosen(
        "max", inputs, lambda v, w: filled(v, w, False).argmax(axis=0), np.greater_equal, False
    )


@makes("minMax")
def min_max() -> Reducer:
    return combine(named("min"), named("max"), "", True)


def _count_runs(values: Array, weights: Array) -> State:
    shape = weights.shape[1:]
    count, seen = np.zeros(shape, np.int64), np.zeros(shape, bool)
    first, last = values[0].copy(), values[0].copy()
    for value, weight in zip(values, weights, strict=True):
        valid = weight > 0
        count = count + (valid & (~seen | (value != last)))
        first = np.where(valid & ~seen, value, first)
        last = np.where(valid, value, last)
        seen = seen | valid
    return count, first, last, seen


def _merged_runs(first: State, second: State) -> State:
    (count_a, start_a, end_a, seen_a), (count_b, start_b, end_b, seen_b) = first, second
    meet = seen_a & seen_b & (end_a == start_b)
    start, end = np.where(seen_a, start_a, start_b), np.where(seen_b, end_b, end_a)
    return count_a + count_b - meet, start, end, seen_a | seen_b


register(
    "countRuns",
    Reducer(
        ("count",),
        (INDEX,),
        lambda inputs, weights: _count_runs(inputs[0], weights[0]),
        _merged_runs,
        lambda state: [Reduced(state[0], state[3])],
        weighted=False,
        empty=(0,),
    ),
)

# --- moments


class Moments(NamedTuple):
    """Total weight, mean, and the sums of powers 2, 3 and 4 of the deviations from it."""

    total: Array
    mean: Array
    squares: Array
    cubes: Array
    fourths: Array


def _moments(highest: int) -> Callable[[Sequence[Array], Sequence[Array]], Moments]:
    def summarise(inputs: Sequence[Array], weights: Sequence[Array]) -> Moments:
        total = np.asarray(total_weight(weights[0]))
        mean = ratio(weighted_sum(inputs[0], weights[0]), total)
        deviations = inputs[0] - mean if highest > 1 else None
        powers = [
            np.asarray(weighted_sum(deviations**k, weights[0])) if k <= highest else np.zeros(())
            for k in (2, 3, 4)
        ]
        return Moments(total, mean, *powers)

    return summarise


def _merged_moments(a: Moments, b: Moments) -> Moments:
    """Merge moments (Pébay 2008, SAND2008-6212, equations 2.1 to 2.4)."""
    total = a.total + b.total
    gap, share_a, share_b = b.mean - a.mean, ratio(a.total, total), ratio(b.total, total)
    cross = gap**2 * a.total * share_b
    cubes = a.cubes + b.cubes + cross * gap * (share_a - share_b)
    cubes = cubes + 3 * gap * (share_a * b.squares - share_b * a.squares)
    fourths = a.fourths + b.fourths + cross * gap**2 * (share_a**2 - share_a * share_b + share_b**2)
    fourths = fourths + 6 * gap**2 * (share_a**2 * b.squares + share_b**2 * a.squares)
    fourths = fourths + 4 * gap * (share_a * b.cubes - share_b * a.cubes)
    squares = a.squares + b.squares + cross
    return Moments(total, a.mean + gap * share_b, squares, cubes, fourths)


def _variance(m: Moments) -> Array:
    return ratio(m.squares, m.total)


def _sample_variance(m: Moments) -> Array:
    return ratio(m.squares, np.maximum(m.total - 1, 0))


def _skew(m: Moments) -> Array:
    return ratio(ratio(m.cubes, m.total), _variance(m) ** 1.5)


def _kurtosis(m: Moments) -> Array:
    """Return the excess over a normal distribution's."""
    return ratio(ratio(m.fourths, m.total), _variance(m) ** 2) - 3


#: Output, highest power, and the statistic.
MOMENTS: dict[str, tuple[str, int, Callable[[Moments], Array]]] = {
    "mean": ("mean", 1, lambda m: m.mean),
    "variance": ("variance", 2, _variance),
    "stdDev": ("stdDev", 2, lambda m: np.sqrt(_variance(m))),
    "sampleVariance": ("variance", 2, _sample_variance),
    "sampleStdDev": ("stdDev", 2, lambda m: np.sqrt(_sample_variance(m))),
    "skew": ("skew", 3, _skew),
    "kurtosis": ("kurtosis", 4, _kurtosis),
}


def _of_moments(function: Callable[[Moments], Array]) -> Callable[[Moments], list[Reduced]]:
    return lambda state: [Reduced(function(state), state.total > 0)]


for _name, (_output, _highest, _function) in MOMENTS.items():
    register(
        _name,
        Reducer((_output,), (DOUBLE,), _moments(_highest), _merged_moments, _of_moments(_function)),
    )


def _resultant(inputs: Sequence[Array], weights: Sequence[Array]) -> State:
    angles = inputs[0].astype(np.float64)
    sums = (weighted_sum(np.sin(angles), weights[0]), weighted_sum(np.cos(angles), weights[0]))
    return np.stack([*sums, total_weight(weights[0])])


def _circular(function: Callable[[Array, Array], Array]) -> Callable[[State], list[Reduced]]:
    """Wrap a function of the mean vector's angle and length."""

    def finish(state: State) -> list[Reduced]:
        y, x, total = state
        length = np.minimum(ratio(np.hypot(y, x), total), 1)
        return [Reduced(function(np.arctan2(y, x), length), total > 0)]

    return finish


def _circular_deviation(angle: Array, length: Array) -> Array:
    with np.errstate(divide="ignore"):
        return np.sqrt(-2 * np.log(length))


CIRCULAR: dict[str, tuple[str, Callable[[Array, Array], Array]]] = {
    "circularMean": ("circularMean", lambda angle, length: angle),
    "circularVariance": ("circularVariance", lambda angle, length: 1 - length),
    "circularStddev": ("circularStdDev", _circular_deviation),
}
for _name, (_output, _function) in CIRCULAR.items():
    register(_name, Reducer((_output,), (DOUBLE,), _resultant, np.add, _circular(_function)))

# --- pairs


class Comoments(NamedTuple):
    """Records, total weight, means (k, …), and sums of products of deviations (k, k, …)."""

    count: Array
    total: Array
    means: Array
    products: Array


def comoments(inputs: Sequence[Array], weights: Sequence[Array]) -> Comoments:
    """Summarise several inputs; a record counts by the least of its weights."""
    weight = least_weight(weights).astype(np.float64)
    total = weight.sum(axis=0)
    means = np.stack([ratio(weighted_sum(v, weight), total) for v in inputs])
    deviations = [v - m for v, m in zip(inputs, means, strict=True)]
    products = np.array([[weighted_sum(a * b, weight) for a in deviations] for b in deviations])
    return Comoments((weight > 0).sum(axis=0), total, means, products)


def _merged_comoments(a: Comoments, b: Comoments) -> Comoments:
    """Merge sums of products (Pébay 2008, SAND2008-6212, equation 3.9)."""
    total = a.total + b.total
    gap, share = b.means - a.means, ratio(b.total, total)
    products = a.products + b.products + gap[:, None] * gap[None, :] * a.total * share
    return Comoments(a.count + b.count, total, a.means + gap * share, products)


def _linear_fit(state: Comoments) -> list[Reduced]:
    (xx, xy), valid = state.products[0], state.total > 0
    scale = ratio(xy, xx)
    return [Reduced(scale, valid), Reduced(state.means[1] - scale * state.means[0], valid)]


def _pearson(state: Comoments) -> list[Reduced]:
    """Return the correlation and the two-sided p-value of Student's t."""
    xx, yy = state.products[0, 0], state.products[1, 1]
    valid = (xx > 0) & (yy > 0)
    correlation = np.clip(ratio(state.products[0, 1], np.sqrt(xx * yy)), -1, 1)
    freedom = np.maximum(state.count - 2, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = correlation * np.sqrt(freedom / (1 - correlation**2))
        p = 2 * special.stdtr(freedom, -np.abs(t))
    return [Reduced(correlation, valid), Reduced(p, valid & (freedom > 0))]


def _paired(outputs: tuple[str, ...], finish: Callable[[Comoments], list[Reduced]]) -> Reducer:
    return Reducer(
        outputs, (DOUBLE,) * len(outputs), comoments, _merged_comoments, finish, inputs=2
    )


register("linearFit", _paired(("scale", "offset"), _linear_fit))
register("pearsonsCorrelation", _paired(("correlation", "p-value"), _pearson))


def _spearman(inputs: Sequence[Array], weights: Sequence[Array]) -> list[Reduced]:
    valid = least_weight(weights) > 0
    ranks = [
        scipy.stats.rankdata(np.where(valid, v, np.nan), axis=0, nan_policy="omit") for v in inputs
    ]
    known = [np.where(valid, rank, 0) for rank in ranks]
    return _pearson(comoments(known, [valid.astype(float)]))[:1]


register(
    "spearmansCorrelation",
    recording(["correlation"], [DOUBLE], _spearman, inputs=2, weighted=False),
)


@makes("kendallsCorrelation")
def kendalls_correlation(count: int) -> Reducer:
    if count not in (1, 2):
        raise EarthEngineError("Reducer.kendallsCorrelation: numInputs must be 1 or 2.")

    def function(inputs: Sequence[Array], weights: Sequence[Array]) -> list[Reduced]:
        return _kendall(inputs[-1], None if count == 1 else inputs[0], least_weight(weights) > 0)

    outputs, types = ("tau", "p-value"), (DOUBLE, DOUBLE)
    return recording(outputs, types, function, inputs=count, weighted=False)


def _kendall(y: Array, x: Array | None, valid: Array) -> list[Reduced]:
    """Return Kendall's tau-b and its two-sided p-value (normal approximation)."""
    y = y.astype(np.float64)
    if y.ndim == 1:  # n log n instead of n²
        kept = np.flatnonzero(valid)
        order = kept if x is None else x[valid]
        found = scipy.stats.kendalltau(order, y[valid], method="asymptotic")
        some = bool(np.isfinite(found.statistic))
        return [Reduced(found.statistic, some), Reduced(found.pvalue, some)]
    balance, untied_x, untied_y = (np.zeros(y.shape[1:]) for _ in range(3))
    for lag in range(1, len(y)):
        both = valid[lag:] & valid[:-lag]
        rise = np.where(both, np.sign(y[lag:] - y[:-lag]), 0)
        run = both if x is None else np.where(both, np.sign(x[lag:] - x[:-lag].astype(float)), 0)
        balance += (rise * run).sum(axis=0)
        untied_x += (run != 0).sum(axis=0)
        untied_y += (rise != 0).sum(axis=0)
    some = (untied_x > 0) & (untied_y > 0)
    tau = ratio(balance, np.sqrt(untied_x * untied_y))
    n = valid.sum(axis=0)
    spread = np.sqrt(n * (n - 1.0) * (2 * n + 5) / 18)
    p = special.erfc(np.abs(ratio(balance, spread)) / math.sqrt(2))
    return [Reduced(tau, some), Reduced(p, some)]


# --- arrays


def _components(inputs: Sequence[Array], weights: Sequence[Array]) -> State:
    values = numeric(inputs[0])
    if values.ndim != weights[0].ndim + 1:
        raise EarthEngineError("Reducer.covariance: The inputs must be 1-D arrays.")
    return comoments([values[..., i] for i in range(values.shape[-1])], weights)


def _matrix(products: Array, total: Array) -> list[Reduced]:
    return [Reduced(np.moveaxis(ratio(products, total), (0, 1), (-2, -1)), total > 0)]


def _centered(inputs: Sequence[Array], weights: Sequence[Array]) -> State:
    state = _components(inputs, weights)
    means = state.means
    products = state.products + means[:, None] * means[None, :] * state.total
    return state._replace(means=np.zeros_like(means), products=products)


for _name, _summarise in (("covariance", _components), ("centeredCovariance", _centered)):
    register(
        _name,
        Reducer(
            (_name,),
            (MATRIX,),
            _summarise,
            _merged_comoments,
            lambda state: _matrix(state.products, state.total),
        ),
    )

# --- lists


@makes("toList")
def to_list(size: int | None, optional: int) -> Reducer:
    count = 1 if size is None else size
    check_count("toList", "tupleSize", count)

    def function(inputs: Sequence[Array], weights: Sequence[Array]) -> list[Reduced]:
        if weights[0].ndim > 1:
            return [_arrays_of_pixels(inputs, weights, size is None)]
        rows = _tuples(inputs, weights, count - optional)
        return [Reduced([row[0] for row in rows] if size is None else rows, True)]

    kind = VECTOR if size is None else MATRIX
    return recording(["list"], [kind], function, inputs=count, weighted=False, empty=([],))


def _arrays_of_pixels(inputs: Sequence[Array], weights: Sequence[Array], single: bool) -> Reduced:
    """Return an array for every pixel with the records that have all values."""
    kept = least_weight(weights) > 0
    records = np.stack(inputs, axis=-1).astype(np.float64)
    arrays = np.empty(kept.shape[1:], object)
    for where in np.ndindex(arrays.shape):
        pixel = (slice(None), *where)
        own = records[pixel][kept[pixel]]
        arrays[where] = own[:, 0] if single else own
    return Reduced(arrays, kept.any(axis=0))


@makes("toCollection")
def to_collection(names: list[str], optional: int) -> Reducer:
    check_count("toCollection", "propertyNames", len(names))

    def function(inputs: Sequence[Array], weights: Sequence[Array]) -> list[Reduced]:
        rows = _tuples(inputs, weights, len(names) - optional)
        features = [
            Feature({"system:index": str(i), **dict(zip(names, row, strict=True))}, None)
            for i, row in enumerate(rows)
        ]
        return [Reduced(Collection.of(features), True)]

    return recording(
        ["features"],
        [None],
        function,
        inputs=len(names),
        weighted=False,
        empty=(Collection.of([]),),
        objects=True,
    )


def _tuples(inputs: Sequence[Array], weights: Sequence[Array], required: int) -> list[list[Any]]:
    """Return the records that have all required values; others that are missing are null."""
    given = [w > 0 for w in weights]
    keep = np.logical_and.reduce(given[:required]) if required else np.ones(len(inputs[0]), bool)
    columns = [
        [value if known else None for value, known in zip(v[keep].tolist(), g[keep], strict=True)]
        for v, g in zip(inputs, given, strict=True)
    ]
    return [list(row) for row in zip(*columns, strict=True)]
