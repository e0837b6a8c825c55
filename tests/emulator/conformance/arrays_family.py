"""Arrays as values, apart from the element-wise table: see elementwise_family."""

import ee
import numpy as np

from conformance.cases import Check, Raises, case, described, guide, library, sample

A = ee.Array
MATRIX = [[0, 1, 2], [3, 4, 5]]
CUBE = [[[0, 1], [2, 3]], [[4, 5], [6, 7]]]
SERIES = [1, 2, 3, 4, 5, 6]
SQUARE = [[4.0, 1.0, 2.0], [1.0, 3.0, 0.5], [2.0, 0.5, 5.0]]  # symmetric, positive-definite
TALL = [[1.0, 0.0], [1.0, 1.0], [1.0, 2.5], [1.0, 4.0]]
COLUMN = [[1.0], [3.5], [6.0], [9.5]]


def empty(shape=()):
    """Return an array without numbers."""
    return A(list(shape), ee.PixelType.int8())


def printed(algorithm, answers, tolerance=1e-9):
    """Return cases from expressions of an API sample and what it prints for them."""
    source = sample(f"ee_array_{algorithm.lower()}")
    return [
        case(f"{algorithm} {number}", build, expected, source, tolerance)
        for number, (build, expected) in enumerate(answers)
    ]


