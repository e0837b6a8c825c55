"""Reducers: of lists, tables, stacks of images and regions of several tiles."""

import math

import ee
import numpy as np
import scipy.stats

from conformance.cases import Check, Grid, Raises, case, described, guide, library, sample

#: A name or message that public code shows, but no page of Earth Engine's that was found.
QUOTED = "as public code on GitHub has it"
OURS = "a choice of ours: not published"
RANDOM = np.random.default_rng(7)
NUMBERS = [4.0, 8.5, 1.0, 7.0, 7.0, -2.0, 3.5, 7.0, 1.0]
WHOLE = [12, 10, 14, 10, 12, 12, 8]
ANGLES = np.round(RANDOM.uniform(-3, 3, 9), 3).tolist()
X = np.round(RANDOM.normal(10, 3, 25), 2).tolist()
Y = np.round(0.7 * np.array(X) + RANDOM.normal(0, 2, 25), 2).tolist()
WEIGHTS = np.round(RANDOM.uniform(0.1, 2, 25), 2).tolist()


def _list(values, reducer):
    return lambda: ee.List(values).reduce(reducer())


def _get(key, values, reducer):
    return lambda: ee.Dictionary(ee.List(values).reduce(reducer())).get(key)


def _table(columns, reducer, weights=None):
    """Reduce the columns of a table, named by letters."""
    names = "abcdefgh"[: len(columns)]

    def build():
        rows = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
        if weights is not None:
            rows = [{**row, "w": w} for row, w in zip(rows, weights, strict=True)]
        table = ee.FeatureCollection([ee.Feature(None, row) for row in rows])
        selectors = None if weights is None else ["w"]
        return table.reduceColumns(reducer(), list(names), selectors)

    return build


# --- one input: values, output, what numpy or scipy make of it


def _mode(values):
    return float(scipy.stats.mode(values).mode)


def _runs(values):
    return 1 + int(np.count_nonzero(np.diff(values)))


def _interval_mean(values, low, high):
    first, last = np.percentile(values, [low, high])
    kept = np.asarray(values)
    return kept[(kept >= first) & (kept <= last)].mean()


STATISTICS = {
    "sum": (np.sum, "numpy.sum"),
    "mean": (np.mean, "numpy.mean"),
    "median": (np.median, "numpy.median"),
    "mode": (_mode, "scipy.stats.mode"),
    "variance": (np.var, "numpy.var"),
    "stdDev": (np.std, "numpy.std"),
    "sampleVariance": (lambda v: np.var(v, ddof=1), "numpy.var"),
    "sampleStdDev": (lambda v: np.std(v, ddof=1), "numpy.std"),
    "skew": (scipy.stats.skew, "scipy.stats.skew"),
    "kurtosis": (scipy.stats.kurtosis, "scipy.stats.kurtosis"),
    "min": (np.min, "numpy.min"),
    "max": (np.max, "numpy.max"),
    "product": (np.prod, "numpy.prod"),
    "count": (len, "len"),
    "countEvery": (len, "len"),
    "countDistinct": (lambda v: len(np.unique(v)), "numpy.unique"),
    "countDistinctNonNull": (lambda v: len(np.unique(v)), "numpy.unique"),
    "countRuns": (_runs, "numpy.diff"),
    "first": (lambda v: v[0], "the first"),
    "firstNonNull": (lambda v: v[0], "the first"),
    "last": (lambda v: v[-1], "the last"),
    "lastNonNull": (lambda v: v[-1], "the last"),
    "anyNonZero": (np.any, "numpy.any"),
    "allNonZero": (np.all, "numpy.all"),
}
CIRCULAR = {
    "circularMean": (lambda v: scipy.stats.circmean(v, high=np.pi, low=-np.pi), "circmean"),
    "circularVariance": (scipy.stats.circvar, "circvar"),
    "circularStddev": (scipy.stats.circstd, "circstd"),
}
BITS = {"bitwiseAnd": np.bitwise_and.reduce, "bitwiseOr": np.bitwise_or.reduce}
OUTPUTS = {
    "sampleVariance": "variance",
    "sampleStdDev": "stdDev",
    "firstNonNull": "first",
    "lastNonNull": "last",
    "anyNonZero": "any",
    "allNonZero": "all",
    "circularStddev": "circularStdDev",
    **dict.fromkeys(["countEvery", "countDistinct", "countDistinctNonNull", "countRuns"], "count"),
}

