"""Arrays as values, and the operations that they share with images of arrays.

An operation works on blocks, (pixels, *shape): a value is a block of one pixel. Axes are
counted without the pixels. https://developers.google.com/earth-engine/guides/arrays_intro
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy

from emulator.array_pixels import Partial, aligned, rows_of
from emulator.errors import EarthEngineError
from emulator.functions import elementwise
from emulator.functions.elementwise import OPERATIONS, cast_values, number_type, union
from emulator.functions.reducers import Reduced, Reducer, named
from emulator.functions.values import number_json
from emulator.raster import BOOLEAN, DOUBLE, INDEX, INT64, Array, PixelType, ones
from emulator.registry import InvalidTypeError, algorithm, coerce, coercion, within_count


@dataclass(frozen=True, slots=True, eq=False)
class EEArray:
    """An ee.Array: values in the numpy type of their pixel type."""

    values: Array
    kind: PixelType

    type_name = "Array"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EEArray) and np.array_equal(self.values, other.values)

    __hash__ = None

    @property
    def band_type(self) -> PixelType:
        """The type of a band with such arrays."""
        return replace(self.kind, dimensions=self.values.ndim)

    def to_json(self) -> Any:
        """Return nested lists, or a number."""
        return _nested(self.values.tolist())


def _nested(value: Any) -> Any:
    if isinstance(value, list):
        return [_nested(item) for item in value]
    return number_json(value)


def make(values: Array, kind: PixelType) -> EEArray:
    """Return an array of a type that holds its values already."""
    kind = replace(kind, dimensions=0)
    return EEArray(values.astype(kind.dtype, copy=False), kind)


@coercion("Array")
def array(value: Any) -> EEArray:
    """Promote numbers and nested lists of numbers."""
    if isinstance(value, EEArray):
        return value
    values = _numbers(value)
    if not values.size:
        raise EarthEngineError("Array: An array without numbers needs a pixel type.")
    return make(values, _type_of(values))


def _numbers(value: Any) -> Array:
    try:
        values = value.values if isinstance(value, EEArray) else np.asarray(_plain(value))
    except ValueError:
        raise EarthEngineError(
            "Array: All inner lists at the same depth must have the same length."
        ) from None
    if values.dtype.kind not in "biuf":
        raise InvalidTypeError
    return values


def _plain(value: Any) -> Any:
    """Return nested lists without the arrays in them."""
    if isinstance(value, EEArray):
        return value.values.tolist()
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _type_of(values: Array) -> PixelType:
    """Return the type of constants: the range of integers, as for a number."""
    if values.dtype.kind == "f":
        return DOUBLE
    return PixelType.of_range(int(values.min()), int(values.max()))


# --- making arrays, and taking them apart


@algorithm("Array")
def make_array(values: Any, kind: PixelType | None) -> EEArray:
    if kind is None:
        return coerce("Array", values)
    try:
        numbers = _numbers(values)
    except InvalidTypeError:
        message = "Array: The values must be numbers or nested lists of numbers."
        raise EarthEngineError(message) from None
    return _cast(EEArray(numbers, kind), kind)


def _cast(value: EEArray, kind: PixelType) -> EEArray:
    whole = elementwise.OPERATIONS["round"].apply
    return make(cast_values(value.values, kind, whole), kind)


@algorithm("Array.identity")
def identity(size: int) -> EEArray:
    _require(size >= 0, "Array.identity: Size must not be negative.")
    within_count(size**2)
    return make(np.eye(size), BOOLEAN)


@algorithm("Array.bitsToArray")
def bits_to_array(number: float) -> EEArray:
    [bits] = bits_of(np.array([int(number)]))
    return make(bits, BOOLEAN)


WORD = 64  # bits


def bits_of(block: Array) -> Array:
    """Return the bits of numbers up to the highest that is set, the lowest first."""
    words = block.astype(np.int64).view(np.uint64)
    bits = ((words[:, None] >> np.arange(WORD, dtype=np.uint64)) & np.uint64(1)).astype(np.uint8)
    lengths = np.maximum((bits * np.arange(1, WORD + 1)).max(axis=1), 1)
    groups = [np.flatnonzero(lengths == length) for length in np.unique(lengths)]
    return rows_of([(rows, bits[rows, : lengths[rows[0]]]) for rows in groups], len(block))


@algorithm("Array.toList")
def to_list(source: EEArray) -> list[Any]:
    return source.values.tolist()


@algorithm("Array.get")
def get(source: EEArray, position: list[int]) -> int | float:
    return element(source.values[None], np.array([position])).item()


def element(block: Array, positions: Array) -> Array:
    """Return one element of every array; positions are (pixels, dimensions)."""
    _require(
        positions.shape[1] == block.ndim - 1,
        f"A position needs {block.ndim - 1} coordinates, got {positions.shape[1]}.",
    )
    inside = (positions >= 0) & (positions < block.shape[1:])
    _require(inside.all(), f"Position out of bounds of an array with lengths {_lengths(block)}.")
    return block[(np.arange(len(block)), *positions.T.astype(np.intp))]


@algorithm("Array.cut")
def cut(source: EEArray, position: list[int]) -> EEArray:
    _require(
        len(position) == source.values.ndim,
        f"Array.cut: Expected {source.values.ndim} positions, got {len(position)}.",
    )
    values = source.values
    for axis, at in enumerate(position):
        if at != -1:
            _require(0 <= at < values.shape[axis], "Array.cut: Position out of bounds.")
            values = values.take([at], axis)
    return make(values, source.kind)


@algorithm("Array.slice")
def slice_array(source: EEArray, axis: int, start: int, end: int | None, step: int) -> EEArray:
    return make(sliced(source.values[None], axis, start, end, step)[0], source.kind)


def sliced(block: Array, axis: int, start: int, end: int | None, step: int) -> Array:
    """Return the positions of an axis from start to before end, each a step further."""
    _require(step > 0, "Slice step must be positive.")
    where = [slice(None)] * block.ndim
    where[_axis(block, axis)] = slice(start, end, step)
    return block[tuple(where)]


@algorithm("Array.repeat")
def repeat_array(source: EEArray, axis: int, copies: int) -> EEArray:
    return make(repeated(source.values[None], axis, copies)[0], source.kind)


def repeated(block: Array, axis: int, copies: int) -> Array:
    """Return arrays with copies of themselves along an axis, which may be a new one."""
    _require(copies > 0, "The number of copies must be positive.")
    within_count(copies * max(block[0].size, 1))
    return concatenated([block] * copies, axis)


@algorithm("Array.reshape")
def reshape_array(source: EEArray, shape: EEArray) -> EEArray:
    _require(shape.values.ndim == 1, "Array.reshape: The shape must be a 1-D array.")
    return make(reshaped(source.values[None], shape.values)[0], source.kind)


def reshaped(block: Array, shape: Array) -> Array:
    """Return arrays with other lengths; one of them may be -1."""
    try:
        return block.reshape(len(block), *shape.astype(int).tolist())
    except ValueError:
        message = f"Cannot reshape an array with lengths {_lengths(block)} to {shape.tolist()}."
        raise EarthEngineError(message) from None


@algorithm("Array.cat")
def cat_arrays(arrays: list[EEArray], axis: int) -> EEArray:
    _require(arrays, "Array.cat: There are no arrays.")
    values = concatenated([a.values[None] for a in arrays], axis)[0]
    return make(values, union(*[a.kind for a in arrays]))


def concatenated(blocks: Sequence[Array], axis: int) -> Array:
    """Return arrays one after the other along an axis, which may be a new one."""
    if axis == blocks[0].ndim - 1:
        blocks = [block[..., None] for block in blocks]
    along = _axis(blocks[0], axis)
    others = {block.shape[1:along] + block.shape[along + 1 :] for block in blocks}
    _require(
        len({block.ndim for block in blocks}) == len(others) == 1,
        "Arrays must have the same lengths on all axes but the one they are concatenated along.",
    )
    return np.concatenate(blocks, along)


def _axis(block: Array, axis: int) -> int:
    """Return the axis of a block that is an axis of its arrays."""
    _require(
        0 <= axis < block.ndim - 1,
        f"Axis {axis} is not one of an array with {block.ndim - 1} dimensions.",
    )
    return axis + 1


def _lengths(block: Array) -> list[int]:
    return list(block.shape[1:])


def _require(condition: Any, message: str) -> None:
    if not condition:
        raise EarthEngineError(message)


# --- operations on blocks that arrays and images of arrays share


def _lengths_of(block: Array) -> Array:
    return np.broadcast_to(block.shape[1:], (len(block), block.ndim - 1))


def _argmax(block: Array) -> Array | None:
    shape = block.shape[1:]
    _require(shape, "A number has no positions.")
    if not np.prod(shape, dtype=int):
        return None
    return np.stack(np.unravel_index(block.reshape(len(block), -1).argmax(axis=1), shape), axis=-1)


def _pad(block: Array, lengths: list[int], value: float) -> Array:
    _require(
        len(lengths) == block.ndim - 1, f"Expected {block.ndim - 1} lengths, got {len(lengths)}."
    )
    now = block.shape[1:]
    within_count(math.prod(max(a, b) for a, b in zip(lengths, now, strict=True)))
    more = [(0, max(0, a - b)) for a, b in zip(lengths, now, strict=True)]
    kind = np.result_type(block.dtype, np.asarray(value).dtype)
    return np.pad(block.astype(kind), [(0, 0), *more], constant_values=value)


def _padded_type(kind: PixelType, lengths: list[int], value: float) -> PixelType:
    return union(kind, number_type(value))


def _project(block: Array, axes: list[int]) -> Array | None:
    kept = [_axis(block, axis) for axis in axes]
    _require(len(set(kept)) == len(kept), "An axis can be retained only once.")
    dropped = [axis for axis in range(1, block.ndim) if axis not in kept]
    _require(
        all(block.shape[axis] <= 1 for axis in dropped),
        f"Dropped axes must be at most length 1. Lengths are {_lengths(block)}.",
    )
    if any(block.shape[axis] == 0 for axis in dropped):
        return None  # there is nothing to keep
    return block.transpose(0, *kept, *dropped).reshape(
        len(block), *[block.shape[axis] for axis in kept]
    )


def _projected_type(kind: PixelType, axes: list[int]) -> PixelType:
    return replace(kind, dimensions=len(axes))


def _transpose(block: Array, first: int, second: int) -> Array:
    return block.swapaxes(_axis(block, first), _axis(block, second))


def _same(kind: PixelType, *parameters: Any) -> PixelType:
    return kind


def _vector_of_indices(kind: PixelType, *parameters: Any) -> PixelType:
    return replace(INDEX, dimensions=1)


def _accumulate(block: Array, axis: int, reducer: Reducer | None) -> Array:
    reducer = reducer or named("sum")
    _require(
        reducer.inputs == len(reducer.outputs) == 1 and not reducer.objects,
        "Only reducers with one numeric input and output accumulate.",
    )
    values = np.moveaxis(block, _axis(block, axis), 0)
    sums = [
        reducer.compute([values[:end]], [ones(values[:end].shape)])[0].values
        for end in range(1, len(values) + 1)
    ]
    return np.moveaxis(np.stack(sums), 0, axis + 1) if sums else block


def _accumulated_type(kind: PixelType, axis: int, reducer: Reducer | None) -> PixelType:
    return _outputs_type(kind, reducer or named("sum"))


def _outputs_type(kind: PixelType, reducer: Reducer) -> PixelType:
    kinds = [replace(t or kind, dimensions=kind.dimensions) for t in reducer.types]
    return union(*kinds)


def _reduce(
    block: Array, reducer: Reducer, axes: list[int], field: int | None
) -> Array | Partial | None:
    """Reduce along axes, which keep length 1; inputs and outputs lie along the field axis."""
    _check_reducer(block, reducer, axes, field)
    inputs = [block]
    if field is not None:
        inputs = [block.take([i], field + 1) for i in range(reducer.inputs)]
    reduced_axes = tuple(sorted(_axis(block, axis) for axis in set(axes)))
    count = int(np.prod([block.shape[axis] for axis in reduced_axes]))
    outputs = _outputs(reducer, [_stack(values, reduced_axes, count) for values in inputs])
    if outputs is None:
        return None
    parts = [np.expand_dims(values, reduced_axes) for values, _ in outputs]
    valid = np.logical_and.reduce(
        [np.broadcast_to(v, values.shape).reshape(len(block), -1).all(1) for values, v in outputs]
    )
    result = parts[0] if field is None else np.concatenate(parts, field + 1)
    return result if valid.all() else Partial(result, valid)


def _check_reducer(block: Array, reducer: Reducer, axes: list[int], field: int | None) -> None:
    _require(axes, "At least one axis must be reduced.")
    numbers = not reducer.objects and not any(t and t.dimensions for t in reducer.types)
    _require(numbers, "Each output of the reducer must be a number.")
    if field is None:
        _require(
            reducer.inputs == len(reducer.outputs) == 1,
            "A fieldAxis is required, because the reducer has several inputs or outputs.",
        )
        return
    _require(field not in axes, "The fieldAxis must not be one of the axes to reduce.")
    length = block.shape[_axis(block, field)]
    _require(
        length == reducer.inputs,
        f"The fieldAxis must have the length {reducer.inputs}, the reducer's number of inputs. "
        f"It has {length}.",
    )


def _stack(values: Array, axes: Sequence[int], count: int) -> Array:
    """Return values with what is to be reduced along the first axis."""
    moved = np.moveaxis(values, axes, range(len(axes)))
    return moved.reshape(count, *moved.shape[len(axes) :])


def _outputs(reducer: Reducer, inputs: Sequence[Array]) -> list[Reduced] | None:
    if len(inputs[0]):
        return reducer.compute(inputs, [ones(values.shape) for values in inputs])
    if not reducer.empty or None in reducer.empty:
        return None
    rest = inputs[0].shape[1:]
    return [Reduced(np.full(rest, value), np.ones(rest, bool)) for value in reducer.empty]


def _reduced_type(
    kind: PixelType, reducer: Reducer, axes: list[int], field: int | None
) -> PixelType:
    return _outputs_type(kind, reducer)


def _sort(block: Array, keys: Array) -> Array:
    axis = _direction(keys, "Keys")
    _parallel(block, keys, axis)
    order = np.argsort(keys, axis, kind="stable")
    return np.take_along_axis(block, order, axis)


def _mask(block: Array, mask: Array) -> Array:
    """Return the positions that are parallel to the non-zero elements of a mask."""
    axis = _direction(mask, "A mask")
    _parallel(block, mask, axis)
    keep = mask != 0
    order = np.argsort(~keep, axis, kind="stable")
    counts = keep.reshape(len(keep), -1).sum(axis=1)
    parts = []
    for count in np.unique(counts):
        rows = np.flatnonzero(counts == count)
        kept = order[rows].take(range(count), axis)
        parts.append((rows, np.take_along_axis(block[rows], kept, axis)))
    return rows_of(parts, len(block))


def _direction(block: Array, subject: str) -> int:
    """Return the one axis along which arrays have several elements."""
    _require(block.ndim > 1, f"{subject} must be an array.")
    axes = [axis for axis in range(1, block.ndim) if block.shape[axis] != 1]
    _require(len(axes) <= 1, f"{subject} can only have multiple elements along one axis.")
    return axes[0] if axes else 1


def _parallel(block: Array, other: Array, axis: int) -> None:
    _require(
        block.ndim == other.ndim and block.shape[axis] == other.shape[axis],
        f"An array with lengths {_lengths(other)} is not parallel to one with {_lengths(block)}.",
    )


def _dot(left: Array, right: Array) -> Array:
    _require(
        left.ndim == right.ndim == 2 and left.shape == right.shape,
        "The dot product needs two 1-D arrays of the same length.",
    )
    return np.einsum("ij,ij->i", _exact(left), _exact(right))


def _exact(block: Array) -> Array:
    """Return numbers in a type whose products and sums are what linear algebra needs."""
    return block.astype(np.float64 if block.dtype.kind == "f" else np.int64, copy=False)


def _product_type(left: PixelType, right: PixelType) -> PixelType:
    """Return the union of the inputs' types; integers get all bits, as their sums need more."""
    kind = union(left, right)
    return replace(INT64, dimensions=kind.dimensions) if kind.precision == "int" else kind


