"""Geometries: shapely for the planar work, pyproj for the ellipsoid.

Lengths and areas are geodesic on WGS 84 unless a projection is given. Predicates and set
operations work in the projection given, else in longitude and latitude, where geodesic edges are
followed by vertices at most `EDGE_METRES` apart and shapes are cut at the antimeridian.
https://developers.google.com/earth-engine/guides/geometric_operations
"""

import functools
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
import pyproj
import shapely
import shapely.affinity
import shapely.geometry
from rasterio.features import rasterize

from emulator.errors import EarthEngineError, NotImplementedByEmulator
from emulator.grids import Grid, PixelBox, metres_per_unit, spatial_reference, transformer
from emulator.raster import Array
from emulator.registry import InvalidTypeError, algorithm, coercion

F = TypeVar("F", bound=Callable[..., Any])

LONLAT = "EPSG:4326"
WGS84 = pyproj.Geod(ellps="WGS84")
EDGE_METRES = 10_000  # longest edge taken as straight in another projection (a choice of ours)
MAX_COORDINATES = 1_000_000  # of one geometry's followed edges (a choice of ours)
HALF_TURN = 180  # degrees of longitude
TURN = 360
POLE = 90  # degrees of latitude


class Geometry:
    """A shape in a reference system, with straight or geodesic edges there.

    With `outside` it is the rest of the Earth: what is left of a clockwise shell.
    """

    type_name = "Geometry"

    def __init__(
        self, shape: Any, crs: str = LONLAT, geodesic: bool = True, outside: bool = False
    ) -> None:
        self._source = shape  # GeoJSON or shapely; parsed when it is first used
        self.crs = crs
        self.geodesic = geodesic
        self._outside = outside

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
        return self._projected[crs] if crs in self._projected else self._project(crs)

    @functools.cached_property
    def _projected(self) -> dict[str, shapely.Geometry]:
        return {}

    def _project(self, crs: str) -> shapely.Geometry:
        planar = not (self.geodesic or self._outside)
        if crs == self.crs and planar:
            shape = _valid(self.shape)
            shape = _wrapped(shape) if crs == LONLAT else shape
        elif crs == LONLAT:
            shape = _wrapped(_valid(self.followed))
            shape = EARTH.difference(shape) if self._outside else shape
        elif planar:
            shape = _valid(_transformed(_segmentized(self.shape, self.crs), self.crs, crs))
        else:
            shape = _valid(_transformed(_segmentized(self.lonlat, LONLAT), LONLAT, crs))
        self._projected[crs] = shape
        return shape

    @property
    def lonlat(self) -> shapely.Geometry:
        """The shape in longitude and latitude, between -180 and 180 degrees."""
        return self.projected(LONLAT)

    @functools.cached_property
    def followed(self) -> shapely.Geometry:
        """The shape in longitude and latitude, edges followed, longitudes without a jump."""
        if not self.geodesic:
            shape = _segmentized(self.shape, self.crs)
            if self.crs == LONLAT:
                return shape
            return _with_lines(_transformed(shape, self.crs, LONLAT), _continuous)
        shape = self.shape if self.crs == LONLAT else _transformed(self.shape, self.crs, LONLAT)
        return _with_lines(shape, lambda points: _continuous(_geodesic_line(points)))

    def to_json(self) -> dict[str, Any]:
        """Return GeoJSON with Earth Engine's `geodesic` and `crs` members."""
        content: dict[str, Any] = json.loads(shapely.to_geojson(self.shape))
        content["type"] = self.shape.geom_type  # Shapely writes a ring as a line
        if self.shape.is_empty and "coordinates" in content:
            content["coordinates"] = []  # not the one empty ring that Shapely writes
        if self.crs != LONLAT:
            content["crs"] = {"type": "name", "properties": {"name": self.crs}}
        if content["type"] not in ("Point", "MultiPoint"):
            content["geodesic"] = self.geodesic
        return content


def box(west: float, south: float, east: float, north: float) -> shapely.Polygon:
    """Return a rectangle with its corners in Earth Engine's order, from the south-west."""
    return shapely.Polygon([(west, south), (east, south), (east, north), (west, north)])


EARTH = box(-HALF_TURN, -POLE, HALF_TURN, POLE)
#: The footprint of an image that has none: the whole Earth.
UNBOUNDED = Geometry(EARTH, geodesic=False)
#: The geometry of a feature that has none.
EMPTY = Geometry(shapely.GeometryCollection(), geodesic=False)


