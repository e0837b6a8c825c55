"""Pixels of regions, reduced and sampled; properties of tables, aggregated."""

import ee
import numpy as np
import scipy.stats
import shapely

from conformance.cases import Check, Grid, Raises, case, described, guide, library, sample

#: A name or message that public code shows, but no page of Earth Engine's that was found.
QUOTED = "as public code on GitHub has it"
OURS = "a choice of ours: not published"
SIDE = 10  # metres of a pixel of the grid EPSG:3857 from its origin, north up
TINY = 1e-6


def _x_y(columns, rows):
    """Return the centres of a block of pixels whose north-western corner is the origin."""
    x, y = SIDE * (np.arange(columns) + 0.5), -SIDE * (np.arange(rows) + 0.5)
    return np.broadcast_arrays(x[None, :], y[:, None])


def _value(x, y):
    return (x * 7 + y * 3 + 100_000) % 101


def _other(x, y):
    return (x * 3 - y * 11 + 100_000) % 37


def _given(x, y):
    return (x + y * 2 + 100_000) % 7 >= 1


def _image():
    """Bands v, w and an integer k; some pixels masked."""
    xy = ee.Image.pixelCoordinates("EPSG:3857")
    x, y = xy.select("x"), xy.select("y")
    v = x.multiply(7).add(y.multiply(3)).add(100_000).mod(101)
    w = x.multiply(3).subtract(y.multiply(11)).add(100_000).mod(37)
    given = x.add(y.multiply(2)).add(100_000).mod(7).gte(1)
    image = ee.Image([v, w, v.mod(5).int()]).rename(["v", "w", "k"])
    return image.updateMask(given)


def _rectangle(columns, rows):
    return ee.Geometry.Rectangle([0, -SIDE * rows, SIDE * columns, 0], "EPSG:3857", False)


def _reduce(bands, reducer, region):
    return lambda: (
        _image()
        .select(bands)
        .reduceRegion(reducer(), region(), scale=SIDE, crs="EPSG:3857", maxPixels=1e13)
    )


# --- several tiles of 512 pixels: parts are merged

WIDE, HIGH = 1100, 600
XX, YY = _x_y(WIDE, HIGH)
KNOWN = _given(XX, YY)
V, W = _value(XX, YY)[KNOWN], _other(XX, YY)[KNOWN]
ANGLE = V / 50


def _large():
    return _rectangle(WIDE, HIGH)


LARGE = {
    "sum": np.sum,
    "mean": np.mean,
    "variance": np.var,
    "stdDev": np.std,
    "sampleVariance": lambda v: np.var(v, ddof=1),
    "skew": scipy.stats.skew,
    "kurtosis": scipy.stats.kurtosis,
    "min": np.min,
    "max": np.max,
    "count": len,
    "median": np.median,
    "mode": lambda v: scipy.stats.mode(v).mode,
    "countDistinct": lambda v: len(np.unique(v)),
    "anyNonZero": np.any,
    "allNonZero": np.all,
}
FITTED = scipy.stats.linregress(V, W)
DESIGN = np.column_stack([np.ones(len(V)), V])
RESIDUAL = np.sqrt(np.mean((W - FITTED.intercept - FITTED.slope * V) ** 2))
VALUES, TIMES = np.unique(V, return_counts=True)