def _dot_type(left: PixelType, right: PixelType) -> PixelType:
    return replace(_product_type(left, right), dimensions=0)


# --- linear algebra


def _matrices(block: Array, square: bool = False) -> Array:
    _require(block.ndim == 3, f"A matrix must have 2 dimensions, not {block.ndim - 1}.")
    rows, columns = block.shape[1:]
    _require(not square or rows == columns, f"The matrix must be square, not {rows}x{columns}.")
    return block.astype(np.float64, copy=False)


def _finite(matrices: Array) -> Array:
    """Return matrices as they are: iterations do not end on infinities and NaN."""
    _require(np.isfinite(matrices).all(), "The matrix has elements that are not finite.")
    return matrices


def _multiply(left: Array, right: Array) -> Array:
    _require(left.ndim == right.ndim == 3, "Matrices must have 2 dimensions.")
    _require(
        left.shape[2] == right.shape[1],
        f"Cannot multiply matrices with lengths {_lengths(left)} and {_lengths(right)}.",
    )
    if left.dtype.kind == right.dtype.kind == "f":
        return _matrices(left) @ _matrices(right)
    return _exact(left) @ _exact(right)


def _solve(left: Array, right: Array) -> Array:
    """Solve exactly or by least squares; of many solutions take the shortest."""
    left, right = _matrices(left), _matrices(right)
    rows, columns = left.shape[1:]
    _require(rows == right.shape[1], "The matrices must have the same number of rows.")
    _require(rows >= columns, f"{rows} equations in {columns} unknowns are not solvable.")
    try:
        if rows == columns:
            return np.linalg.solve(left, right)
        q, r = np.linalg.qr(left)
        return np.linalg.solve(r, q.swapaxes(1, 2) @ right)
    except np.linalg.LinAlgError:
        return np.linalg.pinv(_finite(left)) @ right


