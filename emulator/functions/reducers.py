"""Reducers: from n values (and weights) to outputs, for all pixels at once.

A reducer computes on arrays whose first axis is the one to reduce: (n, …) for a stack of
images, (n,) for a region, a table or a list. Weights are 0 where an input is null or masked.
https://developers.google.com/earth-engine/guides/reducers_intro
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from emulator.errors import EarthEngineError, NotImplementedByEmulator
from emulator.raster import BOOLEAN, DOUBLE, Array, PixelType, is_valid_everywhere
from emulator.registry import InvalidTypeError, algorithm, coercion, lookup

INTEGER = PixelType("int", 0, 2**31 - 1)


class Reduced(NamedTuple):
    """One output: values, and where there are any."""

    values: Any
    valid: Any


#: From the values and the weights of every input.
Compute = Callable[[Sequence[Array], Sequence[Array]], list[Reduced]]


@dataclass(frozen=True, slots=True)
class Reducer:
    """Named outputs computed from the values of one or more inputs and their weights."""

    outputs: tuple[str, ...]
    compute: Compute
    types: tuple[PixelType | None, ...]  # of the outputs; None: the input's
    inputs: int = 1
    weighted: bool = True
    empty: tuple[Any, ...] = ()  # outputs when there is nothing to reduce; none: nulls
    objects: bool = False  # outputs are lists or dictionaries, which pixels can't hold

    type_name = "Reducer"


@coercion("Reducer")
def _reducer(value: Any) -> Reducer:
    if isinstance(value, Reducer):
        return value
    raise InvalidTypeError


def _present(weights: Array) -> Array:
    return (weights > 0).any(axis=0)


def _single(function: Callable[[Array, Array], Array]) -> Compute:
    """Wrap a function of values and weights whose result is null only without input."""

    def compute(inputs: Sequence[Array], weights: Sequence[Array]) -> list[Reduced]:
        return [Reduced(function(inputs[0], weights[0]), _present(weights[0]))]

    return compute


def _sum(values: Array, weights: Array) -> Array:
    if is_valid_everywhere(weights):
        return values.sum(axis=0, dtype=np.float64)
    return np.where(weights > 0, values * weights.astype(np.float64), 0).sum(axis=0)


def _total(weights: Array) -> Array:
    return weights.sum(axis=0, dtype=np.float64)


def _ratio(part: Array, whole: Array) -> Array:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def _mean(values: Array, weights: Array) -> Array:
    return _ratio(np.asarray(_sum(values, weights)), np.asarray(_total(weights)))


def _variance(values: Array, weights: Array) -> Array:
    return _mean((values - _mean(values, weights)) ** 2, weights)


def _sample_variance(values: Array, weights: Array) -> Array:
    total = np.asarray(_total(weights))
    return _variance(values, weights) * _ratio(total, np.maximum(total - 1, 0))


def _std_dev(values: Array, weights: Array) -> Array:
    return np.sqrt(_variance(values, weights))


def _sample_std_dev(values: Array, weights: Array) -> Array:
    return np.sqrt(_sample_variance(values, weights))


def _count(values: Array, weights: Array) -> Array:
    return (weights > 0).sum(axis=0)


def _product(values: Array, weights: Array) -> Array:
    return np.where(weights > 0, values, 1).astype(np.float64).prod(axis=0)


def _min(values: Array, weights: Array) -> Array:
    return _filled(values, weights, highest=True).min(axis=0)


def _max(values: Array, weights: Array) -> Array:
    return _filled(values, weights, highest=False).max(axis=0)


def _filled(values: Array, weights: Array, highest: bool) -> Array:
    """Put the type's last or first value where there is none."""
    if is_valid_everywhere(weights):
        return values
    if values.dtype.kind == "f":
        filler: Any = np.inf if highest else -np.inf
    else:
        limits = np.iinfo(values.dtype)
        filler = limits.max if highest else limits.min
    return np.where(weights > 0, values, values.dtype.type(filler))


def _at(values: Array, index: Array) -> Array:
    return np.take_along_axis(values, index[None], axis=0)[0]


def _first(values: Array, weights: Array) -> Array:
    return _at(values, np.asarray((weights > 0).argmax(axis=0)))