def _transformed(shape: shapely.Geometry, source: str, target: str) -> shapely.Geometry:
    transform = transformer(source, target).transform
    return shapely.transform(shape, lambda xy: np.column_stack(transform(xy[:, 0], xy[:, 1])))


def _segmentized(shape: shapely.Geometry, crs: str) -> shapely.Geometry:
    step = EDGE_METRES / metres_per_unit(crs)
    _check_edges(shape.length / step)
    return shapely.segmentize(shape, step)


def _check_edges(count: float) -> None:
    if not count < MAX_COORDINATES:
        raise EarthEngineError("Geometry has too many edges (or edges that are not finite).")


def _valid(shape: shapely.Geometry) -> shapely.Geometry:
    """Return a shape by the even-odd rule in every part, without overlaps of parts."""
    if shape.is_valid:
        return shape
    parts = [part if part.is_valid else shapely.make_valid(part) for part in _parts(shape)]
    return shapely.union_all(parts)


def _parts(shape: shapely.Geometry) -> list[shapely.Geometry]:
    """Return the single shapes of a shape, also of a collection in a collection."""
    if not hasattr(shape, "geoms"):
        return [shape]
    return [single for part in shape.geoms for single in _parts(part)]


def _wrapped(shape: shapely.Geometry) -> shapely.Geometry:
    """Return a shape in lon/lat with longitudes between ±180, cut at the antimeridian."""
    if shape.is_empty:
        return shape
    west, _, east, _ = shape.bounds
    if west >= -HALF_TURN and east <= HALF_TURN:
        return shape
    first, last = math.floor((west + HALF_TURN) / TURN), math.ceil((east - HALF_TURN) / TURN)
    parts = []
    for turn in range(first, last + 1):
        here = box(-HALF_TURN + turn * TURN, -POLE, HALF_TURN + turn * TURN, POLE)
        inside = shapely.intersection(shape, here)
        parts.append(shapely.affinity.translate(inside, -turn * TURN))
    return shapely.union_all(parts)


def _with_lines(shape: shapely.Geometry, change: Callable[[Any], Any]) -> shapely.Geometry:
    """Return a shape whose lines and rings have other vertices; points stay."""
    if shape.is_empty or shape.geom_type in ("Point", "MultiPoint"):
        return shape
    if hasattr(shape, "geoms"):
        return type(shape)([_with_lines(part, change) for part in shape.geoms])
    if shape.geom_type == "Polygon":
        rings = [change(ring.coords) for ring in (shape.exterior, *shape.interiors)]
        return shapely.Polygon(rings[0], rings[1:])
    return type(shape)(change(shape.coords))


def _geodesic_line(points: Sequence[tuple[float, ...]]) -> list[tuple[float, float]]:
    line: list[tuple[float, float]] = []
    for (x0, y0), (x1, y1) in pairwise((x, y) for x, y, *_ in points):
        line.append((x0, y0))
        edges = WGS84.inv(x0, y0, x1, y1)[2] / EDGE_METRES
        _check_edges(edges)
        if edges > 1:
            line += WGS84.npts(x0, y0, x1, y1, math.ceil(edges) - 1)
    return [*line, tuple(points[-1][:2])]


def _continuous(points: Sequence[tuple[float, ...]]) -> np.ndarray:
    """Return a line in lon/lat without jumps of 360 degrees; a ring around a pole ends there."""
    line = np.asarray(points, float)[:, :2]
    closed = np.array_equal(line[0], line[-1])
    line = np.column_stack([np.unwrap(line[:, 0], period=TURN), line[:, 1]])
    if closed and abs(line[-1, 0] - line[0, 0]) > HALF_TURN:
        pole = math.copysign(POLE, line[:, 1].mean())
        line = np.vstack([line, [line[-1, 0], pole], [line[0, 0], pole], line[0]])
    return line


@coercion("Geometry")
def geometry(value: Any) -> Geometry:
    """Promote a feature or a collection to its geometry, and read GeoJSON."""
    if isinstance(value, Geometry):
        return value
    if isinstance(value, Mapping) and ("coordinates" in value or "geometries" in value):
        crs = value.get("crs")
        system = crs["properties"]["name"] if isinstance(crs, Mapping) else crs or LONLAT
        return Geometry(value, system, value.get("geodesic", True))
    if not hasattr(value, "footprint"):
        raise InvalidTypeError
    return value.footprint or (UNBOUNDED if value.type_name == "Image" else EMPTY)