def _inverse(block: Array) -> Array:
    try:
        return np.linalg.inv(_matrices(block, square=True))
    except np.linalg.LinAlgError:
        raise EarthEngineError("The matrix is singular.") from None


def _diagonal(block: Array) -> Array:
    _matrices(block)
    return np.diagonal(block, axis1=1, axis2=2)[..., None]


def _to_diagonal(block: Array) -> Array:
    _require(block.ndim == 3 and block.shape[2] == 1, "The input must be a single column matrix.")
    return block * np.eye(block.shape[1], dtype=block.dtype)


def _trace(block: Array) -> Array:
    _matrices(block)
    return np.trace(block, axis1=1, axis2=2)


def _floating(kind: PixelType, *others: PixelType) -> PixelType:
    """Return the union of the inputs' types; double for integers."""
    kind = union(kind, *others)
    return replace(DOUBLE, dimensions=kind.dimensions) if kind.precision == "int" else kind


def _floating_number(kind: PixelType) -> PixelType:
    return replace(_floating(kind), dimensions=0)


def _number(kind: PixelType) -> PixelType:
    return replace(_product_type(kind, kind), dimensions=0)


@dataclass(frozen=True, slots=True)
class BlockOperation:
    """An operation on blocks and parameters, and the type of its result."""

    image_name: str
    apply: Callable[..., Any]
    result_type: Callable[..., PixelType]


