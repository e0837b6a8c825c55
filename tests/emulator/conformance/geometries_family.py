"""Geometries, and the same operations on features: against shapely and pyproj."""

import math

import ee
import numpy as np
import pyproj
import shapely

from conformance.cases import Check, Raises, case, described, guide, library, sample

WGS84 = pyproj.Geod(ellps="WGS84")
EQUAL_AREA = pyproj.Transformer.from_crs("EPSG:4326", "+proj=cea +ellps=WGS84", always_xy=True)
call = ee.ApiFunction.call_


def js(name: str) -> str:
    return f"google/earthengine-community samples/javascript/apidocs/{name}.js"


SHELL = [[-122.092, 37.424], [-122.086, 37.418], [-122.079, 37.425], [-122.085, 37.423]]
LINE = [[-122.09, 37.42], [-122.08, 37.43]]
HOLE = [[[-35, -10], [-35, 10], [35, 10], [35, -10], [-35, -10]]]


def polygon() -> ee.Geometry:
    return ee.Geometry.Polygon([SHELL])


def line() -> ee.Geometry:
    return ee.Geometry.LineString(LINE)


def west() -> ee.Geometry:
    return ee.Geometry.BBox(0, 0, 2, 1)


def east() -> ee.Geometry:
    return ee.Geometry.BBox(1, 0, 3, 1)


WEST, EAST = shapely.box(0, 0, 2, 1), shapely.box(1, 0, 3, 1)
INNER, POINT = shapely.box(0.5, 0.25, 1, 0.5), shapely.Point(0.5, 0.5)


def ee_shape(shape: shapely.Geometry) -> ee.Geometry:
    mapping = shapely.geometry.mapping(shape)
    if shape.geom_type == "Point":
        return ee.Geometry.Point(mapping["coordinates"])
    return ee.Geometry.Polygon(mapping["coordinates"], None, False)


def on_earth(shape: shapely.Geometry) -> float:
    """Return the area in m2 of a shape with straight edges in lon/lat."""
    dense = shapely.segmentize(shape, 0.05)
    return shapely.transform(
        dense, lambda xy: np.column_stack(EQUAL_AREA.transform(xy[:, 0], xy[:, 1]))
    ).area


def close(value: float, relative: float) -> Check:
    return Check(lambda got: abs(got - value) <= relative * abs(value), f"{value} ± {relative:.1%}")


def shaped(shape: shapely.Geometry) -> Check:
    return Check(
        lambda got: shapely.geometry.shape(got).symmetric_difference(shape).area < 1e-9,
        shape.wkt,
    )


PREDICATES = {
    "intersects": shapely.intersects,
    "disjoint": shapely.disjoint,
    "contains": shapely.covers,
    "containedIn": shapely.covered_by,
}
PAIRS = [
    (WEST, EAST),
    (WEST, INNER),
    (INNER, WEST),
    (WEST, POINT),
    (INNER, shapely.box(5, 5, 6, 6)),
]
SET_OPERATIONS = {
    "intersection": shapely.intersection,
    "union": shapely.union,
    "difference": shapely.difference,
    "symmetricDifference": shapely.symmetric_difference,
}
EARTH_AREA = 510_065_621_724_088  # m2 of WGS 84, as GeographicLib gives it
LENGTH = WGS84.line_length(*zip(*LINE, strict=True))
RING = list(zip(*SHELL, SHELL[0], strict=True))
AREA, PERIMETER = map(abs, WGS84.polygon_area_perimeter(*RING))
TALL = [[10.0, 45.0], [10.4, 45.0], [10.4, 45.3], [10.0, 45.3]]
TALL_AREA, TALL_PERIMETER = map(abs, WGS84.polygon_area_perimeter(*zip(*TALL, strict=True)))
UTM = pyproj.Transformer.from_crs("EPSG:4326", "EPSG:32610", always_xy=True)
CONSTRUCTED = {
    "Point": (lambda: call("GeometryConstructors.Point", [1, 2]), "Point", [1, 2]),
    "MultiPoint": (
        lambda: ee.Geometry.MultiPoint([[1, 2], [3, 4]]),
        "MultiPoint",
        [[1, 2], [3, 4]],
    ),
    "flat numbers": (lambda: ee.Geometry.MultiPoint([1, 2, 3, 4]), "MultiPoint", [[1, 2], [3, 4]]),
    "LineString": (lambda: ee.Geometry.LineString(LINE), "LineString", LINE),
    "LinearRing": (lambda: ee.Geometry.LinearRing(SHELL), "LinearRing", [*SHELL, SHELL[0]]),
    "MultiLineString": (lambda: ee.Geometry.MultiLineString([LINE]), "MultiLineString", [LINE]),
    "Polygon": (polygon, "Polygon", [[*SHELL, SHELL[0]]]),
    "MultiPolygon": (
        lambda: ee.Geometry.MultiPolygon([[SHELL]]),
        "MultiPolygon",
        [[[*SHELL, SHELL[0]]]],
    ),
    "Rectangle": (
        lambda: ee.Geometry.Rectangle([1, 2, 3, 4], None, False),
        "Polygon",
        [[[1, 2], [3, 2], [3, 4], [1, 4], [1, 2]]],
    ),
    "BBox": (
        lambda: call("GeometryConstructors.BBox", 1, 2, 3, 4),
        "Polygon",
        [[[1, 2], [3, 2], [3, 4], [1, 4], [1, 2]]],
    ),
}


