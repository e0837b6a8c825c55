"""Geometries: shapely for the planar work, pyproj for the ellipsoid.

Lengths and areas are geodesic on WGS 84 unless a projection is given. Predicates and set
operations work in the projection given, else in longitude and latitude (as geodesic edges
are there followed by vertices at most `EDGE_METRES` apart).
https://developers.google.com/earth-engine/guides/geometric_operations
"""

import functools
import json
import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pyproj
import shapely
import shapely.geometry

from emulator.errors import EarthEngineError, NotImplementedByEmulator
from emulator.raster import Grid, metres_per_unit, spatial_reference, transformer
from emulator.registry import InvalidTypeError, algorithm, coerce, coercion

LONLAT = "EPSG:4326"
WGS84 = pyproj.Geod(ellps="WGS84")
EDGE_METRES = 10_000  # longest edge taken as straight in another projection (a choice of ours)


class Geometry:
    """A shape in a reference system, with straight or geodesic edges there."""

    type_name = "Geometry"

    def __init__(self, shape: Any, crs: str = LONLAT, geodesic: bool = True) -> None:
        self._source = shape  # GeoJSON or shapely; parsed when it is first used
        self.crs = crs
        self.geodesic = geodesic

    @functools.cached_property
    def shape(self) -> shapely.Geometry:
        """The shapely geometry, in the reference system's units."""
        if isinstance(self._source, shapely.Geometry):
            return self._source
        return shapely.geometry.shape(self._source)

    def with_shape(self, shape: shapely.Geometry) -> "Geometry":
        """Return another shape in the same reference system."""
        return Geometry(shape, self.crs, self.geodesic)

    def projected(self, crs: str) -> shapely.Geometry:
        """Return the shape in another reference system, its edges followed by vertices."""
        if crs == self.crs and not self.geodesic:
            return self.shape
        return self._projected[crs] if crs in self._projected else self._project(crs)

    @functools.cached_property
    def _projected(self) -> dict[str, shapely.Geometry]:
        return {}

    def _project(self, crs: str) -> shapely.Geometry:
        shape = _densified(self.shape, self.crs, self.geodesic)
        if crs != self.crs:
            transform = transformer(self.crs, crs).transform
            shape = shapely.transform(
                shape, lambda xy: np.column_stack(transform(xy[:, 0], xy[:, 1]))
            )
        self._projected[crs] = shape
        return shape

    @property
    def lonlat(self) -> shapely.Geometry:
        """The shape in longitude and latitude."""
        return self.projected(LONLAT)

    def to_json(self) -> dict[str, Any]:
        """Return GeoJSON with Earth Engine's `geodesic` and `crs` members."""
        content: dict[str, Any] = json.loads(shapely.to_geojson(self.shape))
        if self.crs != LONLAT:
            content["crs"] = {"type": "name", "properties": {"name": self.crs}}
        if content["type"] not in ("Point", "MultiPoint"):
            content["geodesic"] = self.geodesic
        return content


def box(west: float, south: float, east: float, north: float) -> shapely.Polygon:
    """Return a rectangle with its corners in Earth Engine's order, from the south-west."""
    return shapely.Polygon([(west, south), (east, south), (east, north), (west, north)])


#: The footprint of what has none: the whole Earth.
UNBOUNDED = Geometry(box(-180, -90, 180, 90), geodesic=False)


def _densified(shape: shapely.Geometry, crs: str, geodesic: bool) -> shapely.Geometry:
    if shape.geom_type in ("Point", "MultiPoint") or shape.is_empty:
        return shape
    step = EDGE_METRES / metres_per_unit(crs)
    if not geodesic:
        return shapely.segmentize(shape, step)
    if shape.geom_type.startswith("Multi") or shape.geom_type == "GeometryCollection":
        parts = [_densified(part, crs, geodesic) for part in shape.geoms]
        return type(shape)(parts)
    if shape.geom_type == "Polygon":
        rings = [_geodesic_line(ring.coords) for ring in (shape.exterior, *shape.interiors)]
        return shapely.Polygon(rings[0], rings[1:])
    return type(shape)(_geodesic_line(shape.coords))


