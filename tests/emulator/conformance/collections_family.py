"""Features and collections."""

import statistics

import ee
import numpy as np

from conformance.cases import Check, Grid, Raises, case, described, guide, library, sample

call = ee.ApiFunction.call_
VALUES = [3, 1, 2, 1]


def table(values: list | None = None) -> ee.FeatureCollection:
    rows = VALUES if values is None else values
    return ee.FeatureCollection([ee.Feature(None, {"a": v, "n": i}) for i, v in enumerate(rows)])


def images(values: list[int], name: str = "v") -> ee.ImageCollection:
    return ee.ImageCollection([ee.Image(v).rename(name).set("a", v) for v in values])


def sparse() -> ee.FeatureCollection:
    return ee.FeatureCollection(
        [ee.Feature(None, {"p": 1}), ee.Feature(None, {"q": 2}), ee.Feature(None, {"p": 3})]
    )


def pairs() -> ee.FeatureCollection:
    rows = ((1, 10), (2, 5), (1, 20))
    return ee.FeatureCollection([ee.Feature(None, {"k": k, "v": v}) for k, v in rows])


AGGREGATES = {
    "array": VALUES,
    "count": len(VALUES),
    "count_distinct": len(set(VALUES)),
    "first": VALUES[0],
    "histogram": {"1": 2, "2": 1, "3": 1},
    "max": max(VALUES),
    "mean": statistics.fmean(VALUES),
    "min": min(VALUES),
    "product": int(np.prod(VALUES)),
    "sample_sd": statistics.stdev(VALUES),
    "sample_var": statistics.variance(VALUES),
    "sum": sum(VALUES),
    "total_sd": statistics.pstdev(VALUES),
    "total_var": statistics.pvariance(VALUES),
}
STATS = {
    **{
        k: AGGREGATES[k]
        for k in ("max", "mean", "min", "sum", "sample_sd", "sample_var", "total_sd", "total_var")
    },
    "sum_sq": sum(v * v for v in VALUES),
    "total_count": 4,
    "valid_count": 4,
    "weight_sum": 4,
    "weighted_sum": sum(VALUES),
}
FEATURE = {"a": 1, "ab": 2, "c": "x"}


def feature() -> ee.Feature:
    return ee.Feature(ee.Geometry.Point(1, 2), FEATURE)


def ids(collection: ee.FeatureCollection) -> ee.List:
    return collection.aggregate_array("system:index")


MERCATOR = Grid(4, 4, transform=(10, 0, 0, 0, -10, 40))


def square(x: float, y: float, side: float) -> ee.Geometry:
    return ee.Geometry.Rectangle([x, y, x + side, y + side], "EPSG:3857", False)