CASES = [
    *(
        case(
            f"{name} over several tiles",
            _reduce(["v", "w"], getattr(ee.Reducer, name), _large),
            {"v": f(V), "w": f(W)},
            library("numpy, scipy.stats"),
            1e-6,
        )
        for name, f in LARGE.items()
    ),
    case(
        "percentiles over several tiles",
        _reduce(["v"], lambda: ee.Reducer.percentile([0, 12.5, 99, 100]), _large),
        dict(
            zip(
                ["v_p0", "v_p12.5", "v_p99", "v_p100"],
                np.percentile(V, [0, 12.5, 99, 100]),
                strict=True,
            )
        ),
        library("numpy.percentile"),
    ),
    case(
        "percentiles of more distinct values than are kept",
        lambda: (
            ee.Image.pixelLonLat()
            .select("longitude")
            .multiply(1e6)
            .add(ee.Image.pixelCoordinates("EPSG:3857").select("y").multiply(1e-7))
            .rename("v")
            .reduceRegion(
                ee.Reducer.percentile([0, 50, 100]), _rectangle(1600, 1600), 10, "EPSG:3857"
            )
        ),
        Check(
            lambda got: abs(got["v_p50"] / (got["v_p0"] / 2 + got["v_p100"] / 2) - 1) < 1e-3,
            "the middle of a ramp",
        ),
        described("Reducer.percentile"),
    ),
    case(
        "frequencies over several tiles",
        _reduce(["v"], ee.Reducer.frequencyHistogram, _large),
        {"v": {f"{value:g}": int(n) for value, n in zip(VALUES, TIMES, strict=True)}},
        library("numpy.unique"),
    ),
    case(
        "fixedHistogram over several tiles",
        _reduce(["v"], lambda: ee.Reducer.fixedHistogram(10, 90, 16), _large),
        {
            "v": np.column_stack(
                [np.arange(10, 90, 5), np.histogram(V[V < 90], np.arange(10, 91, 5))[0]]
            )
        },
        library("numpy.histogram"),
    ),
    case(
        "linearFit over several tiles",
        _reduce(["v", "w"], ee.Reducer.linearFit, _large),
        {"scale": FITTED.slope, "offset": FITTED.intercept},
        library("scipy.stats.linregress"),
    ),
    case(
        "pearsonsCorrelation over several tiles",
        _reduce(["v", "w"], ee.Reducer.pearsonsCorrelation, _large),
        {"correlation": FITTED.rvalue, "p-value": FITTED.pvalue},
        library("scipy.stats.linregress"),
    ),
    case(
        "spearmansCorrelation over several tiles",
        _reduce(["v", "w"], ee.Reducer.spearmansCorrelation, _large),
        {"correlation": scipy.stats.spearmanr(V, W).statistic},
        library("scipy.stats.spearmanr"),
    ),
    case(
        "linearRegression over several tiles",
        lambda: (
            ee.Image(1)
            .addBands(_image().select(["v", "w"]))
            .reduceRegion(ee.Reducer.linearRegression(2, 1), _large(), SIDE, "EPSG:3857")
        ),
        {"coefficients": np.linalg.lstsq(DESIGN, W)[0][:, None], "residuals": [RESIDUAL]},
        library("numpy.linalg.lstsq"),
    ),
    case(
        "circularMean over several tiles",
        lambda: (
            _image()
            .select("v")
            .divide(50)
            .reduceRegion(ee.Reducer.circularMean(), _large(), SIDE, "EPSG:3857")
        ),
        {"v": scipy.stats.circmean(ANGLE, high=np.pi, low=-np.pi)},
        library("scipy.stats.circmean"),
    ),
    case(
        "covariance of arrays over several tiles",
        lambda: (
            _image()
            .select(["v", "w"])
            .toArray()
            .reduceRegion(ee.Reducer.covariance(), _large(), SIDE, "EPSG:3857")
        ),
        {"array": np.cov(V, W, ddof=0)},
        library("numpy.cov"),
        1e-6,
    ),
    case(
        "groups over several tiles",
        _reduce(["w", "k"], lambda: ee.Reducer.mean().group(1, "k"), _large),
        {"groups": [{"k": k, "mean": W[k == V % 5].mean()} for k in range(5)]},
        guide("reducers_grouping"),
        1e-6,
    ),
]

# --- weights: the lesser of the mask and the share inside