def positions(value: Any, crs: str = LONLAT) -> Any:
    """Return nested coordinate lists out of numbers and points."""
    if isinstance(value, Geometry):
        return list(value.projected(crs).coords[0])
    if isinstance(value, list):
        return [positions(item, crs) for item in value]
    return float(value)


def _given_crs(value: Any) -> str | None:
    """Return the reference system of the first point among coordinates."""
    while isinstance(value, list) and value:
        value = value[0]
    return value.crs if isinstance(value, Geometry) else None


def _depth(value: Any) -> int:
    return 1 + _depth(value[0]) if isinstance(value, list) and value else 0


def _nested(coordinates: Any, depth: int) -> Any:
    """Return coordinates at the nesting a shape needs; flat number lists are paired."""
    nested = coordinates
    if depth > 1 and _depth(nested) == 1:
        nested = [list(pair) for pair in zip(nested[::2], nested[1::2], strict=True)]
    while _depth(nested) < depth:
        nested = [nested]
    return nested


def _built(
    shape: Callable[[Any], shapely.Geometry],
    coordinates: Any,
    depth: int,
    crs: Grid | None,
    geodesic: bool | None,
    outside: bool = False,
) -> Geometry:
    system = crs.crs if crs else _given_crs(coordinates) or LONLAT
    try:
        built = shape(_nested(positions(coordinates, system), depth))
    except (ValueError, TypeError, IndexError, shapely.errors.GEOSException) as error:
        raise EarthEngineError(f"Invalid GeoJSON geometry: {error}") from error
    if not np.isfinite(shapely.get_coordinates(built)).all():
        raise EarthEngineError("Invalid GeoJSON geometry: coordinates must be finite.")
    if geodesic is None:
        geodesic = spatial_reference(system).is_geographic
    return Geometry(built, system, geodesic, outside)


@algorithm("GeometryConstructors.Point")
def point(coordinates: list[Any], crs: Grid | None) -> Geometry:
    return _built(shapely.Point, coordinates, 1, crs, None)


@algorithm("GeometryConstructors.MultiPoint")
def multi_point(coordinates: list[Any], crs: Grid | None) -> Geometry:
    return _built(shapely.MultiPoint, coordinates, 2, crs, None)


@algorithm("GeometryConstructors.LineString")
def line_string(coordinates: list[Any], crs: Grid | None, geodesic: Any, error: Any) -> Geometry:
    return _built(shapely.LineString, coordinates, 2, crs, geodesic)


@algorithm("GeometryConstructors.LinearRing")
def linear_ring(coordinates: list[Any], crs: Grid | None, geodesic: Any, error: Any) -> Geometry:
    return _built(shapely.LinearRing, coordinates, 2, crs, geodesic)


@algorithm("GeometryConstructors.MultiLineString")
def multi_line_string(
    coordinates: list[Any], crs: Grid | None, geodesic: Any, error: Any
) -> Geometry:
    return _built(shapely.MultiLineString, coordinates, 3, crs, geodesic)


def _polygon(rings: list[Any]) -> shapely.Polygon:
    return shapely.Polygon(rings[0], rings[1:])


def _shells(shape: shapely.Geometry) -> list[shapely.LinearRing]:
    return [part.exterior for part in _parts(shape)]


def _left_inside(built: Geometry, even_odd: bool) -> Geometry:
    """Apply the left-inside rule: the inside of a clockwise shell is the rest of the Earth."""
    shells = _shells(built.shape)
    if even_odd or all(shell.is_ccw for shell in shells):
        return built
    if len(shells) > 1:
        raise NotImplementedByEmulator("A multi-polygon with the outside of a shell")
    return Geometry(built.shape, built.crs, built.geodesic, outside=True)


@algorithm("GeometryConstructors.Polygon")
def polygon(
    coordinates: list[Any], crs: Grid | None, geodesic: Any, error: Any, even_odd: bool
) -> Geometry:
    return _left_inside(_built(_polygon, coordinates, 3, crs, geodesic), even_odd)


@algorithm("GeometryConstructors.MultiPolygon")
def multi_polygon(
    coordinates: list[Any], crs: Grid | None, geodesic: Any, error: Any, even_odd: bool
) -> Geometry:
    def build(parts: list[Any]) -> shapely.MultiPolygon:
        return shapely.MultiPolygon([_polygon(rings) for rings in parts])

    return _left_inside(_built(build, coordinates, 4, crs, geodesic), even_odd)