CASES = [
    *printed(
        "get",
        [
            (lambda: A([9]).get([0]), 9),
            (lambda: A(MATRIX).get([1, 2]), 5),
        ],
    ),
    *printed(
        "cut",
        [
            (lambda: A([0, 1, 2]).cut([-1]), [0, 1, 2]),
            (lambda: A(MATRIX).cut([-1, 0]), [[0], [3]]),
            (lambda: A(MATRIX).cut([1, -1]), [[3, 4, 5]]),
        ],
    ),
    *printed(
        "slice",
        [
            (lambda: A(SERIES).slice(), SERIES),
            (lambda: A(SERIES).slice(0, 0, 10, 1), SERIES),
            (lambda: A(SERIES).slice(0, 6), []),
            (lambda: A(SERIES).slice(0, 0, -3), [1, 2, 3]),
            (lambda: A(SERIES).slice(0, -2, 6), [5, 6]),
            (lambda: A(SERIES).slice(0, 2, 6, 2), [3, 5]),
            (lambda: A([[1, 2], [3, 4], [5, 6]]).slice(0, 0, 3, 2), [[1, 2], [5, 6]]),
            (lambda: A([[1, 2], [3, 4], [5, 6]]).slice(1, 1), [[2], [4], [6]]),
            (lambda: empty().slice(0, 0, 0, 1), []),
        ],
    ),
    *printed(
        "mask",
        [
            (lambda: A([1]).mask([0]), []),
            (lambda: A([0, 1, 2, 3]).mask([0, 4, -1, 1.2]), [1, 2, 3]),
            (lambda: A([[1, 2, 3, 4]]).mask([[0, 0, 0, 0]]), [[]]),
            (lambda: A([[1, 2, 3, 4]]).mask([[1, 0, 1, 1]]), [[1, 3, 4]]),
            (lambda: A([[1], [2], [3], [4]]).mask([[1], [0], [1], [1]]), [[1], [3], [4]]),
            (lambda: empty().mask(empty()), []),
        ],
    ),
    *printed(
        "accum",
        [
            (lambda: A([-2, 1, 9]).accum(0), [-2, -1, 8]),
            (lambda: A([[1, 3], [5, 7]]).accum(0), [[1, 3], [6, 10]]),
            (lambda: A([[1, 3], [5, 7]]).accum(1), [[1, 4], [5, 12]]),
            (lambda: A([2, -2, 3, 1]).accum(0, ee.Reducer.max()), [2, 2, 3, 3]),
            (lambda: A([2, -2, 3, 1]).accum(0, ee.Reducer.mean()), [2, 0, 1, 1]),
            (lambda: A([2, -2, 3]).accum(0, ee.Reducer.product()), [2, -4, -12]),
        ],
    ),
    *printed(
        "argmax",
        [
            (lambda: empty().argmax(), None),
            (lambda: A([[3, 4, 2], [6, 5, 7]]).argmax(), [1, 2]),
            (lambda: A([1, 1, 1, 9, 9, 9]).argmax(), [3]),
        ],
    ),
    *printed(
        "cat",
        [
            (lambda: A.cat([empty(), A([1])]), [1]),
            (lambda: A.cat([A([1]), A([2])], 1), [[1, 2]]),
            (lambda: A.cat([A([0, 1, 2]), A([3, 4, 5])], 1), [[0, 3], [1, 4], [2, 5]]),
            (
                lambda: A.cat([A([[0], [1], [2]]), A([[3], [4], [5]])], 2),
                [[[0, 3]], [[1, 4]], [[2, 5]]],
            ),
            (lambda: A.cat([A(CUBE), A(CUBE)], 3), np.stack([CUBE, CUBE], axis=3).tolist()),
        ],
    ),
    *printed(
        "dotProduct",
        [
            (lambda: A([-1, -2]).dotProduct(A([3, 4])), -11),
            (lambda: A([1.5, 2.5]).dotProduct(A([3, 4])), 14.5),
        ],
    ),
    *printed("identity", [(lambda: A.identity(0), []), (lambda: A.identity(2), [[1, 0], [0, 1]])]),
    *printed(
        "bitsToArray",
        [
            (lambda: A.bitsToArray(0), [0]),
            (lambda: A.bitsToArray(5), [1, 0, 1]),
            (lambda: A.bitsToArray(0xFF), [1] * 8),
            (lambda: A.bitsToArray(-1), [1] * 64),
        ],
    ),
    *printed(
        "eigen",
        [
            (lambda: A([[1, 0], [0, 1]]).eigen(), [[1, 1, 0], [1, 0, 1]]),
            (
                lambda: A([[2, 0, 0], [0, 3, 0], [0, 0, 4]]).eigen(),
                [[4, 0, 0, 1], [3, 0, 1, 0], [2, 1, 0, 0]],
            ),
            (
                lambda: A([[0, 1], [1, 0]]).eigen(),
                [[1, 0.5**0.5, 0.5**0.5], [-1, 0.5**0.5, -(0.5**0.5)]],
            ),
            (lambda: A([[1, 0], [1, 0]]).eigen(), [[1, 0.5**0.5, 0.5**0.5], [0, 0, 1]]),
        ],
    ),
    case(
        "Array of nothing", lambda: A([[], []], ee.PixelType.float()), [[], []], sample("ee_array")
    ),
    case("Array of numbers", lambda: A([ee.Number(123).toUint8()]), [123], sample("ee_array")),
    case("Array of a list", lambda: A(ee.List.sequence(0, 4, 2)), [0, 2, 4], sample("ee_array")),
    case("Array of an array", lambda: A(A([1, 2, 3])), [1, 2, 3], sample("ee_array")),
    case(
        "Array with a type saturates",
        lambda: A([300, 0.5, -1], ee.PixelType.uint8()),
        [255, 1, 0],
        sample("ee_array_byte"),
    ),
    case(
        "pow of integers is float32",
        lambda: A([10, 10]).pow([-2, 1]),
        [0.009999999776482582, 10],
        sample("ee_array_pow"),
        tolerance=0,
    ),
    case(
        "float32 is not double",
        lambda: ee.List([A([1.1]).float().eq(A([1.1])), A([1.1]).double().eq(A([1.1]))]),
        [[0], [1]],
        sample("ee_array_eq"),
    ),
    case(
        "a number goes with every element",
        lambda: ee.List([A(MATRIX).add(1), A(2).divide([1]), A([3, 4]).divide(2)]),
        [[[1, 2, 3], [4, 5, 6]], [2], [1.5, 2]],
        sample("ee_array_add"),
    ),
    case(
        "arrays of other lengths",
        lambda: A([1, 2]).add([1, 2, 3]),
        Raises("same length"),
        sample("ee_array_and"),
    ),
    case("length", lambda: A([[1] * 6] * 6).length(), [6, 6], guide("arrays_array_images")),
    case("toList", lambda: A(MATRIX).toList(), MATRIX, described("Array.toList")),
    case(
        "repeat",
        lambda: ee.List([A([1, 2]).repeat(0, 3), A([1, 2]).repeat(1, 2)]),
        [[1, 2, 1, 2, 1, 2], [[1, 1], [2, 2]]],
        described("Array.repeat"),
    ),
    case(
        "reshape",
        lambda: ee.List([A(SERIES).reshape([2, 3]), A(MATRIX).reshape([-1])]),
        [[[1, 2, 3], [4, 5, 6]], [0, 1, 2, 3, 4, 5]],
        described("Array.reshape"),
    ),
    case(
        "reshape to another size",
        lambda: A(SERIES).reshape([4]),
        Raises("reshape"),
        described("Array.reshape"),
    ),
    case(
        "pad",
        lambda: ee.List([A(MATRIX).pad([3, 2], 9), A([1]).pad([3])]),
        [[[0, 1, 2], [3, 4, 5], [9, 9, 9]], [1, 0, 0]],
        described("Array.pad"),
    ),
    case(
        "project",
        lambda: ee.List([A([[1, 2]]).project([1]), A([[1], [2]]).project([0])]),
        [[1, 2], [1, 2]],
        described("Array.project"),
    ),
    case(
        "project a long axis",
        lambda: A(MATRIX).project([0]),
        Raises("at most length 1"),
        described("Array.project"),
    ),
    case(
        "transpose",
        lambda: ee.List([A(MATRIX).transpose(), A(CUBE).transpose(0, 2)]),
        [np.transpose(MATRIX).tolist(), np.swapaxes(CUBE, 0, 2).tolist()],
        library("numpy.swapaxes"),
    ),
    case(
        "sort",
        lambda: ee.List([A([3, 1, 2]).sort(), A(MATRIX).sort([[2], [1]])]),
        [[1, 2, 3], [[3, 4, 5], [0, 1, 2]]],
        described("Array.sort"),
    ),
    case(
        "get outside",
        lambda: A(MATRIX).get([2, 0]),
        Raises("out of bounds"),
        described("Array.get"),
    ),
    case(
        "reduce along an axis",
        lambda: ee.List(
            [A(MATRIX).reduce(ee.Reducer.sum(), [0]), A(MATRIX).reduce(ee.Reducer.mean(), [0, 1])]
        ),
        [[[3, 5, 7]], [[2.5]]],
        described("Array.reduce"),
    ),
    case(
        "count along all axes",
        lambda: A([[1, 0, 3], [1, 2, 3]]).reduce(ee.Reducer.count(), [1, 0]),
        [[6]],
        sample("ee_reducer_count"),
    ),
    case(
        "reduce to several outputs",
        lambda: A([[0], [1], [5]]).reduce(ee.Reducer.minMax(), [0], 1),
        [[0, 5]],
        sample("ee_image_arrayreduce"),
    ),
    case(
        "reduce needs a field axis",
        lambda: A([0, 1]).reduce(ee.Reducer.minMax(), [0]),
        Raises("fieldAxis"),
        described("Array.reduce"),
    ),
    case(
        "Dictionary.toArray",
        lambda: ee.List(
            [
                ee.Dictionary({"b": 2, "a": 1}).toArray(),
                ee.Dictionary({"b": 2, "a": 1}).toArray(["b"]),
            ]
        ),
        [[1, 2], [2]],
        described("Dictionary.toArray"),
    ),
    case(
        "Feature.toArray",
        lambda: ee.Feature(None, {"a": 1, "b": 2.5}).toArray(["b", "a"]),
        [2.5, 1],
        described("Feature.toArray"),
    ),
    case(
        "FeatureCollection.makeArray drops what is not complete",
        lambda: (
            ee.FeatureCollection(
                [ee.Feature(None, p) for p in ({"a": 1, "b": 2}, {"a": 1}, {"a": "x", "b": 2})]
            )
            .makeArray(["a", "b"])
            .aggregate_array("array")
        ),
        [[1, 2]],
        described("FeatureCollection.makeArray"),
    ),
    case(
        "Element.getArray",
        lambda: ee.Feature(None, {"a": A([1, 2])}).getArray("a").add(1),
        [2, 3],
        described("Element.getArray"),
    ),
    case(
        "arrays in lists and dictionaries",
        lambda: ee.List(
            [
                ee.List([A([1, 2])]).getArray(0),
                ee.Dictionary({"a": A([1, 2])}).getArray("a"),
            ]
        ),
        [[1, 2], [1, 2]],
        described("List.getArray"),
    ),
]