#: Of one array, by the name after `Array.`
UNARY = {
    "accum": BlockOperation("arrayAccum", _accumulate, _accumulated_type),
    "length": BlockOperation("arrayLengths", _lengths_of, _vector_of_indices),
    "pad": BlockOperation("arrayPad", _pad, _padded_type),
    "project": BlockOperation("arrayProject", _project, _projected_type),
    "reduce": BlockOperation("arrayReduce", _reduce, _reduced_type),
    "transpose": BlockOperation("arrayTranspose", _transpose, _same),
    "matrixTranspose": BlockOperation("matrixTranspose", _transpose, _same),
    "matrixDiagonal": BlockOperation("matrixDiagonal", _diagonal, _same),
    "matrixToDiag": BlockOperation("matrixToDiag", _to_diagonal, _same),
    "matrixInverse": BlockOperation("matrixInverse", _inverse, _floating),
    "matrixPseudoInverse": BlockOperation(
        "matrixPseudoInverse", lambda block: np.linalg.pinv(_finite(_matrices(block))), _floating
    ),
    "matrixDeterminant": BlockOperation(
        "matrixDeterminant",
        lambda block: np.linalg.det(_matrices(block, square=True)),
        _floating_number,
    ),
    "matrixTrace": BlockOperation("matrixTrace", _trace, _number),
    "matrixFnorm": BlockOperation(
        "matrixFnorm",
        lambda block: np.linalg.norm(_matrices(block), axis=(1, 2)),
        _floating_number,
    ),
}
#: Of one array, to a list where it is a value.
ARGMAX = BlockOperation("arrayArgmax", _argmax, _vector_of_indices)
#: Of two arrays.
BINARY = {
    "mask": BlockOperation("arrayMask", _mask, lambda kind, mask: kind),
    "sort": BlockOperation("arraySort", _sort, lambda kind, keys: kind),
    "dotProduct": BlockOperation("arrayDotProduct", _dot, _dot_type),
    "matrixMultiply": BlockOperation("matrixMultiply", _multiply, _product_type),
    "matrixSolve": BlockOperation("matrixSolve", _solve, _floating),
}