CASES = [
    *(
        case(
            f"{name} of a list",
            _list(NUMBERS, getattr(ee.Reducer, name)),
            f(NUMBERS),
            library(where),
        )
        for name, (f, where) in STATISTICS.items()
    ),
    *(
        case(
            f"{name} of a list",
            _list(ANGLES, getattr(ee.Reducer, name)),
            f(ANGLES),
            library(f"scipy.stats.{where}"),
        )
        for name, (f, where) in CIRCULAR.items()
    ),
    *(
        case(
            f"{name} of a list",
            _list(WHOLE, getattr(ee.Reducer, name)),
            int(f(WHOLE)),
            library("numpy"),
        )
        for name, f in BITS.items()
    ),
    *(
        case(
            f"output name of {name}",
            lambda name=name: getattr(ee.Reducer, name)().getOutputs(),
            [OUTPUTS.get(name, name)],
            described(f"Reducer.{name}"),
        )
        for name in (*STATISTICS, *CIRCULAR, *BITS)
    ),
    *(
        case(
            f"{name} is another name",
            lambda name=name: ee.List([1, 0]).reduce(ee.ApiFunction.call_(f"Reducer.{name}")),
            value,
            described(f"Reducer.{name}"),
        )
        for name, value in (("or", 1), ("and", 0))
    ),
    case(
        "count of nothing",
        _list([], ee.Reducer.count),
        0,
        sample("ee_reducer_count"),
    ),
    case("count skips nulls", _list([1, None, 3], ee.Reducer.count), 2, sample("ee_reducer_count")),
    case("count takes text", _list([1, "", 3], ee.Reducer.count), 3, sample("ee_reducer_count")),
    case(
        "countEvery counts nulls",
        _list([1, None, 3], ee.Reducer.countEvery),
        3,
        described("Reducer.countEvery"),
    ),
    case(
        "countDistinct counts null as a value",
        _list([1, None, 1], ee.Reducer.countDistinct),
        2,
        described("Reducer.countDistinct"),
    ),
    case(
        "countDistinctNonNull does not",
        _list([1, None, 1], ee.Reducer.countDistinctNonNull),
        1,
        described("Reducer.countDistinctNonNull"),
    ),
    case("first may be null", _list([None, 2], ee.Reducer.first), None, described("Reducer.first")),
    case(
        "firstNonNull is not",
        _list([None, 2], ee.Reducer.firstNonNull),
        2,
        described("Reducer.firstNonNull"),
    ),
    case("mean of nothing is null", _list([], ee.Reducer.mean), None, described("Reducer.mean")),
    case(
        "minMax",
        _list([1, 2, 3, 4], ee.Reducer.minMax),
        {"min": 1, "max": 4},
        "samples/javascript/apidocs/ee-reducer-minmax.js",
    ),
    case(
        "min brings the other inputs along",
        _list([[3, 30, "c"], [1, 10, "a"], [2, 20, "b"]], lambda: ee.Reducer.min(3)),
        {"min": 1, "min1": 10, "min2": "a"},
        OURS,
    ),
    case(
        "max brings the other inputs along",
        _list([[3, 30], [1, 10], [2, 20]], lambda: ee.Reducer.max(2)),
        {"max": 3, "max1": 30},
        OURS,
    ),
    case(
        "percentiles",
        _list(X, lambda: ee.Reducer.percentile([0, 10, 50, 75, 100])),
        dict(
            zip(
                ["p0", "p10", "p50", "p75", "p100"],
                np.percentile(X, [0, 10, 50, 75, 100]),
                strict=True,
            )
        ),
        library("numpy.percentile"),
    ),
    case(
        "percentiles between 0 and 100 only",
        _list(X, lambda: ee.Reducer.percentile([101])),
        Raises("between 0 and 100"),
        described("Reducer.percentile"),
    ),
    case(
        "intervalMean",
        _list(X, lambda: ee.Reducer.intervalMean(20, 70)),
        _interval_mean(X, 20, 70),
        library("numpy.percentile"),
    ),
]

# --- histograms

COUNTS, EDGES = np.histogram(X, bins=6, range=(5, 17))
TABLE = np.stack([EDGES[:-1], COUNTS], axis=1)
PLANE = np.histogram2d(X, Y, bins=(3, 4), range=((5, 17), (3, 13)))


