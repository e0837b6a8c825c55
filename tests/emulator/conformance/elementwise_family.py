"""The table of element-wise operations and casts: numbers, images and arrays against numpy."""

import functools
import math

import ee
import numpy as np
from scipy import special

from conformance.cases import Check, Grid, case, described, guide, library, sample

FAMILIES = ("Number", "Image", "Array")
PIXEL = Grid(1, 1)


def call(function, *arguments):
    """Call an algorithm by its name, also one without a method in the client."""
    return ee.ApiFunction.call_(function, *arguments)


def applied(family, function, *columns):
    """Return an expression that applies a function to rows of numbers, as values of a family."""
    if family == "Number":
        rows = zip(*columns, strict=True)
        return ee.List([call(f"Number.{function}", *map(ee.Number, row)) for row in rows])
    make = ee.Array if family == "Array" else ee.Image.constant
    return call(f"{family}.{function}", *[make(list(column)) for column in columns])


def elementwise(family, function, columns, expected, source, **more):
    """Return a case for a function of rows of numbers and the list of its values."""
    if family == "Image":
        more["grid"] = PIXEL
        expected = {f"constant_{i}": np.full((1, 1), v) for i, v in enumerate(expected)}
    return case(
        f"{family}.{function}{columns[0][:3]}",
        functools.partial(applied, family, function, *columns),
        expected,
        source,
        **more,
    )


def each(function):
    """Return a function of lists of numbers from one of numbers."""
    return lambda *columns: [function(*row) for row in zip(*columns, strict=True)]


def lanczos(x):
    """Lanczos' sum from the gamma function that it approximates, for g = 607/128."""
    base = x + 607 / 128 + 0.5
    return math.gamma(x + 1) * math.exp(base) / (math.sqrt(2 * math.pi) * base ** (x + 0.5))


WAVES = [-1.5, -0.25, 0.0, 0.5, 2.75]
SHARES = [-0.75, -0.1, 0.0, 0.5, 0.9]
POSITIVE = [0.25, 1.0, 2.0, 7.5]
UNARY = {
    "abs": (abs, WAVES),
    "ceil": (math.ceil, WAVES),
    "floor": (math.floor, WAVES),
    "round": (lambda x: math.floor(x + 0.5), [-1.5, -0.4, 0.5, 1.49, 10.5]),
    "signum": (np.sign, WAVES),
    "not": (lambda x: int(not x), [0.0, 1.0, -2.0, 0.5]),
    "sin": (math.sin, WAVES),
    "cos": (math.cos, WAVES),
    "tan": (math.tan, WAVES),
    "asin": (math.asin, SHARES),
    "acos": (math.acos, SHARES),
    "atan": (math.atan, WAVES),
    "sinh": (math.sinh, WAVES),
    "cosh": (math.cosh, WAVES),
    "tanh": (math.tanh, WAVES),
    "sqrt": (math.sqrt, POSITIVE),
    "cbrt": (np.cbrt, WAVES),
    "exp": (math.exp, WAVES),
    "log": (math.log, POSITIVE),
    "log10": (math.log10, POSITIVE),
    "gamma": (math.gamma, POSITIVE),
    "digamma": (special.digamma, POSITIVE),
    "trigamma": (lambda x: special.zeta(2, x), POSITIVE),
    "erf": (math.erf, WAVES),
    "erfc": (math.erfc, WAVES),
    "erfInv": (special.erfinv, SHARES),
    "erfcInv": (special.erfcinv, [0.1, 0.5, 1.0, 1.9]),
    "lanczos": (lanczos, POSITIVE),
    "bitCount": (lambda x: bin(x % 2**64).count("1"), [0, 1, 65535, -1, -2]),
    "bitwiseNot": (lambda x: ~x, [0, 1, 255, -1, -3]),
    "bitwise_not": (lambda x: ~x, [0, 7]),
}