# --- linear algebra, against numpy

LINEAR = {
    "matrixMultiply": (
        lambda: A(MATRIX).matrixMultiply(A(TALL).slice(0, 0, 3)),
        MATRIX @ np.array(TALL[:3]),
    ),
    "matrixTranspose": (lambda: A(MATRIX).matrixTranspose(), np.transpose(MATRIX)),
    "matrixInverse": (lambda: A(SQUARE).matrixInverse(), np.linalg.inv(SQUARE)),
    "matrixPseudoInverse": (lambda: A(TALL).matrixPseudoInverse(), np.linalg.pinv(TALL)),
    "matrixSolve": (lambda: A(SQUARE).matrixSolve(COLUMN[:3]), np.linalg.solve(SQUARE, COLUMN[:3])),
    "matrixSolve by least squares": (
        lambda: A(TALL).matrixSolve(COLUMN),
        np.linalg.lstsq(TALL, COLUMN, rcond=None)[0],
    ),
    "matrixSolve of a singular matrix": (
        lambda: A([[1, 1], [1, 1]]).matrixSolve([[2], [2]]),
        np.array([[1.0], [1.0]]),
    ),
    "matrixDeterminant": (lambda: A(SQUARE).matrixDeterminant(), float(np.linalg.det(SQUARE))),
    "matrixTrace": (lambda: A(SQUARE).matrixTrace(), float(np.trace(SQUARE))),
    "matrixFnorm": (lambda: A(SQUARE).matrixFnorm(), float(np.linalg.norm(SQUARE))),
    "matrixDiagonal": (lambda: A(SQUARE).matrixDiagonal(), np.diag(SQUARE)[:, None]),
    "matrixToDiag": (lambda: A([[1], [2]]).matrixToDiag(), np.diag([1, 2])),
    "matrixCholeskyDecomposition": (
        lambda: ee.Array(A(SQUARE).matrixCholeskyDecomposition().get("L")),
        np.linalg.cholesky(SQUARE),
    ),
}
CASES += [
    case(name, build, expected, library("numpy.linalg"))
    for name, (build, expected) in LINEAR.items()
]