def _geodesic_line(points: Sequence[tuple[float, ...]]) -> list[tuple[float, float]]:
    line: list[tuple[float, float]] = []
    for (x0, y0), (x1, y1) in pairwise(points):
        line.append((x0, y0))
        pieces = math.ceil(WGS84.inv(x0, y0, x1, y1)[2] / EDGE_METRES)
        if pieces > 1:
            line += WGS84.npts(x0, y0, x1, y1, pieces - 1)
    return [*line, tuple(points[-1])]


@coercion("Geometry")
def geometry(value: Any) -> Geometry:
    """Promote a feature or a collection to its geometry, and read GeoJSON."""
    if isinstance(value, Geometry):
        return value
    if isinstance(value, Mapping) and ("coordinates" in value or "geometries" in value):
        return Geometry(value, geodesic=value.get("geodesic", True))
    if not hasattr(value, "footprint"):
        raise InvalidTypeError
    return value.footprint or UNBOUNDED


def positions(value: Any) -> Any:
    """Return nested coordinate lists out of numbers and points."""
    if isinstance(value, Geometry):
        return list(value.shape.coords[0])
    if isinstance(value, list):
        return [positions(item) for item in value]
    return float(value)


def _depth(value: Any) -> int:
    return 1 + _depth(value[0]) if isinstance(value, list) and value else 0


def _nested(coordinates: Any, depth: int) -> Any:
    """Return coordinates at the nesting a shape needs; flat number lists are paired."""
    nested = positions(coordinates)
    if depth > 1 and _depth(nested) == 1:
        nested = [list(pair) for pair in zip(nested[::2], nested[1::2], strict=True)]
    while _depth(nested) < depth:
        nested = [nested]
    return nested


def _built(
    shape: Callable[[Any], shapely.Geometry],
    coordinates: Any,
    crs: Grid | None,
    geodesic: bool | None,
) -> Geometry:
    try:
        built = shape(coordinates)
    except (ValueError, TypeError, IndexError, shapely.errors.GEOSException) as error:
        raise EarthEngineError(f"Invalid GeoJSON geometry: {error}") from error
    system = crs.crs if crs else LONLAT
    if geodesic is None:
        geodesic = spatial_reference(system).is_geographic
    return Geometry(built, system, geodesic)


@algorithm("GeometryConstructors.Point")
def point(coordinates: list[Any], crs: Grid | None) -> Geometry:
    return _built(shapely.Point, _nested(coordinates, 1), crs, None)


@algorithm("GeometryConstructors.MultiPoint")
def multi_point(coordinates: list[Any], crs: Grid | None) -> Geometry:
    return _built(shapely.MultiPoint, _nested(coordinates, 2), crs, None)


@algorithm("GeometryConstructors.LineString")
def line_string(coordinates: list[Any], crs: Grid | None, geodesic: Any, error: Any) -> Geometry:
    return _built(shapely.LineString, _nested(coordinates, 2), crs, geodesic)


@algorithm("GeometryConstructors.LinearRing")
def linear_ring(coordinates: list[Any], crs: Grid | None, geodesic: Any, error: Any) -> Geometry:
    return _built(shapely.LinearRing, _nested(coordinates, 2), crs, geodesic)


@algorithm("GeometryConstructors.MultiLineString")
def multi_line_string(
    coordinates: list[Any], crs: Grid | None, geodesic: Any, error: Any
) -> Geometry:
    return _built(shapely.MultiLineString, _nested(coordinates, 3), crs, geodesic)


@algorithm("GeometryConstructors.Polygon")
def polygon(
    coordinates: list[Any], crs: Grid | None, geodesic: Any, error: Any, even_odd: bool
) -> Geometry:
    return _built(lambda rings: _polygon(rings, even_odd), _nested(coordinates, 3), crs, geodesic)


def _polygon(rings: list[Any], even_odd: bool) -> shapely.Polygon:
    shape = shapely.Polygon(rings[0], rings[1:])
    if not even_odd and not shape.exterior.is_ccw:
        raise NotImplementedByEmulator("A polygon whose interior is the outside of its shell")
    return shape