@algorithm("GeometryConstructors.MultiGeometry")
def multi_geometry(geometries: list[Any], crs: Grid | None, geodesic: Any, error: Any) -> Geometry:
    system = crs.crs if crs else geometries[0].crs if geometries else LONLAT
    shapes = [part.shape if part.crs == system else part.projected(system) for part in geometries]
    if geodesic is None:
        geodesic = any(part.geodesic for part in geometries)
    return Geometry(shapely.GeometryCollection(shapes), system, geodesic)


@algorithm("GeometryConstructors.Rectangle")
def rectangle(coordinates: list[Any], crs: Grid | None, geodesic: Any, even_odd: bool) -> Geometry:
    def build(corners: Any) -> shapely.Polygon:
        (west, south), (east, north) = corners
        return box(west, south, east, north)

    return _built(build, coordinates, 2, crs, geodesic)


@algorithm("GeometryConstructors.BBox")
def bbox(west: float, south: float, east: float, north: float) -> Geometry:
    if not all(map(math.isfinite, (south, north))) or south > north:
        raise EarthEngineError(
            f"GeometryConstructors.BBox: south ({south}) must be at most north ({north})."
        )
    if east - west >= TURN:
        west, east = -HALF_TURN, HALF_TURN
    else:
        start = (west + HALF_TURN) % TURN - HALF_TURN
        west, east = start, start + (east - west) % TURN
    return Geometry(box(west, max(south, -POLE), east, min(north, POLE)), geodesic=False)


# --- operations on geometries, and on the geometries of features

#: By name, the functions that Earth Engine has for geometries and for features alike.
OPERATIONS: dict[str, Callable[..., Any]] = {}


def _operation(name: str) -> Callable[[F], F]:
    def register(function: F) -> F:
        OPERATIONS[name] = algorithm(f"Geometry.{name}")(function)
        return function

    return register


def _system(proj: Grid | None) -> str:
    return proj.crs if proj else LONLAT


def _unit(proj: Grid) -> float:
    """Return the length of a projection's unit in its reference system's."""
    return math.sqrt(abs(proj.affine.determinant))


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
    _operation(_name)(_predicate(_test))
for _name, _combine in SET_OPERATIONS.items():
    _operation(_name)(_set_operation(_combine))


@_operation("area")
def area(shape: Geometry, error: Any, proj: Grid | None) -> float:
    if proj:
        return math.fsum(
            part.projected(proj.crs).area / abs(proj.affine.determinant)
            for part in geometries(shape)
        )
    return math.fsum(_area(part) for part in geometries(shape))


#: Pieces of the Earth in which a polygon's inside cannot be mistaken for its outside.
QUARTERS = [box(west, -POLE, west + POLE, POLE) for west in range(-HALF_TURN, HALF_TURN, POLE)]


def _area(shape: Geometry) -> float:
    lonlat = shape.lonlat
    if lonlat.area == 0:
        return 0.0
    west, _, east, _ = lonlat.bounds
    pieces = [lonlat]
    if east - west > POLE:
        pieces = [shapely.intersection(lonlat, quarter) for quarter in QUARTERS]
    if not shape.geodesic:
        pieces = [_segmentized(piece, LONLAT) for piece in pieces]
    return math.fsum(_geodesic_area(part) for piece in pieces for part in _parts(piece))


def _geodesic_area(shape: shapely.Geometry) -> float:
    if shape.geom_type != "Polygon" or shape.is_empty:
        return 0.0
    return float(WGS84.geometry_area_perimeter(shapely.geometry.polygon.orient(shape))[0])


def _length(shape: Geometry, proj: Grid | None, dimensions: int) -> float:
    """Return the length of the lines of a shape's parts that have a number of dimensions."""
    whole = shape.projected(proj.crs) if proj else shape.followed
    parts = [part for part in _parts(whole) if shapely.get_dimensions(part) == dimensions]
    if proj:
        return math.fsum(part.length for part in parts) / _unit(proj)
    return math.fsum(WGS84.geometry_length(part) for part in parts)


@_operation("perimeter")
def perimeter(shape: Geometry, error: Any, proj: Grid | None) -> float:
    return _length(shape, proj, 2)


@_operation("length")
def length(shape: Geometry, error: Any, proj: Grid | None) -> float:
    return _length(shape, proj, 1)