TRIANGLE = [[2, -3], [118, -21], [47, -109], [2, -3]]
SHAPE = shapely.Polygon(TRIANGLE)
TX, TY = _x_y(13, 12)
BOXES = shapely.box(TX - SIDE / 2, TY - SIDE / 2, TX + SIDE / 2, TY + SIDE / 2)
SHARES = shapely.area(shapely.intersection(BOXES, SHAPE)) / SIDE**2
SHARES = np.where((SHARES >= 1 / 256) & _given(TX, TY), SHARES, 0)
CENTRES = shapely.contains_xy(SHAPE, TX, TY) & _given(TX, TY)
TV = _value(TX, TY)


def _triangle():
    return ee.Geometry.Polygon([TRIANGLE], "EPSG:3857", False)


MEAN = np.average(TV, weights=SHARES)

CASES += [
    case(
        "weights in a polygon",
        _reduce(
            ["v"],
            lambda: (
                ee.Reducer.mean()
                .combine(ee.Reducer.sum(), "", True)
                .combine(ee.Reducer.stdDev(), "", True)
            ),
            _triangle,
        ),
        {
            "v_mean": MEAN,
            "v_sum": (TV * SHARES).sum(),
            "v_stdDev": np.sqrt(np.average((TV - MEAN) ** 2, weights=SHARES)),
        },
        guide("reducers_reduce_region"),
        1e-4,
    ),
    case(
        "weighted frequencies",
        lambda: (
            _image()
            .select("k")
            .reduceRegion(ee.Reducer.frequencyHistogram(), _triangle(), SIDE, "EPSG:3857")
        ),
        {"k": {str(k): SHARES[k == TV % 5].sum() for k in range(5)}},
        guide("reducers_reduce_region"),
        1e-4,
    ),
    case(
        "centres inside count for what is not weighted",
        _reduce(["v"], ee.Reducer.count, _triangle),
        {"v": int(CENTRES.sum())},
        guide("reducers_reduce_region"),
    ),
    case(
        "unweighted mean in a polygon",
        _reduce(["v"], lambda: ee.Reducer.mean().unweighted(), _triangle),
        {"v": TV[CENTRES].mean()},
        guide("reducers_reduce_region"),
        TINY,
    ),
    case(
        "a fraction of a mask is a weight",
        lambda: (
            ee.Image(3)
            .updateMask(0.25)
            .reduceRegion(ee.Reducer.sum(), _rectangle(4, 4), SIDE, "EPSG:3857")
        ),
        {"constant": 12},
        guide("reducers_reduce_region"),
        TINY,
    ),
]

# --- arguments and errors


def _sum(**arguments):
    return lambda: ee.Image(1).reduceRegion(
        ee.Reducer.sum(), _rectangle(100, 100), crs="EPSG:3857", **arguments
    )