def server(geometry: ee.Geometry) -> ee.Geometry:
    """Return a geometry that the client cannot take apart."""
    return ee.Geometry(ee.List([geometry]).get(0))


def _ring(shape: dict) -> list:
    """GeoJSON has no LinearRing: its coordinates are those of a line."""
    return shape["coordinates"]


def feature(shape: ee.Geometry, **properties: object) -> ee.Feature:
    return ee.Feature(shape, properties)


CASES = [
    *(
        case(
            f"{name}: its type",
            lambda b=build: server(b()).type(),
            kind,
            described("Geometry.type"),
        )
        for name, (build, kind, _) in CONSTRUCTED.items()
        if name != "LinearRing"
    ),
    *(
        case(
            f"{name}: its coordinates",
            lambda b=build: server(b()).coordinates(),
            Check(lambda got, c=coordinates: np.allclose(got, c), str(coordinates)),
            described("Geometry.coordinates"),
        )
        for name, (build, _, coordinates) in CONSTRUCTED.items()
    ),
    case(
        "a collection of geometries",
        lambda: ee.List(
            call(
                "GeometryConstructors.MultiGeometry", [ee.Geometry.Point(1, 2), polygon()]
            ).geometries()
            if False
            else ee.Geometry(
                call("GeometryConstructors.MultiGeometry", [ee.Geometry.Point(1, 2), polygon()])
            ).geometries()
        ).map(lambda g: ee.Geometry(g).type()),
        ["Point", "Polygon"],
        described("Geometry.geometries"),
    ),
    *(
        case(
            f"{name} {i}",
            lambda n=name, a=a, b=b: getattr(ee_shape(a), n)(ee_shape(b), 1),
            bool(function(a, b)),
            library(f"shapely.{name}"),
        )
        for name, function in PREDICATES.items()
        for i, (a, b) in enumerate(PAIRS)
    ),
    *(
        case(
            f"{name} of features {i}",
            lambda n=name, a=a, b=b: getattr(feature(ee_shape(a)), n)(feature(ee_shape(b)), 1),
            bool(function(a, b)),
            library(f"shapely.{name}"),
        )
        for name, function in PREDICATES.items()
        for i, (a, b) in enumerate(PAIRS[:2])
    ),
    *(
        case(
            name,
            lambda n=name: getattr(west(), n)(east(), 1),
            shaped(function(WEST, EAST)),
            library(f"shapely.{name}"),
        )
        for name, function in SET_OPERATIONS.items()
    ),
    *(
        case(
            f"{name} of features keeps the first one's properties",
            lambda n=name: getattr(feature(west(), a=1), n)(feature(east(), b=2), 1),
            Check(
                lambda f, combine=function: (
                    f["properties"] == {"a": 1}
                    and shapely.geometry.shape(f["geometry"])
                    .symmetric_difference(combine(WEST, EAST))
                    .area
                    < 1e-9
                ),
                "left properties",
            ),
            library(f"shapely.{name}"),
        )
        for name, function in SET_OPERATIONS.items()
    ),
    case(
        "left-inside: a clockwise shell is a hole",
        lambda: ee.Geometry.Polygon(coords=HOLE, evenOdd=False).contains(
            ee.Geometry.Point([1.5, 1.5]), 1
        ),
        False,
        guide("geometric_operations"),
    ),
    case(
        "left-inside: the rest of the Earth",
        lambda: ee.Geometry.Polygon(coords=HOLE, evenOdd=False).contains(
            ee.Geometry.Point([50, 1.5]), 1
        ),
        True,
        guide("geometric_operations"),
    ),
    case(
        "left-inside: areas add up",
        lambda: (
            ee.Geometry.Polygon(coords=HOLE, evenOdd=False)
            .area(1)
            .add(ee.Geometry.Polygon(HOLE).area(1))
        ),
        close(EARTH_AREA, 1e-4),
        library("pyproj.Geod"),
    ),
    case(
        "even-odd",
        lambda: ee.Geometry.Polygon(HOLE).contains(ee.Geometry.Point([1.5, 1.5]), 1),
        True,
        guide("geometric_operations"),
    ),
    case(
        "a bow tie, even-odd",
        lambda: ee.Geometry.Polygon([[[0, 0], [2, 2], [2, 0], [0, 2]]], None, False).contains(
            ee.Geometry.Point([1, 0.5]), 1
        ),
        False,
        described("GeometryConstructors.Polygon"),
    ),
    case("area", lambda: polygon().area(1), close(AREA, 1e-6), library("pyproj.Geod")),
    case(
        "area of a large quadrangle",
        lambda: ee.Geometry.Polygon([TALL]).area(1),
        close(TALL_AREA, 1e-6),
        library("pyproj.Geod"),
    ),
    case(
        "area of a box with straight edges",
        lambda: ee.Geometry.Rectangle([0, 50, 20, 60], None, False).area(1),
        close(on_earth(shapely.box(0, 50, 20, 60)), 1e-5),
        library("the equal-area projection of PROJ"),
    ),
    case(
        "area of the Earth",
        lambda: ee.Geometry.BBox(-180, -90, 180, 90).area(1),
        close(EARTH_AREA, 1e-6),
        library("pyproj.Geod"),
    ),
    case(
        "area across the antimeridian",
        lambda: ee.Geometry.BBox(179, 0, -179, 1).area(1),
        close(on_earth(shapely.box(0, 0, 2, 1)), 1e-5),
        described("GeometryConstructors.BBox"),
    ),
    case(
        "area of a geodesic polygon across the antimeridian",
        lambda: ee.Geometry.Polygon([[[179, 0], [-179, 0], [-179, 1], [179, 1]]]).area(1),
        close(abs(WGS84.polygon_area_perimeter([179, 181, 181, 179], [0, 0, 1, 1])[0]), 1e-6),
        library("pyproj.Geod"),
    ),
    case(
        "a box across the antimeridian",
        lambda: ee.List(
            [
                ee.Geometry.BBox(170, -10, -170, 10).contains(ee.Geometry.Point(x, 0), 1)
                for x in (175, -175, 0, 185)
            ]
        ),
        [True, True, False, True],
        described("GeometryConstructors.BBox"),
    ),
    case(
        "area in a projection",
        lambda: polygon().area(1, "EPSG:32610"),
        close(shapely.Polygon(np.column_stack(UTM.transform(*RING))).area, 1e-6),
        library("shapely and pyproj"),
    ),
    case(
        "overlapping parts count twice",
        lambda: (
            ee.Geometry.MultiPolygon(
                [[[[0, 0], [1, 0], [1, 1], [0, 1]]], [[[0, 0], [1, 0], [1, 1], [0, 1]]]]
            )
            .area(1)
            .divide(ee.Geometry.Polygon([[[0, 0], [1, 0], [1, 1], [0, 1]]]).area(1))
        ),
        2,
        described("Geometry.area"),
    ),
    case("a line has no area", lambda: line().area(1), 0, described("Geometry.area")),
    case(
        "perimeter", lambda: polygon().perimeter(1), close(PERIMETER, 1e-6), library("pyproj.Geod")
    ),
    case(
        "a line has no perimeter", lambda: line().perimeter(1), 0, described("Geometry.perimeter")
    ),
    case("length", lambda: line().length(), close(LENGTH, 1e-6), library("pyproj.Geod")),
    case("a polygon has no length", lambda: polygon().length(), 0, described("Geometry.length")),
    case(
        "area of a feature",
        lambda: feature(polygon()).area(1),
        close(AREA, 1e-6),
        library("pyproj.Geod"),
    ),
    case(
        "perimeter of a feature",
        lambda: feature(polygon()).perimeter(1),
        close(PERIMETER, 1e-6),
        library("pyproj.Geod"),
    ),
    case(
        "length of a feature",
        lambda: feature(line()).length(),
        close(LENGTH, 1e-6),
        library("pyproj.Geod"),
    ),
    *(
        case(
            f"distance {a} {b}",
            lambda a=a, b=b: ee.Geometry.Point(a).distance(ee.Geometry.Point(b), 1),
            close(WGS84.inv(*a, *b)[2], 1e-6),
            library("pyproj.Geod.inv"),
        )
        for a, b in [
            ([10, 45], [10.5, 45]),
            ([10, 70], [11, 70.5]),
            ([179.9, 0], [-179.9, 0]),
            ([0, 0], [40, 60]),
        ]
    ),
    case(
        "distance to an edge far north",
        lambda: ee.Geometry.Point(10, 70.01).distance(
            ee.Geometry.LineString([[8, 70], [12, 70]], None, False), 1
        ),
        close(WGS84.inv(10, 70.01, 10, 70)[2], 2e-3),
        library("pyproj.Geod.inv"),
    ),
    case(
        "no distance", lambda: polygon().distance(polygon(), 1), 0, described("Geometry.distance")
    ),
    case(
        "distance of features",
        lambda: feature(ee.Geometry.Point(0, 0)).distance(feature(ee.Geometry.Point(1, 0))),
        close(WGS84.inv(0, 0, 1, 0)[2], 1e-6),
        library("pyproj.Geod.inv"),
    ),
    case(
        "distance in a projection",
        lambda: ee.Geometry.Point([0, 0], "EPSG:3857").distance(
            ee.Geometry.Point([30, 40], "EPSG:3857"), 1, "EPSG:3857"
        ),
        50,
        library("math.hypot"),
    ),
    *(
        case(
            f"within {d} m",
            lambda d=d: ee.Geometry.Point(0, 0).withinDistance(ee.Geometry.Point(1, 0), d, 1),
            d > 111_320,
            library("pyproj.Geod.inv"),
        )
        for d in (111_000, 112_000)
    ),
    case(
        "features within",
        lambda: feature(ee.Geometry.Point(0, 0)).withinDistance(
            feature(ee.Geometry.Point(1, 0)), 112_000
        ),
        True,
        library("pyproj.Geod.inv"),
    ),
    case(
        "closest point",
        lambda: call(
            "Geometry.closestPoint",
            ee.Geometry.Point(0.5, 0.2),
            ee.Geometry.LineString([[0, 0], [1, 0]]),
        ),
        Check(lambda p: np.allclose(p["coordinates"], [0.5, 0], atol=1e-6), "(0.5, 0)"),
        described("Geometry.closestPoint"),
    ),
    case(
        "closest points",
        lambda: ee.Dictionary(
            call(
                "Geometry.closestPoints",
                ee.Geometry.Point(0.5, 0.2),
                ee.Geometry.LineString([[0, 0], [1, 0]]),
            )
        ).keys(),
        ["left", "right"],
        described("Geometry.closestPoints"),
    ),
    case(
        "closest point of a feature",
        lambda: call(
            "Feature.closestPoint",
            feature(ee.Geometry.Point(0.5, 0.2)),
            feature(ee.Geometry.Point(1, 1)),
        ),
        Check(lambda p: np.allclose(p["coordinates"], [1, 1]), "(1, 1)"),
        described("Feature.closestPoint"),
    ),
    case(
        "closest points of features",
        lambda: ee.Dictionary(
            call(
                "Feature.closestPoints",
                feature(ee.Geometry.Point(0, 0)),
                feature(ee.Geometry.Point(1, 1)),
            )
        ).size(),
        2,
        described("Feature.closestPoints"),
    ),
    *(
        case(
            f"a buffer at latitude {y}",
            lambda y=y: ee.Geometry.Point([15.0, y]).buffer(1000).area(1),
            close(math.pi * 1000**2, 0.01),
            described("Geometry.buffer"),
        )
        for y in (0, 46, 80, -89)
    ),
    case(
        "a buffer of a quarter of the Earth's circumference is half of it",
        lambda: ee.Geometry.Point(15, 46).buffer(10_000_000).area(1),
        close(EARTH_AREA / 2, 0.01),
        library("the area of a hemisphere"),
    ),
    case(
        "no intersection",
        lambda: polygon().intersection(west(), 1).coordinates(),
        [],
        described("Geometry.intersection"),
    ),
    case(
        "a buffer over the pole",
        lambda: (
            ee.Geometry.Point([15.0, 90])
            .buffer(100_000)
            .contains(ee.Geometry.Point([-120, 89.5]), 1)
        ),
        True,
        described("Geometry.buffer"),
    ),
    case(
        "a buffer over the antimeridian",
        lambda: ee.Geometry.Point([179.999, 0]).buffer(1000).area(1),
        close(math.pi * 1000**2, 0.01),
        described("Geometry.buffer"),
    ),
    case(
        "a buffer in a projection",
        lambda: (
            ee.Geometry.Point([0, 0], "EPSG:3857")
            .buffer(10, 1, "EPSG:3857")
            .bounds(1, "EPSG:3857")
            .coordinates()
        ),
        Check(lambda c: np.allclose(np.abs(c[0]), 10), "±10"),
        library("shapely.buffer"),
    ),
    case(
        "a smaller buffer",
        lambda: ee.Geometry.Point([15.0, 46.0]).buffer(1000).buffer(-500).area(1),
        close(math.pi * 500**2, 0.02),
        described("Geometry.buffer"),
    ),
    case(
        "a feature's buffer",
        lambda: feature(ee.Geometry.Point([15.0, 46.0]), a=1).buffer(1000).get("a"),
        1,
        described("Feature.buffer"),
    ),
    case(
        "centroid",
        lambda: ee.Geometry.Polygon([[[0, 0], [1, 0], [1, 1], [0, 1]]]).centroid(1).coordinates(),
        [0.5, 0.5],
        described("Geometry.centroid"),
        tolerance=1e-3,
    ),
    case(
        "centroid over the antimeridian",
        lambda: ee.Geometry.BBox(179, -1, -179, 1).centroid(1).coordinates().getNumber(0).abs(),
        180,
        described("Geometry.centroid"),
        tolerance=1e-6,
    ),
    case(
        "centroid of the highest dimension",
        lambda: (
            ee.Geometry(
                call(
                    "GeometryConstructors.MultiGeometry",
                    [
                        ee.Geometry.Point(50, 50),
                        ee.Geometry.Polygon([[[0, 0], [1, 0], [1, 1], [0, 1]]]),
                    ],
                )
            )
            .centroid(1)
            .coordinates()
        ),
        [0.5, 0.5],
        described("Geometry.centroid"),
        tolerance=2e-3,
    ),
    case(
        "a feature's centroid",
        lambda: feature(ee.Geometry.Point(3, 4)).centroid(1).geometry().coordinates(),
        [3, 4],
        described("Feature.centroid"),
        tolerance=1e-6,
    ),
    case(
        "bounds start in the south-west",
        lambda: ee.Geometry.Rectangle([3, 4, 1, 2], None, False).bounds().coordinates(),
        [[[1, 2], [3, 2], [3, 4], [1, 4], [1, 2]]],
        sample("ee_geometry_polygon_bounds"),
    ),
    case(
        "bounds of a geodesic line bulge",
        lambda: ee.Geometry.LineString([[0, 50], [40, 50]]).bounds(1).coordinates(),
        Check(lambda c: max(y for _, y in c[0]) > 51, "north of 51°"),
        described("Geometry.bounds"),
    ),
    case(
        "bounds in a projection",
        lambda: line().bounds(1, "EPSG:32610").projection().crs(),
        "EPSG:32610",
        described("Geometry.bounds"),
    ),
    case(
        "a feature's bounds",
        lambda: feature(line()).bounds(1).geometry().coordinates(),
        Check(lambda c: np.allclose(c[0][0], LINE[0]), "from the south-west"),
        described("Feature.bounds"),
    ),
    case(
        "convex hull",
        lambda: polygon().convexHull(1),
        shaped(shapely.Polygon(SHELL).convex_hull),
        library("shapely.convex_hull"),
    ),
    case(
        "convex hull of a point",
        lambda: ee.Geometry.Point(1, 2).convexHull().type(),
        "Point",
        described("Geometry.convexHull"),
    ),
    case(
        "a feature's hull",
        lambda: feature(polygon()).convexHull(1).geometry(),
        shaped(shapely.Polygon(SHELL).convex_hull),
        library("shapely.convex_hull"),
    ),
    case(
        "simplify",
        lambda: (
            ee.Geometry.LineString([[0, 0], [0.5, 0.000001], [1, 0]])
            .simplify(10)
            .coordinates()
            .length()
        ),
        2,
        described("Geometry.simplify"),
    ),
    case(
        "a feature simplified",
        lambda: (
            feature(ee.Geometry.LineString([[0, 0], [0.5, 0.000001], [1, 0]]))
            .simplify(10)
            .geometry()
            .coordinates()
            .length()
        ),
        2,
        described("Feature.simplify"),
    ),
    case(
        "dissolve leaves a polygon",
        lambda: polygon().dissolve(1),
        shaped(shapely.Polygon(SHELL)),
        described("Geometry.dissolve"),
    ),
    case(
        "dissolve unites",
        lambda: ee.Geometry.MultiPolygon(
            [[[[0, 0], [2, 0], [2, 1], [0, 1]]], [[[1, 0], [3, 0], [3, 1], [1, 1]]]], None, False
        ).dissolve(1),
        shaped(shapely.box(0, 0, 3, 1)),
        described("Geometry.dissolve"),
    ),
    case(
        "a feature dissolved",
        lambda: feature(polygon()).dissolve(1).geometry(),
        shaped(shapely.Polygon(SHELL)),
        described("Feature.dissolve"),
    ),
    case(
        "transform",
        lambda: ee.Geometry.Point(LINE[0]).transform("EPSG:32610", 1).coordinates(),
        list(UTM.transform(*LINE[0])),
        library("pyproj"),
        tolerance=1e-3,
    ),
    case(
        "a feature transformed",
        lambda: (
            feature(ee.Geometry.Point(LINE[0])).transform("EPSG:32610", 1).geometry().coordinates()
        ),
        list(UTM.transform(*LINE[0])),
        library("pyproj"),
        tolerance=1e-3,
    ),
    case(
        "ProjectionTransform",
        lambda: (
            ee.Feature(
                call(
                    "ProjectionTransform",
                    feature(ee.Geometry.Point(LINE[0])),
                    ee.Projection("EPSG:32610"),
                )
            )
            .geometry()
            .coordinates()
        ),
        list(UTM.transform(*LINE[0])),
        library("pyproj"),
        tolerance=1e-3,
    ),
    case(
        "transformed edges are straight",
        lambda: line().transform("EPSG:32610", 1).geodesic(),
        False,
        described("Geometry.transform"),
    ),
    case("geodesic", lambda: line().geodesic(), True, described("Geometry.geodesic")),
    case(
        "edges are geodesics",
        lambda: call("Geometry.edgesAreGeodesics", ee.Geometry.LineString(LINE, None, False)),
        False,
        described("Geometry.edgesAreGeodesics"),
    ),
    case(
        "projection",
        lambda: server(line()).projection().crs(),
        "EPSG:4326",
        described("Geometry.projection"),
    ),
    case("bounded", lambda: polygon().isUnbounded(), False, js("ee-geometry-polygon-isunbounded")),
    case(
        "unbounded",
        lambda: ee.Image(1).geometry().isUnbounded(),
        True,
        described("Geometry.isUnbounded"),
    ),
    case(
        "lines of a polygon",
        lambda: polygon().cutLines([10], 1),
        Check(lambda g: g["type"] == "MultiLineString" and not g["coordinates"], "none"),
        js("ee-geometry-polygon-cutlines"),
    ),
    case(
        "cut lines",
        lambda: line().cutLines([10, 100], 1),
        Check(
            lambda g: np.allclose(
                [WGS84.line_length(*zip(*c, strict=True)) for c in g["coordinates"]],
                [10, 90, LENGTH - 100],
                rtol=1e-4,
            ),
            "10 m, 90 m and the rest",
        ),
        js("ee-geometry-linestring-cutlines"),
    ),
    case(
        "a feature's cut lines",
        lambda: feature(line()).cutLines([100], 1).geometry().coordinates().length(),
        2,
        described("Feature.cutLines"),
    ),
    case(
        "covering grid",
        lambda: ee.Geometry.Rectangle([0.5, 0.5, 2.5, 1.5], None, False).coveringGrid(
            ee.Projection("EPSG:4326")
        ),
        Check(
            lambda c: (
                sorted(shapely.geometry.shape(f["geometry"]).bounds for f in c["features"])
                == sorted((x, y, x + 1, y + 1) for x in range(3) for y in range(2))
            ),
            "six cells of a degree",
        ),
        described("Geometry.coveringGrid"),
    ),
    case(
        "covering grid of a scale",
        lambda: (
            ee.Geometry.Rectangle([5, 5, 25, 15], "EPSG:3857", False)
            .coveringGrid(ee.Projection("EPSG:3857"), 10)
            .size()
        ),
        6,
        described("Geometry.coveringGrid"),
    ),
    case(
        "too fine a grid",
        lambda: ee.Geometry.BBox(0, 0, 90, 45).coveringGrid(ee.Projection("EPSG:3857"), 1),
        Raises("Too many cells"),
        described("Geometry.coveringGrid"),
    ),
    case(
        "random points are inside",
        lambda: (
            ee.FeatureCollection.randomPoints(ee.Geometry.Polygon([TALL]), 50, 1)
            .filterBounds(ee.Geometry.Polygon([TALL]))
            .size()
        ),
        50,
        sample("ee_featurecollection_randompoints"),
    ),
    case(
        "random points on a line",
        lambda: (
            ee.FeatureCollection.randomPoints(line(), 5)
            .filter(ee.Filter.withinDistance(distance=1, leftField=".geo", rightValue=line()))
            .size()
        ),
        5,
        described("FeatureCollection.randomPoints"),
    ),
    case(
        "coordinates of the wrong shape",
        lambda: call("GeometryConstructors.Polygon", [[1, 2], [3]]),
        Raises("Invalid GeoJSON|Invalid"),
        described("GeometryConstructors.Polygon"),
    ),
    case(
        "GeoJSON in another reference system",
        lambda: (
            ee.Geometry(
                {
                    "type": "Point",
                    "coordinates": [500_000, 5_000_000],
                    "crs": {"type": "name", "properties": {"name": "EPSG:32633"}},
                }
            )
            .transform("EPSG:4326", 1)
            .coordinates()
            .get(0)
        ),
        15,
        library("the central meridian of UTM zone 33"),
        tolerance=1e-9,
    ),
    case(
        "a cell of a covering grid by its index",
        lambda: (
            ee.Geometry.Point(31.6, -8.54)
            .buffer(100_000)
            .coveringGrid("EPSG:32736", 2**14)
            .toList(10_000)
            .filter(ee.Filter.eq("system:index", "18,551"))
            .size()
        ),
        1,
        js("ee-geometry-coveringgrid"),
    ),
    case(
        "nothing in common",
        lambda: polygon().intersection(ee.Geometry.Point(0, 0).buffer(10), 1).coordinates(),
        [],
        described("Geometry.intersection"),
    ),
    case(
        "a ring is one in GeoJSON",
        lambda: ee.Geometry.LinearRing(SHELL).transform(),
        Check(lambda g: g["type"] == "LinearRing", "a LinearRing"),
        described("GeometryConstructors.LinearRing"),
    ),
]
