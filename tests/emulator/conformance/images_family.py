"""Images: bands, masks, grids, terrain, colours, and what is drawn."""

import colorsys
import math
from collections.abc import Callable
from typing import Any

import ee
import numpy as np
import rasterio.warp
from affine import Affine
from ee.apifunction import ApiFunction
from rasterio.enums import Resampling
from scipy import optimize
from scipy.spatial import distance
from scipy.special import rel_entr

from conformance.cases import Case, Check, Grid, Raises, case, described, guide, library, sample
from conformance.rasters import GRID, MARGIN, PROJECTION, inner, known, rough

V, W = inner(known()), inner(known(1))
P, Q = np.array([1, 2, 3]) / 6, np.array([3, 1, 1]) / 5  # spectra that sum to 1
WORLD = Grid(4, 3, "EPSG:4326", (0.1, 0, 10, 0, -0.1, 50))


def at(image: ee.Image) -> ee.Dictionary:
    """Return an image's bands at one place, as a dictionary."""
    return image.reduceRegion(ee.Reducer.first(), ee.Geometry.Point([-121, 42]), 500)


def _three() -> ee.Image:
    return ee.Image([1, 2, 3]).rename(["B1", "B11", "QA"])


def _box(west: float, south: float, east: float, north: float) -> ee.Geometry:
    """Return a rectangle in pixels of the grid: columns to the east, rows to the south."""
    corners = [west * 10, -south * 10, east * 10, -north * 10]
    return ee.Geometry.Rectangle(corners, GRID.crs, False)


def _inside(west: float, south: float, east: float, north: float) -> np.ndarray:
    """Return which pixels of the grid have their centre in such a rectangle."""
    x = np.arange(GRID.width) + 0.5
    y = np.arange(GRID.height)[:, None] + 0.5
    return (x > west) & (x < east) & (y > north) & (y < south)


PLACE = (2, 7, 6, 3)  # a rectangle inside the grid: west, south, east, north
COVERED = _inside(*PLACE)

BANDS = [
    case(
        "constants in a list, and their names",
        lambda: ee.Image.constant([255, 136, 0]).bandNames(),
        ["constant_0", "constant_1", "constant_2"],
        sample("ee_image_constant"),
    ),
    case(
        "patterns are anchored",
        lambda: ee.List([_three().select(s).bandNames() for s in ("B1", "B.*", [2, 0])]),
        [["B1"], ["B1", "B11"], ["QA", "B1"]],
        sample("ee_image_select"),
    ),
    case(
        "a name that is not there",
        lambda: _three().select("x"),
        Raises("Image.select: Band pattern 'x' did not match any bands"),
        guide("debugging"),
    ),
    case(
        "names that are taken get a number",
        lambda: ApiFunction.call_("Image.cat", [_three(), _three().select("QA")]).bandNames(),
        ["B1", "B11", "QA", "QA_1"],
        described("Image.addBands"),
    ),
    case(
        "rename",
        lambda: at(_three().rename(["x", "y", "z"])),
        {"x": 1, "y": 2, "z": 3},
        sample("ee_image_rename"),
    ),
    case(
        "rename needs a name for every band",
        lambda: _three().rename(["x"]),
        Raises("Image.rename"),
        described("Image.rename"),
    ),
    case(
        "regexpRename replaces every match",
        lambda: _three().regexpRename("B(1+)", "band_$1").bandNames(),
        ["band_1", "band_11", "QA"],
        described("Image.regexpRename"),
    ),
    case(
        "regexpRename of the first match only",
        lambda: _three().regexpRename("1", "x", False).bandNames(),
        ["Bx", "Bx1", "QA"],
        described("Image.regexpRename"),
    ),
    case(
        "regexpRename appends once",
        lambda: _three().regexpRename("$", "_x").bandNames(),
        ["B1_x", "B11_x", "QA_x"],
        described("Image.regexpRename"),
    ),
    case(
        "slice, also from the end",
        lambda: ee.List([_three().slice(1).bandNames(), _three().slice(-2, -1).bandNames()]),
        [["B11", "QA"], ["B11"]],
        described("Image.slice"),
    ),
    case(
        "addBands overwrites in place",
        lambda: at(_three().addBands(ee.Image(9).rename("B1"), None, True)),
        {"B1": 9, "B11": 2, "QA": 3},
        sample("ee_image_addbands"),
    ),
    case(
        "cast, and the types",
        lambda: _three().cast({"B1": "float", "QA": "int8"}).select(["QA", "B1"]).bandTypes(),
        {
            "QA": {"type": "PixelType", "precision": "int", "min": -128, "max": 127},
            "B1": {"type": "PixelType", "precision": "float"},
        },
        described("Image.cast"),
    ),
    case(
        "cast adds bands, transparent and in alphabetical order",
        lambda: at(_three().cast({"y": "float", "x": "int8"})),
        {"B1": 1, "B11": 2, "QA": 3, "x": None, "y": None},
        described("Image.cast"),
    ),
    case(
        "cast in an order",
        lambda: _three().cast({"x": "int8"}, ["x", "QA", "B11", "B1"]).bandNames(),
        ["x", "QA", "B11", "B1"],
        described("Image.cast"),
    ),
    case(
        "cast in an order that is not of all bands",
        lambda: _three().cast({"x": "int8"}, ["x", "QA"]).bandNames(),
        Raises("Image.cast"),
        described("Image.cast"),
    ),
    case(
        "collections are filtered by the names of bands",
        lambda: (
            ee.ImageCollection([_three(), ee.Image(1)])
            .filter(ee.Filter.listContains("system:band_names", "QA"))
            .size()
        ),
        1,
        "properties that Earth Engine gives every image",
    ),
    case(
        "metadata as pixels",
        lambda: at(ee.Image(1).set("t", 7).metadata("t", "named")),
        {"named": 7},
        described("Image.metadata"),
    ),
    case(
        "an image that is not there",
        lambda: ee.Image("COPERNICUS/none"),
        Raises("Image.load: Image asset 'COPERNICUS/none' not found"),
        guide("debugging"),
    ),
    case(
        "a GeoTIFF that is not there",
        lambda: ee.Image.loadGeoTIFF("gs://none/x.tif"),
        Raises("none"),
        described("Image.loadGeoTIFF"),
    ),
]