def _is_histogram(values):
    """Buckets of a power of two that hold all values where they belong."""

    def holds(got):
        width, start = got["bucketWidth"], got["bucketMin"]
        edges = start + width * np.arange(len(got["histogram"]) + 1)
        counts, _ = np.histogram(values, edges)
        filled = counts > 0
        sums, _ = np.histogram(values, edges, weights=values)
        means = np.array(got["bucketMeans"])[filled]
        return (
            math.log2(width).is_integer()
            and np.array_equal(counts, got["histogram"])
            and np.allclose(means, sums[filled] / counts[filled])
        )

    return Check(holds, "the histogram of the values")


CASES += [
    case(
        "fixedHistogram",
        _list(X, lambda: ee.Reducer.fixedHistogram(5, 17, 6)),
        TABLE,
        library("numpy.histogram"),
    ),
    case(
        "cumulative fixedHistogram",
        _list(X, lambda: ee.Reducer.fixedHistogram(5, 17, 6, True)),
        np.stack([EDGES[:-1], np.cumsum(COUNTS)], axis=1),
        library("numpy.histogram"),
    ),
    case(
        "fixedHistogram ignores what is outside, also the upper bound",
        _list([-1, 0, 1, 2, 3], lambda: ee.Reducer.fixedHistogram(0, 2, 2)),
        [[0, 1], [1, 1]],
        described("Reducer.fixedHistogram"),
    ),
    case(
        "fixed2DHistogram",
        _list(
            [list(p) for p in zip(X, Y, strict=True)],
            lambda: ee.Reducer.fixed2DHistogram(5, 17, 3, 3, 13, 4),
        ),
        {"histogram": PLANE[0], "xAxis": PLANE[1][:-1], "yAxis": PLANE[2][:-1]},
        library("numpy.histogram2d"),
    ),
    case(
        "frequencyHistogram",
        _list(WHOLE, ee.Reducer.frequencyHistogram),
        {"8": 1, "10": 2, "12": 3, "14": 1},
        library("collections.Counter"),
    ),
    case(
        "frequencyHistogram of text",
        _list(["b", "a", "b"], ee.Reducer.frequencyHistogram),
        {"a": 1, "b": 2},
        library("collections.Counter"),
    ),
    case(
        "histogram",
        _list(X, lambda: ee.Reducer.histogram(16)),
        _is_histogram(X),
        library("numpy.histogram"),
    ),
    case(
        "histogram of whole numbers",
        _list(WHOLE, ee.Reducer.histogram),
        {
            "bucketMin": 8,
            "bucketWidth": 1,
            "histogram": [1, 0, 2, 0, 3, 0, 1],
            "bucketMeans": Check(lambda m: m[::2] == [8, 10, 12, 14], "the values"),
        },
        library("numpy.histogram"),
    ),
    case(
        "histogram with a least width",
        lambda: ee.Dictionary(ee.List(X).reduce(ee.Reducer.histogram(255, 2))).get("bucketWidth"),
        2,
        described("Reducer.histogram"),
    ),
    *(
        case(
            f"{name} is refused",
            _list([1, 2], make),
            Raises(r"Reducer\.\w+: "),
            OURS,
        )
        for name, make in {
            "a histogram without width": lambda: ee.Reducer.histogram(16, 0),
            "a histogram without buckets": lambda: ee.Reducer.histogram(-1),
            "a fixedHistogram without steps": lambda: ee.Reducer.fixedHistogram(0, 1, 0),
            "a fixedHistogram without range": lambda: ee.Reducer.fixedHistogram(1, 1, 4),
            "a regression without terms": lambda: ee.Reducer.linearRegression(0, 1),
            "a list of empty tuples": lambda: ee.Reducer.toList(0),
            "no copy": lambda: ee.Reducer.sum().repeat(0),
            "a percentile without name": lambda: ee.Reducer.percentile([1, 2], ["a"]),
        }.items()
    ),
    case(
        "infinite numbers are in no bucket",
        lambda: ee.Dictionary(
            ee.List([1, ee.Number.parse("Infinity"), 2]).reduce(ee.Reducer.histogram(4))
        ).get("histogram"),
        Check(lambda counts: sum(counts) == 2, "two"),
        OURS,
    ),
    case(
        "autoHistogram",
        _list(WHOLE, ee.Reducer.autoHistogram),
        [[8, 1], [9, 0], [10, 2], [11, 0], [12, 3], [13, 0], [14, 1]],
        library("numpy.histogram"),
    ),
    case(
        "cumulative autoHistogram",
        _list([1, 2, 2], lambda: ee.Reducer.autoHistogram(cumulative=True)),
        [[1, 1], [2, 3]],
        library("numpy.cumsum"),
    ),
]

