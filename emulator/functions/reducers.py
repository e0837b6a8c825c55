"""Reducers: from n values (and weights) to outputs, for all pixels at once.

A reducer works on arrays whose first axis is the one to reduce: (n, …) for a stack of images,
(n,) for a region, a table or a list; arrays as inputs have their own axes behind. Weights,
without these last axes, are 0 where an input is null or masked. It summarises its input to a
state, states of parts merge to the state of the whole, and a state is finished to outputs:
so a region is reduced tile by tile. The statistics themselves are in `statistics` and
`regression`. https://developers.google.com/earth-engine/guides/reducers_intro
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from emulator.errors import EarthEngineError, NotImplementedByEmulator, memory_exceeded
from emulator.raster import Array, Band, Pixels, PixelType, combined, ones
from emulator.registry import accepts, algorithm, coerce, lookup

MAX_COUNT = 2**16  # inputs, steps or copies of one reducer (a choice of ours)
MAX_RECORDS = 2**22  # records that one reducer keeps of a region (a choice of ours)


class Reduced(NamedTuple):
    """One output: values, and where there are any."""

    values: Any
    valid: Any


#: What a reducer knows of the values it has seen.
State = Any


@dataclass(frozen=True, slots=True)
class Reducer:
    """Named outputs computed from the values of one or more inputs and their weights."""

    outputs: tuple[str, ...]
    types: tuple[PixelType | None, ...]  # of the outputs; None: the input's
    summarise: Callable[[Sequence[Array], Sequence[Array]], State]
    merge: Callable[[State, State], State]
    finish: Callable[[State], list[Reduced]]
    inputs: int = 1
    weighted: bool = True
    empty: tuple[Any, ...] = ()  # outputs when there is nothing to reduce; none: nulls
    objects: bool = False  # outputs are lists or dictionaries, which pixels can't hold
    nulls: bool = False  # nulls of lists and tables are inputs too
    elementwise: bool = False  # outputs are arrays with the inputs' dimensions
    numbers: int | None = None  # in the largest of its outputs, where that is known
    name: str = ""  # of the algorithm that made it

    type_name = "Reducer"

    def compute(self, inputs: Sequence[Array], weights: Sequence[Array]) -> list[Reduced]:
        """Reduce all values at once."""
        return self.finish(self.summarise(inputs, weights))

    def pixels(self, inputs: Sequence[Array], weights: Sequence[Array]) -> list[Pixels]:
        """Reduce stacks of boxes to a box for every output."""
        shape = weights[0].shape[1:]
        return [
            Pixels(
                values,
                ones(shape) if np.all(valid) else np.broadcast_to(valid, shape).astype(np.float32),
            )
            for values, valid in self.compute(inputs, weights)
        ]

    def kinds(self, of_input: PixelType) -> list[PixelType]:
        """Return the outputs' pixel types for the first input's, if pixels can hold them."""
        if self.objects:
            raise NotImplementedByEmulator(f"Reducing to '{self.outputs[0]}' in an image")
        return [kind or of_input for kind in self.types]


Make = Callable[..., Reducer]


accepts("Reducer", Reducer)


def named(name: str) -> Reducer:
    """Return a reducer with its default parameters."""
    return lookup(f"Reducer.{name}").call({})


def makes(name: str, **options: bool) -> Callable[[Make], Make]:
    """Register a function that makes a reducer; options are those of `algorithm`."""

    def register_function(make: Make) -> Make:
        full_name = f"Reducer.{name}"
        algorithm(full_name, **options)(
            lambda *arguments: replace(make(*arguments), name=full_name)
        )
        return make

    return register_function


def register(name: str, reducer: Reducer) -> None:
    """Register a reducer without parameters."""
    makes(name)(lambda: reducer)


def check_count(reducer: str, argument: str, value: int) -> None:
    """Refuse a number of inputs, steps or copies that is not positive or absurd."""
    if not 1 <= value <= MAX_COUNT:
        raise EarthEngineError(
            f"Reducer.{reducer}: '{argument}' must be from 1 to {MAX_COUNT}, got {value}."
        )


def check_bands(algorithm_name: str, reducer: Reducer, count: int) -> None:
    """Refuse an image that has not as many bands as a reducer has inputs."""
    if reducer.inputs != count:
        raise EarthEngineError(
            f"{algorithm_name}: Need {reducer.inputs} bands for {reducer.name}, image has {count}."
        )


def applications(
    algorithm_name: str, reducer: Reducer, bands: Sequence[str]
) -> list[tuple[slice, list[str]]]:
    """Return the bands and output names of every application: one by one, or all together.

    An only output has the name of its band.
    """
    if reducer.inputs != 1:
        check_bands(algorithm_name, reducer, len(bands))
        return [(slice(None), list(reducer.outputs))]
    single = len(reducer.outputs) == 1
    return [
        (slice(i, i + 1), [band] if single else [f"{band}_{o}" for o in reducer.outputs])
        for i, band in enumerate(bands)
    ]


def applied(
    algorithm_name: str,
    reducer: Reducer,
    bands: Sequence[Band],
    make: Callable[[Sequence[Band]], Sequence[Band]],
) -> list[Band]:
    """Return the named bands that every application of a reducer makes of its inputs."""
    return [
        output.renamed(name)
        for chosen, names in applications(algorithm_name, reducer, [band.name for band in bands])
        for output, name in zip(make(bands[chosen]), names, strict=True)
    ]


# --- kinds of reducers


def present(weights: Array) -> Array:
    """Tell where there is any value."""
    return (weights > 0).any(axis=0)


def folding(
    name: str,
    function: Callable[[Array, Array], Array],
    merge: Callable[[Any, Any], Any],
    kind: PixelType | None,
    **more: Any,
) -> Reducer:
    """Return a reducer whose state is its result, from values and weights of one input."""

    def summarise(inputs: Sequence[Array], weights: Sequence[Array]) -> State:
        return function(inputs[0], weights[0]), present(weights[0])

    def merged(first: State, second: State) -> State:
        return merge(first[0], second[0]), first[1] | second[1]

    return Reducer((name,), (kind,), summarise, merged, lambda s: [Reduced(*s)], **more)


class Records(NamedTuple):
    """All values and weights of every input."""

    inputs: Sequence[Array]
    weights: Sequence[Array]


def recording(
    outputs: Sequence[str],
    types: Sequence[PixelType | None],
    function: Callable[[Sequence[Array], Sequence[Array]], list[Reduced]],
    **more: Any,
) -> Reducer:
    """Return a reducer that needs all values at once."""

    def merge(first: list[Records], second: list[Records]) -> list[Records]:
        parts = first + second
        if sum(len(part.inputs[0]) for part in parts) > MAX_RECORDS:
            raise memory_exceeded()
        return parts

    def finish(parts: list[Records]) -> list[Reduced]:
        return function(*[_end_to_end(arrays) for arrays in zip(*parts, strict=True)])

    return Reducer(
        tuple(outputs), tuple(types), lambda *part: [Records(*part)], merge, finish, **more
    )


def _end_to_end(parts: Sequence[Sequence[Array]]) -> Sequence[Array]:
    if len(parts) == 1:
        return parts[0]
    return [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]


def joined(first: Sequence[Array], second: Sequence[Array]) -> list[Array]:
    """Return every input's values one after the other."""
    return [np.concatenate([a, b]) for a, b in zip(first, second, strict=True)]


