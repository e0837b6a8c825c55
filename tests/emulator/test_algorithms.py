"""Values that are not images, asked for through the real client.

What is expected comes from the published API samples and guides, or from another library.
"""

import datetime
import math

import ee
import numpy as np
import pyproj
import pytest

pytestmark = pytest.mark.usefixtures("ee_emulator")

WGS84 = pyproj.Geod(ellps="WGS84")


@pytest.mark.parametrize("seconds", [0, 1_514_764_800, 951_825_599, 1_900_000_000])
def test_date_formats_like_the_calendar(seconds):
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    got = ee.Date(seconds * 1000).format("YYYY-MM-dd HH:mm:ss DDD ww e").getInfo()
    assert got == moment.strftime("%Y-%m-%d %H:%M:%S %j %V %u")


def test_date_advance_keeps_the_day_or_takes_the_last():
    assert ee.Date("2020-01-31").advance(1, "month").format("YYYY-MM-dd").getInfo() == "2020-02-29"


def test_user_functions_see_the_arguments_of_the_functions_around_them():
    table = ee.List([1, 2, 3]).map(
        lambda a: ee.List([10, 20]).map(lambda b: ee.Number(a).multiply(b))
    )
    assert table.getInfo() == [[10, 20], [20, 40], [30, 60]]


def test_iterate_passes_the_state_on():
    total = ee.List([1, 2, 3]).iterate(lambda x, state: ee.Number(state).multiply(10).add(x), 0)
    assert total.getInfo() == 123


def test_only_the_branch_that_is_taken_is_evaluated():
    empty = ee.Dictionary({})
    assert ee.Algorithms.If(True, 1, empty.get("missing")).getInfo() == 1
    with pytest.raises(ee.EEException, match="does not contain key: 'missing'"):
        ee.Algorithms.If(False, 1, empty.get("missing")).getInfo()


def test_a_chain_of_thousands_of_nodes_is_evaluated():
    values = {"0": {"constantValue": 0}}
    for i in range(1, 3001):
        arguments = {"left": {"valueReference": str(i - 1)}, "right": {"constantValue": 1}}
        call = {"functionName": "Number.add", "arguments": arguments}
        values[str(i)] = {"functionInvocationValue": call}
    assert _compute({"result": "3000", "values": values}) == 3000


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"0": {"valueReference": "0"}}, "cycle"),
        ({"0": {"valueReference": "9"}}, "does not exist"),
        ({"0": {"argumentReference": "x"}}, "not defined"),
        ({"0": {"functionInvocationValue": {"functionName": "Nonsense"}}}, "Unknown"),
        (
            {"0": {"functionInvocationValue": {"functionName": "Number.add", "arguments": {}}}},
            "Parameter 'left' is required",
        ),
    ],
)
def test_graphs_that_make_no_sense_are_refused(values, message):
    with pytest.raises(ee.EEException, match=message):
        _compute({"result": "0", "values": values})


def _compute(expression):
    resource = ee.data._get_cloud_projects().value()
    request = resource.compute(
        project=ee.data._get_projects_path(), body={"expression": expression}
    )
    return ee.data._execute_cloud_call(request)["result"]


def test_what_is_missing_says_so():
    with pytest.raises(ee.EEException, match=r"Landsat\.TOA is not implemented by the emulator"):
        ee.Algorithms.Landsat.TOA(ee.Image(1)).getInfo()


FEATURES = [{"a": 3, "s": "x"}, {"a": 1, "s": "xy"}, {"a": None, "s": "z"}, {"a": 2, "s": "y"}]


def _features():
    return ee.FeatureCollection([ee.Feature(None, row) for row in FEATURES])


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (lambda: ee.Filter.gt("a", 1), [3, 2]),
        (lambda: ee.Filter.gt("a", 1).Not(), [1]),
        (lambda: ee.Filter.And(ee.Filter.gte("a", 1), ee.Filter.lt("a", 3)), [1, 2]),
        (lambda: ee.Filter.Or(ee.Filter.eq("a", 1), ee.Filter.eq("s", "y")), [1, 2]),
        (lambda: ee.Filter.inList("a", [1, 3]), [3, 1]),
        (lambda: ee.Filter.stringContains("s", "x"), [3, 1]),
        (lambda: ee.Filter.notNull(["a"]), [3, 1, 2]),
    ],
)
def test_filters(condition, expected):
    assert _features().filter(condition()).aggregate_array("a").getInfo() == expected


def test_sort_limit_and_aggregates():
    features = _features()
    assert features.sort("a", False).limit(2).aggregate_array("a").getInfo() == [3, 2]
    numbers = [1, 2, 3]
    assert features.aggregate_mean("a").getInfo() == pytest.approx(np.mean(numbers))
    assert features.aggregate_total_sd("a").getInfo() == pytest.approx(np.std(numbers))
    assert features.aggregate_sample_var("a").getInfo() == pytest.approx(np.var(numbers, ddof=1))


NUMBERS = [4.0, 8.5, 1.0, 7.0, 7.0, -2.0, 3.5]


@pytest.mark.parametrize(
    ("reducer", "expected"),
    [
        ("mean", np.mean(NUMBERS)),
        ("median", np.median(NUMBERS)),
        ("stdDev", np.std(NUMBERS)),
        ("sampleVariance", np.var(NUMBERS, ddof=1)),
        ("min", min(NUMBERS)),
        ("max", max(NUMBERS)),
        ("sum", sum(NUMBERS)),
        ("product", math.prod(NUMBERS)),
        ("count", len(NUMBERS)),
        ("countDistinct", len(set(NUMBERS))),
        ("mode", 7.0),
        ("first", NUMBERS[0]),
        ("last", NUMBERS[-1]),
    ],
)
def test_reducers_agree_with_numpy(reducer, expected):
    got = ee.List(NUMBERS).reduce(getattr(ee.Reducer, reducer)()).getInfo()
    assert got == pytest.approx(expected)