def _nearest(left: Geometry, right: Geometry, proj: Grid | None) -> tuple[Any, Any] | None:
    """Return the point of each shape that is nearest to the other, in lon/lat or in `proj`.

    On the Earth they are found on a plane around the left point, which the search improves:
    distances from the centre of an equidistant plane are true.
    """
    if left.shape.is_empty or right.shape.is_empty:
        return None
    if proj:
        ends = shapely.shortest_line(left.projected(proj.crs), right.projected(proj.crs))
        return shapely.get_point(ends, 0), shapely.get_point(ends, 1)
    centre = centre_of(left)
    for _ in range(NEAREST_STEPS):
        plane = equidistant(centre)
        ends = shapely.shortest_line(left.projected(plane), right.projected(plane))
        ends = _transformed(ends, plane, LONLAT)
        centre = shapely.get_coordinates(ends)[0]
    return shapely.get_point(ends, 0), shapely.get_point(ends, 1)


NEAREST_STEPS = 3  # after which the nearest points move by less than a millimetre


@_operation("distance")
def distance(
    left: Geometry, right: Geometry, error: Any, proj: Grid | None, spherical: bool
) -> float | None:
    if spherical and not proj:
        raise NotImplementedByEmulator("The distance on the unit sphere")
    if shapely.intersects(left.projected(_system(proj)), right.projected(_system(proj))):
        return 0.0
    ends = _nearest(left, right, proj)
    if ends is None:
        return None
    if proj:
        return ends[0].distance(ends[1]) / _unit(proj)
    return float(WGS84.geometry_length(shapely.LineString(ends)))


@_operation("withinDistance")
def within_distance(
    left: Geometry, right: Geometry, limit: float, error: Any, proj: Grid | None
) -> bool:
    between = distance(left, right, error, proj, False)
    return between is not None and between <= limit


@_operation("closestPoint")
def closest_point(
    left: Geometry, right: Geometry, error: Any, proj: Grid | None
) -> Geometry | None:
    return closest_points(left, right, error, proj).get("right")


@_operation("closestPoints")
def closest_points(
    left: Geometry, right: Geometry, error: Any, proj: Grid | None
) -> dict[str, Geometry]:
    ends = _nearest(left, right, proj)
    if ends is None:
        return {}
    found = [Geometry(end, _system(proj)) for end in ends]
    return dict(zip(("left", "right"), found, strict=True))


@_operation("cutLines")
def cut_lines(shape: Geometry, distances: list[float], error: Any, proj: Grid | None) -> Geometry:
    whole = shape.projected(proj.crs) if proj else shape.followed
    lines = [part for part in _parts(whole) if shapely.get_dimensions(part) == 1]
    pieces = [piece for line in lines for piece in _cut(line, sorted(set(distances)), proj)]
    return Geometry(shapely.MultiLineString(pieces), _system(proj), not proj and shape.geodesic)


def _cut(line: shapely.LineString, distances: list[float], proj: Grid | None) -> list[Any]:
    """Return the parts of a line between the given distances from its start."""
    points = np.asarray(line.coords)[:, :2]
    steps = np.diff(points, axis=0)
    lengths = (
        np.hypot(*steps.T) / _unit(proj) if proj else WGS84.line_lengths(points[:, 0], points[:, 1])
    )
    along = np.concatenate([[0.0], np.cumsum(lengths)])
    cuts = [d for d in distances if 0 < d < along[-1]]
    pieces = []
    for start, end in pairwise([0.0, *cuts, along[-1]]):
        between = along[(along > start) & (along < end)]
        where = [start, *between, end]
        pieces.append(np.column_stack([np.interp(where, along, xy) for xy in points.T]))
    return pieces


QUADRANT = 10_001_966  # m from the equator of WGS 84 to a pole


@_operation("buffer")
def buffer(shape: Geometry, metres: float, error: Any, proj: Grid | None) -> Geometry:
    """Grow a shape, on a plane that touches the Earth at its centre unless one is given."""
    if not math.isfinite(metres):
        raise EarthEngineError("Geometry.buffer: The distance must be finite.")
    if proj:
        grown = shape.projected(proj.crs).buffer(metres * _unit(proj))
        return Geometry(grown, proj.crs, geodesic=False)
    if metres > QUADRANT:
        raise NotImplementedByEmulator("A buffer of more than a quarter of the meridian")
    if shape.shape.is_empty:
        return shape
    plane = local_crs(shape)
    grown = Geometry(shape.projected(plane).buffer(metres), plane, geodesic=False)
    return Geometry(grown.lonlat, geodesic=shape.geodesic)