CASES = [
    # Features and the properties of all elements.
    case(
        "a feature's id",
        lambda: ee.Feature(None, {"system:index": "abc123"}).id(),
        "abc123",
        sample("ee_feature"),
    ),
    case("no id", lambda: ee.Feature(None, {"id": "yada"}).id(), None, sample("ee_feature")),
    case(
        "a feature as JSON",
        lambda: ee.Feature(ee.Geometry.Point(1, 2), {"a": 1}),
        {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [1, 2]},
            "properties": {"a": 1},
        },
        sample("ee_feature"),
    ),
    case("get", lambda: feature().get("c"), "x", described("Element.get")),
    case("getNumber", lambda: feature().getNumber("a"), 1, described("Element.getNumber")),
    case("getString", lambda: feature().getString("c"), "x", described("Element.getString")),
    case(
        "getArray",
        lambda: ee.Feature(None, {"v": [1, 2]}).getArray("v"),
        [1, 2],
        described("Element.getArray"),
    ),
    case("set", lambda: feature().set("a", 5).get("a"), 5, described("Element.set")),
    case(
        "set many",
        lambda: feature().set({"a": 5, "z": 6}).toDictionary(["a", "z"]),
        {"a": 5, "z": 6},
        described("Element.setMulti"),
    ),
    case(
        "setMulti",
        lambda: ee.Element(call("Element.setMulti", feature(), {"a": 5, "z": 6})).toDictionary(),
        {**FEATURE, "a": 5, "z": 6},
        described("Element.setMulti"),
    ),
    case(
        "toDictionary", lambda: feature().toDictionary(), FEATURE, described("Element.toDictionary")
    ),
    case(
        "propertyNames",
        lambda: feature().propertyNames(),
        Check(lambda n: set(FEATURE) <= set(n), "a, ab, c"),
        described("Element.propertyNames"),
    ),
    case(
        "copyProperties",
        lambda: ee.Feature(None, {"z": 0}).copyProperties(feature(), ["a"]).toDictionary(),
        {"z": 0, "a": 1},
        described("Element.copyProperties"),
    ),
    case(
        "copyProperties without some",
        lambda: ee.Feature(None, {}).copyProperties(feature(), None, ["a"]).toDictionary(),
        {"ab": 2, "c": "x"},
        described("Element.copyProperties"),
    ),
    case(
        "copyProperties of an image",
        lambda: ee.Element(call("Image.copyProperties", ee.Image(1), feature())).toDictionary(),
        FEATURE,
        described("Image.copyProperties"),
    ),
    case(
        "replaceProperties",
        lambda: ee.Element(
            call("Element.replaceProperties", ee.Feature(None, {"z": 0}), feature())
        ).toDictionary(),
        FEATURE,
        described("Element.replaceProperties"),
    ),
    case(
        "select",
        lambda: feature().select(["a.*"]).toDictionary(),
        {"a": 1, "ab": 2},
        described("Feature.select"),
    ),
    case(
        "select and rename",
        lambda: feature().select(["c", "a"], ["x", "y"]).toDictionary(),
        {"x": "x", "y": 1},
        described("Feature.select"),
    ),
    case(
        "select without the geometry",
        lambda: feature().select(["a"], None, False),
        Check(lambda f: f["geometry"] is None, "no geometry"),
        described("Feature.select"),
    ),
    case(
        "geometry",
        lambda: feature().geometry().coordinates(),
        [1, 2],
        described("Feature.geometry"),
    ),
    case(
        "Element.geometry",
        lambda: ee.Geometry(call("Element.geometry", feature())).coordinates(),
        [1, 2],
        described("Element.geometry"),
    ),
    case(
        "geometry in a projection",
        lambda: feature().geometry(1, "EPSG:3857").projection().crs(),
        "EPSG:3857",
        described("Feature.geometry"),
    ),
    case(
        "setGeometry",
        lambda: feature().setGeometry(ee.Geometry.Point(5, 6)).geometry().coordinates(),
        [5, 6],
        described("Feature.setGeometry"),
    ),
    case("toArray", lambda: feature().toArray(["ab", "a"]), [2, 1], described("Feature.toArray")),
    case(
        "id of an image",
        lambda: ee.Image(1).set("system:index", "i").id(),
        "i",
        described("Image.id"),
    ),
    case(
        "date of an image",
        lambda: ee.Image(1).set("system:time_start", 5).date().millis(),
        5,
        described("Image.date"),
    ),
    # Collections as JSON.
    case(
        "a collection as JSON",
        lambda: ee.FeatureCollection(
            [ee.Feature(ee.Geometry.Point(-62.54, -27.32), {"key": "val1"})]
        ),
        {
            "type": "FeatureCollection",
            "columns": {"key": "String", "system:index": "String"},
            "features": [
                {
                    "type": "Feature",
                    "geometry": {"type": "Point", "coordinates": [-62.54, -27.32]},
                    "id": "0",
                    "properties": {"key": "val1"},
                }
            ],
        },
        sample("ee_featurecollection"),
    ),
    case(
        "an image collection as JSON",
        lambda: images([1]),
        Check(
            lambda c: (
                c["type"] == "ImageCollection"
                and c["bands"] == []
                and c["features"][0]["id"] == "0"
                if "id" in c["features"][0]
                else c["type"] == "ImageCollection"
            ),
            "images",
        ),
        sample("ee_imagecollection"),
    ),
    # Collection to collection.
    case("indices of a list", lambda: ids(table()), ["0", "1", "2", "3"], described("Collection")),
    case("size", lambda: table().size(), 4, described("Collection.size")),
    case("first", lambda: table().first().get("a"), 3, described("Collection.first")),
    case(
        "toList",
        lambda: table().toList(2, 1).map(lambda f: ee.Feature(f).get("a")),
        VALUES[1:3],
        described("Collection.toList"),
    ),
    case(
        "limit",
        lambda: table().limit(2).aggregate_array("a"),
        VALUES[:2],
        described("Collection.limit"),
    ),
    case("sort", lambda: table().sort("a").aggregate_array("a"), sorted(VALUES), library("sorted")),
    case(
        "sort is stable",
        lambda: table().sort("a").aggregate_array("n"),
        [1, 3, 2, 0],
        library("sorted"),
    ),
    case(
        "sort the other way and limit",
        lambda: table().limit(2, "a", False).aggregate_array("a"),
        [3, 2],
        described("Collection.limit"),
    ),
    case(
        "map",
        lambda: (
            table().map(lambda f: f.set("a", ee.Number(f.get("a")).add(1))).aggregate_array("a")
        ),
        [v + 1 for v in VALUES],
        described("Collection.map"),
    ),
    case(
        "map keeps indices",
        lambda: ids(table().map(lambda f: ee.Feature(None, {}))),
        ["0", "1", "2", "3"],
        described("Collection.map"),
    ),
    case(
        "map must return elements",
        lambda: table().map(lambda f: f.get("a")),
        Raises("A mapped algorithm must return a Feature or Image"),
        guide("debugging"),
    ),
    case(
        "an error in a map names the element",
        lambda: table().map(lambda f: f.set("b", ee.Number(f.get("n")).add(ee.Image(1).get("x")))),
        Raises(r"Error in map\(ID=0\):\nNumber.add: Parameter 'right' is required"),
        guide("debugging"),
    ),
    case(
        "map drops nulls",
        lambda: (
            table()
            .map(lambda f: ee.Algorithms.If(ee.Number(f.get("a")).gt(1), f, None), True)
            .size()
        ),
        2,
        described("Collection.map"),
    ),
    case(
        "iterate",
        lambda: table().iterate(
            lambda f, s: ee.Number(s).multiply(10).add(ee.Number(f.get("a"))), 0
        ),
        3121,
        library("functools.reduce"),
    ),
    case(
        "merge prefixes the ids",
        lambda: ids(table([1, 2]).merge(table([3]))),
        ["1_0", "1_1", "2_0"],
        described("Collection.merge"),
    ),
    case(
        "merge of images",
        lambda: ids(images([1]).merge(images([2]))),
        ["1_0", "2_0"],
        described("ImageCollection.merge"),
    ),
    case(
        "flatten",
        lambda: ids(ee.FeatureCollection([table([1, 2]), table([3])]).flatten()),
        ["0_0", "0_1", "1_0"],
        described("Collection.flatten"),
    ),
    case(
        "distinct",
        lambda: table().distinct("a").aggregate_array("a"),
        [3, 1, 2],
        described("Collection.distinct"),
    ),
    case(
        "distinct of two",
        lambda: table().distinct(["a", "n"]).size(),
        4,
        described("Collection.distinct"),
    ),
    case(
        "remap drops what is not listed",
        lambda: (
            ee.FeatureCollection(
                [ee.Feature(None, {"isTree": t}) for t in ("Tree", "NotTree", "nonsense")]
            )
            .remap(["NotTree", "Tree"], [0, 1], "isTree")
            .aggregate_array("isTree")
        ),
        [1, 0],
        sample("ee_featurecollection_remap"),
    ),
    case(
        "randomColumn is uniform",
        lambda: table(list(range(500))).randomColumn("r").aggregate_array("r"),
        Check(lambda v: min(v) >= 0 and max(v) < 1 and abs(np.mean(v) - 0.5) < 0.05, "uniform"),
        described("Collection.randomColumn"),
    ),
    case(
        "randomColumn may be normal",
        lambda: table(list(range(500))).randomColumn("r", 1, "normal").aggregate_array("r"),
        Check(lambda v: abs(np.mean(v)) < 0.2 and abs(np.std(v) - 1) < 0.15, "normal"),
        described("Collection.randomColumn"),
    ),
    case(
        "makeArray",
        lambda: table().makeArray(["a", "n"], "v").aggregate_array("v"),
        [[v, i] for i, v in enumerate(VALUES)],
        described("FeatureCollection.makeArray"),
    ),
    case(
        "union",
        lambda: ee.FeatureCollection(
            [ee.Geometry.BBox(0, 0, 1, 1), ee.Geometry.BBox(1, 0, 2, 1)]
        ).union(1),
        Check(lambda c: [f["id"] for f in c["features"]] == ["union_result"], "union_result"),
        described("Collection.union"),
    ),
    case(
        "bounds",
        lambda: (
            ee.FeatureCollection([ee.Geometry.Point(0, 1), ee.Geometry.Point(2, 3)])
            .bounds()
            .coordinates()
        ),
        [[[0, 1], [2, 1], [2, 3], [0, 3], [0, 1]]],
        described("Collection.bounds"),
    ),
    case(
        "geometry of a collection",
        lambda: (
            ee.FeatureCollection([ee.Geometry.Point(0, 1), ee.Geometry.Point(2, 3)])
            .geometry()
            .type()
        ),
        "MultiPoint",
        described("Collection.geometry"),
    ),
    case(
        "a table that is not there",
        lambda: ee.FeatureCollection("users/nobody/nothing"),
        Raises("Collection.loadTable: Collection asset 'users/nobody/nothing' not found"),
        "google/earthengine-api issues",
    ),
    case(
        "images that are not there",
        lambda: ee.ImageCollection("NO/SUCH"),
        Raises("ImageCollection.load: ImageCollection asset 'NO/SUCH' not found"),
        "google/earthengine-api issues",
    ),
    # Aggregates.
    *(
        case(
            f"aggregate_{name}",
            lambda name=name: call(f"AggregateFeatureCollection.{name}", table(), "a"),
            expected,
            library("statistics"),
        )
        for name, expected in AGGREGATES.items()
    ),
    case(
        "aggregate_stats",
        lambda: table().aggregate_stats("a"),
        STATS,
        sample("ee_featurecollection_aggregate_stats"),
    ),
    case(
        "aggregates skip nulls",
        lambda: sparse().aggregate_count("p"),
        2,
        described("AggregateFeatureCollection.count"),
    ),
    case(
        "reduceColumns",
        lambda: table().reduceColumns(ee.Reducer.mean(), ["a"]),
        {"mean": statistics.fmean(VALUES)},
        described("Collection.reduceColumns"),
    ),
    case(
        "reduceColumns with weights",
        lambda: table().reduceColumns(ee.Reducer.mean(), ["a"], ["n"]),
        {"mean": np.average(VALUES, weights=[0, 1, 2, 3])},
        library("numpy.average"),
    ),
    case(
        "a combined reducer",
        lambda: pairs().reduceColumns(
            ee.Reducer.mean().combine(ee.Reducer.max(), "top_", True), ["v"]
        ),
        {"mean": 35 / 3, "top_max": 20},
        described("Reducer.combine"),
    ),
    case(
        "a repeated reducer",
        lambda: pairs().reduceColumns(ee.Reducer.sum().repeat(2), ["k", "v"]),
        {"sum": [4, 35]},
        described("Reducer.repeat"),
    ),
    case(
        "a grouped reducer",
        lambda: pairs().reduceColumns(ee.Reducer.sum().group(1, "k"), ["v", "k"]),
        {"groups": [{"k": 1, "sum": 30}, {"k": 2, "sum": 5}]},
        described("Reducer.group"),
    ),
    # Images.
    case(
        "combine by index",
        lambda: images([1, 2]).combine(images([3], "w")).first().bandNames(),
        ["v", "w"],
        described("ImageCollection.combine"),
    ),
    case(
        "combine drops the others",
        lambda: images([1, 2]).combine(images([3], "w")).size(),
        1,
        described("ImageCollection.combine"),
    ),
    case(
        "cast",
        lambda: ee.Dictionary(images([1]).cast({"v": "float"}, ["v"]).first().bandTypes()).get("v"),
        Check(lambda t: t["precision"] == "float", "float"),
        described("ImageCollection.cast"),
    ),
    case(
        "a linked band",
        lambda: (
            images([1, 2])
            .linkCollection(images([5, 6], "w"), ["w"])
            .filter(ee.Filter.eq("a", 2))
            .first()
            .select("w")
        ),
        {"w": np.full((1, 1), 6)},
        described("Image.linkCollection"),
        grid=Grid(1, 1),
    ),
    case(
        "linked properties",
        lambda: (
            images([1, 2])
            .linkCollection(images([5, 6], "w").map(lambda i: i.set("b", i.get("a"))), None, "b")
            .aggregate_array("b")
        ),
        [5, 6],
        described("Image.linkCollection"),
    ),
    case(
        "no match is masked",
        lambda: (
            ee.Image(1)
            .set("system:index", "x")
            .linkCollection(images([5], "w"), "w")
            .select("w")
            .mask()
        ),
        {"w": np.zeros((1, 1))},
        described("Image.linkCollection"),
        grid=Grid(1, 1),
    ),
    case(
        "reduceToImage",
        lambda: ee.FeatureCollection(
            [ee.Feature(square(1, 1, 18), {"p": 1}), ee.Feature(square(11, 1, 8), {"p": 5})]
        ).reduceToImage(["p"], ee.Reducer.sum()),
        {"sum": np.array([[0, 0, 0, 0], [0, 0, 0, 0], [1, 1, 0, 0], [1, 6, 0, 0]])},
        described("Collection.reduceToImage"),
        grid=MERCATOR,
    ),
    case(
        "distance",
        lambda: ee.FeatureCollection([ee.Geometry.Point([5, 5], "EPSG:3857")]).distance(15),
        {
            "distance": np.array(
                [[0, 0, 0, 0], [0, 0, 0, 0], [10, np.sqrt(200), 0, 0], [0, 10, 0, 0]]
            )
        },
        described("Collection.distance"),
        tolerance=0.1,
        grid=MERCATOR,
    ),
    case(
        "an error in a map names the element",
        lambda: sparse().map(lambda f: f.set("r", ee.Number(f.get("p")).divide(2))),
        Raises(r"Error in map\(ID=1\):\s+Number\.divide: Parameter 'left' is required"),
        guide("debugging"),
    ),
    case(
        "a collection without images",
        lambda: ee.ImageCollection([]),
        {"type": "ImageCollection", "bands": []},
        sample("ee_list_add"),
    ),
]
