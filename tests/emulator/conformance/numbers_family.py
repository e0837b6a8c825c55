"""Numbers."""

import math

import ee

from conformance.cases import case, sample

CASES = [
    case("divide by zero", lambda: ee.Number(10).divide(0), 0, sample("ee_number_divide")),
    case("atan2: left is x", lambda: ee.Number(0).atan2(1), math.pi / 2, sample("ee_number_atan2")),
]