def _last(values: Array, weights: Array) -> Array:
    return _at(values, len(values) - 1 - np.asarray((weights[::-1] > 0).argmax(axis=0)))


def _any_nonzero(values: Array, weights: Array) -> Array:
    return ((values != 0) & (weights > 0)).any(axis=0)


def _all_nonzero(values: Array, weights: Array) -> Array:
    return ((values != 0) | (weights <= 0)).all(axis=0)


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


def percentiles_of(values: Array, weights: Array, percentages: Sequence[float]) -> list[Array]:
    """Return percentiles of the valid values, interpolated linearly between ranks.

    Earth Engine's interpolation is not published; this is numpy's default.
    """
    count = np.asarray(_count(values, weights))
    ordered = np.sort(np.moveaxis(_filled(values, weights, highest=True), 0, -1), axis=-1)
    return [_rank(ordered, count, percentage / 100) for percentage in percentages]


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
    part = position - low
    below = below.astype(np.float64)
    with np.errstate(invalid="ignore"):  # stand-ins for no value are infinite
        return np.where(part > 0, below + (above - below) * part, below)


def _single_reducer(
    name: str, function: Callable[[Array, Array], Array], kind: PixelType | None, **more: Any
) -> None:
    reducer = Reducer((name,), _single(function), (kind,), **more)
    algorithm(f"Reducer.{name}")(lambda: reducer)


_single_reducer("sum", _sum, DOUBLE, empty=(0,))
_single_reducer("mean", _mean, DOUBLE)
_single_reducer("variance", _variance, DOUBLE)
_single_reducer("stdDev", _std_dev, DOUBLE)
_single_reducer("sampleVariance", _sample_variance, DOUBLE)
_single_reducer("sampleStdDev", _sample_std_dev, DOUBLE)
_single_reducer("product", _product, DOUBLE, weighted=False)
_single_reducer("count", _count, INTEGER, weighted=False, empty=(0,))
_single_reducer("first", _first, None, weighted=False)
_single_reducer("last", _last, None, weighted=False)
_single_reducer("firstNonNull", _first, None, weighted=False)
_single_reducer("lastNonNull", _last, None, weighted=False)
_single_reducer("anyNonZero", _any_nonzero, BOOLEAN, weighted=False)
_single_reducer("allNonZero", _all_nonzero, BOOLEAN, weighted=False)
algorithm("Reducer.or")(lambda: named("anyNonZero"))
algorithm("Reducer.and")(lambda: named("allNonZero"))


def named(name: str) -> Reducer:
    """Return a reducer with its default parameters."""
    return lookup(f"Reducer.{name}").call({})


def _extreme(name: str, function: Callable[[Array, Array], Array]) -> None:
    reducer = Reducer((name,), _single(function), (None,), weighted=False)

    @algorithm(f"Reducer.{name}")
    def make(inputs: int) -> Reducer:
        if inputs > 1:
            raise NotImplementedByEmulator(f"Reducer.{name} with several inputs")
        return reducer


_extreme("min", _min)
_extreme("max", _max)


@algorithm("Reducer.minMax")
def min_max() -> Reducer:
    return combine(named("min"), named("max"), "", True)


@algorithm("Reducer.mode")
def mode(buckets: Any, width: Any, raw: Any) -> Reducer:
    return Reducer(("mode",), _single(_mode), (None,))


@algorithm("Reducer.median")
def median(buckets: Any, width: Any, raw: Any) -> Reducer:
    return percentile([50], ["median"], None, None, None)


@algorithm("Reducer.percentile")
def percentile(
    percentages: list[float], names: list[str] | None, buckets: Any, width: Any, raw: Any
) -> Reducer:
    if not all(0 <= p <= 100 for p in percentages):
        raise EarthEngineError("Reducer.percentile: Percentiles must be between 0 and 100.")

    def compute(inputs: Sequence[Array], weights: Sequence[Array]) -> list[Reduced]:
        valid = _present(weights[0])
        return [Reduced(p, valid) for p in percentiles_of(inputs[0], weights[0], percentages)]

    outputs = tuple(names or (f"p{p:g}" for p in percentages))
    return Reducer(outputs, compute, (DOUBLE,) * len(outputs))