CASES += [
    case(
        "too many pixels",
        _sum(scale=10, maxPixels=99),
        Raises(r"Image.reduceRegion: Too many pixels in the region. Found 10000, but only 99 "),
        guide("debugging"),
    ),
    case(
        "bestEffort takes larger pixels",
        _sum(scale=10, maxPixels=99, bestEffort=True),
        Check(lambda got: 50 < got["constant"] <= 99, "fewer pixels"),
        described("Image.reduceRegion"),
    ),
    case(
        "composites have no scale",
        lambda: ee.Image(1).reduceRegion(ee.Reducer.sum(), _rectangle(3, 3)),
        Raises(
            "Image.reduceRegion: The default WGS84 projection is invalid for aggregations. "
            "Specify a scale or crs & crs_transform."
        ),
        guide("projections"),
    ),
    case(
        "a crsTransform replaces the scale",
        lambda: ee.Image(1).reduceRegion(
            ee.Reducer.count(),
            _rectangle(100, 100),
            crs="EPSG:3857",
            crsTransform=[50, 0, 0, 0, -50, 0],
        ),
        {"constant": 400},
        described("Image.reduceRegion"),
    ),
    case(
        "nothing valid",
        lambda: (
            ee.Image(1)
            .updateMask(0)
            .reduceRegion(
                ee.Reducer.mean().combine(ee.Reducer.count(), "", True),
                _rectangle(3, 3),
                SIDE,
                "EPSG:3857",
            )
        ),
        {"constant_mean": None, "constant_count": 0},
        described("Image.reduceRegion"),
    ),
    case(
        "a band for every input",
        _reduce(["v"], ee.Reducer.linearFit, lambda: _rectangle(3, 3)),
        Raises("Need 2 bands for Reducer.linearFit, image has 1"),
        QUOTED,
    ),
    case(
        "lists of a region",
        _reduce(["v"], ee.Reducer.toList, lambda: _rectangle(3, 1)),
        {"v": _value(*_x_y(3, 1))[_given(*_x_y(3, 1))]},
        described("Reducer.toList"),
    ),
    case(
        "repeat over bands",
        _reduce(["v", "w"], lambda: ee.Reducer.max().repeat(2), _triangle),
        {
            "max": [
                TV[CENTRES].max(),
                _other(TX, TY)[CENTRES].max(),
            ]
        },
        described("Reducer.repeat"),
    ),
]

# --- features

SMALL = _x_y(6, 4)
SV, SW, SK = _value(*SMALL), _other(*SMALL), _given(*SMALL)


def _two():
    west = ee.Geometry.Rectangle([0, -40, 30, 0], "EPSG:3857", False)
    east = ee.Geometry.Rectangle([30, -40, 60, 0], "EPSG:3857", False)
    return ee.FeatureCollection(
        [ee.Feature(west, {"name": "west"}), ee.Feature(east, {"name": "east"})]
    )


def _of(properties):
    """Return properties of all features as lists, without nulls."""
    return lambda collection: ee.List([collection.aggregate_array(p) for p in properties])


def _half(values, east):
    part = (slice(None), slice(3, 6) if east else slice(0, 3))
    return values[part][SK[part]]


def _regions(bands, reducer, properties):
    return lambda: _of(properties)(
        _image().select(bands).reduceRegions(_two(), reducer(), SIDE, "EPSG:3857")
    )


GRID = Grid(6, 4)
ALL = np.ones((4, 6), bool)