def centre_of(shape: Geometry) -> np.ndarray:
    """Return longitude and latitude of the mean of a shape's vertices as directions."""
    x, y = np.radians(shapely.get_coordinates(shape.lonlat)).T
    east, north, up = np.cos(y) * np.cos(x), np.cos(y) * np.sin(x), np.sin(y)
    sums = east.sum(), north.sum(), up.sum()
    longitude = math.degrees(math.atan2(sums[1], sums[0]))
    return np.array([longitude, math.degrees(math.atan2(sums[2], math.hypot(*sums[:2])))])


def equidistant(centre: Sequence[float]) -> str:
    """Return the plane on which distances from a point are true."""
    longitude, latitude = centre
    return f"+proj=aeqd +lat_0={latitude:.9f} +lon_0={longitude:.9f} +datum=WGS84 +units=m"


def local_crs(shape: Geometry) -> str:
    """Return the equidistant plane centred on a shape."""
    return equidistant(centre_of(shape))


@_operation("centroid")
def centroid(shape: Geometry, error: Any, proj: Grid | None) -> Geometry:
    if shape.shape.is_empty:
        return Geometry(shapely.Point(), _system(proj))
    system = proj.crs if proj else local_crs(shape)
    middle = Geometry(shape.projected(system).centroid, system, geodesic=False)
    return middle if proj else Geometry(middle.lonlat)


@_operation("bounds")
def bounds(shape: Geometry, error: Any, proj: Grid | None) -> Geometry:
    if shape.shape.is_empty:
        return shape
    lonlat = proj is None or proj.crs == LONLAT
    whole = shape.followed if lonlat else shape.projected(proj.crs)
    west, _, east, _ = whole.bounds
    if lonlat and (shape is UNBOUNDED or east - west > TURN):
        whole = shape.lonlat
    return Geometry(box(*whole.bounds), _system(proj), geodesic=False)


@_operation("convexHull")
def convex_hull(shape: Geometry, error: Any, proj: Grid | None) -> Geometry:
    if proj is None:
        return shape.with_shape(shape.shape.convex_hull)
    return Geometry(shape.projected(proj.crs).convex_hull, proj.crs, geodesic=False)


@_operation("simplify")
def simplify(shape: Geometry, error: Any, proj: Grid | None) -> Geometry:
    if shape.shape.is_empty:
        return shape
    if proj is None:
        plane = local_crs(shape)
        simple = _transformed(shape.shape, shape.crs, plane).simplify(error.value)
        return shape.with_shape(_transformed(simple, plane, shape.crs))
    tolerance = error.value * _unit(proj)
    if error.unit == "meters":
        tolerance = error.value / metres_per_unit(proj.crs)
    return Geometry(shape.projected(proj.crs).simplify(tolerance), proj.crs, geodesic=False)


@_operation("dissolve")
def dissolve(shape: Geometry, error: Any, proj: Grid | None) -> Geometry:
    if not hasattr(shape.shape, "geoms"):
        return shape
    system = _system(proj)
    return Geometry(shapely.unary_union(shape.projected(system)), system, shape.geodesic)


@_operation("transform")
def transform(shape: Geometry, proj: Grid, error: Any, geodesic: bool | None) -> Geometry:
    if geodesic is None:
        geodesic = spatial_reference(proj.crs).is_geographic
    if proj.crs == shape.crs and geodesic == shape.geodesic:
        return shape
    return Geometry(shape.projected(proj.crs), proj.crs, geodesic)


@algorithm("Geometry.coordinates")
def coordinates(shape: Geometry) -> list[Any]:
    return shape.to_json().get("coordinates", [])


@algorithm("Geometry.type")
def kind(shape: Geometry) -> str:
    return shape.shape.geom_type


@algorithm("Geometry.geometries")
def geometries(shape: Geometry) -> list[Geometry]:
    if not hasattr(shape.shape, "geoms"):
        return [shape]
    return [shape.with_shape(part) for part in shape.shape.geoms]


@algorithm("Geometry.geodesic", "Geometry.edgesAreGeodesics")
def geodesic(shape: Geometry) -> bool:
    return shape.geodesic


