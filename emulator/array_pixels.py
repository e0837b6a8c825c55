"""Pixels that are arrays: how a box of them is kept, and how functions go over them.

A box of a band with n dimensions is dense, (rows, columns, *shape), where all its valid pixels
have arrays of one shape, and otherwise an object array (rows, columns) with an array in every
valid pixel. Functions see blocks, (pixels, *shape): one call for each combination of shapes.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from emulator.errors import EarthEngineError
from emulator.grids import Array


class Partial(NamedTuple):
    """A block of which not every pixel has a result."""

    block: Array
    valid: Array  # (pixels,)


#: From a block of every input to a block, to a one-dimensional object array of results with
#: different shapes, to a `Partial`, or to None: no pixel has a result.
BlockFunction = Callable[..., Array | Partial | None]


def is_ragged(data: Array) -> bool:
    """Tell whether a box holds arrays of different shapes."""
    return data.dtype == object


def over_arrays(
    function: BlockFunction, inputs: Sequence[Array], mask: Array, dtype: np.dtype, scalar: bool
) -> tuple[Array, Array]:
    """Apply a function to the valid pixels of boxes; return the results' box and its mask.

    With `scalar`, results are numbers, not arrays.
    """
    present = np.flatnonzero(mask > 0)
    results = [
        (present[positions], result)
        for positions, blocks in _blocks([_flat(data, present) for data in inputs], len(present))
        if (result := function(*blocks)) is not None
    ]
    found, parts = [], []
    for positions, result in results:
        if isinstance(result, Partial):
            positions, result = positions[result.valid], result.block[result.valid]
        found.append(positions)
        parts.append(result)
    data = assembled(found, parts, mask.shape, dtype, scalar)
    if sum(map(len, found)) == len(present):
        return data, mask
    kept = np.zeros(mask.size, np.float32)
    for positions in found:
        kept[positions] = mask.ravel()[positions]
    return data, kept.reshape(mask.shape)


def _flat(data: Array, present: Array) -> Array:
    flat = data.reshape(data.shape[0] * data.shape[1], *data.shape[2:])
    return flat if len(present) == len(flat) else flat[present]


def _blocks(inputs: Sequence[Array], count: int) -> Iterator[tuple[Array, list[Array]]]:
    """Yield the positions of the pixels whose arrays have the same shapes, and their blocks."""
    if not count:
        return
    ragged = [data for data in inputs if is_ragged(data)]
    if not ragged:
        yield np.arange(count), list(inputs)
        return
    shapes = [[array.shape for array in data] for data in ragged]
    groups: dict[Any, list[int]] = {}
    for position, key in enumerate(zip(*shapes, strict=True)):
        groups.setdefault(key, []).append(position)
    for members in groups.values():
        positions = np.array(members)
        yield positions, [_dense(data[positions]) for data in inputs]


def _dense(cells: Array) -> Array:
    """Return a block of pixels whose arrays have one shape."""
    if not is_ragged(cells):
        return cells
    return np.concatenate(list(cells)).reshape(len(cells), *cells[0].shape)


def assembled(
    found: Sequence[Array],
    parts: Sequence[Array],
    shape: tuple[int, ...],
    dtype: np.dtype,
    scalar: bool,
) -> Array:
    """Return a box of a shape from blocks of some of its pixels, each with their positions."""
    size = math.prod(shape)
    shapes = {None if is_ragged(part) else part.shape[1:] for part in parts}
    if scalar or (len(shapes) == 1 and None not in shapes):
        inner = () if scalar else next(iter(shapes))
        if len(found) == 1 and len(found[0]) == size:
            return parts[0].astype(dtype, copy=False).reshape(*shape, *inner)
        data = np.zeros((size, *inner), dtype)
        for positions, part in zip(found, parts, strict=True):
            data[positions] = part
        return data.reshape(*shape, *inner)
    ragged = np.empty(size, object)
    for positions, part in zip(found, parts, strict=True):
        for position, cell in zip(positions.tolist(), _cells(part, dtype), strict=True):
            ragged[position] = cell
    return ragged.reshape(shape)


def _cells(block: Array, dtype: np.dtype) -> Iterable[Array]:
    if is_ragged(block):
        return [cell.astype(dtype, copy=False) for cell in block]
    return block.astype(dtype, copy=False)


def rows_of(blocks: Sequence[tuple[Array, Array]], count: int) -> Array:
    """Return one block from blocks of some of its pixels, whose shapes may differ.

    `blocks` are pairs of positions and the blocks there.
    """
    positions, parts = zip(*blocks, strict=True)
    return assembled(positions, parts, (count,), parts[0].dtype, scalar=False)


def by_value(parameters: Array, function: Callable[[Array], Any], *inputs: Array) -> Array:
    """Apply a function that takes the same parameters for a whole block.

    `parameters` are (pixels, n); the function gets one row of them and the inputs' pixels.
    """
    if len(parameters) and (parameters == parameters[0]).all():
        return function(parameters[0], *inputs)
    kinds, where = np.unique(parameters, axis=0, return_inverse=True)
    blocks = []
    for index, row in enumerate(kinds):
        positions = np.flatnonzero(where == index)
        blocks.append((positions, function(row, *[data[positions] for data in inputs])))
    return rows_of(blocks, len(parameters))


def aligned(blocks: Sequence[Array]) -> list[Array]:
    """Give numbers the dimensions of the arrays that they are combined with."""
    shapes = {block.shape[1:] for block in blocks if block.ndim > 1}
    if len(shapes) > 1:
        lengths = " and ".join(str(list(shape)) for shape in sorted(shapes))
        raise EarthEngineError(f"Arrays must have the same lengths on all axes. Got {lengths}.")
    inner = len(next(iter(shapes), ()))
    return [block.reshape(-1, *[1] * inner) if block.ndim == 1 else block for block in blocks]


def choose(condition: Array, yes: Array, no: Array) -> Array:
    """Return the pixels of one box where a condition (rows, columns) holds, else another's."""
    if yes.ndim == no.ndim == condition.ndim and not is_ragged(yes) and not is_ragged(no):
        return np.where(condition, yes, no)
    if yes.shape == no.shape and yes.dtype != object:
        return np.where(condition.reshape(*condition.shape, *[1] * (yes.ndim - 2)), yes, no)
    cells = cells_of(no).copy()
    cells[condition] = cells_of(yes)[condition]
    return cells


def cells_of(data: Array) -> Array:
    """Return a box as an object array with an array in every pixel."""
    if is_ragged(data):
        return data
    cells = np.empty(data.shape[:2], object)
    for row, column in np.ndindex(*data.shape[:2]):
        cells[row, column] = data[row, column]
    return cells
