"""Kernels, and what is computed with a pixel's neighbours."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import ee
import numpy as np
from ee.apifunction import ApiFunction
from scipy import ndimage, stats

from conformance.cases import Case, Check, Raises, case, described, guide, library, sample
from conformance.rasters import GRID, MARGIN, PROJECTION, inner, known, rough

V = known()
VALID = known(1) > 30  # of the image below
HALF = {"crs": GRID.crs, "scale": 10}


def _masked() -> ee.Image:
    return rough().updateMask(rough(1).gt(30))


def _weights(name: str, *arguments: Any) -> Callable[[], ee.Image]:
    """Return a kernel's own weights as pixels: its answer to a single 1 at column 5, row 4."""

    def build() -> ee.Image:
        kernel = getattr(ee.Kernel, name)(*arguments)
        return _point(5, 4).convolve(kernel)

    return build


def _point(column: int, row: int) -> ee.Image:
    xy = ee.Image.pixelCoordinates(ee.Projection(**PROJECTION)).floor()
    return xy.select("x").eq(column).And(xy.select("y").eq(row)).rename("v").toDouble()


def _around(weights: Any) -> np.ndarray:
    """Return the grid with weights around column 5, row 4."""
    weights = np.asarray(weights, float)
    pixels = np.zeros((GRID.height, GRID.width))
    y, x = (side // 2 for side in weights.shape)
    pixels[4 - y : 5 + y, 5 - x : 6 + x] = weights
    return pixels


Y, X = np.mgrid[-3:4, -3:4]
CIRCLE = (X**2 + Y**2 <= 9).astype(float)
OCTAGON = (abs(X) + abs(Y) <= 4).astype(float)

#: Kernels as the API samples print them, or as they are described.
KERNELS: list[tuple[str, tuple[Any, ...], Any, str]] = [
    ("circle", (3,), CIRCLE / CIRCLE.sum(), sample("ee_kernel_circle")),
    ("octagon", (3, "pixels", False), OCTAGON, sample("ee_kernel_octagon")),
    ("cross", (3,), (abs(X) == abs(Y)) / 13, sample("ee_kernel_cross")),
    ("plus", (3,), ((X == 0) | (Y == 0)) / 13, sample("ee_kernel_plus")),
    ("diamond", (3,), (abs(X) + abs(Y) <= 3) / 25, sample("ee_kernel_diamond")),
    ("square", (3,), np.ones((7, 7)) / 49, sample("ee_kernel_square")),
    ("rectangle", (3, 1), np.ones((3, 7)) / 21, sample("ee_kernel_rectangle")),
    ("euclidean", (3,), np.hypot(X, Y), sample("ee_kernel_euclidean")),
    ("manhattan", (3,), abs(X) + abs(Y), sample("ee_kernel_manhattan")),
    ("chebyshev", (3,), np.maximum(abs(X), abs(Y)), sample("ee_kernel_chebyshev")),
    (
        "gaussian",
        (3,),
        [
            [0.002, 0.013, 0.021, 0.013, 0.002],
            [0.013, 0.059, 0.098, 0.059, 0.013],
            [0.021, 0.098, 0.162, 0.098, 0.021],
            [0.013, 0.059, 0.098, 0.059, 0.013],
            [0.002, 0.013, 0.021, 0.013, 0.002],
        ],
        sample("ee_kernel_gaussian"),
    ),
    ("compass", (), [[1, 1, -1], [1, -2, -1], [1, 1, -1]], sample("ee_kernel_compass")),
    ("kirsch", (), [[5, -3, -3], [5, 0, -3], [5, -3, -3]], sample("ee_kernel_kirsch")),
    ("laplacian4", (), [[0, 1, 0], [1, -4, 1], [0, 1, 0]], sample("ee_kernel_laplacian4")),
    ("laplacian8", (), [[1, 1, 1], [1, -8, 1], [1, 1, 1]], sample("ee_kernel_laplacian8")),
    ("prewitt", (), [[1, 0, -1]] * 3, sample("ee_kernel_prewitt")),
    ("roberts", (), [[1, 0, 0], [0, -1, 0], [0, 0, 0]], sample("ee_kernel_roberts")),
    ("sobel", (), [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], sample("ee_kernel_sobel")),
    ("sobel", (3,), [[-3, 0, 3], [-6, 0, 6], [-3, 0, 3]], described("Kernel.sobel")),
    ("circle", (15, "meters"), np.ones((3, 3)) / 9, described("Kernel.circle")),
]

SOBEL = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])