FRACTIONS = ([7.5, -7.5, 7.5, -7.5, 0.0, 3.0], [2.0, 2.0, -2.0, -2.0, 4.0, 3.0])
BITS = ([25, 20, 255, 1], [21, 2, 4, 6])
BINARY = {
    "add": (lambda a, b: a + b, FRACTIONS),
    "subtract": (lambda a, b: a - b, FRACTIONS),
    "multiply": (lambda a, b: a * b, FRACTIONS),
    "divide": (lambda a, b: a / b, FRACTIONS),
    "mod": (math.fmod, FRACTIONS),
    "pow": (math.pow, ([2.0, 9.0, -2.0, 10.0], [3.0, 0.5, 3.0, -1.0])),
    "max": (max, FRACTIONS),
    "min": (min, FRACTIONS),
    "first": (lambda a, b: a, FRACTIONS),
    "firstNonZero": (lambda a, b: a or b, FRACTIONS),
    "first_nonzero": (lambda a, b: a or b, FRACTIONS),
    "atan2": (lambda x, y: math.atan2(y, x), FRACTIONS),
    "hypot": (math.hypot, FRACTIONS),
    "gammainc": (lambda x, a: special.gammainc(a, x), ([1.0, 10.0, 2.0], [1.0, 1.0, 3.5])),
    "lt": (lambda a, b: a < b, FRACTIONS),
    "lte": (lambda a, b: a <= b, FRACTIONS),
    "gt": (lambda a, b: a > b, FRACTIONS),
    "gte": (lambda a, b: a >= b, FRACTIONS),
    "eq": (lambda a, b: a == b, FRACTIONS),
    "neq": (lambda a, b: a != b, FRACTIONS),
    "and": (lambda a, b: bool(a and b), FRACTIONS),
    "or": (lambda a, b: bool(a or b), FRACTIONS),
    "bitwiseAnd": (lambda a, b: a & b, BITS),
    "bitwise_and": (lambda a, b: a & b, BITS),
    "bitwiseOr": (lambda a, b: a | b, BITS),
    "bitwise_or": (lambda a, b: a | b, BITS),
    "bitwiseXor": (lambda a, b: a ^ b, BITS),
    "bitwise_xor": (lambda a, b: a ^ b, BITS),
    "leftShift": (lambda a, b: a << b, BITS),
    "left_shift": (lambda a, b: a << b, BITS),
    "rightShift": (lambda a, b: a >> b, ([25, -20, 255, -1], [2, 2, 4, 6])),
    "right_shift": (lambda a, b: a >> b, BITS),
}

CASES = [
    elementwise(family, name, columns, each(function)(*columns), library(f"math: {name}"))
    for family in FAMILIES
    for name, (function, given) in (UNARY | BINARY).items()
    for columns in [(given,) if name in UNARY else given]
]

# --- what is published of the edges

EDGES = [
    ("divide", ([5.0, 0.0, -1.0], [0.0, 0.0, 0.0]), [0, 0, 0], sample("ee_array_divide")),
    ("mod", ([-12, 8, -9], [5, -7, 8]), [-2, 1, -1], sample("ee_array_mod")),
    ("pow", ([0, 0, -2, 2], [-1, 0, -2, -2]), [math.inf, 1, 0.25, 0.25], sample("ee_array_pow")),
    ("gammainc", ([-1, 10, 0], [1, -1, 1]), [math.nan, math.nan, 0], sample("ee_number_gammainc")),
    ("lanczos", ([-1],), [math.inf], sample("ee_number_lanczos")),
    ("trigamma", ([-100],), [math.inf], sample("ee_number_trigamma")),
    ("digamma", ([0],), [-math.inf], sample("ee_array_digamma")),
]
CASES += [
    elementwise(family, name, columns, expected, source, tolerance=1e-7)
    for family in FAMILIES
    for name, columns, expected, source in EDGES
]

# --- casts: saturation, and what becomes of fractions

CASTS = {"byte": "uint8", "short": "int16", "int": "int32", "long": "int64"} | {
    name: name
    for name in ("uint8", "int8", "uint16", "int16", "uint32", "int32", "int64", "float", "double")
}
CAST_SOURCE = {
    "Number": sample("ee_number_int8"),
    "Image": described("Image.toInt8"),
    "Array": sample("ee_array_byte"),
}
UNCAST = [-70000.25, -300.0, -0.25, 0.0, 1.75, 127.25, 255.75, 70000.0, 3e9]


