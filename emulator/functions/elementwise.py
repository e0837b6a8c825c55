"""Element-wise operations: one table for numbers, images and arrays.

Division by zero gives 0, `mod` keeps the dividend's sign, integer casts saturate
(https://developers.google.com/earth-engine/apidocs/ee-number-divide and siblings).
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import special

from emulator.errors import EarthEngineError
from emulator.raster import BOOLEAN, DOUBLE, FLOAT, INT64, Array, Band, Image, PixelType, pointwise
from emulator.registry import Long, algorithm

TypeRule = Callable[..., PixelType]


@dataclass(frozen=True, slots=True)
class Operation:
    """A function of arrays that have the result's type already, unless `raw`."""

    apply: Callable[..., Array]
    result_type: TypeRule
    raw: bool = False  # the inputs keep their own types (comparisons, casts)

    def __call__(self, kind: PixelType, *arrays: Array) -> Array:
        """Return the results for arrays, in the numpy type of the result's type."""
        dtype = kind.dtype
        if self.raw:
            result = self.apply(*arrays)
            if result.dtype == bool and dtype == np.uint8:
                return result.view(dtype)  # the same bytes
            return result.astype(dtype, copy=False)
        return self.apply(*[_converted(a, dtype) for a in arrays])


def _converted(values: Array, dtype: np.dtype) -> Array:
    """Convert values, once for all pixels where these share them: a constant array's."""
    if values.dtype == dtype:
        return values
    if len(values) > 1 and values.strides[0] == 0:
        return np.broadcast_to(values[:1].astype(dtype), values.shape)
    return values.astype(dtype)


def union(*types: PixelType) -> PixelType:
    """Return the type that holds all inputs' values."""
    kind = _scalar_union(types)
    dimensions = max(t.dimensions for t in types)
    return replace(kind, dimensions=dimensions) if dimensions else kind


def _scalar_union(types: Sequence[PixelType]) -> PixelType:
    for kind in (DOUBLE, FLOAT):
        if any(t.precision == kind.precision for t in types):
            return kind
    return PixelType("int", min(_low(t) for t in types), max(_high(t) for t in types))


def _low(kind: PixelType) -> float:
    return INT64.min if kind.min is None else kind.min


def _high(kind: PixelType) -> float:
    return INT64.max if kind.max is None else kind.max


def _interval(function: Callable[[int, int], int]) -> TypeRule:
    """Integers: the range of all results, so that nothing overflows (the rule is ours)."""

    def rule(left: PixelType, right: PixelType) -> PixelType:
        kind = union(left, right)
        if kind.precision != "int":
            return kind
        ends = [
            function(int(a), int(b))
            for a in (_low(left), _high(left))
            for b in (_low(right), _high(right))
        ]
        return PixelType.of_range(min(ends), max(ends))

    return rule


def _floating(*types: PixelType) -> PixelType:
    kind = union(*types)
    return FLOAT if kind.precision == "int" else kind


def _boolean(*types: PixelType) -> PixelType:
    return BOOLEAN


def _bits(*types: PixelType) -> PixelType:
    """Bitwise results need no more bits than the wider input, but may need its sign."""
    kind = union(*types)
    if kind.precision != "int":
        return INT64
    limits = np.iinfo(kind.dtype)
    return PixelType("int", int(limits.min), int(limits.max))


def _int64(*types: PixelType) -> PixelType:
    return INT64


def _signed(kind: PixelType) -> PixelType:
    """Return the smallest signed integer type that can hold the input."""
    if kind.precision != "int":
        return INT64
    holds = (t for t in SIGNED if t.min <= _low(kind) and _high(kind) <= t.max)
    return next(holds, INT64)


def _rounded(kind: PixelType) -> PixelType:
    return kind if kind.precision == "int" else INT64


def _absolute(kind: PixelType) -> PixelType:
    if kind.precision != "int":
        return kind
    ends = abs(int(_low(kind))), abs(int(_high(kind)))
    low = 0 if _low(kind) <= 0 <= _high(kind) else min(ends)
    return PixelType.of_range(low, max(ends))


