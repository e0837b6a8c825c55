"""Images whose pixels are arrays."""

import ee
import numpy as np

from conformance.cases import Grid, Raises, case, described, guide, library, sample

PIXEL = Grid(1, 1)
POINT = [-121, 42]
MATRIX = [[0, 1, 2], [3, 4, 5]]
SQUARE = [[4.0, 1.0, 2.0], [1.0, 3.0, 0.5], [2.0, 0.5, 5.0]]  # symmetric, positive-definite
TALL = [[1.0, 0.0], [1.0, 1.0], [1.0, 2.5], [1.0, 4.0]]
COLUMN = [[1.0], [3.5], [6.0], [9.5]]


def pixel(image, name="array"):
    """Return the value at one pixel, as the API samples do."""
    return image.sample(ee.Geometry.Point(POINT), 500).first().get(name)


def vector(*values):
    """Return an image of 1-D arrays."""
    return ee.Image(list(values)).toArray()


def matrix(rows, columns, *values):
    """Return an image of 2-D arrays, row by row."""
    return vector(*values).arrayReshape(ee.Image([rows, columns]).toArray(), 2)


def m23():
    """Return an image of the 2x3 matrix of the API samples."""
    return matrix(2, 3, *range(6))


def constant(values):
    """Return an image of one array, under the samples' band name."""
    return ee.Image(ee.Array(values)).rename("array")


