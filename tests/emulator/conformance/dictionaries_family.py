"""Dictionaries, against Python's own."""

import ee
import numpy as np

from conformance.cases import Grid, Raises, case, described, library, sample

D = {"B1": 182, "B2": 219, "B3": 443}


def dictionary() -> ee.Dictionary:
    return ee.Dictionary(D)


PYTHON = {
    "combine": (lambda: dictionary().combine({"R": "x", "B1": -1}), D | {"R": "x", "B1": -1}),
    "combine and keep": (
        lambda: dictionary().combine({"R": "x", "B1": -1}, False),
        {"R": "x", "B1": -1} | D,
    ),
    "combine without nulls": (
        lambda: ee.Dictionary({"a": None, "b": 1}).combine({"b": None, "c": 2, "d": None}),
        {"b": 1, "c": 2},
    ),
    "contains": (lambda: dictionary().contains("B2"), True),
    "fromLists": (lambda: ee.Dictionary.fromLists(list(D), list(D.values())), D),
    "get": (lambda: dictionary().get("B3"), 443),
    "get a default": (lambda: dictionary().get("Band_1", -9999), -9999),
    "getArray": (lambda: ee.Dictionary({"a": [1, 2]}).getArray("a"), [1, 2]),
    "getNumber": (lambda: dictionary().getNumber("B1"), 182),
    "getString": (lambda: ee.Dictionary({"a": "x"}).getString("a"), "x"),
    "keys are sorted": (lambda: ee.Dictionary({"b": 1, "a": 2}).keys(), ["a", "b"]),
    "map": (
        lambda: dictionary().map(lambda k, v: ee.Number(v).add(1)),
        {k: v + 1 for k, v in D.items()},
    ),
    "remove": (lambda: dictionary().remove(["B1"]), {"B2": 219, "B3": 443}),
    "remove what is not there": (lambda: dictionary().remove(["X"], True), D),
    "set": (lambda: dictionary().set("B4", 1), D | {"B4": 1}),
    "size": (lambda: dictionary().size(), len(D)),
    "values": (lambda: dictionary().values(), list(D.values())),
    "values of keys": (lambda: dictionary().values(["B3", "B1"]), [443, 182]),
    "of a list": (lambda: ee.Dictionary(["a", 1, "b", 2]), {"a": 1, "b": 2}),
}
CASES = [
    *(
        case(name, build, expected, library("Python's dict"))
        for name, (build, expected) in PYTHON.items()
    ),
    case(
        "select by a pattern",
        lambda: dictionary().select(["B[1-2]"]),
        {"B1": 182, "B2": 219},
        "google/earthengine-community samples/javascript/apidocs/ee-dictionary-select.js",
    ),
    case(
        "rename",
        lambda: dictionary().rename(["B2", "B3"], ["Band_2", "Band_3"]),
        {"B1": 182, "Band_2": 219, "Band_3": 443},
        sample("ee_dictionary_rename"),
    ),
    case(
        "rename over a key",
        lambda: dictionary().rename(["B3"], ["B1"], True),
        {"B1": 443, "B2": 219},
        sample("ee_dictionary_rename"),
    ),
    case(
        "a geometry",
        lambda: ee.Dictionary({"g": ee.Geometry.Point(1, 2)}).getGeometry("g").type(),
        "Point",
        described("Dictionary.getGeometry"),
    ),
    case(
        "null drops a key",
        lambda: dictionary().map(lambda k, v: ee.Algorithms.If(ee.Number(v).gt(200), v, None)),
        {"B2": 219, "B3": 443},
        described("Dictionary.map"),
    ),
    case(
        "a key that is missing",
        lambda: dictionary().get("X"),
        Raises("does not contain key: 'X'"),
        described("Dictionary.get"),
    ),
    case(
        "an image of constants",
        lambda: dictionary().toImage(["B3", "B1"]),
        {"B3": np.full((1, 2), 443), "B1": np.full((1, 2), 182)},
        described("Dictionary.toImage"),
        grid=Grid(2, 1),
    ),
]