def _divide(a: Array, b: Array) -> Array:
    if b.all():
        return a / b
    return np.divide(a, b, out=np.zeros(np.broadcast(a, b).shape, a.dtype), where=b != 0)


def _mod(a: Array, b: Array) -> Array:
    return np.fmod(a, b, out=np.zeros(np.broadcast(a, b).shape, a.dtype), where=b != 0)


def _pow(a: Array, b: Array) -> Array:
    with np.errstate(all="ignore"):
        return np.power(a, b)


def _abs(a: Array) -> Array:
    return np.abs(a if a.dtype.kind == "f" else a.astype(np.int64))


def _round(a: Array) -> Array:
    """Round halves up."""
    return np.floor(a + 0.5) if a.dtype.kind == "f" else a


def _bit_count(a: Array) -> Array:
    return np.bitwise_count(a.astype(np.int64).view(np.uint64))


#: Coefficients of Lanczos' approximation of the gamma function for g = 607/128, from the
#: constant to 1/(x + 14) (Godfrey 2001, as in Apache Commons Math's Gamma.lanczos).
LANCZOS = (
    0.99999999999999709182,
    57.156235665862923517,
    -59.597960355475491248,
    14.136097974741747174,
    -0.49191381609762019978,
    0.33994649984811888699e-4,
    0.46523628927048575665e-4,
    -0.98374475304879564677e-4,
    0.15808870322491248884e-3,
    -0.21026444172410488319e-3,
    0.21743961811521264320e-3,
    -0.16431810653676389022e-3,
    0.84418223983852743293e-4,
    -0.26190838401581408670e-4,
    0.36899182659531622704e-5,
)


def _digamma(a: Array) -> Array:
    """Return the digamma function, which has poles at the integers up to 0."""
    return np.where((a <= 0) & (a == np.floor(a)), -np.inf, special.digamma(a))


def _lanczos(a: Array) -> Array:
    return LANCZOS[0] + sum(c / (a + i) for i, c in enumerate(LANCZOS[1:], 1))


def _gammainc(x: Array, a: Array) -> Array:
    return special.gammainc(a, x)


def _first_nonzero(a: Array, b: Array) -> Array:
    return np.where(a != 0, a, b)