def least_weight(weights: Sequence[Array]) -> Array:
    """Return the records' weights: that of the input that counts least."""
    return combined(weights)


# --- reducers of reducers


def _empty(reducer: Reducer) -> tuple[Any, ...]:
    return reducer.empty or (None,) * len(reducer.outputs)


@makes("combine")
def combine(first: Reducer, second: Reducer, prefix: str, shared: bool) -> Reducer:
    if shared and first.inputs != second.inputs:
        raise EarthEngineError(
            "Reducer.combine: Reducers that share inputs must have the same number of inputs."
        )
    taken = [slice(0, first.inputs)] * 2 if shared else [slice(0, first.inputs), _after(first)]
    both = _side_by_side([first, second], taken)
    return replace(
        both,
        outputs=first.outputs + tuple(prefix + name for name in second.outputs),
        inputs=first.inputs if shared else first.inputs + second.inputs,
    )


def _after(reducer: Reducer) -> slice:
    return slice(reducer.inputs, None)


def _side_by_side(parts: Sequence[Reducer], taken: Sequence[slice]) -> Reducer:
    """Return a reducer with the outputs of several, each of which takes some of the inputs."""

    def summarise(inputs: Sequence[Array], weights: Sequence[Array]) -> State:
        return [
            part.summarise(inputs[own], weights[own])
            for part, own in zip(parts, taken, strict=True)
        ]

    def merge(first: State, second: State) -> State:
        return [p.merge(a, b) for p, a, b in zip(parts, first, second, strict=True)]

    def finish(states: State) -> list[Reduced]:
        return [
            out for part, state in zip(parts, states, strict=True) for out in part.finish(state)
        ]

    return Reducer(
        tuple(name for part in parts for name in part.outputs),
        tuple(kind for part in parts for kind in part.types),
        summarise,
        merge,
        finish,
        inputs=sum(part.inputs for part in parts),
        weighted=any(part.weighted for part in parts),
        empty=tuple(value for part in parts for value in _empty(part)),
        objects=any(part.objects for part in parts),
        nulls=all(part.nulls for part in parts),
    )