CASES += [
    case(
        "reduceRegions of one band has the output's name",
        _regions(["v"], ee.Reducer.mean, ["name", "mean"]),
        [["west", "east"], [_half(SV, False).mean(), _half(SV, True).mean()]],
        OURS,
        TINY,
    ),
    case(
        "reduceRegions of several bands has theirs",
        _regions(["v", "w"], ee.Reducer.mean, ["v", "w"]),
        [[_half(values, east).mean() for east in (False, True)] for values in (SV, SW)],
        sample("ee_image_reduceregions"),
        TINY,
    ),
    case(
        "reduceRegions of several bands with several outputs",
        _regions(["v", "w"], ee.Reducer.minMax, ["v_min", "w_max"]),
        [
            [_half(SV, east).min() for east in (False, True)],
            [_half(SW, east).max() for east in (False, True)],
        ],
        sample("ee_image_reduceregions"),
    ),
    case(
        "sample",
        lambda: _of(["v", "w"])(_image().sample(_rectangle(6, 4), SIDE, "EPSG:3857")),
        [SV[SK], SW[SK]],
        described("Image.sample"),
    ),
    case(
        "sample keeps nulls if told so",
        lambda: _image().sample(_rectangle(6, 4), SIDE, "EPSG:3857", dropNulls=False).size(),
        24,
        described("Image.sample"),
    ),
    case(
        "sample of a number of pixels",
        lambda: _image().sample(_rectangle(6, 4), SIDE, "EPSG:3857", numPixels=5).size(),
        5,
        described("Image.sample"),
    ),
    case(
        "sample of a share",
        lambda: ee.Image(1).sample(_rectangle(100, 100), SIDE, "EPSG:3857", factor=0.3).size(),
        Check(lambda n: abs(n - 3000) < 250, "about 30 %"),
        described("Image.sample"),
    ),
    case(
        "sample with points",
        lambda: ee.List(
            ee.Image(1)
            .sample(_rectangle(1, 1), SIDE, "EPSG:3857", geometries=True)
            .first()
            .geometry()
            .transform("EPSG:3857", 0.001)
            .coordinates()
        ),
        [5, -5],
        described("Image.sample"),
        1e-3,
    ),
    case(
        "sampleRegions",
        lambda: _of(["name", "v"])(_image().sampleRegions(_two(), ["name"], SIDE, "EPSG:3857")),
        [
            ["west"] * len(_half(SV, False)) + ["east"] * len(_half(SV, True)),
            [*_half(SV, False), *_half(SV, True)],
        ],
        described("Image.sampleRegions"),
    ),
    case(
        "sampleRegions copies no property of the system",
        lambda: (
            ee.Image(1)
            .sampleRegions(
                ee.FeatureCollection(
                    [ee.Feature(_rectangle(1, 1), {"a": 1, "system:time_start": 5})]
                ),
                None,
                SIDE,
                "EPSG:3857",
            )
            .first()
            .toDictionary()
        ),
        {"a": 1, "constant": 1},
        described("Image.sampleRegions"),
    ),
    case(
        "stratifiedSample",
        lambda: (
            _image()
            .stratifiedSample(3, "k", _rectangle(40, 40), SIDE, "EPSG:3857", 1, [0, 2], [5, 0])
            .aggregate_histogram("k")
        ),
        {"0": 5, "1": 3, "3": 3, "4": 3},
        described("Image.stratifiedSample"),
    ),
    case(
        "sampleRectangle",
        lambda: (
            _image()
            .select(["v"])
            .reproject("EPSG:3857", None, SIDE)
            .sampleRectangle(_rectangle(6, 4), defaultValue=-1)
            .get("v")
        ),
        np.where(SK, SV, -1),
        described("Image.sampleRectangle"),
    ),
    case(
        "sampleRectangle of masked pixels needs a default",
        lambda: (
            _image()
            .select(["v"])
            .reproject("EPSG:3857", None, SIDE)
            .sampleRectangle(_rectangle(6, 4))
            .get("v")
        ),
        Raises("no default value set"),
        OURS,
    ),
    case(
        "getRegion",
        lambda: ee.ImageCollection(
            [
                ee.Image([1, 2]).rename(["a", "b"]).set("system:time_start", 1000),
                ee.Image([3, 4]).rename(["a", "b"]).updateMask(ee.Image([1, 0])),
            ]
        ).getRegion(
            ee.Geometry.Point([0.00005, 0.00005]), None, "EPSG:4326", [1e-4, 0, 0, 0, 1e-4, 0]
        ),
        [
            ["id", "longitude", "latitude", "time", "a", "b"],
            ["0", 0.00005, 0.00005, 1000, 1, 2],
            ["1", 0.00005, 0.00005, None, 3, None],
        ],
        described("ImageCollection.getRegion"),
    ),
    case(
        "qualityMosaic",
        lambda: ee.ImageCollection(
            [
                ee.Image([1, 5]).rename(["a", "q"]),
                ee.Image([2, 9]).rename(["a", "q"]),
                ee.Image([3, 99]).rename(["a", "q"]).updateMask(0),
            ]
        ).qualityMosaic("q"),
        {"a": np.full((4, 6), 2), "q": np.full((4, 6), 9)},
        guide("ic_composite_mosaic"),
        grid=GRID,
    ),
    case(
        "mosaic has the last on top",
        lambda: ee.ImageCollection([ee.Image(1), ee.Image(2), ee.Image(3).updateMask(0)]).mosaic(),
        {"constant": np.full((4, 6), 2)},
        guide("ic_composite_mosaic"),
        grid=GRID,
    ),
    case(
        "toBands puts the index before the name",
        lambda: (
            ee.ImageCollection([ee.Image(1).rename("a"), ee.Image(2).rename("a")])
            .toBands()
            .bandNames()
        ),
        ["0_a", "1_a"],
        described("ImageCollection.toBands"),
    ),
]

