"""Projections and pixel types."""

import ee
import pyproj

from conformance.cases import Check, Raises, case, described, library, sample

call = ee.ApiFunction.call_
DEGREE = 111_319.49079327358  # m, of the equator of WGS 84
TYPES = {
    "int8": (-(2**7), 2**7 - 1),
    "uint8": (0, 2**8 - 1),
    "int16": (-(2**15), 2**15 - 1),
    "uint16": (0, 2**16 - 1),
    "int32": (-(2**31), 2**31 - 1),
    "uint32": (0, 2**32 - 1),
}
CASES = [
    case(
        "identity",
        lambda: ee.Projection("EPSG:3857"),
        {"type": "Projection", "crs": "EPSG:3857", "transform": [1, 0, 0, 0, 1, 0]},
        sample("ee_projection"),
    ),
    case(
        "Proj",
        lambda: call("Proj", "EPSG:3857"),
        Check(lambda p: p["crs"] == "EPSG:3857", "EPSG:3857"),
        described("Proj"),
    ),
    case(
        "with a transform",
        lambda: ee.Projection("EPSG:32633", [10, 0, 5, 0, -10, 7]),
        Check(lambda p: p["transform"] == [10, 0, 5, 0, -10, 7], "the transform"),
        described("Projection"),
    ),
    case("unknown", lambda: ee.Projection("EPSG:1"), Raises("EPSG:1"), described("Projection")),
    case(
        "crs", lambda: ee.Projection("EPSG:32633").crs(), "EPSG:32633", described("Projection.crs")
    ),
    case(
        "scale of degrees",
        lambda: ee.Projection("EPSG:4326").nominalScale(),
        DEGREE,
        described("Projection.nominalScale"),
        tolerance=1e-3,
    ),
    case(
        "scale of metres",
        lambda: ee.Projection("EPSG:32633").scale(10, 10).nominalScale(),
        10,
        described("Projection.scale"),
    ),
    case(
        "at a scale",
        lambda: ee.Projection("EPSG:32633").atScale(30).nominalScale(),
        30,
        described("Projection.atScale"),
    ),
    case(
        "translated",
        lambda: ee.Projection("EPSG:32633").scale(10, 10).translate(2, 3),
        Check(lambda p: p["transform"] == [10, 0, 20, 0, 10, 30], "two and three pixels"),
        described("Projection.translate"),
    ),
    case(
        "wkt",
        lambda: ee.Projection("EPSG:32633").wkt(),
        Check(
            lambda w: pyproj.CRS.from_wkt(w).equals(
                pyproj.CRS("EPSG:32633"), ignore_axis_order=True
            ),
            "EPSG:32633",
        ),
        library("pyproj.CRS"),
    ),
    case(
        "transform as text",
        lambda: ee.Projection("EPSG:32633", [10, 0, 5, 0, -10, 7]).transform(),
        Check(lambda t: t.startswith("PARAM_MT") and '"elt_0_2", 5' in t, "PARAM_MT"),
        described("Projection.transform"),
    ),
    *(
        case(
            f"pixel type {n}",
            lambda n=n: call(f"PixelType.{n}"),
            Check(
                lambda t, lo=lo, hi=hi: (t["precision"], t["min"], t["max"]) == ("int", lo, hi),
                "its range",
            ),
            described(f"PixelType.{n}"),
        )
        for n, (lo, hi) in TYPES.items()
    ),
    *(
        case(
            f"pixel type {n}",
            lambda n=n: call(f"PixelType.{n}"),
            Check(lambda t, p=p: t["precision"] == p, p),
            described(f"PixelType.{n}"),
        )
        for n, p in (("float", "float"), ("double", "double"), ("int64", "int"))
    ),
    case(
        "pixel type of arrays",
        lambda: ee.PixelType("double", None, None, 2),
        Check(lambda t: t["precision"] == "double" and t["dimensions"] == 2, "two dimensions"),
        sample("ee_pixeltype"),
    ),
    case(
        "precision",
        lambda: ee.PixelType.int16().precision(),
        "int",
        described("PixelType.precision"),
    ),
    case("least", lambda: ee.PixelType("int", 3, 9).minValue(), 3, described("PixelType.minValue")),
    case(
        "greatest", lambda: ee.PixelType("int", 3, 9).maxValue(), 9, described("PixelType.maxValue")
    ),
    case(
        "dimensions",
        lambda: ee.PixelType("int", 3, 9, 1).dimensions(),
        1,
        described("PixelType.dimensions"),
    ),
    case(
        "the code of a reference system in WKT",
        lambda: ee.Projection(pyproj.CRS("EPSG:27572").to_wkt("WKT1_GDAL")).crs(),
        "EPSG:27572",
        sample("ee_projection"),
    ),
    case(
        "a reference system without a code",
        lambda: ee.Projection("+proj=laea +lat_0=46 +lon_0=14").crs(),
        None,
        described("Projection.crs"),
    ),
    case(
        "a transform in WKT",
        lambda: call(
            "Projection",
            "EPSG:3857",
            None,
            ee.Projection("EPSG:3857", [2, 0, 5, 0, -3, 7]).transform(),
        ),
        {"type": "Projection", "crs": "EPSG:3857", "transform": [2, 0, 5, 0, -3, 7]},
        described("Projection"),
    ),
    case(
        "two transforms",
        lambda: call("Projection", "EPSG:3857", [1, 0, 0, 0, 1, 0], 'PARAM_MT["Affine"]'),
        Raises("both"),
        described("Projection"),
    ),
]