def _copies(reducer: Reducer, count: int) -> Reducer:
    n = reducer.inputs
    return _side_by_side([reducer] * count, [slice(i * n, (i + 1) * n) for i in range(count)])


@makes("repeat")
def repeat(reducer: Reducer, count: int) -> Reducer:
    check_count("repeat", "count", count)
    copies, width = _copies(reducer, count), len(reducer.outputs)

    def finish(states: State) -> list[Reduced]:
        values = plain_outputs(copies, states)
        return [Reduced(values[i::width], True) for i in range(width)]

    return replace(
        copies,
        outputs=reducer.outputs,
        types=reducer.types,
        finish=finish,
        empty=tuple([value] * count for value in _empty(reducer)),
        objects=True,
    )


@makes("forEach")
def for_each(reducer: Reducer, names: list[str]) -> Reducer:
    check_count("forEach", "outputNames", len(names))
    single = len(reducer.outputs) == 1
    outputs = [name if single else f"{name}_{o}" for name in names for o in reducer.outputs]
    return replace(_copies(reducer, len(names)), outputs=tuple(outputs))


@makes("forEachBand")
def for_each_band(reducer: Reducer, image: Any) -> Reducer:
    return for_each(reducer, image.names)


@makes("forEachElement")
def for_each_element(reducer: Reducer) -> Reducer:
    if reducer.inputs != 1:
        raise EarthEngineError("Reducer.forEachElement: The reducer must have a single input.")

    def summarise(inputs: Sequence[Array], weights: Sequence[Array]) -> State:
        values = numeric(inputs[0])
        weight = weights[0].reshape(weights[0].shape + (1,) * (values.ndim - weights[0].ndim))
        state = reducer.summarise([values], [np.broadcast_to(weight, values.shape)])
        return state, present(weights[0])

    def merge(first: State, second: State) -> State:
        return reducer.merge(first[0], second[0]), first[1] | second[1]

    def finish(state: State) -> list[Reduced]:
        return [Reduced(values, state[1]) for values, _ in reducer.finish(state[0])]

    own = {"summarise": summarise, "merge": merge, "finish": finish}
    return replace(reducer, **own, elementwise=True)