def factors(name, expression):
    """Return a matrix's factors and an expression of them."""
    parts = ee.Dictionary(getattr(A(SQUARE), f"matrix{name}")())
    return expression(lambda key: ee.Array(parts.get(key)))


def orthogonal(matrix):
    """Return a matrix times its transpose."""
    return matrix.matrixMultiply(matrix.matrixTranspose())


FACTORS = {
    "LUDecomposition: P A = L U": (
        lambda f: f("P").matrixMultiply(A(SQUARE)).subtract(f("L").matrixMultiply(f("U"))),
        np.zeros((3, 3)),
    ),
    "QRDecomposition: A = Q R": (lambda f: f("Q").matrixMultiply(f("R")), np.array(SQUARE)),
    "QRDecomposition: Q is orthogonal": (lambda f: orthogonal(f("Q")), np.eye(3)),
    "SingularValueDecomposition: A = U S V'": (
        lambda f: f("U").matrixMultiply(f("S")).matrixMultiply(f("V").matrixTranspose()),
        np.array(SQUARE),
    ),
    "SingularValueDecomposition: S": (
        lambda f: f("S"),
        np.diag(np.linalg.svd(SQUARE, compute_uv=False)),
    ),
}
CASES += [
    case(
        name,
        lambda name=name, expression=expression: factors(name.partition(":")[0], expression),
        expected,
        described(f"Array.matrix{name.partition(':')[0]}"),
    )
    for name, (expression, expected) in FACTORS.items()
]
CASES += [
    case(
        "a singular matrix",
        lambda: A([[1, 1], [1, 1]]).matrixInverse(),
        Raises("singular"),
        described("Array.matrixInverse"),
    ),
    case(
        "eigenvectors",
        lambda: A(SQUARE).eigen(),
        Check(
            lambda got: (
                np.allclose(
                    np.array(SQUARE) @ np.array(got)[:, 1:].T,
                    np.array(got)[:, 1:].T * np.array(got)[:, 0],
                )
                and (np.diff(np.array(got)[:, 0]) <= 0).all()
            ),
            "A v = λ v, largest λ first",
        ),
        described("Array.eigen"),
    ),
]