# --- pairs

PAIRS = [list(pair) for pair in zip(X, Y, strict=True)]
TIED = [[1, 2], [2, 2], [2, 4], [3, 3], [5, 7], [5, 1]]
TX, TY = zip(*TIED, strict=True)
FIT = scipy.stats.linregress(X, Y)
SEN = scipy.stats.theilslopes(Y, X)


def _weighted_fit():
    slope, offset = np.polyfit(X, Y, 1, w=np.sqrt(WEIGHTS))
    return {"scale": slope, "offset": offset}


CASES += [
    case(
        "linearFit",
        _list(PAIRS, ee.Reducer.linearFit),
        {"scale": FIT.slope, "offset": FIT.intercept},
        library("scipy.stats.linregress"),
    ),
    case(
        "weighted linearFit",
        _table([X, Y], ee.Reducer.linearFit, WEIGHTS),
        _weighted_fit(),
        library("numpy.polyfit"),
    ),
    case(
        "pearsonsCorrelation",
        _list(PAIRS, ee.Reducer.pearsonsCorrelation),
        {"correlation": FIT.rvalue, "p-value": FIT.pvalue},
        library("scipy.stats.linregress"),
    ),
    case(
        "spearmansCorrelation with ties",
        _list(TIED, ee.Reducer.spearmansCorrelation),
        scipy.stats.spearmanr(TX, TY).statistic,
        library("scipy.stats.spearmanr"),
    ),
    case(
        "kendallsCorrelation with ties",
        _get("tau", TIED, lambda: ee.Reducer.kendallsCorrelation(2)),
        scipy.stats.kendalltau(TX, TY).statistic,
        library("scipy.stats.kendalltau"),
    ),
    case(
        "kendallsCorrelation with the order",
        _get("tau", TY, lambda: ee.Reducer.kendallsCorrelation(1)),
        scipy.stats.kendalltau(range(len(TY)), TY).statistic,
        library("scipy.stats.kendalltau"),
    ),
    case(
        "sensSlope",
        _list(PAIRS, ee.Reducer.sensSlope),
        {"slope": SEN.slope, "offset": SEN.intercept},
        library("scipy.stats.theilslopes"),
    ),
    case(
        "covariance",
        lambda: ee.List([ee.Array(pair) for pair in PAIRS]).reduce(ee.Reducer.covariance()),
        np.cov(X, Y, ddof=0),
        library("numpy.cov"),
    ),
    case(
        "centeredCovariance",
        lambda: ee.List(
            [ee.Array(p) for p in (np.array(PAIRS) - np.mean(PAIRS, 0)).tolist()]
        ).reduce(ee.Reducer.centeredCovariance()),
        np.cov(X, Y, ddof=0),
        library("numpy.cov"),
    ),
    case(
        "geometricMedian of a point among its reflections",
        _list(
            [[3, 1], [5, 3], [1, 1], [5, 1], [1, 3], [3, 3], [3, 2]],
            lambda: ee.Reducer.geometricMedian(2, 1e-12),
        ),
        Check(lambda got: np.allclose(list(got.values()), [3, 2], atol=1e-3), "the centre"),
        described("Reducer.geometricMedian"),
    ),
]

# --- regressions

DESIGN = np.column_stack([np.ones(25), X, np.square(X)])
TARGETS = np.column_stack([Y, np.sqrt(np.abs(Y))])
ROWS = np.column_stack([DESIGN, TARGETS]).tolist()
SOLVED = np.linalg.lstsq(DESIGN, TARGETS)[0]
RMS = np.sqrt(np.mean((TARGETS - DESIGN @ SOLVED) ** 2, axis=0))


def _ridge(penalty):
    """Centre, penalise the slopes, and let the intercept take up the means."""
    x, y = DESIGN[:, 1:] - DESIGN[:, 1:].mean(0), TARGETS - TARGETS.mean(0)
    slopes = np.linalg.solve(x.T @ x + penalty * np.eye(2), x.T @ y)
    return np.vstack([slopes, TARGETS.mean(0) - DESIGN[:, 1:].mean(0) @ slopes])