@makes("disaggregate")
def disaggregate(reducer: Reducer, axis: int | None) -> Reducer:
    def summarise(inputs: Sequence[Array], weights: Sequence[Array]) -> State:
        pairs = [_items(v, w, axis) for v, w in zip(inputs, weights, strict=True)]
        return reducer.summarise(*[list(side) for side in zip(*pairs, strict=True)])

    return replace(reducer, summarise=summarise)


def _items(values: Array, weights: Array, axis: int | None) -> tuple[Array, Array]:
    """Return the items of aggregates as records of their own, with the aggregates' weights."""
    if values.dtype != object and values.ndim == weights.ndim:
        return values, weights
    items, item_weights = [], []
    for value, weight in zip(values, weights, strict=True):
        found = _taken_apart(value, axis)
        items += found
        item_weights += [weight] * len(found)
    return column(items), np.array(item_weights)


def _taken_apart(value: Any, axis: int | None) -> list[Any]:
    array = getattr(value, "values", value)
    if isinstance(array, np.ndarray):
        return array.ravel().tolist() if axis is None else list(np.moveaxis(array, axis, 0))
    if isinstance(value, dict):
        return [value[key] for key in sorted(value)]
    return value if isinstance(value, list) else [value]


@makes("group")
def group(reducer: Reducer, field: int, name: str) -> Reducer:
    if not 0 <= field <= reducer.inputs:
        raise EarthEngineError(f"Reducer.group: There is no input {field} to group by.")
    if reducer.weighted and field < reducer.inputs and reducer.name != "Reducer.group":
        raise EarthEngineError("Reducer.group: Group input must come after weighted inputs.")

    def summarise(inputs: Sequence[Array], weights: Sequence[Array]) -> State:
        keys, valid = inputs[field], weights[field] > 0
        rest = [i for i in range(len(inputs)) if i != field]
        states = {}
        for key in np.unique(keys[valid]).tolist():
            chosen = (keys == key) & valid
            states[key] = reducer.summarise(
                [inputs[i][chosen] for i in rest], [weights[i][chosen] for i in rest]
            )
        return states

    def merge(first: State, second: State) -> State:
        both = {key: reducer.merge(first[key], second[key]) for key in first.keys() & second.keys()}
        return {**first, **second, **both}

    def finish(states: State) -> list[Reduced]:
        groups = [
            {name: key} | dict(zip(reducer.outputs, plain_outputs(reducer, state), strict=True))
            for key, state in sorted(states.items())
        ]
        return [Reduced(groups, True)]

    more = {"inputs": reducer.inputs + 1, "weighted": reducer.weighted}
    return Reducer(
        ("groups",), (None,), summarise, merge, finish, **more, empty=([],), objects=True
    )


@makes("setOutputs", null_items=True)
def set_outputs(reducer: Reducer, names: list[str | None]) -> Reducer:
    if len(names) != len(reducer.outputs):
        raise EarthEngineError(
            f"Reducer.setOutputs: Expected {len(reducer.outputs)} names, got {len(names)}."
        )
    keep = [i for i, name in enumerate(names) if name]

    def finish(state: State) -> list[Reduced]:
        outputs = reducer.finish(state)
        return [outputs[i] for i in keep]

    return replace(
        reducer,
        outputs=tuple(coerce("String", names[i]) for i in keep),
        finish=finish,
        types=tuple(reducer.types[i] for i in keep),
        empty=tuple(_empty(reducer)[i] for i in keep),
    )


@makes("unweighted")
def unweighted(reducer: Reducer) -> Reducer:
    def summarise(inputs: Sequence[Array], weights: Sequence[Array]) -> State:
        return reducer.summarise(inputs, [(w > 0).astype(np.float32) for w in weights])

    return replace(reducer, summarise=summarise, weighted=False)


