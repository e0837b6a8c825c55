"""Filters of features, by Python's own comparisons."""

import ee

from conformance.cases import Check, Raises, case, described, guide, library, sample

call = ee.ApiFunction.call_

ROWS = [
    {"a": 3, "s": "x", "list": [1, 2]},
    {"a": 1, "s": "xy", "list": ["x"]},
    {"a": None, "s": "z", "list": []},
    {"a": 2, "s": "y", "list": [2]},
]


def table() -> ee.FeatureCollection:
    return ee.FeatureCollection([ee.Feature(None, {**row, "n": i}) for i, row in enumerate(ROWS)])


def passing(condition) -> list[int]:
    return [i for i, row in enumerate(ROWS) if condition(row)]


def comparison(function):
    return lambda row: row["a"] is not None and function(row["a"])


COMPARISONS = {
    "eq": lambda a: a == 2,
    "equals": lambda a: a == 2,
    "neq": lambda a: a != 2,
    "notEquals": lambda a: a != 2,
    "lt": lambda a: a < 2,
    "lessThan": lambda a: a < 2,
    "lte": lambda a: a <= 2,
    "lessThanOrEquals": lambda a: a <= 2,
    "gt": lambda a: a > 2,
    "greaterThan": lambda a: a > 2,
    "gte": lambda a: a >= 2,
    "greaterThanOrEquals": lambda a: a >= 2,
}
FILTERS = {
    "stringContains": (lambda: ee.Filter.stringContains("s", "y"), lambda r: "y" in r["s"]),
    "stringStartsWith": (lambda: ee.Filter.stringStartsWith("s", "x"), lambda r: r["s"][0] == "x"),
    "stringEndsWith": (lambda: ee.Filter.stringEndsWith("s", "y"), lambda r: r["s"][-1] == "y"),
    "inList": (lambda: ee.Filter.inList("a", [1, 3]), lambda r: r["a"] in (1, 3)),
    "listContains": (lambda: ee.Filter.listContains("list", 2), lambda r: 2 in r["list"]),
    "notNull": (lambda: ee.Filter.notNull(["a"]), lambda r: r["a"] is not None),
    "rangeContains": (
        lambda: ee.Filter.rangeContains("a", 2, 3),
        comparison(lambda a: 2 <= a <= 3),
    ),
    "maxDifference": (
        lambda: ee.Filter.maxDifference(difference=0.5, leftField="a", rightValue=2.5),
        comparison(lambda a: abs(a - 2.5) <= 0.5),
    ),
    "not": (lambda: ee.Filter.gt("a", 1).Not(), lambda r: not (r["a"] is not None and r["a"] > 1)),
    "and": (
        lambda: ee.Filter.And(ee.Filter.gte("a", 1), ee.Filter.lt("a", 3)),
        comparison(lambda a: 1 <= a < 3),
    ),
    "or": (
        lambda: ee.Filter.Or(ee.Filter.eq("a", 1), ee.Filter.eq("s", "y")),
        lambda r: r["a"] == 1 or r["s"] == "y",
    ),
    "always": (lambda: call("Filter.always"), lambda r: True),
    "never": (lambda: call("Filter.never"), lambda r: False),
    "hasGeometry": (lambda: call("Filter.hasGeometry"), lambda r: False),
    "the value on the left": (
        lambda: ee.Filter.greaterThan(leftValue=2, rightField="a"),
        comparison(lambda a: a < 2),
    ),
    "two fields": (
        lambda: call("Filter.eq", leftField="a", rightField="n"),
        lambda r: ROWS.index(r) == r["a"],
    ),
    "inList by name": (
        lambda: call("Filter.inList", leftField="a", rightValue=[1, 3]),
        lambda r: r["a"] in (1, 3),
    ),
}
EXPRESSIONS = {
    "a > 1": comparison(lambda a: a > 1),
    "a >= 1 && a != 2": comparison(lambda a: a >= 1 and a != 2),
    "s == \"x\" || s == 'z'": lambda r: r["s"] in "xz",
    "!(a < 3)": lambda r: not (r["a"] is not None and r["a"] < 3),
    "not a < 3 and s == 'x'": lambda r: r["a"] == 3,
    "2 <= a": comparison(lambda a: a >= 2),
    "a in [1, 3]": comparison(lambda a: a in (1, 3)),
}


def shapes() -> ee.FeatureCollection:
    return ee.FeatureCollection(
        [
            ee.Feature(ee.Geometry.Rectangle([0, 0, 1, 1]), {"x": 0, "n": 0}),
            ee.Feature(ee.Geometry.Rectangle([0, 0, 3, 3]), {"x": "foo", "n": 1}),
            ee.Feature(ee.Geometry.Point(0.5, 0.5), {"n": 2}),
            ee.Feature(ee.Geometry.Point(50, 0.5), {"n": 3}),
        ]
    )


