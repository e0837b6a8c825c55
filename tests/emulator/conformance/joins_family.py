"""Joins of small tables, worked out from their descriptions."""

import ee
import pyproj

from conformance.cases import Check, Raises, case, described, library

LEFT = [{"id": 1, "v": 10.0}, {"id": 2, "v": 20.0}, {"id": 3, "v": 30.0}]
RIGHT = [{"key": 1, "w": 12.0}, {"key": 1, "w": 9.0}, {"key": 3, "w": 33.0}, {"key": 9, "w": 0.0}]


def table(rows: list[dict]) -> ee.FeatureCollection:
    return ee.FeatureCollection([ee.Feature(None, row) for row in rows])


def same() -> ee.Filter:
    return ee.Filter.equals(leftField="id", rightField="key")


def near(limit: float) -> ee.Filter:
    return ee.Filter.maxDifference(difference=limit, leftField="v", rightField="w")


def applied(join: ee.Join, condition: ee.Filter) -> ee.FeatureCollection:
    return ee.FeatureCollection(join.apply(table(LEFT), table(RIGHT), condition))


def saved(join: ee.Join, condition: ee.Filter, key: str, name: str) -> ee.List:
    """Return for every output the property of what was saved with it."""

    def property_of(element: ee.Element) -> ee.Feature:
        match = ee.Algorithms.If(element.get(key), ee.Feature(element.get(key)).get(name), -1)
        return element.set("out", match)

    return applied(join, condition).map(property_of).aggregate_array("out")


def all_saved(join: ee.Join, name: str) -> ee.List:
    def lists(element: ee.Element) -> ee.Feature:
        matches = ee.List(element.get("m")).map(lambda e: ee.Feature(e).get(name))
        return element.set("out", matches)

    return applied(join, same()).map(lists).aggregate_array("out")


PLACES = [(10.0, 45.0), (10.2, 45.0)]
GEOD = pyproj.Geod(ellps="WGS84")


def points(places) -> ee.FeatureCollection:
    return ee.FeatureCollection([ee.Feature(ee.Geometry.Point(*p)) for p in places])


CASES = [
    case(
        "simple",
        lambda: applied(ee.Join.simple(), same()).aggregate_array("id"),
        [1, 3],
        described("Join.simple"),
    ),
    case(
        "inverted",
        lambda: applied(ee.Join.inverted(), same()).aggregate_array("id"),
        [2],
        described("Join.inverted"),
    ),
    case(
        "inner pairs",
        lambda: (
            applied(ee.Join.inner("a", "b"), same())
            .map(
                lambda f: f.set(
                    "out",
                    ee.List([ee.Feature(f.get("a")).get("id"), ee.Feature(f.get("b")).get("w")]),
                )
            )
            .aggregate_array("out")
        ),
        [[1, 12], [1, 9], [3, 33]],
        described("Join.inner"),
    ),
    case(
        "inner measures",
        lambda: applied(ee.Join.inner("a", "b", "d"), near(3)).aggregate_array("d"),
        [2, 1, 3],
        described("Join.inner"),
    ),
    case(
        "all, in order",
        lambda: all_saved(ee.Join.saveAll("m", "w"), "w"),
        [[9, 12], [33]],
        described("Join.saveAll"),
    ),
    case(
        "all, the other way",
        lambda: all_saved(ee.Join.saveAll("m", "w", False), "w"),
        [[12, 9], [33]],
        described("Join.saveAll"),
    ),
    case(
        "all, outer",
        lambda: all_saved(ee.Join.saveAll("m", "w", True, None, True), "w"),
        [[9, 12], [], [33]],
        described("Join.saveAll"),
    ),
    case(
        "the first in order",
        lambda: saved(ee.Join.saveFirst("m", "w"), same(), "m", "w"),
        [9, 33],
        described("Join.saveFirst"),
    ),
    case(
        "the first, outer",
        lambda: saved(ee.Join.saveFirst("m", "w", False, None, True), same(), "m", "w"),
        [12, -1, 33],
        described("Join.saveFirst"),
    ),
    case(
        "the best",
        lambda: saved(ee.Join.saveBest("m", "d"), near(5), "m", "w"),
        [9, 33],
        described("Join.saveBest"),
    ),
    case(
        "the best one's measure",
        lambda: saved(ee.Join.saveBest("m", "d"), near(5), "m", "d"),
        [1, 3],
        described("Join.saveBest"),
    ),
    case(
        "the best, outer",
        lambda: saved(ee.Join.saveBest("m", "d", True), near(5), "m", "d"),
        [1, -1, 3],
        described("Join.saveBest"),
    ),
    case(
        "a measure that there is not",
        lambda: applied(ee.Join.saveBest("m", "d"), same()),
        Raises("measure"),
        described("Join.saveBest"),
    ),
    case(
        "distances",
        lambda: (
            ee.FeatureCollection(
                ee.Join.inner("a", "b", "d").apply(
                    points(PLACES[:1]),
                    points(PLACES[1:]),
                    ee.Filter.withinDistance(distance=20_000, leftField=".geo", rightField=".geo"),
                )
            )
            .first()
            .get("d")
        ),
        GEOD.inv(*PLACES[0], *PLACES[1])[2],
        library("pyproj.Geod.inv"),
        tolerance=1e-3,
    ),
    case(
        "images stay images",
        lambda: ee.ImageCollection(
            ee.Join.saveFirst("m").apply(
                ee.ImageCollection([ee.Image(1)]),
                ee.ImageCollection([ee.Image(2)]),
                ee.Filter.equals(leftField="system:index", rightField="system:index"),
            )
        ),
        Check(lambda c: c["type"] == "ImageCollection", "images"),
        described("Join.apply"),
    ),
]
