"""Public collections: what Earth Engine's catalogue says of them."""

import re

import ee
import numpy as np

from conformance.cases import Check, Grid, case

S2, PROBABILITY = "COPERNICUS/S2_HARMONIZED", "COPERNICUS/S2_CLOUD_PROBABILITY"
CLOUD_SCORE = "GOOGLE/CLOUD_SCORE_PLUS/V1/S2_HARMONIZED"
WEATHER = "ECMWF/ERA5_LAND/DAILY_AGGR"

#: Band -> nominal pixel in m (google/earthengine-catalog, templates/S2.libsonnet).
PIXELS = {
    "B1": 60, "B2": 10, "B3": 10, "B4": 10, "B5": 20, "B6": 20, "B7": 20, "B8": 10, "B8A": 20,
    "B9": 60, "B10": 60, "B11": 20, "B12": 20, "QA10": 10, "QA20": 20, "QA60": 60,
    "MSK_CLASSI_OPAQUE": 60, "MSK_CLASSI_CIRRUS": 60, "MSK_CLASSI_SNOW_ICE": 60,
}  # fmt: skip
#: Largest value of the bands that are not UINT16 (an image's description in public notebooks).
LARGEST = {"QA20": 2**32 - 1} | {name: 255 for name in PIXELS if name.startswith("MSK")}
INDEX = r"\d{8}T\d{6}_\d{8}T\d{6}_T\d{2}[C-HJ-NP-X][A-HJ-NP-Z][A-HJ-NP-V]"
TEXTS = (
    "DATATAKE_IDENTIFIER", "MGRS_TILE", "PROCESSING_BASELINE", "PRODUCT_ID",
    "SENSING_ORBIT_DIRECTION", "SPACECRAFT_NAME",
)  # fmt: skip
NUMBERS = (
    "CLOUDY_PIXEL_PERCENTAGE", "CLOUD_COVERAGE_ASSESSMENT", "GENERATION_TIME",
    "MEAN_INCIDENCE_AZIMUTH_ANGLE_B1", "MEAN_INCIDENCE_ZENITH_ANGLE_B12",
    "MEAN_SOLAR_AZIMUTH_ANGLE", "MEAN_SOLAR_ZENITH_ANGLE", "SENSING_ORBIT_NUMBER",
)  # fmt: skip
#: 60 × 60 m in the region's middle.
REGION = Grid(6, 6, "EPSG:32633", (10, 0, 465600, 0, -10, 5079900))


def dataset(name: str) -> str:
    """Return the page of a data set in the catalogue."""
    page = name.replace("/", "_")
    return f"https://developers.google.com/earth-engine/datasets/catalog/{page}"


def first(collection: str = S2) -> ee.Image:
    """Return a collection's first image."""
    return ee.Image(ee.ImageCollection(collection).first())


def pixel(name: str) -> ee.Number:
    """Return a band's nominal scale."""
    return first().select(name).projection().nominalScale()


def matches(pattern: str) -> Check:
    """Return the expectation that a text is of a form."""
    return Check(lambda text: re.fullmatch(pattern, text) is not None, f"a text like {pattern}")


def within(low: float, high: float) -> Check:
    """Return the expectation that all values of all bands are in a range."""
    return Check(
        lambda bands: all(low <= band.min() and band.max() <= high for band in bands.values()),
        f"values from {low} to {high}",
    )