def _faded(share: float) -> ee.Image:
    return ee.Image(5).updateMask(share)


def _byte() -> ee.Image:
    return ee.Image(5).toByte()


MASKS = [
    case(
        "masks multiply",
        lambda: at(_faded(0.5).updateMask(0.5).mask()),
        {"constant": 0.25},
        described("Image.updateMask"),
    ),
    case(
        "a mask that is set replaces the other",
        lambda: at(_faded(0.5).mask(0.75).mask()),
        {"constant": 0.75},
        described("Image.mask"),
    ),
    case(
        "a mask that is set shows zero, or what is closest to it, where nothing was",
        lambda: ee.List([at(image.updateMask(0).mask(1)) for image in (_byte(), ee.Image(5))]),
        [{"constant": 0}, {"constant": 5}],
        described("Image.mask"),
    ),
    case(
        "updateMask never unmasks",
        lambda: at(_faded(0).updateMask(1)),
        {"constant": None},
        described("Image.updateMask"),
    ),
    case(
        "selfMask",
        lambda: rough().gt(50).selfMask().unmask(7),
        {"v": np.where(V > 50, 1, 7)},
        described("Image.selfMask"),
        grid=GRID,
    ),
    case(
        "unmask replaces value and mask where the mask is zero",
        lambda: rough().updateMask(rough(1).gt(50)).unmask(rough(2)),
        {"v": np.where(W > 50, V, inner(known(2)))},
        described("Image.unmask"),
        grid=GRID,
    ),
    case(
        "unmask keeps a mask that is not zero",
        lambda: at(_faded(0.5).unmask(9).mask()),
        {"constant": 0.5},
        described("Image.unmask"),
    ),
    case(
        "unmask fills inside the footprint",
        lambda: ee.Image(1).clip(_box(*PLACE)).unmask(5),
        {"constant": np.where(COVERED, 1, 0)},
        described("Image.unmask"),
        grid=GRID,
    ),
    case(
        "unmask fills everywhere if told so",
        lambda: ee.Image(1).clip(_box(*PLACE)).unmask(5, False),
        {"constant": np.where(COVERED, 1, 5)},
        described("Image.unmask"),
        grid=GRID,
    ),
    case(
        "where",
        lambda: rough().where(rough(1).gt(50), rough(2)),
        {"v": np.where(W > 50, inner(known(2)), V)},
        described("Image.where"),
        grid=GRID,
    ),
    case(
        "where ignores masked tests and values, and unmasks nothing",
        lambda: ee.List(
            [
                at(ee.Image(1).where(ee.Image(1).updateMask(0), 9)).get("constant"),
                at(ee.Image(1).where(1, _faded(0))).get("constant"),
                at(ee.Image(1).where(1, 9)).get("constant"),
                at(_faded(0).where(1, 9)).get("constant"),
            ]
        ),
        [1, 1, 9, None],
        described("Image.where"),
    ),
    case(
        "blend takes masks for opacity",
        lambda: at(ee.Image(100.0).blend(ee.Image(20.0).updateMask(0.25))),
        {"constant": 80},
        described("Image.blend"),
    ),
    case(
        "blend over nothing",
        lambda: at(_faded(0).blend(ee.Image([1, 2]).rename("a", "b"))),
        {"a": 1, "b": 2},
        described("Image.blend"),
    ),
    case(
        "clip",
        lambda: rough().clip(_box(*PLACE)),
        {"v": np.where(COVERED, V, 0)},
        described("Image.clip"),
        grid=GRID,
    ),
    case(
        "clipToCollection",
        lambda: rough().clipToCollection(
            ee.FeatureCollection([ee.Feature(_box(*PLACE)), ee.Feature(_box(8, 9, 10, 0))])
        ),
        {"v": np.where(COVERED | _inside(8, 9, 10, 0), V, 0)},
        described("Image.clipToCollection"),
        grid=GRID,
    ),
]