# --- segments

#: Two pixels that touch in a corner, and a block.
LABELS = np.array([[1, 0, 0, 0, 0, 0], [0, 1, 0, 2, 2, 0], [0, 0, 0, 2, 2, 0], [0, 0, 0, 0, 0, 0]])


def _labels():
    xy = ee.Image.pixelCoordinates(ee.Projection("EPSG:3857").scale(SIDE, -SIDE)).floor()
    column, row = xy.select("x"), xy.select("y")
    image = ee.Image(0)
    for r, c in zip(*np.nonzero(LABELS), strict=True):
        here = column.eq(int(c)).And(row.eq(int(r)))
        image = image.where(here, int(LABELS[r, c]))
    return image.toInt().rename("label").selfMask()


def _vectors(image=None, **arguments):
    arguments = {"geometry": _rectangle(6, 4), "scale": SIDE, "crs": "EPSG:3857", **arguments}
    return (image or _labels()).reduceToVectors(**arguments)


def _in_plane(collection):
    """Return the features' areas on the grid's plane."""

    def measured(feature):
        shape = feature.geometry().transform("EPSG:3857", 0.001)
        return feature.set("area", shape.area(0.001, "EPSG:3857"))

    return collection.map(measured).aggregate_array("area")


CASES += [
    case(
        "reduceToVectors counts pixels",
        lambda: _of(["label", "count"])(_vectors()),
        [[1, 2], [2, 4]],
        described("Image.reduceToVectors"),
    ),
    case(
        "reduceToVectors of four neighbours",
        lambda: _of(["label", "count"])(_vectors(eightConnected=False)),
        [[1, 1, 2], [1, 1, 4]],
        described("Image.reduceToVectors"),
    ),
    case(
        "reduceToVectors draws the pixels' outlines",
        lambda: _in_plane(_vectors()),
        [200, 400],
        described("Image.reduceToVectors"),
        0.1,
    ),
    case(
        "reduceToVectors with boxes",
        lambda: _in_plane(_vectors(geometryType="bb")),
        [400, 400],
        described("Image.reduceToVectors"),
        0.1,
    ),
    case(
        "reduceToVectors with centroids in the pixels' projection",
        lambda: (
            _vectors(geometryType="centroid", geometryInNativeProjection=True)
            .filter(ee.Filter.eq("label", 2))
            .first()
            .geometry()
            .coordinates()
        ),
        [40, -20],
        described("Image.reduceToVectors"),
        TINY,
    ),
    case(
        "reduceToVectors reduces the other bands",
        lambda: _vectors(
            _labels().addBands(_image().select("v").unmask(0)),
            reducer=ee.Reducer.sum(),
            labelProperty="zone",
        ).aggregate_array("sum"),
        [np.where(SK, SV, 0)[i == LABELS].sum() for i in (1, 2)],
        OURS,
        TINY,
    ),
    case(
        "reduceToVectors needs bands to reduce",
        lambda: _vectors(reducer=ee.Reducer.mean()).size(),
        Raises(r"Need 1\+1 bands"),
        QUOTED,
    ),
    case(
        "reduceToVectors counts without other bands only",
        lambda: _vectors(_labels().addBands(ee.Image(1)), reducer=ee.Reducer.countEvery()).size(),
        Raises(r"Need 1\+0 bands for Reducer.countEvery, image has 2"),
        QUOTED,
    ),
    case(
        "reduceConnectedComponents",
        lambda: (
            _labels()
            .addBands(_image().select("v").unmask(0))
            .reduceConnectedComponents(ee.Reducer.max(), "label")
        ),
        {
            "v": np.select(
                [LABELS == 1, LABELS == 2],
                [np.where(SK, SV, 0)[i == LABELS].max() for i in (1, 2)],
            )
        },
        described("Image.reduceConnectedComponents"),
        grid=GRID,
    ),
    case(
        "reduceConnectedComponents masks what is too large",
        lambda: (
            ee.Image(1)
            .rename("label")
            .addBands(ee.Image(5))
            .reduceConnectedComponents(ee.Reducer.max(), "label", 3)
        ),
        {"constant": np.zeros((4, 6))},
        described("Image.reduceConnectedComponents"),
        grid=GRID,
    ),
]