def _kernel_cases() -> list[Case]:
    cases = [
        case(
            f"{name}{arguments}",
            _weights(name, *arguments),
            {"v": _around(weights)},
            source,
            1e-3,  # the samples print three decimals, cut off
            GRID,
        )
        for name, arguments, weights, source in KERNELS
    ]
    made = {
        "rotate clockwise": (
            lambda: ee.Kernel.sobel().rotate(1),
            [[-1, -2, -1], [0, 0, 0], [1, 2, 1]],
            sample("ee_kernel_rotate"),
        ),
        "rotate counterclockwise": (
            lambda: ee.Kernel.sobel().rotate(-2),
            -SOBEL,
            sample("ee_kernel_rotate"),
        ),
        "inverse": (
            lambda: ee.Kernel.sobel().inverse(),
            [[-1, 0, 1], [-0.5, 0, 0.5], [-1, 0, 1]],
            sample("ee_kernel_inverse"),
        ),
        "add": (
            lambda: ee.Kernel.sobel().add(ee.Kernel.square(1, "pixels", False, 2)),
            SOBEL + 2,
            described("Kernel.add"),
        ),
        "fixed, with its focus in a corner": (
            lambda: ee.Kernel.fixed(2, 1, [[3, 4]], 0, 0),
            [[0, 3, 4]],
            described("Kernel.fixed"),
        ),
        "fixed and normalised": (
            lambda: ee.Kernel.fixed(3, 1, [[1, 2, 1]], -1, -1, True),
            [[0.25, 0.5, 0.25]],
            described("Kernel.fixed"),
        ),
    }
    return cases + [
        case(name, lambda k=kernel: _point(5, 4).convolve(k()), {"v": _around(w)}, s, 1e-6, GRID)
        for name, (kernel, w, s) in made.items()
    ]


def _mode(values: np.ndarray) -> float:
    return float(stats.mode(values).mode)  # of equals the smallest, as reducers.mode says


#: Focal algorithms, and what a numpy function makes of the neighbours.
FOCAL: dict[str, Callable[[np.ndarray], float]] = {
    "Min": np.min,
    "Max": np.max,
    "Mean": np.mean,
    "Median": np.median,
    "Mode": _mode,
}


def _focal(function: Callable[[np.ndarray], float], footprint: np.ndarray) -> np.ndarray:
    return ndimage.generic_filter(V.astype(float), function, footprint=footprint)


def _focal_masked(function: Callable[[np.ndarray], float], footprint: np.ndarray) -> np.ndarray:
    def present(values: np.ndarray) -> float:
        values = values[~np.isnan(values)]
        return function(values) if values.size else -1.0

    values = np.where(VALID, V, np.nan)
    return ndimage.generic_filter(values, present, footprint=footprint)


def _focal_cases() -> list[Case]:
    circle = X**2 + Y**2 <= 4
    square = np.ones((3, 3), bool)
    cases = []
    for name, function in FOCAL.items():
        hidden = f"Image.focal_{name.lower()}"
        arguments = {"radius": 2, "kernelType": "circle", "units": "pixels"}
        source = library("scipy.ndimage.generic_filter")
        cases += [
            case(
                f"focal{name}",
                lambda n=name, a=arguments: getattr(rough(), f"focal{n}")(**a),
                {"v": inner(_focal(function, circle))},
                source,
                1e-6,
                GRID,
            ),
            case(
                f"{hidden} in metres",
                lambda h=hidden: ApiFunction.call_(
                    h, image=rough(), radius=10, kernelType="square", units="meters"
                ),
                {"v": inner(_focal(function, square))},
                source,
                1e-6,
                GRID,
            ),
            case(
                f"focal{name} of valid neighbours only",
                lambda n=name: getattr(_masked(), f"focal{n}")(1, "square").unmask(-1),
                {"v": inner(_focal_masked(function, square))},
                source,
                1e-6,
                GRID,
            ),
        ]
    twice = ndimage.maximum_filter(ndimage.maximum_filter(V, 3), 3)
    large = ndimage.uniform_filter(V.astype(float), 17)
    return [
        *cases,
        case(
            "focalMax twice",
            lambda: rough().focalMax(1, "square", "pixels", 2),
            {"v": inner(twice)},
            library("scipy.ndimage.maximum_filter"),
            grid=GRID,
        ),
        case(
            "focalMean of a large kernel",
            lambda: rough().focalMean(kernel=ee.Kernel.square(8)),
            {"v": inner(large)},
            library("scipy.ndimage.uniform_filter"),
            grid=GRID,
        ),
        case(
            "an unknown kernel type",
            lambda: rough().focalMax(1, "star").projection(),
            Raises("star"),
            described("Image.focalMax"),
        ),
    ]