def _distinct(values: Array, weights: Array) -> Array:
    count = np.asarray(_count(values, weights))
    ordered = np.sort(_filled(values, weights, highest=True), axis=0)
    position = np.arange(1, len(ordered)).reshape(-1, *[1] * count.ndim)
    return (count > 0) + ((ordered[1:] != ordered[:-1]) & (position < count)).sum(axis=0)


for _name in ("countDistinct", "countDistinctNonNull"):
    _reducer_of_name = Reducer(("count",), _single(_distinct), (INTEGER,), 1, False, (0,))
    algorithm(f"Reducer.{_name}")(lambda reducer=_reducer_of_name: reducer)


@algorithm("Reducer.toList")
def to_list(size: int | None, optional: int) -> Reducer:
    def compute(inputs: Sequence[Array], weights: Sequence[Array]) -> list[Reduced]:
        keep = np.minimum.reduce([w > 0 for w in weights])
        columns = [values[keep].tolist() for values in inputs]
        rows = columns[0] if size is None else [list(row) for row in zip(*columns, strict=True)]
        return [Reduced(rows, True)]

    if optional:
        raise NotImplementedByEmulator("Reducer.toList with optional inputs")
    return Reducer(("list",), compute, (None,), size or 1, False, ([],), objects=True)


@algorithm("Reducer.frequencyHistogram")
def frequency_histogram() -> Reducer:
    def compute(inputs: Sequence[Array], weights: Sequence[Array]) -> list[Reduced]:
        kinds, where = np.unique(inputs[0][weights[0] > 0], return_inverse=True)
        totals = np.bincount(where, weights[0][weights[0] > 0], len(kinds)).tolist()
        keys = [f"{k:g}" if isinstance(k, float) else str(k) for k in kinds.tolist()]
        return [Reduced(dict(zip(keys, totals, strict=True)), True)]

    return Reducer(("histogram",), compute, (None,), empty=({},), objects=True)


@algorithm("Reducer.combine")
def combine(first: Reducer, second: Reducer, prefix: str, shared: bool) -> Reducer:
    if shared and first.inputs != second.inputs:
        raise EarthEngineError(
            "Reducer.combine: Reducers that share inputs must have the same number of inputs."
        )

    def compute(inputs: Sequence[Array], weights: Sequence[Array]) -> list[Reduced]:
        if shared:
            return first.compute(inputs, weights) + second.compute(inputs, weights)
        n = first.inputs
        rest = second.compute(inputs[n:], weights[n:])
        return first.compute(inputs[:n], weights[:n]) + rest

    return Reducer(
        first.outputs + tuple(prefix + name for name in second.outputs),
        compute,
        first.types + second.types,
        first.inputs if shared else first.inputs + second.inputs,
        first.weighted or second.weighted,
        _empty(first) + _empty(second),
        first.objects or second.objects,
    )


def _empty(reducer: Reducer) -> tuple[Any, ...]:
    return reducer.empty or (None,) * len(reducer.outputs)


@algorithm("Reducer.repeat")
def repeat(reducer: Reducer, count: int) -> Reducer:
    n = reducer.inputs

    def compute(inputs: Sequence[Array], weights: Sequence[Array]) -> list[Reduced]:
        parts = [
            outputs_of(reducer, inputs[i : i + n], weights[i : i + n])
            for i in range(0, n * count, n)
        ]
        return [Reduced(list(values), True) for values in zip(*parts, strict=True)]

    empty = tuple([value] * count for value in _empty(reducer))
    return replace(reducer, compute=compute, inputs=n * count, empty=empty, objects=True)


@algorithm("Reducer.forEach")
def for_each(reducer: Reducer, names: list[str]) -> Reducer:
    n, count = reducer.inputs, len(names)

    def compute(inputs: Sequence[Array], weights: Sequence[Array]) -> list[Reduced]:
        return [
            output
            for i in range(0, n * count, n)
            for output in reducer.compute(inputs[i : i + n], weights[i : i + n])
        ]

    single = len(reducer.outputs) == 1
    outputs = [name if single else f"{name}_{o}" for name in names for o in reducer.outputs]
    return replace(
        reducer,
        outputs=tuple(outputs),
        compute=compute,
        types=reducer.types * count,
        inputs=n * count,
        empty=_empty(reducer) * count,
    )