@algorithm("GeometryConstructors.MultiPolygon")
def multi_polygon(
    coordinates: list[Any], crs: Grid | None, geodesic: Any, error: Any, even_odd: bool
) -> Geometry:
    def build(parts: list[Any]) -> shapely.MultiPolygon:
        return shapely.MultiPolygon([_polygon(rings, even_odd) for rings in parts])

    return _built(build, _nested(coordinates, 4), crs, geodesic)


@algorithm("GeometryConstructors.MultiGeometry")
def multi_geometry(geometries: list[Any], crs: Grid | None, geodesic: Any, error: Any) -> Geometry:
    parts = [coerce("Geometry", item) for item in geometries]
    system = crs.crs if crs else parts[0].crs if parts else LONLAT
    shapes = [part.shape if part.crs == system else part.projected(system) for part in parts]
    return _built(shapely.GeometryCollection, shapes, Grid(system), geodesic)


@algorithm("GeometryConstructors.Rectangle")
def rectangle(coordinates: list[Any], crs: Grid | None, geodesic: Any, even_odd: bool) -> Geometry:
    (west, south), (east, north) = _nested(coordinates, 2)
    return _built(lambda _: box(west, south, east, north), None, crs, geodesic)


@algorithm("GeometryConstructors.BBox")
def bbox(west: float, south: float, east: float, north: float) -> Geometry:
    if east < west:
        raise NotImplementedByEmulator("A box across the antimeridian")
    return Geometry(box(west, max(south, -90), east, min(north, 90)), geodesic=False)


def _system(proj: Grid | None) -> str:
    return proj.crs if proj else LONLAT


PREDICATES = {
    "intersects": shapely.intersects,
    "disjoint": shapely.disjoint,
    "contains": shapely.covers,
    "containedIn": shapely.covered_by,
}
SET_OPERATIONS = {
    "intersection": shapely.intersection,
    "union": shapely.union,
    "difference": shapely.difference,
    "symmetricDifference": shapely.symmetric_difference,
}


def _predicate(test: Callable[..., Any]) -> Callable[..., bool]:
    def apply(left: Geometry, right: Geometry, error: Any, proj: Grid | None) -> bool:
        system = _system(proj)
        return bool(test(left.projected(system), right.projected(system)))

    return apply


def _set_operation(combine: Callable[..., Any]) -> Callable[..., Geometry]:
    def apply(left: Geometry, right: Geometry, error: Any, proj: Grid | None) -> Geometry:
        system = _system(proj)
        shape = combine(left.projected(system), right.projected(system))
        return Geometry(shape, system, geodesic=system == LONLAT and left.geodesic)

    return apply


for _name, _test in PREDICATES.items():
    algorithm(f"Geometry.{_name}", f"Feature.{_name}")(_predicate(_test))
for _name, _combine in SET_OPERATIONS.items():
    algorithm(f"Geometry.{_name}")(_set_operation(_combine))


@algorithm("Geometry.area", "Feature.area")
def area(shape: Geometry, error: Any, proj: Grid | None) -> float:
    if proj:
        return shape.projected(proj.crs).area / abs(proj.affine.determinant)
    return abs(WGS84.geometry_area_perimeter(_oriented(shape.lonlat))[0])


@algorithm("Geometry.perimeter", "Feature.perimeter")
def perimeter(shape: Geometry, error: Any, proj: Grid | None) -> float:
    return _length(shape, proj) if shape.shape.area else 0.0


@algorithm("Geometry.length", "Feature.length")
def length(shape: Geometry, error: Any, proj: Grid | None) -> float:
    return 0.0 if shape.shape.area else _length(shape, proj)


def _length(shape: Geometry, proj: Grid | None) -> float:
    if proj:
        return shape.projected(proj.crs).length / math.sqrt(abs(proj.affine.determinant))
    return WGS84.geometry_length(shape.lonlat)


def _oriented(shape: shapely.Geometry) -> shapely.Geometry:
    """Return polygons with counter-clockwise shells, so that areas of parts add up."""
    if shape.geom_type == "Polygon":
        return shapely.geometry.polygon.orient(shape)
    if shape.geom_type == "MultiPolygon":
        return shapely.MultiPolygon([_oriented(part) for part in shape.geoms])
    return shape