SORTED = [0, 10, 6, 5, 4, 7, 11, 1, 2, 9, 8, 3]
SAMPLES = {  # by algorithm: expressions of its API sample, and what that prints
    "arrayAccum": [
        (lambda: vector(1, 2, 3).arrayAccum(0, ee.Reducer.sum()), [1, 3, 6]),
        (
            lambda: matrix(3, 3, *range(1, 10)).arrayAccum(1),
            [[1, 3, 6], [4, 9, 15], [7, 15, 24]],
        ),
    ],
    "arrayArgmax": [
        (lambda: vector(0, 1, 5, 2, 3, 4).arrayArgmax(), [2]),
        (lambda: matrix(2, 3, 0, 1, 5, 2, 3, 4).arrayArgmax(), [0, 2]),
    ],
    "arrayCat": [
        (lambda: vector(0, 1, 2).arrayCat(vector(3, 4, 5), 0), [0, 1, 2, 3, 4, 5]),
        (lambda: vector(0, 1, 2).arrayCat(vector(3, 4, 5), 1), [[0, 3], [1, 4], [2, 5]]),
    ],
    "arrayDimensions": [(lambda: vector(0, 1, 2).toArray(1).arrayDimensions(), 2)],
    "arrayDotProduct": [(lambda: vector(0, 1, 2).arrayDotProduct(vector(3, 4, 5)), 14)],
    "arrayGet": [
        (lambda: vector(0, 1, 2, 3, 4, 5).arrayGet(ee.Image([3])), 3),
        (lambda: m23().arrayGet(ee.Image([0, 2])), 2),
    ],
    "arrayLength": [
        (lambda: vector(0, 1, 2).toArray(1).arrayLength(0), 3),
        (lambda: vector(0, 1, 2).toArray(1).arrayLength(1), 1),
    ],
    "arrayLengths": [(lambda: vector(0, 1, 2).toArray(1).arrayLengths(), [3, 1])],
    "arrayMask": [
        (
            lambda: vector(0, 1, 2, 4, 0, 5).arrayMask(vector(0, 1, 2, 4, 0, 5).lte(2)),
            [0, 1, 2, 0],
        ),
        (
            lambda: matrix(2, 3, 0, 1, 2, 4, 0, 5).arrayMask(matrix(1, 3, 4, 0, 5)),
            [[0, 2], [4, 5]],
        ),
        (
            lambda: matrix(2, 3, 0, 1, 2, 4, 0, 5).arrayMask(matrix(2, 1, 1, 0)),
            [[0, 1, 2]],
        ),
    ],
    "arrayPad": [
        (lambda: vector(0, 1, 2).arrayPad([5], 9), [0, 1, 2, 9, 9]),
        (
            lambda: m23().arrayPad([3, 5], 9),
            [[0, 1, 2, 9, 9], [3, 4, 5, 9, 9], [9, 9, 9, 9, 9]],
        ),
    ],
    "arrayProject": [(lambda: vector(0, 1, 2).toArray(1).arrayProject([0]), [0, 1, 2])],
    "arrayReduce": [
        (lambda: vector(*range(6)).arrayReduce(ee.Reducer.sum(), [0]), [15]),
        (lambda: m23().arrayReduce(ee.Reducer.sum(), [0]), [[3, 5, 7]]),
        (lambda: m23().arrayReduce(ee.Reducer.sum(), [1]), [[3], [12]]),
        (lambda: m23().arrayReduce(ee.Reducer.sum(), [0, 1]), [[15]]),
        (lambda: vector(*range(6)).toArray(1).arrayReduce(ee.Reducer.minMax(), [0], 1), [[0, 5]]),
        (
            lambda: m23().toArray(2).arrayReduce(ee.Reducer.minMax(), [0], 2),
            [[[0, 3], [1, 4], [2, 5]]],
        ),
    ],
    "arrayRepeat": [
        (lambda: vector(0, 1, 2).arrayRepeat(0, 2), [0, 1, 2, 0, 1, 2]),
        (lambda: vector(0, 1, 2).arrayRepeat(1, 3), [[0, 0, 0], [1, 1, 1], [2, 2, 2]]),
    ],
    "arrayReshape": [
        (m23, MATRIX),
        (
            lambda: vector(*range(6)).arrayReshape(ee.Image([3, -1]).toArray(), 2),
            [[0, 1], [2, 3], [4, 5]],
        ),
        (lambda: m23().arrayReshape(ee.Image([-1]).toArray(), 1), [0, 1, 2, 3, 4, 5]),
    ],
    "arraySlice": [
        (lambda: vector(*range(12)).arraySlice(0, 0, 3), [0, 1, 2]),
        (lambda: vector(*range(12)).arraySlice(0, -3), [9, 10, 11]),
        (lambda: vector(*range(12)).arraySlice(0, 0, None, 3), [0, 3, 6, 9]),
        (lambda: matrix(3, 4, *range(12)).arraySlice(1, 1, 2), [[1], [5], [9]]),
        (
            lambda: matrix(3, 4, *range(12)).arraySlice(1, 0, -1),
            [[0, 1, 2], [4, 5, 6], [8, 9, 10]],
        ),
    ],
    "arraySort": [
        (lambda: vector(*SORTED).arraySort(), list(range(12))),
        (
            lambda: vector(*SORTED).arraySort(vector(99, 98, 50, 45, 23, 18, 9, 8, 7, 5, 2, 0)),
            SORTED[::-1],
        ),
        (
            lambda: matrix(3, 4, *SORTED).arraySort(vector(3, 2, 1, 0).toArray(1).arrayTranspose()),
            [[5, 6, 10, 0], [1, 11, 7, 4], [3, 8, 9, 2]],
        ),
        (
            lambda: matrix(3, 4, *SORTED).arraySort(vector(2, 1, 0).toArray(1)),
            [[2, 9, 8, 3], [4, 7, 11, 1], [0, 10, 6, 5]],
        ),
    ],
    "arrayTranspose": [(lambda: m23().arrayTranspose(), [[0, 3], [1, 4], [2, 5]])],
    "toArray": [
        (lambda: vector(0, 1, 2), [0, 1, 2]),
        (lambda: vector(0, 1, 2).toArray(1), [[0], [1], [2]]),
    ],
}
CASES = [
    case(
        f"{name} {number}",
        lambda build=build: pixel(build()),
        expected,
        sample(f"ee_image_{name.lower()}"),
    )
    for name, answers in SAMPLES.items()
    for number, (build, expected) in enumerate(answers)
]

# --- making arrays


def series(*values, name="b1"):
    """Return a collection of constant bytes; None is a masked image."""
    return ee.ImageCollection(
        [
            ee.Image(0).byte().updateMask(0).rename(name)
            if value is None
            else ee.Image(value).byte().rename(name)
            for value in values
        ]
    )