@algorithm("Reducer.group")
def group(reducer: Reducer, field: int, name: str) -> Reducer:
    def compute(inputs: Sequence[Array], weights: Sequence[Array]) -> list[Reduced]:
        keys, key_weights = inputs[field], weights[field]
        rest = [i for i in range(len(inputs)) if i != field]
        groups = []
        for key in np.unique(keys[key_weights > 0]):
            chosen = (keys == key) & (key_weights > 0)
            values = outputs_of(
                reducer, [inputs[i][chosen] for i in rest], [weights[i][chosen] for i in rest]
            )
            groups.append({name: key.item()} | dict(zip(reducer.outputs, values, strict=True)))
        return [Reduced(groups, True)]

    inputs = reducer.inputs + 1
    return Reducer(("groups",), compute, (None,), inputs, reducer.weighted, ([],), objects=True)


@algorithm("Reducer.setOutputs")
def set_outputs(reducer: Reducer, names: list[str]) -> Reducer:
    if len(names) != len(reducer.outputs):
        raise EarthEngineError(
            f"Reducer.setOutputs: Expected {len(reducer.outputs)} names, got {len(names)}."
        )
    keep = [i for i, name in enumerate(names) if name]

    def compute(inputs: Sequence[Array], weights: Sequence[Array]) -> list[Reduced]:
        outputs = reducer.compute(inputs, weights)
        return [outputs[i] for i in keep]

    return replace(
        reducer,
        outputs=tuple(names[i] for i in keep),
        compute=compute,
        types=tuple(reducer.types[i] for i in keep),
        empty=tuple(_empty(reducer)[i] for i in keep),
    )


@algorithm("Reducer.unweighted")
def unweighted(reducer: Reducer) -> Reducer:
    def compute(inputs: Sequence[Array], weights: Sequence[Array]) -> list[Reduced]:
        return reducer.compute(inputs, [(w > 0).astype(np.float32) for w in weights])

    return replace(reducer, compute=compute, weighted=False)


@algorithm("Reducer.getOutputs")
def get_outputs(reducer: Reducer) -> list[str]:
    return list(reducer.outputs)


def outputs_of(reducer: Reducer, inputs: Sequence[Array], weights: Sequence[Array]) -> list[Any]:
    """Reduce one-dimensional arrays to plain values, null where there is nothing."""
    if not len(inputs[0]):
        return list(_empty(reducer))
    try:
        outputs = reducer.compute(inputs, weights)
    except TypeError as error:
        raise EarthEngineError(f"Reducer: Invalid type of input: {error}.") from error
    empty = _empty(reducer)
    return [
        _plain(values) if valid else none
        for (values, valid), none in zip(outputs, empty, strict=True)
    ]


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.ndarray | np.generic) else value


def reduce_records(
    reducer: Reducer, rows: Sequence[Sequence[Any]], weights: Sequence[float] | None = None
) -> dict[str, Any]:
    """Reduce rows with one value for each input; nulls count as absent."""
    if any(len(row) != reducer.inputs for row in rows):
        found = {len(row) for row in rows}
        raise EarthEngineError(f"Need {reducer.inputs} inputs for the reducer, got {found}.")
    row_weights = np.ones(len(rows)) if weights is None else np.array(weights, dtype=float)
    if reducer.inputs == 1:  # values that are not numbers have no stand-in for null
        keep = [i for i, row in enumerate(rows) if row[0] is not None]
        rows, row_weights = [rows[i] for i in keep], row_weights[keep]
    columns = list(zip(*rows, strict=True)) or [()] * reducer.inputs
    values = [_column(column) for column in columns]
    present = [row_weights * [v is not None for v in column] for column in columns]
    return dict(zip(reducer.outputs, outputs_of(reducer, values, present), strict=True))


def _column(values: Iterable[Any]) -> Array:
    filled = [0 if value is None else value for value in values]
    if all(isinstance(value, bool | int | float) for value in filled):
        return np.array(filled)
    column = np.empty(len(filled), dtype=object)
    column[:] = filled
    return column