@algorithm("Geometry.distance", "Feature.distance")
def distance(
    left: Geometry, right: Geometry, error: Any, proj: Grid | None, spherical: bool
) -> float:
    if proj:
        scale = math.sqrt(abs(proj.affine.determinant))
        return left.projected(proj.crs).distance(right.projected(proj.crs)) / scale
    ends = shapely.shortest_line(left.lonlat, right.lonlat)
    return WGS84.geometry_length(ends)


@algorithm("Geometry.buffer")
def buffer(shape: Geometry, metres: float, error: Any, proj: Grid | None) -> Geometry:
    """Grow a shape, on a plane that touches the Earth at its centre unless one is given."""
    if proj:
        step = metres * math.sqrt(abs(proj.affine.determinant))
        return Geometry(shape.projected(proj.crs).buffer(step), proj.crs, geodesic=False)
    local = local_crs(shape)
    grown = Geometry(shape.projected(local).buffer(metres), local, geodesic=False)
    return Geometry(grown.lonlat, geodesic=shape.geodesic)


def local_crs(shape: Geometry) -> str:
    """Return an equidistant plane centred on a shape."""
    centre = shape.lonlat.centroid
    return f"+proj=aeqd +lat_0={centre.y:.9f} +lon_0={centre.x:.9f} +datum=WGS84 +units=m"


@algorithm("Geometry.centroid")
def centroid(shape: Geometry, error: Any, proj: Grid | None) -> Geometry:
    system = proj.crs if proj else local_crs(shape)
    middle = Geometry(shape.projected(system).centroid, system)
    return middle if proj else Geometry(middle.lonlat)


@algorithm("Geometry.bounds")
def bounds(shape: Geometry, error: Any, proj: Grid | None) -> Geometry:
    system = proj.crs if proj else LONLAT
    return Geometry(box(*shape.projected(system).bounds), system, geodesic=False)


@algorithm("Geometry.convexHull")
def convex_hull(shape: Geometry, error: Any, proj: Grid | None) -> Geometry:
    system = _system(proj)
    return Geometry(shape.projected(system).convex_hull, system, shape.geodesic)


@algorithm("Geometry.simplify")
def simplify(shape: Geometry, error: Any, proj: Grid | None) -> Geometry:
    local = local_crs(shape)
    simple = Geometry(shape.projected(local).simplify(error.metres), local, geodesic=False)
    return Geometry(simple.lonlat, geodesic=shape.geodesic)


@algorithm("Geometry.dissolve")
def dissolve(shape: Geometry, error: Any, proj: Grid | None) -> Geometry:
    system = _system(proj)
    return Geometry(shapely.unary_union(shape.projected(system)), system, shape.geodesic)


@algorithm("Geometry.transform")
def transform(shape: Geometry, proj: Grid, error: Any, geodesic: bool | None) -> Geometry:
    if geodesic is None:
        geodesic = shape.geodesic and spatial_reference(proj.crs).is_geographic
    return Geometry(shape.projected(proj.crs), proj.crs, geodesic)


@algorithm("Geometry.coordinates")
def coordinates(shape: Geometry) -> list[Any]:
    return shape.to_json().get("coordinates", [])


@algorithm("Geometry.type")
def kind(shape: Geometry) -> str:
    return shape.shape.geom_type


@algorithm("Geometry.geometries")
def geometries(shape: Geometry) -> list[Geometry]:
    return [shape.with_shape(part) for part in getattr(shape.shape, "geoms", [shape.shape])]


@algorithm("Geometry.geodesic", "Geometry.edgesAreGeodesics")
def geodesic(shape: Geometry) -> bool:
    return shape.geodesic


@algorithm("Geometry.isUnbounded")
def is_unbounded(shape: Geometry) -> bool:
    return shape is UNBOUNDED


@algorithm("Geometry.projection")
def projection(shape: Geometry) -> Grid:
    return Grid(shape.crs)