PER_BAND = sample("ee_imagecollection_toarrayperband")
CASES += [
    case(
        "a band type has dimensions",
        lambda: ee.PixelType(ee.Dictionary(m23().bandTypes()).get("array")).dimensions(),
        2,
        described("PixelType.dimensions"),
    ),
    case(
        "what an image of arrays looks like",
        lambda: vector(0, 1, 2),
        {
            "type": "Image",
            "bands": [
                {
                    "id": "array",
                    "data_type": {
                        "type": "PixelType",
                        "precision": "int",
                        "min": 0,
                        "max": 2,
                        "dimensions": 1,
                    },
                    "crs": "EPSG:4326",
                    "crs_transform": [1, 0, 0, 0, 1, 0],
                }
            ],
        },
        sample("ee_image_toarray"),
    ),
    case(
        "toArray is masked where any band is",
        lambda: ee.Image([ee.Image(1), ee.Image(2).updateMask(0)]).toArray().mask(),
        {"array": np.zeros((1, 1))},
        described("Image.toArray"),
        grid=PIXEL,
    ),
    case(
        "ImageCollection.toArray: images by bands, without masked ones",
        lambda: pixel(
            ee.ImageCollection(
                [
                    ee.Image([1, 2]).rename(["a", "b"]),
                    ee.Image([ee.Image(3), ee.Image(4).updateMask(0)]).rename(["a", "b"]),
                    ee.Image([5, 6]).rename(["a", "b"]),
                ]
            ).toArray()
        ),
        [[1, 2], [5, 6]],
        described("ImageCollection.toArray"),
    ),
    case(
        "toArrayPerBand",
        lambda: pixel(series(0, 1, 2).toArrayPerBand(), "b1"),
        [0, 1, 2],
        PER_BAND,
    ),
    case(
        "toArrayPerBand along a new axis",
        lambda: pixel(
            series(0, 1, 2).map(lambda i: i.toArray().rename("b1")).toArrayPerBand(1), "b1"
        ),
        [[0, 1, 2]],
        described("ImageCollection.toArrayPerBand"),
    ),
    case(
        "toArrayPerBand is masked where any image is",
        lambda: series(0, None, 2).toArrayPerBand().mask(),
        {"b1": np.zeros((1, 1))},
        PER_BAND,
        grid=PIXEL,
    ),
    case(
        "toArrayPerBand drops masked images",
        lambda: pixel(series(0, None, 2).toArrayPerBand(0, True), "b1"),
        [0, 2],
        PER_BAND,
    ),
    case(
        "a constant array",
        lambda: pixel(ee.Image.constant(ee.Array(MATRIX)), "constant"),
        MATRIX,
        described("Image.constant"),
    ),
    case(
        "bitsToArrayImage",
        lambda: pixel(ee.Image(5).rename("array").bitsToArrayImage()),
        [1, 0, 1],
        sample("ee_array_bitstoarray"),
    ),
    case(
        "matrixIdentity",
        lambda: pixel(ee.Image.matrixIdentity(2).rename("array")),
        [[1, 0], [0, 1]],
        described("Image.matrixIdentity"),
    ),
    case(
        "neighborhoodToArray: rows are y, columns x",
        lambda: neighbours().select(["x_n_w", "x_s_c", "x_n_e", "y_n_w", "y_c_e", "y_s_c"]),
        {
            "x_n_w": np.array([[4, 5]] * 2),
            "x_s_c": np.array([[5, 6]] * 2),
            "x_n_e": np.array([[6, 7]] * 2),
            "y_n_w": np.array([[-1] * 2, [0] * 2]),
            "y_c_e": np.array([[0] * 2, [1] * 2]),
            "y_s_c": np.array([[1] * 2, [2] * 2]),
        },
        described("Image.neighborhoodToArray"),
        grid=Grid(2, 2, transform=(10, 0, 50, 0, -10, 0)),
    ),
    case(
        "neighborhoodToArray puts a value where masked",
        lambda: pixel(
            ee.Image(7)
            .byte()
            .updateMask(0)
            .unmask(ee.Image(7).byte())
            .neighborhoodToArray(ee.Kernel.square(1))
            .rename("array")
        ),
        [[7] * 3] * 3,
        described("Image.neighborhoodToArray"),
    ),
]


def neighbours():
    """Return every neighbour's column and row, counted from the north-west of the grid."""
    xy = ee.Image.pixelCoordinates(ee.Projection("EPSG:3857").scale(10, -10)).floor().toInt()
    around = xy.neighborhoodToArray(ee.Kernel.square(1))
    labels = [["n", "c", "s"], ["w", "c", "e"]]
    return ee.Image.cat(
        [
            around.select(axis).arrayFlatten([[f"{axis}_{row}" for row in labels[0]], labels[1]])
            for axis in "xy"
        ]
    )