def test_combined_repeated_and_grouped_reducers():
    rows = ee.FeatureCollection(
        [ee.Feature(None, {"k": k, "v": v}) for k, v in ((1, 10), (2, 5), (1, 20))]
    )
    both = ee.Reducer.mean().combine(ee.Reducer.max(), "top_", True)
    assert rows.reduceColumns(both, ["v"]).getInfo() == {"mean": 35 / 3, "top_max": 20}
    twice = rows.reduceColumns(ee.Reducer.sum().repeat(2), ["k", "v"])
    assert twice.getInfo() == {"sum": [4, 35]}
    grouped = rows.reduceColumns(ee.Reducer.sum().group(1, "k"), ["v", "k"])
    assert grouped.getInfo() == {"groups": [{"k": 1, "sum": 30}, {"k": 2, "sum": 5}]}


def test_areas_and_lengths_are_geodesic():
    ring = [[10.0, 45.0], [10.4, 45.0], [10.4, 45.3], [10.0, 45.3]]
    longitudes, latitudes = zip(*ring, strict=True)
    area, perimeter = WGS84.polygon_area_perimeter(longitudes, latitudes)
    polygon = ee.Geometry.Polygon([ring])
    assert polygon.area(1).getInfo() == pytest.approx(abs(area), rel=1e-4)
    assert polygon.perimeter(1).getInfo() == pytest.approx(perimeter, rel=1e-4)


def test_a_buffer_has_the_area_of_a_circle():
    circle = ee.Geometry.Point([15.0, 46.0]).buffer(1000)
    assert circle.area(1).getInfo() == pytest.approx(math.pi * 1000**2, rel=0.01)


def test_geometric_predicates_and_set_operations():
    west, east = ee.Geometry.BBox(0, 0, 2, 1), ee.Geometry.BBox(1, 0, 3, 1)
    assert west.intersects(east, 1).getInfo() is True
    assert west.contains(ee.Geometry.Point([0.5, 0.5]), 1).getInfo() is True
    assert west.containedIn(east, 1).getInfo() is False
    ratio = west.union(east, 1).area(1).divide(west.intersection(east, 1).area(1))
    assert ratio.getInfo() == pytest.approx(3, rel=1e-6)


def _rows(rows):
    """The same scenes as stored images, filtered by columns, and as made ones, one by one."""
    from emulator.stored import StoredCollection, StoredImage

    return StoredCollection([StoredImage(f"C/{i}", (), row) for i, row in enumerate(rows)])


COLUMN_FILTERS = {
    "eq": lambda: ee.Filter.eq("n", 2),
    "eq_zero": lambda: ee.Filter.eq("n", 0),
    "neq": lambda: ee.Filter.neq("n", 2),
    "eq_text": lambda: ee.Filter.eq("tile", "A"),
    "lt": lambda: ee.Filter.lt("n", 2),
    "lte": lambda: ee.Filter.lte("n", 2),
    "gt": lambda: ee.Filter.gt("n", 2),
    "gte": lambda: ee.Filter.gte("n", 2),
    "value_first": lambda: ee.Filter.greaterThan(leftValue=2, rightField="n"),
    "in_list": lambda: ee.Filter.inList("n", [1, 3]),
    "in_list_text": lambda: ee.Filter.inList("tile", ["B", "C"]),
    "in_index": lambda: ee.Filter.inList("system:index", ["1", "3"]),
    "date": lambda: ee.Filter.date("2018-01-02", "2018-01-04"),
    "not_date": lambda: ee.Filter.date("2018-01-02", "2018-01-04").Not(),
    "and": lambda: ee.Filter.And(ee.Filter.gt("n", 1), ee.Filter.eq("tile", "A")),
    "or": lambda: ee.Filter.Or(ee.Filter.gt("n", 2), ee.Filter.eq("tile", "A")),
    "mixed": lambda: ee.Filter.eq("mixed", 1),
    "substring": lambda: ee.Filter.listContains("tile", "A"),
}


@pytest.mark.parametrize("name", COLUMN_FILTERS)
def test_many_images_at_once_are_filtered_as_one_by_one(ee_emulator, name):
    from emulator import engine
    from emulator.functions.elements import filter_collection
    from emulator.functions.images import load_image
    from emulator.functions.values import Collection

    day = 86_400_000
    start = 1_514_764_800_000  # 2018-01-01
    stored = _rows(
        {
            **({"n": i} if i != 4 else {}),
            "tile": "AB"[i % 2],
            "system:time_start": start + i * day,
            "mixed": [1, "1", None, [1], 1, 2][i],
        }
        for i in range(6)
    )
    expression = ee.serializer.encode(COLUMN_FILTERS[name](), for_cloud_api=True)
    condition = engine.evaluate(expression, catalogue=None)

    def chosen(collection):
        return [x.properties["system:index"] for x in filter_collection(collection, condition)]

    images = [load_image(x) for x in stored]
    at_once = Collection(images, None, "C", True, stored)
    one_by_one = Collection(images, None, "C", True)
    assert chosen(at_once) == chosen(one_by_one)


def test_bounds_start_in_the_south_west(ee_emulator):
    # google/earthengine-community, samples/python/apidocs/ee_geometry_polygon_bounds.py prints so.
    planar = ee.Geometry.Rectangle([3, 4, 1, 2], None, False)
    ring = planar.bounds().coordinates().getInfo()
    assert ring == [[[1, 2], [3, 2], [3, 4], [1, 4], [1, 2]]]