FINE = {"crs": GRID.crs, "crsTransform": [10, 0, 0, 0, -10, 0]}


def _native() -> ee.Image:
    """Return the known image on a grid of its own: it is read and interpolated from there."""
    return rough().toFloat().reproject(**FINE)


def _warped(grid: Grid, resampling: Resampling, margin: int = MARGIN) -> np.ndarray:
    """Return what GDAL makes of the known pixels on another grid."""
    source = known().astype("float32")
    target = np.zeros((grid.height, grid.width), "float32")
    origin = Affine(*GRID.transform) @ Affine.translation(-margin, -margin)
    rasterio.warp.reproject(
        source,
        target,
        src_transform=origin,
        src_crs=GRID.crs,
        dst_transform=Affine(*grid.transform),
        dst_crs=grid.crs,
        resampling=resampling,
    )
    return target


SHIFTED = Grid(10, 7, GRID.crs, (10, 0, 3, 0, -10, -4))
FINER = Grid(10, 7, GRID.crs, (4, 0, 11, 0, -4, -13))
COARSER = Grid(4, 3, GRID.crs, (30, 0, 0, 0, -30, 0))
UNEVEN = Grid(4, 3, GRID.crs, (25, 0, 5, 0, -25, -10))
ZONE = Grid(6, 5, "EPSG:32631", (9, 0, 166_040, 0, -9, -20))


