"""The expression language of numbers and images."""

import math

import ee
import numpy as np

from conformance.cases import Grid, Raises, case, guide, sample

PIXEL = Grid(1, 1)
VARIABLES = {"x": 5, "y": 10}
NUMBER = sample("ee_number_expression")
IMAGE = sample("ee_image_expression")
MATH = guide("image_math")

#: What the sample asks, worked out by its operators' meaning.
NUMBERS = {
    "x + y": 15,
    "x - y": -5,
    "x * y": 50,
    "x / y": 0.5,
    "x ** y": 5**10,
    "x % y": 5,
    "x || y": 1,
    "x && y": 1,
    "!(x)": 0,
    "x > y": 0,
    "x >= y": 0,
    "x < y": 1,
    "x <= y": 1,
    "x == y": 0,
    "x != y": 1,
    "(x < y) ? 100 : 1000": 100,
    "100 * (x + y)": 1500,
    "Math.PI": math.pi,
    "Math.E": math.e,
    "add(x, y)": 15,
    "subtract(add(x, y), 5)": 10,
    "-x + y * 2": 15,
    "2 ** 3 + 1.5 - -1": 10.5,
    "x > 1 && y < 1 ? 5 : 6": 6,
    "(x | 2) ^ (y & 3) << 1": 7 ^ (2 << 1),
    "toByte(x * 100)": 255,
    "clamp(x, 6, 9)": 6,
}


def image(text, **variables):
    """Return an image expression over bands a = 3.5 and b = 2, with more images by name."""
    source = ee.Image.constant([3.5, 2.0]).rename(["a", "b"])
    return source.expression(text, {"img": source, **variables})


#: Of bands a = 3.5 and b = 2.
IMAGES = {
    "(b('a') - b(1)) / (b(0) + b('b'))": 1.5 / 5.5,
    "img.a * img['b']": 7.0,
    "img.a > img.b ? img.a : img.b": 3.5,
    "sqrt(pow(img.a, 2) + pow(img.b, 2))": math.hypot(3.5, 2),
    "!(img.a > 3) || img.b == 2": 1,
    "img.b ** 3 % 5": 3,
    "-img.a + 10e-1": -2.5,
    "int(img.a)": 3,
    "max(img.a, img.b) - min(img.a, img.b)": 1.5,
    "exp(0) + cos(0) + PI - PI": 2,
}

CASES = [
    case(text, lambda text=text: ee.Number.expression(text, VARIABLES), value, NUMBER)
    for text, value in NUMBERS.items()
]
CASES += [
    case(
        "children of variables",
        lambda: ee.Number.expression("vals.x * vals.y", {"vals": VARIABLES}),
        50,
        NUMBER,
    ),
    case(
        "an unknown variable",
        lambda: ee.Number.expression("z + 1", {}),
        Raises("z"),
        NUMBER,
    ),
    case(
        "text that is no expression",
        lambda: ee.Number.expression("1 + * 2", {}),
        Raises("parse"),
        NUMBER,
    ),
]
CASES += [
    case(
        text,
        lambda text=text: image(text).rename("v"),
        {"v": np.full((1, 1), value)},
        IMAGE,
        grid=PIXEL,
        tolerance=1e-6,
    )
    for text, value in IMAGES.items()
]
CASES += [
    case(
        "integers divide to an integer",
        lambda: ee.Image(10).expression("b(0) / 20"),
        {"constant": np.zeros((1, 1))},
        MATH,
        grid=PIXEL,
    ),
    case(
        "a result with a name",
        lambda: image("c = sqrt(pow(img.a, 2) + pow(x, 2))", x=ee.Image(5)).bandNames(),
        ["c"],
        IMAGE,
    ),
    case("all bands", lambda: image("b() + 1").bandNames(), ["a", "b"], MATH),
    case(
        "the other branch where masked",
        lambda: image("m > 1 ? img.a : 9", m=ee.Image(2)).rename("v"),
        {"v": np.full((1, 1), 3.5)},
        MATH,
        grid=PIXEL,
    ),
    case("an unknown function", lambda: image("sine(img.a)"), Raises("sine"), MATH),
    case("an unknown band", lambda: image("b('z') + 1"), Raises("did not match any bands"), MATH),
]