RIDGE = _ridge(3)
RIDGE_RMS = np.sqrt(
    np.mean((TARGETS - np.column_stack([DESIGN[:, 1:], np.ones(25)]) @ RIDGE) ** 2, 0)
)
LINE = [[1, t, 2 + 3 * t] for t in range(12)]
SPOILT = [[1, t, 2 + 3 * t + (50 if t in (3, 8) else 0)] for t in range(12)]
#: A residual is rounding error where the fit is exact.
CLOSE = 1e-7

CASES += [
    case(
        "linearRegression",
        _list(ROWS, lambda: ee.Reducer.linearRegression(3, 2)),
        {"coefficients": SOLVED, "residuals": RMS},
        library("numpy.linalg.lstsq"),
    ),
    case(
        "weighted linearRegression",
        lambda: ee.Dictionary(
            _table([*DESIGN.T.tolist(), Y], lambda: ee.Reducer.linearRegression(3), WEIGHTS)()
        ).get("coefficients"),
        np.linalg.lstsq(
            DESIGN * np.sqrt(WEIGHTS)[:, None], (np.array(Y) * np.sqrt(WEIGHTS))[:, None]
        )[0],
        library("numpy.linalg.lstsq"),
    ),
    case(
        "linearRegression needs more inputs than terms",
        _list(ROWS[:3], lambda: ee.Reducer.linearRegression(3, 2)),
        {"coefficients": None, "residuals": None},
        described("Reducer.linearRegression"),
    ),
    case(
        "linearRegression by terms that depend on each other",
        _list([[1, 2, t] for t in range(5)], lambda: ee.Reducer.linearRegression(2, 1)),
        {"coefficients": None, "residuals": None},
        described("Reducer.linearRegression"),
    ),
    case(
        "robustLinearRegression leaves outliers out",
        _list(SPOILT, lambda: ee.Reducer.robustLinearRegression(2, 1)),
        {"coefficients": [[2], [3]], "residuals": [0]},
        described("Reducer.robustLinearRegression"),
        CLOSE,
    ),
    case(
        "robustLinearRegression with a wide margin is linearRegression",
        _get("coefficients", ROWS, lambda: ee.Reducer.robustLinearRegression(3, 2, 1e6)),
        SOLVED,
        library("numpy.linalg.lstsq"),
    ),
    case(
        "ridgeRegression",
        _list([row[1:] for row in ROWS], lambda: ee.Reducer.ridgeRegression(2, 2, 3)),
        {
            "coefficients": RIDGE,
            "residuals": RIDGE_RMS,
            "pValue": Check(lambda p: len(p) == 2 and max(p) < 0.01, "small"),
        },
        library("numpy.linalg.solve"),
        1e-8,
    ),
    case(
        "ridgeRegression needs an input more than terms",
        _get("coefficients", [[1, 2, 3], [2, 3, 4]], lambda: ee.Reducer.ridgeRegression(2, 1)),
        None,
        described("Reducer.ridgeRegression"),
    ),
]

# --- lists, and reducers of reducers

KEYS, VALUES = [1, 2, 1, 3], [10, 5, 20, 7]