def _block_mean(grid: Grid) -> np.ndarray:
    """Return area means, by 5 m squares that make up the pixels of both grids."""
    step = 5
    values = known().repeat(10 // step, axis=0).repeat(10 // step, axis=1)
    a, _, c, _, _, f = grid.transform
    left, top = int(c / step) + MARGIN * 2, int(-f / step) + MARGIN * 2
    n = int(a / step)
    part = values[top : top + grid.height * n, left : left + grid.width * n]
    return part.reshape(grid.height, n, grid.width, n).mean(axis=(1, 3))


def _blocks(function: Callable[..., np.ndarray]) -> np.ndarray:
    return function(V[:9, :12].reshape(3, 3, 4, 3), axis=(1, 3))


GRIDS = [
    case(
        "composites have a grid of one degree",
        lambda: ee.ImageCollection([ee.Image(1)]).mean().projection(),
        {"type": "Projection", "crs": "EPSG:4326", "transform": [1, 0, 0, 0, 1, 0]},
        guide("projections"),
    ),
    case(
        "setDefaultProjection",
        lambda: ee.Image(1).setDefaultProjection("EPSG:3857", None, 30).projection(),
        {"type": "Projection", "crs": "EPSG:3857", "transform": [30, 0, 0, 0, -30, 0]},
        described("Image.setDefaultProjection"),
    ),
    case(
        "bands with different grids have no projection",
        lambda: ee.Image(1).addBands(rough().reproject(**FINE)).projection(),
        Raises("different projections"),
        described("Image.projection"),
    ),
    case(
        "reproject",
        lambda: ee.Image.pixelLonLat().reproject("EPSG:4326", [0.2, 0, 0, 0, -0.2, 60]),
        {
            "longitude": np.tile([10.1, 10.1, 10.3, 10.3], (3, 1)),
            "latitude": np.repeat([[49.9], [49.9], [49.7]], 4, axis=1),
        },
        guide("projections"),
        1e-9,
        WORLD,
    ),
    case(
        "pixelLonLat",
        lambda: ee.Image.pixelLonLat(),
        {
            "longitude": np.tile([10.05, 10.15, 10.25, 10.35], (3, 1)),
            "latitude": np.repeat([[49.95], [49.85], [49.75]], 4, axis=1),
        },
        described("Image.pixelLonLat"),
        1e-9,
        WORLD,
    ),
    case(
        "pixelCoordinates",
        lambda: ee.Image.pixelCoordinates("EPSG:4326"),
        {
            "x": np.tile([10.05, 10.15, 10.25, 10.35], (3, 1)),
            "y": np.repeat([[49.95], [49.85], [49.75]], 4, axis=1),
        },
        described("Image.pixelCoordinates"),
        1e-9,
        WORLD,
    ),
    case(
        "the areas of all pixels are the Earth's",
        lambda: (
            ee.Image.pixelArea()
            .reduceRegion(
                ee.Reducer.sum(),
                ee.Geometry.Rectangle([-180, -90, 180, 90], "EPSG:4326", False),
                crs="EPSG:4326",
                crsTransform=[1, 0, -180, 0, -1, 90],
            )
            .get("area")
        ),
        5.10065621724e14,  # WGS 84
        described("Image.pixelArea"),
        1e8,
    ),
    case(
        "clipToBoundsAndScale",
        lambda: rough().reproject(**FINE).clipToBoundsAndScale(_box(*PLACE), scale=10),
        {"v": np.where(COVERED, V, 0)},
        described("Image.clipToBoundsAndScale"),
        grid=GRID,
    ),
    case(
        "between pixels the nearest is taken",
        lambda: _native(),
        {"v": _warped(FINER, Resampling.nearest)},
        library("rasterio.warp.reproject"),
        grid=FINER,
    ),
    *[
        case(
            f"resample, {mode}, {name}",
            lambda m=mode: _native().resample(m),
            {"v": _warped(grid, method)},
            library("rasterio.warp.reproject"),
            tolerance,
            grid,
        )
        for mode, method in (("bilinear", Resampling.bilinear), ("bicubic", Resampling.cubic))
        # GDAL's own transformer is exact to an eighth of a pixel unless the grids agree.
        for name, grid, tolerance in (("shifted", SHIFTED, 1e-3), ("finer", FINER, 1e-3))
    ],
    case(
        "a linear image is the same after an interpolation in another projection",
        lambda: (
            ee.Image.pixelCoordinates(ee.Projection(**PROJECTION))
            .reproject(**FINE)
            .resample("bilinear")
            .subtract(ee.Image.pixelCoordinates(ee.Projection(**PROJECTION)))
        ),
        {"x": np.zeros((5, 6)), "y": np.zeros((5, 6))},
        described("Image.resample"),
        1e-6,
        ZONE,
    ),
    case(
        "a resampling that is unknown",
        lambda: rough().resample("cubist"),
        Raises("cubist"),
        described("Image.resample"),
    ),
    case(
        "reduceResolution weighs by the covered area",
        lambda: _native().reduceResolution(ee.Reducer.mean()),
        {"v": _block_mean(UNEVEN)},
        described("Image.reduceResolution"),
        1e-4,
        UNEVEN,
    ),
    case(
        "reduceResolution to several outputs",
        lambda: _native().reduceResolution(ee.Reducer.minMax()),
        {"v_min": _blocks(np.min), "v_max": _blocks(np.max)},
        described("Image.reduceResolution"),
        grid=COARSER,
    ),
    case(
        "reduceResolution of several bands together",
        lambda: (
            _native()
            .addBands(rough(1).reproject(**FINE).rename("w"))
            .reduceResolution(ee.Reducer.mean().combine(ee.Reducer.max(), "", False))
        ),
        {"mean": _blocks(np.mean), "max": W.reshape(3, 3, 4, 3).max(axis=(1, 3))},
        described("Image.reduceResolution"),
        1e-5,
        COARSER,
    ),
    case(
        "reduceResolution of masked pixels",
        lambda: (
            _native()
            .updateMask(rough(1).gt(50).reproject(**FINE))
            .reduceResolution(ee.Reducer.sum().unweighted())
        ),
        {"v": np.where(W > 50, V, 0).reshape(3, 3, 4, 3).sum(axis=(1, 3))},
        described("Image.reduceResolution"),
        1e-4,
        COARSER,
    ),
    case(
        "reduceResolution of too many pixels",
        lambda: (
            _native()
            .reduceResolution(ee.Reducer.mean(), False, 8)
            .reduceRegion(ee.Reducer.first(), _box(*PLACE), crs=GRID.crs, scale=30)
        ),
        Raises("reduceResolution: Too many input pixels"),
        described("Image.reduceResolution"),
    ),
    case(
        "reduceResolution as well as it can",
        lambda: ee.Image(3).reproject(**FINE).reduceResolution(ee.Reducer.mean(), True, 4),
        {"constant": np.full((3, 4), 3)},
        described("Image.reduceResolution"),
        1e-6,
        COARSER,
    ),
    case(
        "changeProj moves pixels to the same coordinates",
        lambda: rough().changeProj(
            ee.Projection(**PROJECTION), ee.Projection("EPSG:4326", [0.1, 0, 10, 0, -0.1, 50])
        ),
        {"v": V[:3, :4]},
        described("Image.changeProj"),
        grid=WORLD,
    ),
    case(
        "translate in metres",
        lambda: rough().translate(20, -10),
        {"v": known()[MARGIN - 1 : -MARGIN - 1, MARGIN - 2 : -MARGIN - 2]},
        described("Image.translate"),
        grid=GRID,
    ),
    case(
        "translate in pixels",
        lambda: rough().translate(2, 1, "pixels"),
        {"v": known()[MARGIN - 1 : -MARGIN - 1, MARGIN - 2 : -MARGIN - 2]},
        described("Image.translate"),
        grid=GRID,
    ),
]


def _share() -> ee.Image:
    """Return three bands from 0 to 1."""
    return ee.Image.cat(*[rough(i).divide(100) for i in range(3)]).rename("r", "g", "b")


SHARES = np.stack([inner(known(i)) / 100 for i in range(3)])


def _by_pixel(function: Callable[..., Any], values: np.ndarray) -> np.ndarray:
    return np.apply_along_axis(lambda pixel: function(*pixel), 0, values)


HSV, RGB = _by_pixel(colorsys.rgb_to_hsv, SHARES), _by_pixel(colorsys.hsv_to_rgb, SHARES)
ENDMEMBERS = [[0.1, 0.5, 0.3], [0.8, 0.2, 0.4]]


def _lstsq(*pixel: float) -> np.ndarray:
    return np.linalg.lstsq(np.transpose(ENDMEMBERS), np.array(pixel), rcond=None)[0]


def _nnls(*pixel: float) -> np.ndarray:
    return optimize.nnls(np.transpose(ENDMEMBERS), np.array(pixel))[0]


def _sum_to_one(*pixel: float) -> np.ndarray:
    """Return the constrained fractions: the second is what the first leaves."""
    first, second = np.array(ENDMEMBERS)
    direction = first - second
    share = direction @ (np.array(pixel) - second) / (direction @ direction)
    return np.array([share, 1 - share])


def _both(*pixel: float) -> np.ndarray:
    share = np.clip(_sum_to_one(*pixel)[0], 0, 1)
    return np.array([share, 1 - share])


def _named(names: str | list[str], values: np.ndarray) -> dict[str, np.ndarray]:
    return dict(zip(names, values, strict=True))


KNOTS, LEVELS = [20, 40, 80], [1, 5, -3]


def _interpolated(outside: np.ndarray) -> np.ndarray:
    return np.where((V < 20) | (V > 80), outside, np.interp(V, KNOTS, LEVELS))


EXTRAPOLATED = np.where(V < 20, 1 + (V - 20) * 0.2, -3 + (V - 80) * -0.2)
PIXELWISE = [
    *[
        case(
            f"spectralDistance {metric}",
            lambda metric=metric: at(
                ee.Image([1, 2, 3]).spectralDistance(ee.Image([3, 1, 1]), metric)
            ),
            {"distance": expected},
            library("scipy"),
        )
        for metric, expected in (
            ("sam", math.acos(1 - distance.cosine([1, 2, 3], [3, 1, 1]))),
            ("sed", distance.sqeuclidean([1, 2, 3], [3, 1, 1])),
            ("sid", sum(rel_entr(P, Q) + rel_entr(Q, P))),
        )
    ],
    case(
        "spectralDistance needs as many bands",
        lambda: ee.Image([1, 2]).spectralDistance(ee.Image([3, 1, 1])),
        Raises("Image.spectralDistance"),
        described("Image.spectralDistance"),
    ),
    case(
        "rgbToHsv",
        lambda: _share().rgbToHsv(),
        _named(["hue", "saturation", "value"], HSV),
        library("colorsys.rgb_to_hsv"),
        1e-6,
        GRID,
    ),
    case(
        "hsvToRgb",
        lambda: _share().hsvToRgb(),
        _named(["red", "green", "blue"], RGB),
        library("colorsys.hsv_to_rgb"),
        1e-6,
        GRID,
    ),
    case(
        "colours need three bands",
        lambda: ee.Image(1).rgbToHsv(),
        Raises("rgbToHsv: Expected 3 bands"),
        described("Image.rgbToHsv"),
    ),
    *[
        case(
            f"unmix{constraints}",
            lambda c=constraints: _share().unmix(ENDMEMBERS, *c),
            _named(["band_0", "band_1"], _by_pixel(function, SHARES)),
            library(source),
            1e-6,
            GRID,
        )
        for constraints, function, source in (
            ((False, False), _lstsq, "numpy.linalg.lstsq"),
            ((False, True), _nnls, "scipy.optimize.nnls"),
            ((True, False), _sum_to_one, "numpy"),
            ((True, True), _both, "numpy"),
        )
    ],
    case(
        "unmix needs a value for every band",
        lambda: _share().unmix([[1, 2]]),
        Raises("Image.unmix"),
        described("Image.unmix"),
    ),
    *[
        case(
            f"interpolate, {behavior}",
            lambda b=behavior: rough().interpolate(KNOTS, LEVELS, b).unmask(-9),
            {"v": _interpolated(outside)},
            library("numpy.interp"),
            1e-9,
            GRID,
        )
        for behavior, outside in {
            "extrapolate": EXTRAPOLATED,
            "clamp": np.where(V < 20, 1, -3),
            "mask": np.full(V.shape, -9),
            "input": V,
        }.items()
    ],
    case(
        "interpolate between values that fall",
        lambda: rough().interpolate([2, 1], [0, 1]),
        Raises("strictly increasing"),
        described("Image.interpolate"),
    ),
    case(
        "polynomial",
        lambda: rough().polynomial([3, -2, 0.5]),
        {"v": np.polynomial.polynomial.polyval(V.astype(float), [3, -2, 0.5])},
        library("numpy.polynomial.polynomial.polyval"),
        1e-9,
        GRID,
    ),
    case(
        "normalizedDifference",
        lambda: rough().addBands(rough(1)).normalizedDifference(),
        {"nd": np.divide(V - W, V + W, out=np.zeros(V.shape), where=V + W != 0)},
        described("Image.normalizedDifference"),
        1e-6,
        GRID,
    ),
    case(
        "clamp",
        lambda: rough().clamp(20, 60),
        {"v": np.clip(V, 20, 60)},
        library("numpy.clip"),
        grid=GRID,
    ),
    case(
        "unitScale",
        lambda: rough().unitScale(20, 60),
        {"v": (V - 20) / 40},
        described("Image.unitScale"),
        1e-6,
        GRID,
    ),
    case(
        "remap masks what is not listed",
        lambda: rough().remap([1, 50, 7], [5, 6, 7]).unmask(-1),
        {"remapped": np.select([V == 1, V == 50, V == 7], [5, 6, 7], -1)},
        described("Image.remap"),
        grid=GRID,
    ),
    case(
        "remap with a default",
        lambda: rough().remap([1, 50, 7], [5, 6, 7], 9),
        {"remapped": np.select([V == 1, V == 50, V == 7], [5, 6, 7], 9)},
        described("Image.remap"),
        grid=GRID,
    ),
    case(
        "the same random numbers for a seed",
        lambda: ee.Image.random(3).eq(ee.Image.random(3)),
        {"random": np.ones(V.shape)},
        described("Image.random"),
        grid=GRID,
    ),
    case(
        "random numbers are uniform",
        lambda: ee.Image.random(4),
        Check(
            lambda got: got["random"].min() >= 0 and abs(got["random"].mean() - 0.5) < 0.03,
            "from 0 to 1, with a mean of a half",
        ),
        described("Image.random"),
        grid=Grid(100, 100),
    ),
    case(
        "random numbers are normal",
        lambda: ee.Image.random(4, "normal"),
        Check(
            lambda got: abs(got["random"].mean()) < 0.06 and abs(got["random"].std() - 1) < 0.06,
            "a mean of 0 and a standard deviation of 1",
        ),
        described("Image.random"),
        grid=Grid(100, 100),
    ),
]

NORTH, EAST = np.gradient(known().astype(float), -10, 10)  # rises per metre; rows go south
NORTH, EAST = inner(NORTH), inner(EAST)
SLOPE = np.degrees(np.arctan(np.hypot(NORTH, EAST)))
ASPECT = np.degrees(np.arctan2(-EAST, -NORTH)) % 360


def _lambert(azimuth: float, elevation: float) -> np.ndarray:
    """Return the dot product of the light's direction and the normal, from 0 to 255."""
    up, side = math.sin(math.radians(elevation)), math.cos(math.radians(elevation))
    light = [side * math.sin(math.radians(azimuth)), side * math.cos(math.radians(azimuth)), up]
    normals = np.stack([-EAST, -NORTH, np.ones(EAST.shape)])
    normals /= np.linalg.norm(normals, axis=0)
    return np.floor(np.clip(np.tensordot(light, normals, 1), 0, 1) * 255)


def _shadow() -> np.ndarray:
    """Return where the sun in the west, 30 degrees high, is not hidden by one of 6 pixels."""
    lit = np.ones(V.shape, bool)
    for step in range(1, 7):
        there = known()[MARGIN:-MARGIN, MARGIN - step : -MARGIN - step]
        lit &= there <= V + step * 10 * math.tan(math.radians(30))
    return lit


TERRAIN = [
    case(
        "slope",
        lambda: ee.Terrain.slope(rough()),
        {"slope": SLOPE},
        described("Terrain.slope"),
        1e-4,
        GRID,
    ),
    case(
        "aspect",
        lambda: ee.Terrain.aspect(rough()),
        {"aspect": np.where((EAST == 0) & (NORTH == 0), 0, ASPECT)},
        described("Terrain.aspect"),
        1e-3,
        GRID,
    ),
    case(
        "hillshade",
        lambda: ee.Terrain.hillshade(rough(), 315, 30),
        {"hillshade": _lambert(315, 30)},
        library("numpy"),
        grid=GRID,
    ),
    case(
        "level ground",
        lambda: at(ee.Terrain.products(ee.Image(100).rename("elevation"))),
        {"elevation": 100, "slope": 0, "aspect": 0, "hillshade": 180},
        described("Terrain.products"),
    ),
    case(
        "products of the band elevation",
        lambda: ee.call("Terrain", ee.Image(1).addBands(rough().rename("elevation"))),
        {
            "constant": np.ones(V.shape),
            "elevation": V,
            "slope": SLOPE,
            "aspect": np.where((EAST == 0) & (NORTH == 0), 0, ASPECT),
            "hillshade": _lambert(270, 45),
        },
        described("Terrain"),
        1e-3,
        GRID,
    ),
    case(
        "a pixel without a neighbour has no slope",
        lambda: ee.Terrain.slope(ee.Image(1).clip(_box(*PLACE))).mask(),
        {"slope": _inside(3, 6, 5, 4).astype(float)},
        described("Terrain.slope"),
        grid=GRID,
    ),
    case(
        "hillShadow",
        lambda: ee.Terrain.hillShadow(rough(), 270, 60, 6),
        {"shadow": _shadow().astype(int)},
        described("Terrain.hillShadow"),
        grid=GRID,
    ),
    case(
        "which band is the elevation",
        lambda: ee.Terrain.slope(ee.Image([1, 2])),
        Raises("elevation"),
        described("Terrain"),
    ),
]


def _painted(**arguments: Any) -> Callable[[], ee.Image]:
    """Paint on an image without valid pixels."""

    def build() -> ee.Image:
        features = [ee.Feature(_box(*PLACE), {"n": 3, "line": 2})]
        return ee.Image().toByte().paint(ee.FeatureCollection(features), **arguments)

    return build


RING = _inside(1, 8, 7, 2) & ~_inside(3, 6, 5, 4)
DRAWN = [
    case(
        "visualize stretches to bytes",
        lambda: at(ee.Image([0, 50, 200]).visualize(min=0, max=100)),
        {"vis-red": 0, "vis-green": 128, "vis-blue": 255},
        described("Image.visualize"),
    ),
    case(
        "visualize with a palette",
        lambda: at(ee.Image(1).visualize(min=0, max=1, palette=["black", "00FF00"])),
        {"vis-red": 0, "vis-green": 255, "vis-blue": 0},
        described("Image.visualize"),
    ),
    case(
        "visualize without ends stretches over the type, or from 0 to 1",
        lambda: ee.List(
            [
                at(image.visualize())
                for image in (_byte(), ee.Image(0.2).toFloat(), ee.Image(257).uint16())
            ]
        ),
        [{"vis-gray": 5}, {"vis-gray": 51}, {"vis-gray": 1}],
        guide("image_visualization"),
    ),
    case(
        "random colours come before the bands",
        lambda: _three().randomVisualizer().select([3, 4, 5]).bandNames(),
        ["B1", "B11", "QA"],
        described("Image.randomVisualizer"),
    ),
    case(
        "random colours are 8-bit, and as many as values",
        lambda: ee.List(
            [
                ee.Dictionary(ee.Image(1).randomVisualizer().select(0).bandTypes()).values().get(0),
                ee.List(
                    [at(ee.Image(i).randomVisualizer().slice(0, 3)).values() for i in (1, 1, 2)]
                )
                .distinct()
                .size(),
            ]
        ),
        [{"type": "PixelType", "precision": "int", "min": 0, "max": 255}, 2],
        described("Image.randomVisualizer"),
    ),
    case(
        "collections are drawn in a colour",
        lambda: ApiFunction.call_(
            "Collection.draw", ee.FeatureCollection([ee.Feature(_box(*PLACE))]), "0A141E", 0, 0
        ),
        {
            name: np.where(COVERED, value, 0)
            for name, value in (("vis-red", 10), ("vis-green", 20), ("vis-blue", 30))
        },
        described("Collection.draw"),
        grid=GRID,
    ),
    case(
        "paint, where nothing was valid",
        _painted(color=3),
        {"constant": np.where(COVERED, 3, 0)},
        described("Image.paint"),
        grid=GRID,
    ),
    case(
        "paint over other values",
        lambda: rough().paint(ee.FeatureCollection([ee.Feature(_box(*PLACE), {"n": 7})]), "n"),
        {"v": np.where(COVERED, 7, V)},
        described("Image.paint"),
        grid=GRID,
    ),
    case(
        "paint outlines two pixels wide",
        _painted(color="n", width="line"),
        {"constant": np.where(RING, 3, 0)},
        described("Image.paint"),
        grid=GRID,
    ),
    case(
        "paint with a property that is no number",
        _painted(color="none"),
        Raises("Image.paint"),
        described("Image.paint"),
    ),
]

CASES: list[Case] = [*BANDS, *MASKS, *GRIDS, *PIXELWISE, *TERRAIN, *DRAWN]