CASES = [
    case("Sentinel-2's bands", lambda: first().bandNames(), list(PIXELS), dataset(S2)),
    *(
        case(f"pixels of {name}", lambda name=name: pixel(name), metres, dataset(S2), 1e-6)
        for name, metres in PIXELS.items()
    ),
    case(
        "bands of one image share their origin",
        lambda: (
            ee.List([first().select(name).projection().transform() for name in PIXELS])
            .distinct()
            .size()
        ),
        len(set(PIXELS.values())),
        dataset(S2),
    ),
    case(
        "types of bands",
        lambda: first().bandTypes(),
        {
            name: {
                "type": "PixelType",
                "precision": "int",
                "min": 0,
                "max": LARGEST.get(name, 65535),
            }
            for name in PIXELS
        },
        dataset(S2),
    ),
    case("system:index", lambda: first().get("system:index"), matches(INDEX), dataset(S2)),
    case("system:id", lambda: first().get("system:id"), matches(f"{S2}/{INDEX}"), dataset(S2)),
    case(
        "the index has the product's times and tile",
        lambda: ee.String(first().get("PRODUCT_ID")).split("_"),
        Check(
            lambda parts: (
                parts[1] == "MSIL1C" and all(re.fullmatch(r"\d{8}T\d{6}", parts[i]) for i in (2, 6))
            ),
            "S2A_MSIL1C_<sensed>_N…_R…_T…_<generated>",
        ),
        dataset(S2),
    ),
    case(
        "UTM",
        lambda: first().select("B4").projection().crs(),
        matches(r"EPSG:32[67]\d\d"),
        dataset(S2),
    ),
    case(
        "cloud percentage",
        lambda: ee.ImageCollection(S2).aggregate_array("CLOUDY_PIXEL_PERCENTAGE"),
        Check(lambda values: all(0 <= value <= 100 for value in values), "percent"),
        dataset(S2),
    ),
    case(
        "properties that are texts",
        lambda: first().toDictionary(list(TEXTS)),
        Check(lambda values: all(isinstance(v, str) for v in values.values()), "texts"),
        dataset(S2),
    ),
    case(
        "properties that are numbers",
        lambda: first().toDictionary(list(NUMBERS)),
        Check(lambda values: all(isinstance(v, int | float) for v in values.values()), "numbers"),
        dataset(S2),
    ),
    case(
        "the baseline is in the data take's identifier",
        lambda: (
            ee.String(first().get("DATATAKE_IDENTIFIER"))
            .slice(-5)
            .compareTo(first().get("PROCESSING_BASELINE"))
        ),
        0,
        dataset(S2),
    ),
    case(
        "the footprint is a polygon",
        lambda: first().geometry().type(),
        "Polygon",
        dataset(S2),
    ),
    case(
        "QA10 and QA20 are empty",
        lambda: first().select("QA10", "QA20"),
        {name: np.zeros((6, 6), np.uint32) for name in ("QA10", "QA20")},
        dataset(S2),
        grid=REGION,
    ),
    case(
        "bits of QA60",
        lambda: first().select("QA60"),
        Check(lambda bands: np.isin(bands["QA60"], (0, 1024, 2048)).all(), "bits 10 and 11"),
        dataset(S2),
        grid=REGION,
    ),
    case(
        "MSK_CLASSI bands are masked before February 2024",
        lambda: first().select("MSK_CLASSI.*").mask().reduce(ee.Reducer.max()),
        {"max": np.zeros((6, 6))},
        dataset(S2),
        grid=REGION,
    ),
    case(
        "Cloud Score+'s bands",
        lambda: first(CLOUD_SCORE).bandNames(),
        ["cs", "cs_cdf"],
        dataset(CLOUD_SCORE),
    ),
    case(
        "Cloud Score+'s pixels",
        lambda: first(CLOUD_SCORE).select("cs").projection().nominalScale(),
        10,
        dataset(CLOUD_SCORE),
        1e-6,
    ),
    case(
        "Cloud Score+'s range",
        lambda: first(CLOUD_SCORE),
        within(0, 1),
        dataset(CLOUD_SCORE),
        grid=REGION,
    ),
    case(
        "Cloud Score+ has its images' indices",
        lambda: (
            ee.ImageCollection(S2)
            .filter(ee.Filter.eq("system:index", first(CLOUD_SCORE).get("system:index")))
            .size()
        ),
        1,
        dataset(CLOUD_SCORE),
    ),
    case(
        "Cloud Score+'s properties",
        lambda: (
            first(CLOUD_SCORE)
            .toDictionary(
                [
                    "DATE_PRODUCT_GENERATED",
                    "MGRS_TILE",
                    "MODEL_VERSION",
                    "NO_CONTEXT_FRACTION",
                    "PROCESSING_SOFTWARE_VERSION",
                    "SOURCE_ASSET_ID",
                    "SOURCE_PRODUCT_ID",
                ]
            )
            .size()
        ),
        7,
        dataset(CLOUD_SCORE),
    ),
    case(
        "ERA5-Land's pixels",
        lambda: first(WEATHER).projection().nominalScale(),
        11132,
        dataset(WEATHER),
        0.5,
    ),
    case(
        "ERA5-Land's grid", lambda: first(WEATHER).projection().crs(), "EPSG:4326", dataset(WEATHER)
    ),
    case(
        "ERA5-Land's index",
        lambda: first(WEATHER).get("system:index"),
        matches(r"\d{8}"),
        dataset(WEATHER),
    ),
    case(
        "ERA5-Land's days",
        lambda: ee.ImageCollection(WEATHER).filterDate("2018-05-01", "2018-06-01").size(),
        31,
        dataset(WEATHER),
    ),
    case(
        "a day of ERA5-Land is one of UTC",
        lambda: (
            ee.ImageCollection(WEATHER)
            .filter(ee.Filter.eq("system:index", "20180714"))
            .first()
            .date()
            .format("YYYY-MM-dd HH:mm")
        ),
        "2018-07-14 00:00",
        dataset(WEATHER),
    ),
    case(
        "ERA5-Land's calendar",
        lambda: first(WEATHER).toDictionary(["day", "month", "year"]),
        {"day": 1, "month": 1, "year": 2018},
        dataset(WEATHER),
    ),
]