CASES += [
    case("toList", _list([3, None, 1], ee.Reducer.toList), [3, 1], described("Reducer.toList")),
    case(
        "toList of pairs",
        _table([KEYS, VALUES], lambda: ee.Reducer.toList(2)),
        {"list": [[1, 10], [2, 5], [1, 20], [3, 7]]},
        guide("reducers_reduce_columns"),
    ),
    case(
        "toList with an optional input",
        _list([[1, None], [None, 2], [3, 4]], lambda: ee.Reducer.toList(2, 1)),
        [[1, None], [3, 4]],
        described("Reducer.toList"),
    ),
    case(
        "toCollection",
        lambda: ee.FeatureCollection(
            ee.List([[1, "a"], [2, "b"]]).reduce(ee.Reducer.toCollection(["n", "s"]))
        ).aggregate_array("s"),
        ["a", "b"],
        described("Reducer.toCollection"),
    ),
    case(
        "combine with shared inputs",
        _table([VALUES], lambda: ee.Reducer.mean().combine(ee.Reducer.max(), "top_", True)),
        {"mean": 10.5, "top_max": 20},
        described("Reducer.combine"),
    ),
    case(
        "combine with inputs of their own",
        _table([KEYS, VALUES], lambda: ee.Reducer.sum().combine(ee.Reducer.max())),
        {"sum": 7, "max": 20},
        described("Reducer.combine"),
    ),
    case(
        "repeat",
        _table([KEYS, VALUES], lambda: ee.Reducer.minMax().repeat(2)),
        {"min": [1, 5], "max": [3, 20]},
        described("Reducer.repeat"),
    ),
    case(
        "group",
        _table([VALUES, KEYS], lambda: ee.Reducer.sum().group(1, "k")),
        {"groups": [{"k": 1, "sum": 30}, {"k": 2, "sum": 5}, {"k": 3, "sum": 7}]},
        described("Reducer.group"),
    ),
    case(
        "the group comes after weighted inputs",
        _table([KEYS, VALUES], lambda: ee.Reducer.sum().group(0)),
        Raises("Group input must come after weighted inputs"),
        QUOTED,
    ),
    case(
        "the group comes first where nothing is weighted",
        _table([KEYS, VALUES], lambda: ee.Reducer.max().group(0)),
        {"groups": [{"group": 1, "max": 20}, {"group": 2, "max": 5}, {"group": 3, "max": 7}]},
        described("Reducer.group"),
    ),
    case(
        "frequencies of large and fractional numbers",
        _list([1234567.0, 0.125, 1234567.0], ee.Reducer.frequencyHistogram),
        {"1234567": 2, "0.125": 1},
        library("collections.Counter"),
    ),
    case(
        "group of groups",
        _table(
            [[1, 2, 3, 4], [0, 0, 1, 1], [5, 5, 5, 6]],
            lambda: ee.Reducer.sum().group(1, "inner").group(2, "outer"),
        ),
        {
            "groups": [
                {
                    "outer": 5,
                    "groups": [{"inner": 0, "sum": 3}, {"inner": 1, "sum": 3}],
                },
                {"outer": 6, "groups": [{"inner": 1, "sum": 4}]},
            ]
        },
        guide("reducers_grouping"),
    ),
    case(
        "forEach",
        _table([KEYS, VALUES], lambda: ee.Reducer.sum().forEach(["k", "v"])),
        {"k": 7, "v": 42},
        described("Reducer.forEach"),
    ),
    case(
        "forEach prefixes several outputs",
        lambda: ee.Reducer.minMax().forEach(["k", "v"]).getOutputs(),
        ["k_min", "k_max", "v_min", "v_max"],
        described("Reducer.forEach"),
    ),
    case(
        "forEachBand",
        lambda: ee.Reducer.sum().forEachBand(ee.Image([1, 2]).rename(["r", "s"])).getOutputs(),
        ["r", "s"],
        described("Reducer.forEachBand"),
    ),
    case(
        "forEachElement",
        lambda: ee.List([ee.Array([[1, 2], [3, 4]]), ee.Array([[10, 20], [30, 40]])]).reduce(
            ee.Reducer.sum().forEachElement()
        ),
        [[11, 22], [33, 44]],
        described("Reducer.forEachElement"),
    ),
    case(
        "disaggregate",
        _list([[1, 2], {"x": 3, "y": 4}, 5], lambda: ee.Reducer.sum().disaggregate()),
        15,
        described("Reducer.disaggregate"),
    ),
    case(
        "disaggregate arrays along an axis",
        lambda: ee.List([ee.Array([[1, 2], [3, 4]]), ee.Array([[5, 6]])]).reduce(
            ee.Reducer.sum().forEachElement().disaggregate(0)
        ),
        [9, 12],
        described("Reducer.disaggregate"),
    ),
    case(
        "setOutputs drops what has no name",
        lambda: ee.Reducer.minMax().setOutputs([None, "top"]).getOutputs(),
        ["top"],
        described("Reducer.setOutputs"),
    ),
    case(
        "setOutputs renames and drops",
        _list([1, 5], lambda: ee.Reducer.minMax().setOutputs(["", "top"])),
        5,
        described("Reducer.setOutputs"),
    ),
    case(
        "splitWeights",
        _list([[10, 1], [20, 3]], lambda: ee.Reducer.mean().splitWeights()),
        17.5,
        described("Reducer.splitWeights"),
    ),
    case(
        "weights of a table",
        _table([X], ee.Reducer.mean, WEIGHTS),
        {"mean": np.average(X, weights=WEIGHTS)},
        library("numpy.average"),
    ),
    case(
        "unweighted",
        _table([X], lambda: ee.Reducer.mean().unweighted(), WEIGHTS),
        {"mean": np.mean(X)},
        described("Reducer.unweighted"),
    ),
    case(
        "a row of the wrong length",
        _list([[1, 2, 3]], ee.Reducer.linearFit),
        Raises("Need 2 inputs"),
        OURS,
    ),
]