# --- properties

PROPERTY = [4, 8.5, 1, 7, 7, -2]


def _features():
    rows = [ee.Feature(None, {"p": p}) for p in PROPERTY]
    return ee.FeatureCollection([*rows, ee.Feature(None, {"q": 1})])


AGGREGATES = {
    "array": PROPERTY,
    "count": len(PROPERTY),
    "count_distinct": len(set(PROPERTY)),
    "first": PROPERTY[0],
    "histogram": {"-2": 1, "1": 1, "4": 1, "7": 2, "8.5": 1},
    "max": max(PROPERTY),
    "min": min(PROPERTY),
    "mean": np.mean(PROPERTY),
    "product": np.prod(PROPERTY),
    "sum": np.sum(PROPERTY),
    "sample_sd": np.std(PROPERTY, ddof=1),
    "sample_var": np.var(PROPERTY, ddof=1),
    "total_sd": np.std(PROPERTY),
    "total_var": np.var(PROPERTY),
}

CASES += [
    *(
        case(
            f"aggregate_{name}",
            lambda name=name: getattr(_features(), f"aggregate_{name}")("p"),
            expected,
            library("numpy"),
        )
        for name, expected in AGGREGATES.items()
    ),
    case(
        "aggregate_stats",
        lambda: _features().aggregate_stats("p"),
        {
            "sum": np.sum(PROPERTY),
            "min": -2,
            "max": 8.5,
            "mean": np.mean(PROPERTY),
            "sample_sd": np.std(PROPERTY, ddof=1),
            "sample_var": np.var(PROPERTY, ddof=1),
            "total_sd": np.std(PROPERTY),
            "total_var": np.var(PROPERTY),
            "total_count": 7,
            "valid_count": 6,
            "sum_sq": np.sum(np.square(PROPERTY)),
            "weight_sum": 6,
            "weighted_sum": np.sum(PROPERTY),
        },
        described("AggregateFeatureCollection.stats"),
    ),
    case(
        "reduceColumns with a weight for each input",
        lambda: ee.FeatureCollection(
            [
                ee.Feature(None, {"a": 1, "b": 5, "s": 1, "t": 3}),
                ee.Feature(None, {"a": 2, "b": 9, "s": 3, "t": 1}),
            ]
        ).reduceColumns(ee.Reducer.mean().repeat(2), ["a", "b"], ["s", "t"]),
        {"mean": [np.average([1, 2], weights=[1, 3]), np.average([5, 9], weights=[3, 1])]},
        described("Collection.reduceColumns"),
    ),
    case(
        "reduceColumns without values",
        lambda: ee.FeatureCollection([]).reduceColumns(ee.Reducer.mean(), ["a"]),
        {"mean": None},
        described("Collection.reduceColumns"),
    ),
    case(
        "a collection to a list of pairs",
        lambda: (
            _features()
            .filter(ee.Filter.notNull(["p"]))
            .reduceColumns(ee.Reducer.toList(2), ["system:index", "p"])
            .get("list")
        ),
        [[str(i), p] for i, p in enumerate(PROPERTY)],
        guide("reducers_reduce_columns"),
    ),
]