# --- pixels with arrays of different lengths

COUNTS = Grid(3, 1, transform=(10, 0, 0, 0, -10, 0))


def ragged():
    """Return arrays [0], [0, 1], [0, 1, 2] from west to east."""
    column = (
        ee.Image.pixelCoordinates(ee.Projection("EPSG:3857").scale(10, -10)).select("x").floor()
    )
    images = [ee.Image(i).updateMask(column.gte(i)).rename("v") for i in range(3)]
    return ee.ImageCollection(images).toArray().arrayProject([0])


def row(*values):
    """Return one row of pixels of the band 'array'."""
    return {"array": np.array([values])}


def total(image):
    """Return the sum of every pixel's array."""
    return image.arrayReduce(ee.Reducer.sum(), [0]).arrayGet([0])


RAGGED = {
    "lengths": (lambda: ragged().arrayLength(0), (1, 2, 3)),
    "element-wise": (lambda: total(ragged().add(ragged()).add(1)), (1, 4, 9)),
    "with a number of each pixel": (
        lambda: total(ragged().multiply(ragged().arrayLength(0))),
        (0, 2, 9),
    ),
    "cast": (lambda: total(ragged().add(0.75).toInt()), (0, 1, 3)),
    "slices": (lambda: total(ragged().arraySlice(0, -1)), (0, 1, 2)),
    "slices that differ": (
        lambda: total(ragged().arraySlice(0, 0, ragged().arrayLength(0).subtract(1))),
        (0, 0, 1),
    ),
    "an end that is masked": (
        lambda: total(ragged().arraySlice(0, 0, ragged().arrayLength(0).subtract(1).selfMask())),
        (0, 0, 1),
    ),
    "repeats that differ": (
        lambda: ragged().arrayRepeat(0, ragged().arrayLength(0)).arrayLength(0),
        (1, 4, 9),
    ),
    "masks": (lambda: ragged().arrayMask(ragged().neq(1)).arrayLength(0), (1, 1, 2)),
    "sorted by keys": (
        lambda: ragged().arraySort(ragged().multiply(-1)).arrayGet([0]),
        (0, 1, 2),
    ),
    "padded": (lambda: ragged().arrayPad([3], 9).arrayGet([2]), (9, 9, 2)),
    "concatenated": (lambda: total(ragged().arrayCat(ragged(), 0)), (0, 2, 6)),
    "argmax": (lambda: ragged().arrayArgmax().arrayGet([0]), (0, 1, 2)),
    "bits": (
        lambda: ragged().arrayLength(0).bitsToArrayImage().arrayLength(0),
        (1, 2, 2),
    ),
    "where": (
        lambda: (
            ragged().where(ragged().arrayLength(0).eq(2), ee.Image(ee.Array([7]))).arrayGet([0])
        ),
        (0, 7, 0),
    ),
    "unmask": (
        lambda: (
            ragged()
            .updateMask(ragged().arrayLength(0).gt(1))
            .unmask(ee.Image(ee.Array([7])))
            .arrayGet([0])
        ),
        (7, 0, 0),
    ),
    "blend": (
        lambda: total(ragged().blend(ragged().add(1).updateMask(ragged().arrayLength(0).eq(3)))),
        (0, 1, 6),
    ),
    "mosaic": (
        lambda: total(
            ee.ImageCollection(
                [ragged(), ragged().add(1).updateMask(ragged().arrayLength(0).eq(3))]
            ).mosaic()
        ),
        (0, 1, 6),
    ),
    "reproject": (
        lambda: ragged().reproject(ee.Projection("EPSG:3857").scale(10, -10)).arrayLength(0),
        (1, 2, 3),
    ),
    "addBands, select and rename": (
        lambda: (
            ee.Image(1)
            .addBands(ragged())
            .select(["array"])
            .rename("x")
            .rename("array")
            .arrayLength(0)
        ),
        (1, 2, 3),
    ),
}
CASES += [
    case(
        f"arrays of different lengths: {name}",
        build,
        row(*expected),
        guide("arrays_array_images"),
        grid=COUNTS,
    )
    for name, (build, expected) in RAGGED.items()
]

# --- linear algebra