def _value(operation: BlockOperation, arrays: Sequence[EEArray], *parameters: Any) -> Any:
    result = operation.apply(*[a.values[None] for a in arrays], *parameters)
    if result is None or isinstance(result, Partial):
        return None
    kind = operation.result_type(*[a.band_type for a in arrays], *parameters)
    values = np.asarray(result[0]).astype(kind.dtype, copy=False)
    return make(values, kind) if kind.dimensions else values.item()


def _register_operations() -> None:
    for name, operation in UNARY.items():
        algorithm(f"Array.{name}")(
            lambda source, *parameters, operation=operation: _value(
                operation, [source], *parameters
            )
        )
    for name, operation in BINARY.items():
        algorithm(f"Array.{name}")(
            lambda left, right, operation=operation: _value(
                operation, [left, left if right is None else right]
            )
        )


_register_operations()


@algorithm("Array.argmax")
def argmax(source: EEArray) -> list[int] | None:
    positions = _value(ARGMAX, [source])
    return positions and positions.values.tolist()


def _lu(matrix: Array) -> dict[str, Array]:
    permutation, lower, upper = scipy.linalg.lu(_matrices(matrix, square=True))
    return {"L": lower, "U": upper, "P": permutation.swapaxes(1, 2)}


def _qr(matrix: Array) -> dict[str, Array]:
    q, r = np.linalg.qr(_matrices(matrix), mode="complete")
    return {"Q": q, "R": r}