def cast(family, name):
    """Return what a cast makes of the numbers: arrays round, numbers and images cut."""
    if name in ("float", "double"):
        return np.array(UNCAST, name if name == "double" else np.float32).tolist()
    whole = np.floor(np.array(UNCAST) + 0.5) if family == "Array" else np.trunc(UNCAST)
    limits = np.iinfo(name)
    return np.clip(whole, limits.min, limits.max).tolist()


CASES += [
    elementwise(family, form, (UNCAST,), cast(family, target), CAST_SOURCE[family])
    for family in FAMILIES
    for name, target in CASTS.items()
    for form in (name, f"to{name[0].upper()}{name[1:]}")
]

# --- images: types, names, masks and matching of bands


def precision(image):
    """Return the precision of an image's first band."""
    return call("PixelType.precision", ee.Dictionary(image.bandTypes()).values().get(0))


AB = {"a": 1, "b": 2}


def ab():
    """Return an image with bands a = 1 and b = 2."""
    return ee.Image.constant(list(AB.values())).rename(list(AB))


CASES += [
    case(
        f"comparison {name} is boolean",
        lambda name=name: call(f"Image.{name}", ee.Image(3), ee.Image(4)).bandTypes(),
        {"constant": {"type": "PixelType", "precision": "int", "min": 0, "max": 1}},
        described(f"Image.{name}"),
    )
    for name in ("lt", "lte", "gt", "gte", "eq", "neq", "and", "or")
]
CASES += [
    case(
        "bitwiseNot has the smallest signed type",
        lambda: call("Image.bitwiseNot", ee.Image(255)).bandTypes(),
        {"constant": {"type": "PixelType", "precision": "int", "min": -(2**15), "max": 2**15 - 1}},
        described("Image.bitwiseNot"),
    ),
    case(
        "pow is floating",
        lambda: precision(ee.Image(3).pow(2)),
        "float",
        described("Image.pow"),
    ),
    case(
        "the union with double is double",
        lambda: precision(ee.Image(3).float().add(ee.Image(0.5))),
        "double",
        guide("image_math"),
    ),
    case(
        "division of integers is not cut",
        lambda: ee.Image(1).divide(4),
        {"constant": np.full((1, 1), 0.25)},
        sample("ee_image_addbands"),
        grid=PIXEL,
    ),
    case(
        "sums of bytes do not overflow",
        lambda: ee.Image(200).byte().add(ee.Image(100).byte()),
        Check(lambda got: got["constant"][0, 0] in (300, 255), "300, or saturated"),
        described("Image.add"),
        grid=PIXEL,
    ),
    case(
        "one band goes with all, names are the longer image's",
        lambda: ee.Image(10).add(ab()),
        {"a": np.full((1, 1), 11), "b": np.full((1, 1), 12)},
        described("Image.add"),
        grid=PIXEL,
    ),
    case(
        "bands match by name, in the first one's order",
        lambda: ab().subtract(ab().select(["b", "a"])),
        {"a": np.zeros((1, 1)), "b": np.zeros((1, 1))},
        described("Image.subtract"),
        grid=PIXEL,
    ),
    case(
        "bands of other names match in order",
        lambda: ab().subtract(ee.Image.constant([5, 7]).rename(["x", "y"])),
        {"a": np.full((1, 1), -4), "b": np.full((1, 1), -5)},
        described("Image.subtract"),
        grid=PIXEL,
    ),
    case(
        "a result is masked where an input is",
        lambda: ee.Image(1).updateMask(0).add(1).mask(),
        {"constant": np.zeros((1, 1))},
        guide("image_math"),
        grid=PIXEL,
    ),
    case(
        "the mask of a result is the least of the inputs'",
        lambda: ee.Image(1).updateMask(0.25).add(ee.Image(1).updateMask(0.75)).mask(),
        {"constant": np.full((1, 1), 0.25)},
        guide("image_math"),
        grid=PIXEL,
        tolerance=1e-6,
    ),
]