def _convolution_cases() -> list[Case]:
    fixed = np.array([[1, 2, 0], [0, 5, -1], [3, 0, 4]], float)
    big = np.arange(17 * 17).reshape(17, 17) % 7 - 2.0
    return [
        case(
            f"convolve with {weights.shape}",
            lambda w=weights: rough().convolve(ee.Kernel.fixed(weights=w.tolist())),
            {"v": inner(ndimage.convolve(V.astype(float), weights, mode="constant"))},
            library("scipy.ndimage.convolve"),
            1e-3,
            GRID,
        )
        for weights in (fixed, big)
    ]


def _stacked(footprint: np.ndarray) -> np.ndarray:
    """Return the neighbours of every pixel asked for, NaN where masked: (cells, rows, columns)."""
    reach_y, reach_x = (side // 2 for side in footprint.shape)
    values = np.where(VALID, V, np.nan)
    rows, columns = GRID.height, GRID.width
    return np.stack(
        [
            values[top : top + rows, left : left + columns]
            for top, left in np.add(np.argwhere(footprint), (MARGIN - reach_y, MARGIN - reach_x))
        ]
    )


PRESENT = inner(VALID)


def _reduction_cases() -> list[Case]:
    square = _stacked(np.ones((3, 3)))
    weights = np.array([1, 2, 1, 2, 4, 2, 1, 2, 1], float)[:, None, None]
    present = ~np.isnan(square)
    weighted = np.nansum(square * weights, axis=0) / (present * weights).sum(axis=0)
    fading = 0.25  # of the second image's mask
    kernel = lambda: ee.Kernel.fixed(weights=[[1, 2, 1], [2, 4, 2], [1, 2, 1]])  # noqa: E731
    both = ee.Reducer.minMax
    pair = lambda: rough().addBands(rough(1).rename("w"))  # noqa: E731
    kept = lambda values: np.where(PRESENT, values, 0)  # noqa: E731
    two = lambda: ee.Reducer.mean().combine(ee.Reducer.max(), "", False)  # noqa: E731
    faded = np.where(V > 50, 1, fading)
    shares = np.stack(
        [
            faded[1 + y : -1 + y or None, 1 + x : -1 + x or None]
            for y, x in itertools.product((-1, 0, 1), repeat=2)
        ]
    )
    return [
        case(
            "reduceNeighborhood weighs by the kernel, and skips masked pixels",
            lambda: _masked().reduceNeighborhood(ee.Reducer.mean(), kernel()),
            {"v_mean": kept(weighted)},
            library("numpy.nansum"),
            1e-5,
            GRID,
        ),
        case(
            "a boxcar's mean, by the fast way",
            lambda: _masked().reduceNeighborhood(
                ee.Reducer.mean(), ee.Kernel.square(1), "kernel", True, "boxcar"
            ),
            {"v_mean": kept(np.nanmean(square, axis=0))},
            library("numpy.nanmean"),
            1e-9,
            GRID,
        ),
        case(
            "several outputs get the band's name",
            lambda: _masked().reduceNeighborhood(both(), kernel(), None, False).unmask(-1),
            {"v_min": np.nanmin(square, axis=0), "v_max": np.nanmax(square, axis=0)},
            described("Image.reduceNeighborhood"),
            grid=GRID,
        ),
        case(
            "several inputs give the reducer's names",
            lambda: pair().reduceNeighborhood(two(), ee.Kernel.square(1)),
            {
                "mean": inner(_nine(V).mean(axis=0), MARGIN - 1),
                "max": inner(_nine(known(1)).max(axis=0), MARGIN - 1),
            },
            described("Image.reduceNeighborhood"),
            1e-6,
            GRID,
        ),
        case(
            "weights of the mask, not of the kernel",
            lambda: (
                rough()
                .updateMask(rough().gt(50).where(rough().lte(50), fading))
                .reduceNeighborhood(ee.Reducer.sum(), kernel(), "mask")
            ),
            {"v_sum": inner((_nine(V) * shares).sum(axis=0), MARGIN - 1)},
            described("Image.reduceNeighborhood"),
            1e-3,
            GRID,
        ),
        case(
            "the lesser weight of the two",
            lambda: (
                rough()
                .updateMask(rough().gt(50).where(rough().lte(50), fading))
                .reduceNeighborhood(
                    ee.Reducer.sum(), ee.Kernel.square(1, "pixels", False, 0.5), "min"
                )
            ),
            {"v_sum": inner((_nine(V) * np.minimum(shares, 0.5)).sum(axis=0), MARGIN - 1)},
            described("Image.reduceNeighborhood"),
            1e-3,
            GRID,
        ),
        case(
            "a reducer that needs more bands",
            lambda: rough().reduceNeighborhood(two(), ee.Kernel.square(1)).bandNames(),
            Raises("Need 2 bands for Reducer.combine, image has 1"),
            described("Image.reduceNeighborhood"),
        ),
    ]


def _nine(values: np.ndarray) -> np.ndarray:
    """Return each pixel's 3 by 3 neighbours, without the outermost pixels."""
    height, width = values.shape
    return np.stack(
        [values[y : height - 2 + y, x : width - 2 + x] for y in range(3) for x in range(3)]
    )


def _shifted(x: int, y: int) -> np.ndarray:
    rows, columns = V.shape
    return V[MARGIN + y : rows - MARGIN + y, MARGIN + x : columns - MARGIN + x]


def _entropy(values: np.ndarray) -> float:
    _, counts = np.unique(values, return_counts=True)
    return float(stats.entropy(counts, base=2))


def _local_cases() -> list[Case]:
    names = [(x, y) for y in (-1, 0, 1) for x in (-1, 0, 1)]
    coarse = np.floor(V / 40)
    differences = V[1:-1, 2:] - V[1:-1, :-2], V[2:, 1:-1] - V[:-2, 1:-1]
    right, down = (inner(d, MARGIN - 1) / 2 for d in differences)
    return [
        case(
            "neighborhoodToBands",
            lambda: rough().neighborhoodToBands(ee.Kernel.square(1)),
            {f"v_{x}_{y}": _shifted(x, y) for x, y in names},
            described("Image.neighborhoodToBands"),
            grid=GRID,
        ),
        case(
            "weights of 0 are no neighbours",
            lambda: rough().neighborhoodToBands(ee.Kernel.plus(1)).bandNames(),
            ["v_0_-1", "v_-1_0", "v_0_0", "v_1_0", "v_0_1"],
            described("Image.neighborhoodToBands"),
        ),
        case(
            "entropy",
            lambda: rough().divide(40).floor().toByte().entropy(ee.Kernel.square(2)),
            {"v": inner(ndimage.generic_filter(coarse, _entropy, 5))},
            library("scipy.stats.entropy"),
            1e-6,
            GRID,
        ),
        case(
            "derivative, per pixel",
            lambda: rough().derivative(),
            {"v_x": right, "v_y": down},
            described("Image.derivative"),
            1e-6,
            GRID,
        ),
        case(
            "gradient, per metre",
            lambda: rough().gradient(),
            {"x": right / 10, "y": -down / 10},
            guide("image_gradients"),
            1e-6,
            GRID,
        ),
    ]


SOURCES = V > 97


def _window_distance(metric: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
    """Return the least distance to a source in a window of 7 by 7, 0 without one."""
    table = metric(abs(X), abs(Y)).astype(float)
    stack = np.stack(
        [
            np.where(np.roll(SOURCES, (-y, -x), axis=(0, 1)), table[y + 3, x + 3], np.inf)
            for y in range(-3, 4)
            for x in range(-3, 4)
        ]
    )
    least = stack.min(axis=0)
    return inner(np.where(np.isfinite(least), least, 0))


EAST = known(1)[MARGIN:-MARGIN, MARGIN + 1 : 1 - MARGIN]


def _along(x: int, y: int, reach: int = 5) -> np.ndarray:
    """Return the distance to the first source that so many columns and rows lead to, or 0."""
    step = math.hypot(x, y)
    distances = np.zeros(V.shape)
    for i in range(int(reach / step), -1, -1):
        distances[np.roll(SOURCES, (-i * y, -i * x), axis=(0, 1))] = i * step
    return inner(distances)


def _distance_cases() -> list[Case]:
    transforms = {
        "squared_euclidean": lambda: ndimage.distance_transform_edt(~SOURCES) ** 2,
        "manhattan": lambda: ndimage.distance_transform_cdt(~SOURCES, "taxicab"),
        "chebyshev": lambda: ndimage.distance_transform_cdt(~SOURCES, "chessboard"),
    }
    metrics = {"euclidean": np.hypot, "manhattan": np.add, "chebyshev": np.maximum}
    cases = [
        case(
            f"distance, {name}",
            lambda n=name: rough().gt(97).distance(getattr(ee.Kernel, n)(3)),
            {"v": _window_distance(metric)},
            described("Image.distance"),
            1e-6,
            GRID,
        )
        for name, metric in metrics.items()
    ]
    reach = 6  # pixels: no further than what is known
    for name, transform in transforms.items():
        distances = inner(transform())
        limit = reach**2 if name == "squared_euclidean" else reach
        cases.append(
            case(
                f"fastDistanceTransform, {name}",
                lambda n=name: rough().gt(97).fastDistanceTransform(reach, "pixels", n),
                {"distance": np.where(distances <= limit, distances, 0)},
                library("scipy.ndimage.distance_transform_edt and _cdt"),
                grid=GRID,
            )
        )
    return [
        *cases,
        *[
            case(
                f"directionalDistanceTransform to {angle} degrees",
                lambda a=angle: rough().gt(97).directionalDistanceTransform(a, 5),
                {"distance": _along(x, y)},
                source,
                1e-6,
                GRID,
            )
            for angle, x, y, source in (
                (0, 1, 0, described("Image.directionalDistanceTransform")),
                # The sun's azimuth is 0: the clouds of shadows are in the north.
                (90, 0, -1, "google/earthengine-community tutorials/sentinel-2-s2cloudless"),
                (-45, 1, 1, described("Image.directionalDistanceTransform")),
            )
        ],
        case(
            "directionalDistanceTransform of other bands",
            lambda: (
                rough()
                .gt(97)
                .rename("cloud")
                .addBands(rough(1))
                .directionalDistanceTransform(0, 1, "cloud")
            ),
            {
                "distance": np.where(_along(1, 0, 1) == 1, 1, 0),
                "v": np.select([inner(SOURCES), _along(1, 0, 1) == 1], [inner(known(1)), EAST], 0),
            },
            described("Image.directionalDistanceTransform"),
            1e-6,
            GRID,
        ),
        case(
            "distance needs a distance kernel",
            lambda: rough().distance(ee.Kernel.square(1)).bandNames(),
            Raises("chebyshev, euclidean"),
            described("Image.distance"),
        ),
    ]


#: Objects of several sizes, all of them inside the grid.
OBJECTS = np.array(
    [
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        [0, 1, 1, 0, 0, 0, 0, 2, 0, 0, 0, 0],
        [0, 1, 0, 0, 0, 0, 2, 0, 0, 0, 3, 0],
        [0, 0, 0, 1, 0, 2, 0, 0, 0, 0, 0, 0],
        [0, 1, 0, 1, 0, 0, 0, 0, 0, 3, 3, 0],
        [0, 1, 1, 2, 2, 0, 0, 0, 0, 3, 3, 0],
        [0, 1, 1, 2, 2, 0, 0, 0, 0, 3, 3, 0],
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ]
)


def _objects() -> ee.Image:
    """Return the objects, from their pixels' places; the rest is masked."""
    xy = ee.Image.pixelCoordinates(ee.Projection(**PROJECTION)).floor()
    place = xy.select("y").multiply(GRID.width).add(xy.select("x"))
    inside = xy.select("x").gte(0).And(xy.select("x").lt(GRID.width))
    where = np.flatnonzero(OBJECTS).tolist()
    values = OBJECTS.ravel()[where].tolist()
    return place.updateMask(inside).remap(where, values).rename("v").toByte()


def _sizes(structure: np.ndarray) -> np.ndarray:
    sizes = np.zeros(OBJECTS.shape, int)
    for value in (1, 2, 3):
        labels, count = ndimage.label(value == OBJECTS, structure)
        for label in range(1, count + 1):
            sizes[labels == label] = (labels == label).sum()
    return sizes


FOUR, EIGHT = (ndimage.generate_binary_structure(2, n) for n in (1, 2))


def _same_objects(structure: np.ndarray, largest: int) -> Callable[[Any], bool]:
    """Return a check that labels tell apart the same objects as scipy's do."""
    expected = np.zeros(OBJECTS.shape, int)
    for value in (1, 2, 3):
        labels, _ = ndimage.label(value == OBJECTS, structure)
        expected = np.where(labels > 0, labels + value * 100, expected)
    expected[_sizes(structure) > largest] = 0

    def holds(got: Any) -> bool:
        labels = got["labels"]
        pairs = set(zip(labels.ravel().tolist(), expected.ravel().tolist(), strict=True))
        ours, theirs = zip(*pairs, strict=True)
        return len(pairs) == len(set(ours)) == len(set(theirs)) and (0, 0) in pairs

    return holds


def _object_cases() -> list[Case]:
    components = lambda kernel, size: _objects().connectedComponents(kernel, size)  # noqa: E731
    return [
        case(
            "connectedComponents, eight neighbours",
            lambda: components(ee.Kernel.square(1), 128),
            Check(_same_objects(EIGHT, 128), "the objects of scipy.ndimage.label"),
            library("scipy.ndimage.label"),
            grid=GRID,
        ),
        case(
            "connectedComponents, four neighbours, and no large ones",
            lambda: components(ee.Kernel.plus(1), 5),
            Check(_same_objects(FOUR, 5), "the objects of scipy.ndimage.label up to 5 pixels"),
            library("scipy.ndimage.label"),
            grid=GRID,
        ),
        case(
            "connectedPixelCount, eight neighbours",
            lambda: _objects().connectedPixelCount(100),
            {"v": _sizes(EIGHT)},
            library("scipy.ndimage.label"),
            grid=GRID,
        ),
        case(
            "connectedPixelCount, four neighbours, counting to 4",
            lambda: _objects().connectedPixelCount(4, False),
            {"v": np.minimum(_sizes(FOUR), 4)},
            library("scipy.ndimage.label"),
            grid=GRID,
        ),
        case(
            "objects larger than Earth Engine finds",
            lambda: _objects().connectedPixelCount(2000).bandNames(),
            Raises("maxSize"),
            guide("image_objects"),
        ),
    ]


CASES = [
    *_kernel_cases(),
    *_focal_cases(),
    *_convolution_cases(),
    *_reduction_cases(),
    *_local_cases(),
    *_distance_cases(),
    *_object_cases(),
    *[
        case(
            f"arrays have no {name}",
            lambda f=function: f(ee.Image([1, 2]).toArray()).bandNames(),
            Raises("Band 'array' has array values"),
            described(f"Image.{name}"),
        )
        for name, function in {
            "focalMax": lambda image: image.focalMax(1),
            "convolve": lambda image: image.convolve(ee.Kernel.square(1)),
            "resample": lambda image: image.resample(),
            "gradient": lambda image: image.gradient(),
            "connectedPixelCount": lambda image: image.connectedPixelCount(),
        }.items()
    ],
    case(
        "a kernel's weights",
        lambda: ee.Kernel.sobel(),
        Check(lambda got: got["weights"] == SOBEL.tolist(), "the weights of the sample"),
        sample("ee_kernel_sobel"),
    ),
    case(
        "a kernel's units",
        lambda: (
            rough()
            .convolve(ee.Kernel.square(1, "miles"))
            .reduceRegion(ee.Reducer.first(), ee.Geometry.Point([0, 0]), 10)
        ),
        Raises("miles"),
        described("Kernel.square"),
    ),
    case(
        "an even kernel sums to 0 when it is normalised with negative weights",
        lambda: (
            ee.Image(1)
            .convolve(ee.Kernel.fixed(2, 2, [[-1, 2], [3, 4]], -1, -1, True))
            .reduceRegion(ee.Reducer.first(), ee.Geometry.Point([0, 0]), 10)
            .get("constant")
        ),
        0,
        guide("image_convolutions"),
        math.ulp(1) * 8,
    ),
]