BOX = [0.2, 0.2, 0.8, 0.8]
GEOMETRIC = {
    "type Point": (lambda: ee.Filter.hasType(leftField=".geo", rightValue="Point"), [2, 3]),
    "type Polygon": (lambda: ee.Filter.hasType(leftField=".geo", rightValue="Polygon"), [0, 1]),
    "type Number": (lambda: ee.Filter.hasType(leftField="x", rightValue="Number"), [0]),
    "type String": (lambda: ee.Filter.hasType(leftField="x", rightValue="String"), [1]),
    "intersects": (lambda: ee.Filter.intersects(".geo", ee.Geometry.Rectangle(BOX)), [0, 1, 2]),
    "disjoint": (lambda: ee.Filter.disjoint(".geo", ee.Geometry.Rectangle(BOX)), [3]),
    "contains": (lambda: ee.Filter.contains(".geo", ee.Geometry.Rectangle(BOX)), [0, 1]),
    "isContained": (lambda: ee.Filter.isContained(".geo", ee.Geometry.Rectangle(BOX)), [2]),
    "bounds": (lambda: ee.Filter.bounds(ee.Geometry.Rectangle(BOX)), [0, 1, 2]),
    "withinDistance": (
        lambda: ee.Filter.withinDistance(
            distance=120_000, leftField=".geo", rightValue=ee.Geometry.Point(49, 0.5)
        ),
        [3],
    ),
    "area": (lambda: ee.Filter.area(1e9, 2e10), [0]),
}
TIMES = ["2020-12-31T23:30", "2021-01-02", "2021-03-01T11:00", "2021-07-15", "2021-12-30"]


def images() -> ee.ImageCollection:
    return ee.ImageCollection(
        [
            ee.Image(i).set({"system:time_start": ee.Date(time).millis(), "n": i})
            for i, time in enumerate(TIMES)
        ]
    )


CALENDAR = {
    "years": (lambda: ee.Filter.calendarRange(2021, 2021, "year"), [1, 2, 3, 4]),
    "months": (lambda: ee.Filter.calendarRange(3, 7, "month"), [2, 3]),
    "months that wrap": (lambda: ee.Filter.calendarRange(12, 1, "month"), [0, 1, 4]),
    "one month": (lambda: ee.Filter.calendarRange(start=12, field="month"), [0, 4]),
    "hours": (lambda: ee.Filter.calendarRange(11, 23, "hour"), [0, 2]),
    "days of the week": (lambda: ee.Filter.calendarRange(6, 6, "day_of_week"), [1]),
    "days of the month": (lambda: ee.Filter.calendarRange(30, 31, "day_of_month"), [0, 4]),
    "days of the year": (lambda: ee.Filter.dayOfYear(60, 60), [2]),
    "days of the year that wrap": (lambda: ee.Filter.calendarRange(364, 2), [0, 1, 4]),
    "dates, the end excluded": (lambda: ee.Filter.date("2021-01-02", "2021-07-15"), [1, 2]),
}
CASES = [
    *(
        case(
            name,
            lambda name=name: (
                table()
                .filter(call(f"Filter.{name}", leftField="a", rightValue=2))
                .aggregate_array("n")
            ),
            passing(comparison(function)),
            library("Python's comparison"),
        )
        for name, function in COMPARISONS.items()
    ),
    *(
        case(
            name,
            lambda build=build: table().filter(build()).aggregate_array("n"),
            passing(condition),
            described(f"Filter.{name}"),
        )
        for name, (build, condition) in FILTERS.items()
    ),
    *(
        case(
            text,
            lambda text=text: table().filter(text).aggregate_array("n"),
            passing(condition),
            described("Filter.expression"),
        )
        for text, condition in EXPRESSIONS.items()
    ),
    case(
        "an expression by name",
        lambda: table().filter(call("Filter.expression", "a == 3")).aggregate_array("n"),
        [0],
        described("Filter.expression"),
    ),
    case(
        "an expression without sense",
        lambda: table().filter("a >"),
        Raises("Filter.expression"),
        described("Filter.expression"),
    ),
    *(
        case(
            f"{name} of geometries" if " " not in name else name,
            lambda build=build: shapes().filter(build()).aggregate_array("n"),
            expected,
            sample("ee_filter_hastype") if name.startswith("type") else described("Filter." + name),
        )
        for name, (build, expected) in GEOMETRIC.items()
    ),
    *(
        case(
            name,
            lambda build=build: images().filter(build()).aggregate_array("n"),
            expected,
            described("Filter.calendarRange"),
        )
        for name, (build, expected) in CALENDAR.items()
    ),
    case(
        "filterBounds drops what has no geometry",
        lambda: table().filterBounds(ee.Geometry.Rectangle(BOX)).size(),
        0,
        described("Filter.intersects"),
    ),
    case(
        "a comparison without a left side",
        lambda: table().filter(call("Filter.eq", rightValue=1)),
        Raises("Filter.equals"),
        described("Filter.eq"),
    ),
    case(
        "filterMetadata",
        lambda: table().filterMetadata("a", "less_than", 2).aggregate_array("n"),
        [1],
        guide("ic_filtering"),
    ),
    case(
        "a filter keeps the rest",
        lambda: table().filter(ee.Filter.eq("n", 3)),
        Check(lambda c: c["features"][0]["properties"]["s"] == "y", "the fourth row"),
        described("Collection.filter"),
    ),
    case(
        "a date range as a date",
        lambda: (
            ee.FeatureCollection(
                [
                    ee.Feature(None, {"n": n, "system:time_start": ee.Date(date)})
                    for n, date in enumerate(("2021-06-10", "2021-07-01", "2021-08-01"))
                ]
            )
            .filterDate(ee.DateRange("2021-07-01", "2021-08-01"))
            .aggregate_array("n")
        ),
        [1],
        sample("ee_filter_date"),
    ),
]