@makes("splitWeights")
def split_weights(reducer: Reducer) -> Reducer:
    """Take every input's weight as an input of its own, behind it."""
    if not reducer.weighted:
        return reducer

    def summarise(inputs: Sequence[Array], weights: Sequence[Array]) -> State:
        pairs = zip(weights[::2], weights[1::2], inputs[1::2], strict=True)
        own = [np.where((a > 0) & (b > 0), given, 0) for a, b, given in pairs]
        return reducer.summarise(inputs[::2], own)

    return replace(reducer, summarise=summarise, inputs=2 * reducer.inputs, weighted=False)


@algorithm("Reducer.getOutputs")
def get_outputs(reducer: Reducer) -> list[str]:
    return list(reducer.outputs)


# --- reducing values that are not pixels


def outputs_of(reducer: Reducer, inputs: Sequence[Array], weights: Sequence[Array]) -> list[Any]:
    """Reduce one-dimensional arrays to plain values, null where there is nothing."""
    if not len(inputs[0]):
        return list(_empty(reducer))
    try:
        return plain_outputs(reducer, reducer.summarise(inputs, weights))
    except (TypeError, ValueError) as error:
        if all(values.dtype != object for values in inputs):
            raise
        raise EarthEngineError(f"Reducer: Invalid type of input: {error}.") from error


def plain_outputs(reducer: Reducer, state: State | None) -> list[Any]:
    """Finish a state of one-dimensional input; None is the state of no input."""
    empty = _empty(reducer)
    if state is None:
        return list(empty)
    return [
        _plain(values) if valid else none
        for (values, valid), none in zip(reducer.finish(state), empty, strict=True)
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic) and value.ndim == 0:
        return value.item()
    if isinstance(value, np.ndarray):
        return coerce("Array", value.tolist())
    return value


def reduce_records(
    reducer: Reducer,
    rows: Sequence[Sequence[Any]],
    weights: Sequence[Sequence[float | None]] | None = None,
) -> dict[str, Any]:
    """Reduce rows with one value for each input; nulls count as absent.

    `weights` has rows with a weight for each input, or one for all of them.
    """
    if any(len(row) != reducer.inputs for row in rows):
        found = {len(row) for row in rows}
        raise EarthEngineError(f"Need {reducer.inputs} inputs for {reducer.name}, got {found}.")
    if weights is None:
        weights = [[1.0]] * len(rows)
    if reducer.inputs == 1 and not reducer.nulls:  # not all values have a stand-in for null
        keep = [i for i, row in enumerate(rows) if row[0] is not None]
        rows, weights = [rows[i] for i in keep], [weights[i] for i in keep]
    values, present_weights = [], []
    for i in range(reducer.inputs):
        given = [row[i] for row in rows]
        known = [reducer.nulls or value is not None for value in given]
        own = [row[min(i, len(row) - 1)] or 0 for row in weights]
        values.append(column(given, reducer.nulls))
        present_weights.append(np.array(own, dtype=float) * np.array(known, dtype=bool))
    return dict(zip(reducer.outputs, outputs_of(reducer, values, present_weights), strict=True))


def column(values: Iterable[Any], nulls: bool = False) -> Array:
    """Return values as an array of numbers if they are; nulls as 0 unless they are kept."""
    filled = [0 if value is None and not nulls else value for value in values]
    if all(isinstance(value, bool | int | float) for value in filled):
        return np.array(filled)
    found = np.empty(len(filled), dtype=object)
    found[:] = filled
    return found


def numeric(values: Array) -> Array:
    """Return the arrays or lists of a column of objects as one array of numbers."""
    if values.dtype != object:
        return values
    try:
        return np.stack([np.asarray(getattr(v, "values", v), dtype=float) for v in values])
    except (TypeError, ValueError):
        message = "Reducer: Inputs must be arrays of numbers of the same shape."
        raise EarthEngineError(message) from None
