"""What a case is: an expression, the answer it must get, and where that answer comes from."""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import ee
import numpy as np


@dataclass(frozen=True)
class Grid:
    """The pixels that a case about an image asks for; `transform` in crsTransform's order."""

    width: int
    height: int
    crs: str = "EPSG:3857"
    transform: tuple[float, float, float, float, float, float] = (10, 0, 0, 0, -10, 0)


@dataclass(frozen=True)
class Check:
    """An expectation that is a property of the answer, not its value."""

    holds: Callable[[Any], bool]
    text: str


@dataclass(frozen=True)
class Raises:
    """An expectation that the request is refused with a message that has a pattern."""

    pattern: str


@dataclass(frozen=True)
class Case:
    """An expression through the real client, and its answer.

    `build` returns an ee object. With a `grid` it is an image, and the answer a dictionary of
    arrays by band name; pixels that are masked read as 0. `expected` is a value (with arrays
    wherever there are any), a Check or Raises.
    """

    name: str
    build: Callable[[], Any]
    expected: Any
    source: str
    tolerance: float = 1e-9
    grid: Grid | None = None


case = Case


def guide(page: str) -> str:
    """Return the address of a page of the Earth Engine guides."""
    return f"https://developers.google.com/earth-engine/guides/{page}"


def sample(name: str) -> str:
    """Return the place of a published API sample, which prints its answer."""
    return f"google/earthengine-community samples/python/apidocs/{name}.py"


def described(algorithm: str) -> str:
    """Return the place of an algorithm's own description, packaged with the client."""
    return f"ee/tests/algorithms.json#{algorithm}"


def library(function: str) -> str:
    """Name the function of another library that computes the same."""
    return f"computed with {function}"


def answer(subject: Case) -> Any:
    """Ask for a case's answer."""
    built = subject.build()
    return built.getInfo() if subject.grid is None else pixels(built, subject.grid)


def pixels(image: ee.Image, grid: Grid) -> dict[str, np.ndarray]:
    """Return an image's pixels by band; masked ones are 0."""
    names = ("scaleX", "shearX", "translateX", "shearY", "scaleY", "translateY")
    array = ee.data.computePixels(
        {
            "expression": image,
            "fileFormat": "NUMPY_NDARRAY",
            "grid": {
                "dimensions": {"width": grid.width, "height": grid.height},
                "affineTransform": dict(zip(names, grid.transform, strict=True)),
                "crsCode": grid.crs,
            },
        }
    )
    return {name: array[name] for name in array.dtype.names}


def algorithms(subject: Case) -> set[str]:
    """Return the names of the algorithms in a case's expression."""
    built = subject.build()
    return set(_function_names(json.loads(built.serialize())))


def _function_names(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        if "functionName" in node:
            yield node["functionName"]
        for child in node.values():
            yield from _function_names(child)
    elif isinstance(node, list):
        for child in node:
            yield from _function_names(child)


def agrees(got: Any, expected: Any, tolerance: float) -> bool:
    """Tell whether an answer is what was expected, numbers up to an absolute tolerance."""
    match expected:
        case Check():
            return bool(expected.holds(got))
        case np.ndarray():
            got = np.asarray(got)
            return got.shape == expected.shape and np.allclose(
                got, expected, rtol=0, atol=tolerance, equal_nan=True
            )
        case dict():
            return (
                isinstance(got, dict)
                and got.keys() == expected.keys()
                and all(agrees(got[key], expected[key], tolerance) for key in expected)
            )
        case list() | tuple():
            return (
                isinstance(got, list)
                and len(got) == len(expected)
                and all(agrees(a, b, tolerance) for a, b in zip(got, expected, strict=True))
            )
        case bool() | int() | float():
            return _same_number(got, expected, tolerance)
    return got == expected


def _same_number(got: Any, expected: float, tolerance: float) -> bool:
    if isinstance(got, str):  # JSON has no infinities
        got = {"Infinity": math.inf, "-Infinity": -math.inf, "NaN": math.nan}.get(got)
    if not isinstance(got, bool | int | float):
        return False
    if math.isnan(expected):
        return math.isnan(got)
    return got == expected or abs(got - expected) <= tolerance