LINEAR = {
    "matrixMultiply": (
        lambda: constant(MATRIX).matrixMultiply(constant(TALL[:3])),
        MATRIX @ np.array(TALL[:3]),
    ),
    "matrixTranspose": (lambda: constant(MATRIX).matrixTranspose(), np.transpose(MATRIX)),
    "matrixInverse": (lambda: constant(SQUARE).matrixInverse(), np.linalg.inv(SQUARE)),
    "matrixPseudoInverse": (lambda: constant(TALL).matrixPseudoInverse(), np.linalg.pinv(TALL)),
    "matrixSolve": (
        lambda: constant(TALL).matrixSolve(constant(COLUMN)),
        np.linalg.lstsq(TALL, COLUMN, rcond=None)[0],
    ),
    "matrixDeterminant": (
        lambda: constant(SQUARE).matrixDeterminant(),
        float(np.linalg.det(SQUARE)),
    ),
    "matrixTrace": (lambda: constant(SQUARE).matrixTrace(), float(np.trace(SQUARE))),
    "matrixFnorm": (lambda: constant(SQUARE).matrixFnorm(), float(np.linalg.norm(SQUARE))),
    "matrixDiagonal": (lambda: constant(SQUARE).matrixDiagonal(), np.diag(SQUARE)[:, None]),
    "matrixToDiag": (lambda: constant([[1], [2]]).matrixToDiag(), np.diag([1, 2])),
}
CASES += [
    case(name, lambda build=build: pixel(build()), expected, library(f"numpy: {name}"))
    for name, (build, expected) in LINEAR.items()
]
FACTORS = {
    "matrixCholeskyDecomposition": lambda f: f.matrixMultiply(f.matrixTranspose()),
    "matrixQRDecomposition": lambda f: f.select("Q").matrixMultiply(f.select("R")),
    "matrixLUDecomposition": lambda f: (
        f.select("P").matrixTranspose().matrixMultiply(f.select("L").matrixMultiply(f.select("U")))
    ),
    "matrixSingularValueDecomposition": lambda f: (
        f.select("U").matrixMultiply(f.select("S")).matrixMultiply(f.select("V").matrixTranspose())
    ),
}
CASES += [
    case(
        name,
        lambda name=name, product=product: pixel(
            product(getattr(constant(SQUARE), name)()).rename("array")
        ),
        np.array(SQUARE),
        described(f"Image.{name}"),
    )
    for name, product in FACTORS.items()
]

# --- arrays and numbers, regions, and what cannot be done

CASES += [
    case(
        "arrayFlatten",
        lambda: m23().arrayFlatten([["a", "b"], ["x", "y", "z"]]),
        {
            f"{r}_{c}": np.full((1, 1), MATRIX[i][j])
            for i, r in enumerate("ab")
            for j, c in enumerate("xyz")
        },
        described("Image.arrayFlatten"),
        grid=PIXEL,
    ),
    case(
        "arrayFlatten with a separator",
        lambda: m23().arrayFlatten([["a", "b"], ["x", "y", "z"]], "").bandNames(),
        ["ax", "ay", "az", "bx", "by", "bz"],
        described("Image.arrayFlatten"),
    ),
    case(
        "reduceRegion",
        lambda: ee.Dictionary(
            vector(1, 2).reduceRegion(ee.Reducer.toList(), ee.Geometry.Point(POINT), 500)
        ).get("array"),
        [[1, 2]],
        guide("reducers_reduce_region"),
    ),
    case(
        "sampleRegions",
        lambda: (
            vector(1, 2)
            .sampleRegions(ee.FeatureCollection([ee.Feature(ee.Geometry.Point(POINT))]), scale=500)
            .first()
            .get("array")
        ),
        [1, 2],
        described("Image.sampleRegions"),
    ),
    case(
        "labels of another number",
        lambda: vector(1, 2).arrayFlatten([["a"]]),
        Raises("labels"),
        described("Image.arrayFlatten"),
        grid=PIXEL,
    ),
    case(
        "a position outside",
        lambda: vector(1, 2).arrayGet([5]),
        Raises("out of bounds"),
        described("Image.arrayGet"),
        grid=PIXEL,
    ),
    case(
        "arrays of other lengths",
        lambda: vector(1, 2).add(vector(1, 2, 3)).arrayGet([0]),
        Raises("same length"),
        guide("arrays_array_images"),
        grid=PIXEL,
    ),
    case(
        "pixels that are arrays",
        lambda: vector(1, 2),
        Raises("array"),
        guide("arrays_array_images"),
        grid=PIXEL,
    ),
]
