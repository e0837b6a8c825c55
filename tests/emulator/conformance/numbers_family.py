"""Numbers, apart from the element-wise table: see elementwise_family."""

import math

import ee

from conformance.cases import Raises, case, described, sample

N = ee.Number
ROUNDED = 1e-9

CASES = [
    case("divide by zero", lambda: N(10).divide(0), 0, sample("ee_number_divide")),
    case("atan2: left is x", lambda: N(0).atan2(1), math.pi / 2, sample("ee_number_atan2")),
    case("mod of a negative", lambda: N(-12).mod(5), -2, sample("ee_number_mod")),
    case("halves round up", lambda: N(10.5).round(), 11, sample("ee_number_round")),
    case("int8 saturates", lambda: N(127 + 12345).int8(), 127, sample("ee_number_int8")),
    case("64 bits", lambda: N(2**53).add(1), 2**53 + 1, described("Number.add")),
    case("bits of -1", lambda: N(-1).bitCount(), 64, sample("ee_number_bitcount")),
    case(
        "lanczos",
        lambda: ee.List([N(x).lanczos() for x in (-0.9, 0, 10, 1e10)]),
        [524.955196990, 32.946318679, 2.281783181, 1.000000001],
        sample("ee_number_lanczos"),
        tolerance=ROUNDED,
    ),
    case(
        "gammainc",
        lambda: ee.List([N(x).gammainc(1) for x in (0, 1, 10)]),
        [0, 0.632120558, 0.999954600],
        sample("ee_number_gammainc"),
        tolerance=ROUNDED,
    ),
    case(
        "trigamma",
        lambda: ee.List([N(x).trigamma() for x in (0.001, 0.5, 1, 100, 200)]),
        [1000001.642533195, 4.934802200, 1.644934066, 0.010050166, 0.005012520],
        sample("ee_number_trigamma"),
        tolerance=ROUNDED,
    ),
    case(
        "clamp",
        lambda: ee.List([N(15).clamp(0, 10), N(-3).clamp(0, 10)]),
        [10, 0],
        described("Number.clamp"),
    ),
    case("unitScale", lambda: N(2.5).unitScale(0, 10), 0.25, described("Number.unitScale")),
    case("format", lambda: N(123476).format("%.3e"), "1.235e+05", sample("ee_number_format")),
    case("parse", lambda: ee.Number.parse("0001"), 1, sample("ee_number_parse")),
    case("parse hexadecimal", lambda: ee.Number.parse("ff", 16), 255, described("Number.parse")),
    case(
        "not a number",
        lambda: ee.Number(ee.List(["x"]).get(0)).add(1),
        Raises(r"Number\.add, argument 'left': Invalid type"),
        described("Number.add"),
    ),
    case(
        "unitScale of nothing",
        lambda: N(5).unitScale(3, 3),
        0,
        described("Number.unitScale"),
    ),
    case(
        "poles of digamma",
        lambda: ee.List([N(x).digamma() for x in (-1, 0)]),
        [-math.inf, -math.inf],
        sample("ee_number_digamma"),
    ),
]