def _quiet(function: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """Outside its domain a function gives NaN, which is no reason to warn."""

    def apply(a: Array) -> Array:
        with np.errstate(all="ignore"):
            return function(a)

    return apply


def cast_values(
    values: Array, kind: PixelType, whole: Callable[[Array], Array] = np.trunc
) -> Array:
    """Convert values, saturating at the ends of an integer type.

    `whole` makes integers of fractions: numbers and images are cut ("lose decimal precision",
    https://developers.google.com/earth-engine/apidocs/ee-number-int), arrays are rounded.
    """
    dtype = kind.dtype
    if kind.precision != "int" or values.dtype == dtype:
        return values.astype(dtype, copy=False)
    limits = np.iinfo(dtype)
    if values.dtype.kind == "f":
        values = np.nan_to_num(whole(values), nan=0)
        high = np.nextafter(2.0**63, 0) if dtype == np.int64 else limits.max
        return np.clip(values, limits.min, high).astype(dtype)
    return np.clip(values, limits.min, limits.max).astype(dtype)


def rounded_values(values: Array, kind: PixelType) -> Array:
    """Convert values that were interpolated or mixed: those of integers are rounded."""
    return cast_values(values, kind, np.rint)


BINARY = {
    "add": Operation(np.add, _interval(lambda a, b: a + b)),
    "subtract": Operation(np.subtract, _interval(lambda a, b: a - b)),
    "multiply": Operation(np.multiply, _interval(lambda a, b: a * b)),
    "divide": Operation(_divide, _floating),
    "mod": Operation(_mod, union),
    "pow": Operation(_pow, _floating),
    "max": Operation(np.maximum, union),
    "min": Operation(np.minimum, union),
    "first": Operation(lambda a, b: a, union),
    "firstNonZero": Operation(_first_nonzero, union),
    "atan2": Operation(lambda x, y: np.arctan2(y, x), _floating),
    "hypot": Operation(np.hypot, _floating),
    "lt": Operation(np.less, _boolean, raw=True),
    "lte": Operation(np.less_equal, _boolean, raw=True),
    "gt": Operation(np.greater, _boolean, raw=True),
    "gte": Operation(np.greater_equal, _boolean, raw=True),
    "eq": Operation(np.equal, _boolean, raw=True),
    "neq": Operation(np.not_equal, _boolean, raw=True),
    "and": Operation(np.logical_and, _boolean, raw=True),
    "or": Operation(np.logical_or, _boolean, raw=True),
    "bitwiseAnd": Operation(np.bitwise_and, _bits),
    "bitwiseOr": Operation(np.bitwise_or, _bits),
    "bitwiseXor": Operation(np.bitwise_xor, _bits),
    "leftShift": Operation(np.left_shift, _int64),
    "rightShift": Operation(np.right_shift, _bits),
    "gammainc": Operation(_gammainc, _floating),
}

UNARY = {
    "not": Operation(np.logical_not, _boolean, raw=True),
    "bitwiseNot": Operation(np.bitwise_not, _signed),
    "bitCount": Operation(_bit_count, lambda kind: PixelType("int", 0, 64), raw=True),
    "abs": Operation(_abs, _absolute, raw=True),
    "signum": Operation(np.sign, lambda kind: PixelType("int", -1, 1), raw=True),
    "floor": Operation(np.floor, _rounded, raw=True),
    "ceil": Operation(np.ceil, _rounded, raw=True),
    "round": Operation(_round, _rounded, raw=True),
    **{
        name: Operation(_quiet(function), _floating)
        for name, function in {
            "sin": np.sin,
            "cos": np.cos,
            "tan": np.tan,
            "asin": np.arcsin,
            "acos": np.arccos,
            "atan": np.arctan,
            "sinh": np.sinh,
            "cosh": np.cosh,
            "tanh": np.tanh,
            "sqrt": np.sqrt,
            "cbrt": np.cbrt,
            "exp": np.exp,
            "log": np.log,
            "log10": np.log10,
            "gamma": special.gamma,
            "digamma": _digamma,
            "trigamma": lambda a: special.polygamma(1, a),
            "erf": special.erf,
            "erfc": special.erfc,
            "erfInv": special.erfinv,
            "erfcInv": special.erfcinv,
            "lanczos": _lanczos,
        }.items()
    },
}

CASTS = {
    "uint8": PixelType.of("uint8"),
    "int8": PixelType.of("int8"),
    "uint16": PixelType.of("uint16"),
    "int16": PixelType.of("int16"),
    "uint32": PixelType.of("uint32"),
    "int32": PixelType.of("int32"),
    "int64": INT64,
    "float": FLOAT,
    "double": DOUBLE,
}
CAST_ALIASES = {"byte": "uint8", "short": "int16", "int": "int32", "long": "int64"}
SPELLINGS = {
    "firstNonZero": ("first_nonzero",),
    "bitwiseAnd": ("bitwise_and",),
    "bitwiseOr": ("bitwise_or",),
    "bitwiseXor": ("bitwise_xor",),
    "bitwiseNot": ("bitwise_not",),
    "leftShift": ("left_shift",),
    "rightShift": ("right_shift",),
}
OPERATIONS = BINARY | UNARY
SIGNED = [kind for kind in CASTS.values() if kind.precision == "int" and kind.min < 0]


def number_operation(name: str, *values: float) -> int | float:
    """Apply an operation of the table to numbers."""
    operation = OPERATIONS[name]
    types = [number_type(value) for value in values]
    kind = operation.result_type(*types)
    dtype = np.float64 if kind.precision != "int" else np.int64
    if operation.raw:
        arrays = [np.asarray(v, t.dtype) for v, t in zip(values, types, strict=True)]
    else:
        arrays = [np.asarray(value).astype(dtype) for value in values]
    result = np.asarray(operation.apply(*arrays))
    return computed(result.astype(dtype).item())


def computed(number: float) -> int | float:
    """Return a number as Earth Engine keeps what it has computed: integers in 64 bits."""
    return Long(number) if isinstance(number, int) else number


def number_type(value: float) -> PixelType:
    """Return the type of a constant: an integer's range is its own value."""
    if isinstance(value, bool | int):
        return PixelType.of_range(int(value), int(value))
    return DOUBLE


def image_operation(name: str, *images: Image) -> Image:
    """Apply an operation of the table to images, band by band."""
    return apply_to_images(name, OPERATIONS[name], *images)


def apply_to_images(name: str, operation: Operation, *images: Image) -> Image:
    """Apply an operation to one image, or to each matching pair of bands of two."""
    if len(images) == 1:
        [image] = images
        return image.with_bands([_band(operation, band, [band]) for band in image.bands])
    left, right = images
    template = right if len(right.bands) > len(left.bands) else left
    bands = [
        _band(operation, named, [a, b])
        for named, (a, b) in zip(template.bands, pairs(name, left, right), strict=True)
    ]
    return Image(bands, index_of(left), left.footprint or right.footprint)


def index_of(image: Image) -> dict[str, Any]:
    """Return what arithmetic keeps of the first input's properties: its index."""
    return {name: value for name, value in image.properties.items() if name == "system:index"}


def pairs(name: str, left: Image, right: Image) -> list[tuple[Band, Band]]:
    """Match the bands of two images: one to all, by name, or in order."""
    a, b = left.bands, right.bands
    if len(a) == 1:
        return [(a[0], band) for band in b]
    if len(b) == 1:
        return [(band, b[0]) for band in a]
    if len(a) != len(b):
        raise EarthEngineError(
            f"Image.{name}: The images must have the same number of bands, or one of them "
            f"a single band. Got {len(a)} and {len(b)}."
        )
    by_name = {band.name: band for band in b}
    if all(band.name in by_name for band in a):
        return [(band, by_name[band.name]) for band in a]
    return list(zip(a, b, strict=True))


def _band(operation: Operation, named: Band, inputs: Sequence[Band]) -> Band:
    kind = operation.result_type(*[band.pixel_type for band in inputs])
    first = inputs[0]
    template = Band(named.name, kind, first.grid, first.compute, (), first.extent)
    return pointwise(template, inputs, functools.partial(operation, kind), kind)


def cast_image(image: Image, kind: PixelType) -> Image:
    """Convert all bands of an image to a type, saturating at its ends."""
    return image.with_bands([cast_band(band, kind) for band in image.bands])


def cast_band(band: Band, kind: PixelType) -> Band:
    """Convert a band to a type, saturating at its ends."""
    if band.pixel_type == replace(kind, dimensions=band.pixel_type.dimensions):
        return band
    return pointwise(band, [band], lambda data: cast_values(data, kind), kind)


def _cast_number(value: float, kind: PixelType) -> int | float:
    return computed(cast_values(np.asarray(value), kind).item())


def register(
    family: str, operation: Callable[..., Any], cast: Callable[[Any, PixelType], Any]
) -> None:
    """Register the whole table for a family of values: Number, Image or Array."""
    for name in OPERATIONS:
        for spelling in (name, *SPELLINGS.get(name, ())):
            algorithm(f"{family}.{spelling}")(functools.partial(operation, name))
    for spelling, name in ({name: name for name in CASTS} | CAST_ALIASES).items():
        for form in (spelling, f"to{spelling[0].upper()}{spelling[1:]}"):
            algorithm(f"{family}.{form}")(lambda value, kind=CASTS[name]: cast(value, kind))


register("Number", number_operation, _cast_number)
register("Image", image_operation, cast_image)