# --- stacks of images, pixel by pixel

GRID = Grid(7, 5)
COUNT = 9
EAST = (5 + 10 * np.arange(7.0))[None, :] + np.zeros((5, 1))
NORTH = (-5 - 10 * np.arange(5.0))[:, None] + np.zeros((1, 7))


def _value(i, x, y):
    """A number of every pixel, from the same arithmetic on images and arrays."""
    return (x * (3 + 7 * i) + y * 5 + 1000) % (11 + 2 * i)


def _given(i, x, y):
    return (x + y * (i + 1) + 1000) % 7


STACK = np.stack(
    [np.where(_given(i, EAST, NORTH) >= 2, _value(i, EAST, NORTH), np.nan) for i in range(COUNT)]
)


def _images(*more):
    """The same stack as a collection; more bands are functions of the image's number."""
    xy = ee.Image.pixelCoordinates("EPSG:3857")

    def made(function, i):
        x, y = xy.select("x"), xy.select("y")
        if function is _value:
            return x.multiply(3 + 7 * i).add(y.multiply(5)).add(1000).mod(11 + 2 * i)
        return x.add(y.multiply(i + 1)).add(1000).mod(7)

    images = []
    for i in range(COUNT):
        image = ee.Image([*[ee.Image(f(i)).toDouble() for f in more], made(_value, i)])
        names = [*"abcdefg"[: len(more)], "v"]
        images.append(image.rename(names).updateMask(made(_given, i).gte(2)))
    return ee.ImageCollection(images)


def _per_pixel(function, *shape):
    """Apply a function to every pixel's valid values and their positions; 0 without."""
    result = np.zeros((5, 7, *shape))
    for where in np.ndindex(5, 7):
        known = ~np.isnan(STACK[(slice(None), *where)])
        if known.any():
            result[where] = function(STACK[(slice(None), *where)][known], np.flatnonzero(known))
    return result


def _on_stack(name, reducer, expected, source, tolerance=1e-9):
    return case(
        f"{name} of a collection",
        lambda: _images().reduce(reducer()),
        expected,
        library(source),
        tolerance,
        GRID,
    )


def _time(i):
    return 17_500 + 16.0 * i  # days since 1970


HARMONIC = [
    lambda i: 1.0,
    _time,
    lambda i: math.cos(2 * math.pi * _time(i) / 365.25),
    lambda i: math.sin(2 * math.pi * _time(i) / 365.25),
]
TERMS = np.array([[f(i) for f in HARMONIC] for i in range(COUNT)])
ENOUGH = (~np.isnan(STACK)).sum(axis=0) > len(HARMONIC)


def _coefficients(values, position):
    if len(values) <= len(HARMONIC):
        return np.zeros(4)
    return np.linalg.lstsq(TERMS[position], values)[0]


def _residual(values, position):
    if len(values) <= len(HARMONIC):
        return 0
    return np.sqrt(np.mean((values - TERMS[position] @ _coefficients(values, position)) ** 2))


def _regression(reducer, output):
    fitted = _images(*HARMONIC).reduce(reducer)
    return fitted.select(output)


def _flat(image, axes, names):
    return image.arrayProject(axes).arrayFlatten(names)


SHORTCUTS = ("min", "max", "sum", "product", "mean", "median", "mode", "count")
LOGICAL = {"and": np.all, "or": np.any}