def _svd(matrix: Array) -> dict[str, Array]:
    u, singular, v = np.linalg.svd(_finite(_matrices(matrix)))
    diagonal = np.zeros(matrix.shape)
    np.einsum("ijj->ij", diagonal[:, : singular.shape[1], : singular.shape[1]])[:] = singular
    return {"U": u, "S": diagonal, "V": v.swapaxes(1, 2)}


def _cholesky(matrix: Array) -> dict[str, Array]:
    try:
        return {"L": np.linalg.cholesky(_matrices(matrix, square=True))}
    except np.linalg.LinAlgError:
        raise EarthEngineError("The matrix is not symmetric positive-definite.") from None


#: By name after `Array.matrix`: the names of the factors, and the function that finds them.
DECOMPOSITIONS: dict[str, tuple[tuple[str, ...], Callable[[Array], dict[str, Array]]]] = {
    "LUDecomposition": (("L", "U", "P"), _lu),
    "QRDecomposition": (("Q", "R"), _qr),
    "SingularValueDecomposition": (("U", "S", "V"), _svd),
    "CholeskyDecomposition": (("L",), _cholesky),
}


def _register_decompositions() -> None:
    for name, (_, decompose) in DECOMPOSITIONS.items():
        algorithm(f"Array.matrix{name}")(
            lambda source, decompose=decompose: {
                factor: make(block[0], DOUBLE)
                for factor, block in decompose(source.values[None]).items()
            }
        )


_register_decompositions()


@algorithm("Array.eigen")
def eigen(source: EEArray) -> EEArray:
    """Return rows of an eigenvalue and its vector, whose first element but zeros is positive."""
    [matrix] = _finite(_matrices(source.values[None], square=True))
    symmetric = np.array_equal(matrix, matrix.T)
    values, vectors = np.linalg.eigh(matrix) if symmetric else np.linalg.eig(matrix)
    _require(np.isreal(values).all(), "Array.eigen: The matrix has complex eigenvalues.")
    order = np.argsort(-values.real, kind="stable")
    rows = vectors.real.T[order]
    first = rows[np.arange(len(rows)), (np.abs(rows) > EIGENVECTOR_ZERO).argmax(axis=1)]
    return make(np.column_stack([values.real[order], rows * np.sign(first)[:, None]]), DOUBLE)


EIGENVECTOR_ZERO = 1e-12  # of a vector of length 1; rounding leaves less than that


# --- element-wise


def array_operation(name: str, *arrays: EEArray) -> EEArray:
    """Apply an operation of the table to arrays; a number goes with every element."""
    operation = OPERATIONS[name]
    kind = operation.result_type(*[a.kind for a in arrays])
    [values] = operation(kind, *aligned([a.values[None] for a in arrays]))
    return make(values, kind)


elementwise.register("Array", array_operation, _cast)


# --- arrays of dictionaries


@algorithm("Dictionary.toArray")
def dictionary_to_array(dictionary: dict[str, Any], keys: list[str] | None, axis: int) -> EEArray:
    names = sorted(dictionary) if keys is None else keys
    missing = [name for name in names if name not in dictionary]
    _require(not missing, f"Dictionary.toArray: Dictionary does not contain key: '{missing[:1]}'.")
    return cat_arrays([coerce("Array", dictionary[name]) for name in names], axis)