@algorithm("Geometry.isUnbounded")
def is_unbounded(shape: Geometry) -> bool:
    return shape is UNBOUNDED


@algorithm("Geometry.projection")
def projection(shape: Geometry) -> Grid:
    return Grid(shape.crs)


MAX_CELLS = 1_000_000  # of a covering grid (a choice of ours)


def covering_cells(shape: Geometry, grid: Grid) -> Iterator[tuple[int, int, Geometry]]:
    """Yield column, row and outline of a grid's cells that a shape touches."""
    whole = shape.projected(grid.crs)
    if whole.is_empty:
        return
    inverse, forward = ~grid.affine, grid.affine
    on_grid = shapely.affinity.affine_transform(whole, _matrix(inverse))
    west, south, east, north = on_grid.bounds
    columns = range(math.floor(west), max(math.ceil(east), math.floor(west) + 1))
    rows = range(math.floor(south), max(math.ceil(north), math.floor(south) + 1))
    if len(columns) * len(rows) > MAX_CELLS:
        raise EarthEngineError(
            f"Geometry.coveringGrid: Too many cells: {len(columns) * len(rows)} (max {MAX_CELLS})."
        )
    shapely.prepare(on_grid)
    for row in rows:
        for column in columns:
            cell = box(column, row, column + 1, row + 1)
            if on_grid.intersects(cell):
                outline = shapely.affinity.affine_transform(cell, _matrix(forward))
                yield column, row, Geometry(outline, grid.crs, geodesic=False)


def _matrix(affine: Any) -> list[float]:
    return [affine.a, affine.b, affine.d, affine.e, affine.c, affine.f]


#: A cylindrical projection that keeps areas on WGS 84: points uniform on it are so on the Earth.
EQUAL_AREA = "EPSG:6933"


def random_positions(
    shape: Geometry, count: int, generator: np.random.Generator
) -> list[tuple[float, float]]:
    """Return uniformly random positions in lon/lat on a shape's parts of the highest dimension."""
    parts = _parts(shape.lonlat)
    dimension = max((part_dimension(part) for part in parts), default=-1)
    highest = [part for part in parts if part_dimension(part) == dimension]
    if dimension < 1:
        chosen = generator.integers(len(highest), size=count) if highest else []
        return [highest[i].coords[0] for i in chosen]
    if dimension == 1:
        lengths = [WGS84.geometry_length(part) for part in highest]
        chosen = generator.choice(len(highest), count, p=np.divide(lengths, sum(lengths)))
        shares = generator.random(count)
        return [
            highest[i].interpolate(share, normalized=True).coords[0]
            for i, share in zip(chosen, shares, strict=True)
        ]
    plane = _transformed(shapely.union_all(highest), LONLAT, EQUAL_AREA)
    triangles = shapely.get_parts(shapely.constrained_delaunay_triangles(plane))
    areas = shapely.area(triangles)
    chosen = generator.choice(len(triangles), count, p=areas / areas.sum())
    corners = np.array([shapely.get_coordinates(triangle)[:3] for triangle in triangles])[chosen]
    a, b = generator.random((2, count, 1))
    a, b = np.where(a + b > 1, 1 - a, a), np.where(a + b > 1, 1 - b, b)
    places = (
        corners[:, 0] + a * (corners[:, 1] - corners[:, 0]) + b * (corners[:, 2] - corners[:, 0])
    )
    x, y = transformer(EQUAL_AREA, LONLAT).transform(places[:, 0], places[:, 1])
    return list(zip(x.tolist(), y.tolist(), strict=True))


def followed_boundary(shape: Geometry) -> Geometry:
    """Return points, lines and the boundaries of polygons, in lon/lat."""
    parts = [
        part.boundary if part_dimension(part) == 2 else part for part in _parts(shape.followed)
    ]
    return Geometry(shapely.GeometryCollection(parts), geodesic=False)


def part_dimension(part: shapely.Geometry) -> int:
    """Return 0 for points, 1 for lines, 2 for polygons, -1 for nothing."""
    return -1 if part.is_empty else int(shapely.get_dimensions(part))


def burnt(shape: shapely.Geometry, box: PixelBox, all_touched: bool = False) -> Array:
    """Return 1 in pixels whose centre, or any part, is in a shape in their projection; else 0."""
    if shape.is_empty:
        return np.zeros(box.shape, np.uint8)
    return rasterize(
        [shape], box.shape, transform=box.affine, all_touched=all_touched, dtype="uint8"
    )