CASES += [
    *(
        _on_stack(
            name,
            getattr(ee.Reducer, name),
            {f"v_{OUTPUTS.get(name, name)}": _per_pixel(lambda v, _, f=f: f(v))},
            source,
            1e-4 if name == "product" else 1e-9,
        )
        for name, (f, source) in STATISTICS.items()
        if name not in ("skew", "kurtosis", "sampleVariance", "sampleStdDev", "countEvery")
    ),
    *(
        case(
            f"the shortcut {name}",
            lambda name=name: getattr(_images(), name)(),
            {"v": _per_pixel(lambda v, _, name=name: STATISTICS[name][0](v))},
            library(STATISTICS[name][1]),
            1e-4,
            GRID,
        )
        for name in SHORTCUTS
    ),
    *(
        case(
            f"the shortcut {name}",
            lambda name=name: ee.ApiFunction.call_(f"reduce.{name}", _images()),
            {"v": _per_pixel(lambda v, _, f=f: f(v))},
            library("numpy"),
            1e-9,
            GRID,
        )
        for name, f in LOGICAL.items()
    ),
    _on_stack(
        "percentile",
        lambda: ee.Reducer.percentile([25, 90]),
        {f"v_p{p}": _per_pixel(lambda v, _, p=p: np.percentile(v, p)) for p in (25, 90)},
        "numpy.percentile",
    ),
    _on_stack(
        "intervalMean",
        lambda: ee.Reducer.intervalMean(25, 75),
        {"v_mean": _per_pixel(lambda v, _: _interval_mean(v, 25, 75))},
        "numpy.percentile",
    ),
    case(
        "kendallsCorrelation of a collection",
        lambda: _images().reduce(ee.Reducer.kendallsCorrelation()).select("v_tau"),
        {
            "v_tau": np.nan_to_num(
                _per_pixel(lambda v, t: scipy.stats.kendalltau(t, v).statistic if len(v) > 1 else 0)
            )
        },
        library("scipy.stats.kendalltau"),
        1e-9,
        GRID,
    ),
    case(
        "sensSlope of a collection",
        lambda: _images(_time).reduce(ee.Reducer.sensSlope()).select("slope"),
        {
            "slope": _per_pixel(
                lambda v, t: scipy.stats.theilslopes(v, 16.0 * t).slope if len(v) > 1 else 0
            )
        },
        library("scipy.stats.theilslopes"),
        1e-9,
        GRID,
    ),
    case(
        "linearFit of a collection",
        lambda: _images(_time).reduce(ee.Reducer.linearFit()).select("scale"),
        {"scale": _per_pixel(lambda v, t: np.polyfit(16.0 * t - 64, v, 1)[0] if len(v) > 1 else 0)},
        library("numpy.polyfit"),
        1e-9,
        GRID,
    ),
    case(
        "bands are reduced too",
        lambda: ee.Image([4, 9, 2]).reduce(ee.Reducer.minMax()),
        {"min": np.full((5, 7), 2), "max": np.full((5, 7), 9)},
        described("Image.reduce"),
        grid=GRID,
    ),
    case(
        "a fraction of a mask is a weight",
        lambda: ee.ImageCollection(
            [ee.Image(1).updateMask(0.25), ee.Image(5).updateMask(0.75)]
        ).mean(),
        {"constant": np.full((5, 7), np.average([1, 5], weights=[0.25, 0.75]))},
        library("numpy.average"),
        grid=GRID,
    ),
    case(
        "residuals of a harmonic regression, time in days",
        lambda: _flat(_regression(ee.Reducer.linearRegression(4, 1), "residuals"), [0], [["rms"]]),
        {"rms": _per_pixel(_residual)},
        library("numpy.linalg.lstsq"),
        1e-6,
        GRID,
    ),
    case(
        "toList of a collection is an array",
        lambda: (
            ee.ImageCollection([ee.Image(3), ee.Image(4).updateMask(0), ee.Image(5)])
            .reduce(ee.Reducer.toList())
            .arrayFlatten([["a", "b"]])
        ),
        {"a": np.full((5, 7), 3), "b": np.full((5, 7), 5)},
        described("Reducer.toList"),
        grid=GRID,
    ),
    case(
        "the least of text",
        _list(["b", "a", "c"], ee.Reducer.min),
        "a",
        library("min"),
    ),
    case(
        "the mean of text",
        _list(["b", "a"], ee.Reducer.mean),
        Raises("Invalid type"),
        OURS,
    ),
    case(
        "a harmonic regression, time in days",
        lambda: _flat(
            _regression(ee.Reducer.linearRegression(4, 1), "coefficients"),
            [0],
            [["one", "t", "cos", "sin"]],
        ),
        {
            name: _per_pixel(lambda v, t, i=i: _coefficients(v, t)[i])
            for i, name in enumerate(("one", "t", "cos", "sin"))
        },
        library("numpy.linalg.lstsq"),
        1e-6,
        GRID,
    ),
]
