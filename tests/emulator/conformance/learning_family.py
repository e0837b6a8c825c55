"""Classifiers, clusterers and confusion matrices, against scikit-learn on the same samples."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import ee
import numpy as np
from scipy.spatial.distance import cdist
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.metrics import accuracy_score, cohen_kappa_score, fbeta_score, precision_score
from sklearn.metrics import confusion_matrix as confusion
from sklearn.naive_bayes import MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC, SVR, NuSVC, NuSVR, OneClassSVM
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from conformance.cases import Check, Grid, Raises, case, described, guide, library, sample

GUIDE = guide("classification")
NAMES = ("x", "y")


def _call(name: str, *arguments: Any) -> Any:
    """Call an algorithm that the client does not show."""
    return ee.ApiFunction.call_(name, *arguments)


# --- samples: two inputs, three classes, with noise

RNG = np.random.default_rng(20190101)
ROWS = np.round(RNG.random((120, 2)) * 10, 3)
CLASSES = (ROWS.sum(axis=1) + RNG.normal(0, 1, len(ROWS)) > 10).astype(int)
THREE = np.digitize(ROWS[:, 0] + RNG.normal(0, 1, len(ROWS)), [3, 6])
NUMBERS = np.round(ROWS[:, 0] * 2 - ROWS[:, 1], 3)
TESTS = np.round(RNG.random((40, 2)) * 10, 3)


def features(rows: np.ndarray, **columns: np.ndarray) -> ee.FeatureCollection:
    """Return rows, and named columns beside them, as a collection."""
    named = {**dict(zip(NAMES, rows.T, strict=True)), **columns}
    records = zip(*(values.tolist() for values in named.values()), strict=True)
    return ee.FeatureCollection(
        [ee.Feature(None, dict(zip(named, r, strict=True))) for r in records]
    )


def trained(classifier: Any, labels: np.ndarray = CLASSES, mode: str | None = None) -> Any:
    """Train on the samples."""
    if mode:
        classifier = classifier.setOutputMode(mode)
    return classifier.train(features(ROWS, c=labels), "c", list(NAMES))


def found(classifier: Any, rows: np.ndarray = TESTS) -> Any:
    """Return a classifier's output for rows."""
    return features(rows).classify(classifier).aggregate_array("classification")


def coordinates(grid: Grid) -> np.ndarray:
    """Return x and y, in kilometres, of a grid's pixels in order."""
    x = (np.arange(grid.width) + 0.5) * grid.transform[0]
    y = (np.arange(grid.height) + 0.5) * grid.transform[4]
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2) / 1000


def plane() -> ee.Image:
    """Return x and y in kilometres as an image."""
    return ee.Image.pixelCoordinates(ee.Projection("EPSG:3857")).divide(1000)


# --- trees as text, written from scikit-learn's own arrays


def tree_text(tree: Any, classes: Sequence[int] | None, column: int | None = None) -> str:
    """Write a fitted tree as R does; leaves are classes with probabilities, or one column."""
    return "\n".join(_lines(tree.tree_, classes, column, 0, 1, "root"))


def _lines(
    tree: Any, classes: Sequence[int] | None, column: int | None, node: int, number: int, split: str
) -> Iterator[str]:
    values = tree.value[node, 0]
    leaf = tree.children_left[node] < 0
    value: Any = values[column or 0]
    shares = ""
    if classes is not None and column is None:
        value, shares = classes[values.argmax()], f" ({' '.join(map(repr, values.tolist()))})"
    yield f"{number}) {split} {tree.n_node_samples[node]} 0 {float(value)!r}{shares}{' *' if leaf else ''}"
    if not leaf:
        name, limit = NAMES[tree.feature[node]], float(tree.threshold[node])
        sides = (tree.children_left[node], "<="), (tree.children_right[node], ">")
        for offset, (child, sign) in enumerate(sides):
            child_split = f"{name}{sign}{limit!r}"
            yield from _lines(tree, classes, column, child, 2 * number + offset, child_split)


BIG = Grid(400, 250)  # 100,000 pixels of 4 x 2.5 km
PIXELS = coordinates(BIG)
LEARNT = RNG.random((3000, 2)) * [4, -2.5]
LEARNT_CLASSES = (np.hypot(*(LEARNT - [2, -1.2]).T) + RNG.normal(0, 0.3, 3000) < 1).astype(int)
FOREST = RandomForestClassifier(30, min_samples_leaf=3, random_state=0).fit(LEARNT, LEARNT_CLASSES)
RINGS = np.digitize(np.hypot(*(LEARNT - [2, -1.2]).T) + RNG.normal(0, 0.2, 3000), [0.5, 1])
THREES = RandomForestClassifier(12, min_samples_leaf=3, random_state=0).fit(LEARNT, RINGS)
REGRESSION = RandomForestRegressor(10, min_samples_leaf=5, random_state=0).fit(
    LEARNT, np.sin(LEARNT[:, 0]) * LEARNT[:, 1]
)


def ensemble(forest: Any, mode: str, column: int | None = None) -> Any:
    """Return a forest of scikit-learn as an Earth Engine classifier."""
    classes = getattr(forest, "classes_", None)
    texts = [tree_text(tree, classes, column) for tree in forest.estimators_]
    return ee.Classifier.decisionTreeEnsemble(texts).setOutputMode(mode)


def image_of(values: np.ndarray, grid: Grid = BIG, name: str = "classification") -> dict[str, Any]:
    """Return what pixels answer for values in order."""
    return {name: values.reshape(grid.height, grid.width)}


def votes(forest: Any, rows: np.ndarray) -> np.ndarray:
    """Return each tree's class for rows, (n, trees)."""
    return np.stack([tree.predict(rows) for tree in forest.estimators_], axis=1)


FORESTS = [
    case(
        "100,000 pixels get scikit-learn's probability",
        lambda: plane().classify(ensemble(FOREST, "PROBABILITY")),
        image_of(FOREST.predict_proba(PIXELS)[:, 1]),
        library("sklearn.ensemble.RandomForestClassifier.predict_proba"),
        tolerance=1e-6,
        grid=BIG,
    ),
    case(
        "trees of a probability, as a regression",
        lambda: plane().classify(ensemble(FOREST, "REGRESSION", column=1)),
        image_of(FOREST.predict_proba(PIXELS)[:, 1]),
        library("sklearn.ensemble.RandomForestClassifier.predict_proba"),
        tolerance=1e-6,
        grid=BIG,
    ),
    case(
        "a forest's class is what most trees vote for",
        lambda: plane().classify(ensemble(THREES, "CLASSIFICATION")),
        image_of(
            np.apply_along_axis(
                lambda v: np.bincount(v.astype(int)).argmax(), 1, votes(THREES, PIXELS)
            )
        ),
        GUIDE,
        grid=BIG,
    ),
    case(
        "probabilities of three classes",
        lambda: found(ensemble(THREES, "MULTIPROBABILITY"), PIXELS[::2000]),
        THREES.predict_proba(PIXELS[::2000]),
        library("sklearn.ensemble.RandomForestClassifier.predict_proba"),
        tolerance=1e-6,
    ),
    case(
        "RAW is every tree's vote",
        lambda: found(ensemble(THREES, "RAW"), PIXELS[::2000]),
        votes(THREES, PIXELS[::2000]),
        described("Classifier.setOutputMode"),
    ),
    case(
        "a regression is the mean of its trees",
        lambda: plane().classify(ensemble(REGRESSION, "REGRESSION")),
        image_of(REGRESSION.predict(PIXELS)),
        library("sklearn.ensemble.RandomForestRegressor.predict"),
        tolerance=1e-6,
        grid=BIG,
    ),
    case(
        "RAW_REGRESSION is every tree's prediction",
        lambda: found(ensemble(REGRESSION, "RAW_REGRESSION"), PIXELS[::2000]),
        np.stack([t.predict(PIXELS[::2000]) for t in REGRESSION.estimators_], axis=1),
        described("Classifier.setOutputMode"),
    ),
    case(
        "masked pixels stay masked",
        lambda: plane().updateMask(ee.Image(0)).classify(ensemble(FOREST, "PROBABILITY")).mask(),
        {"classification": np.zeros((2, 3))},
        GUIDE,
        grid=Grid(3, 2),
    ),
]

# --- text of one tree

TREE = """n= 40

node), split, n, loss, yval, (yprob)
      * denotes terminal node

 1) root 40 9 0 (0.7 0.3)
   2) x< 0.3 20 2 0 (0.9 0.1)
     4) y<=-1.5 5 0 2 (1.0 0.0) *
     5) y>-1.5 15 0 5 (0.9 0.1) *
   3) x>=0.3 20 7 1 (0.5 0.5) *
"""
NO_PROBABILITIES = "1) root 9999 9999 9999\n2) x>=.5 9999 9999 1 *\n3) x<.5 9999 9999 0 *"


def _class_of(text: str, **values: float) -> Any:
    image = ee.Image.cat([ee.Image(v).rename(k) for k, v in values.items()])
    return image.classify(ee.Classifier.decisionTree(text))


ONE = Grid(1, 1)


def _tree_case(name: str, text: str, expected: float, **values: float) -> Any:
    return case(
        f"tree text: {name}",
        lambda: _class_of(text, **values),
        {"classification": np.array([[expected]])},
        described("Classifier.decisionTree"),
        grid=ONE,
    )


PLAIN = TREE.replace("(0.7 0.3)", "").replace("(0.9 0.1)", "").replace("(1.0 0.0)", "")
PLAIN = PLAIN.replace("(0.5 0.5)", "")
TREES = [
    _tree_case("below both", PLAIN, 2, x=0.29, y=-1.5),
    _tree_case("below and above", PLAIN, 5, x=0.29, y=-1.4999999999),
    _tree_case("< leaves its limit out, in double precision", PLAIN, 1, x=0.3, y=-9),
    _tree_case("just below a limit, in double precision", PLAIN, 5, x=0.3 - 1e-12, y=0),
    _tree_case(">= first", NO_PROBABILITIES, 1, x=0.5),
    _tree_case("< second", NO_PROBABILITIES, 0, x=0.49),
    _tree_case(
        "values that are no classes", NO_PROBABILITIES.replace(" 1 *", " -2.5e-1 *"), -0.25, x=1
    ),
    case(
        "tree text: names are the schema",
        lambda: ee.Classifier.decisionTree(PLAIN).schema(),
        ["x", "y"],
        described("Classifier.schema"),
    ),
    case(
        "tree text: probabilities",
        lambda: (
            ee.Image(1)
            .rename("x")
            .classify(
                ee.Classifier.decisionTree(
                    "1) root 4 2 0 (0.5 0.5)\n2) x<0 2 1 0 (0.75 0.25) *\n3) x>=0 2 1 1 (0.1 0.9) *"
                ).setOutputMode("PROBABILITY")
            )
        ),
        {"classification": np.array([[0.9]])},
        described("Classifier.decisionTree"),
        tolerance=1e-7,
        grid=ONE,
    ),
    case(
        "tree text: several trees in an item, majority",
        lambda: (
            ee.Image(0.5)
            .rename("x")
            .classify(
                ee.Classifier.decisionTreeEnsemble(
                    [
                        f"{NO_PROBABILITIES}\n{NO_PROBABILITIES.replace('.5', '.7')}",
                        NO_PROBABILITIES.replace(".5", ".4"),
                    ]
                )
            )
        ),
        {"classification": np.array([[1]])},
        described("Classifier.decisionTreeEnsemble"),
        grid=ONE,
    ),
    *[
        case(
            f"tree text: {name}",
            lambda text=text: _class_of(text, x=0),
            Raises(pattern),
            "https://github.com/gee-community/geemap/issues/2297",
        )
        for name, text, pattern in [
            (
                "a node without children",
                "1) root 9 9 9\n 2) x<1 9 9 9\n  4) x<0 9 9 9\n 3) x>=1 9 9 1 *",
                r"^Classifier\.decisionTree: Error parsing line 4: expected 8, got 3\.$",
            ),
            ("an end too early", "1) root 9 9 9\n 2) x<1 9 9 1 *", "node 3 is missing"),
            ("words", "if x < 3 then cloud", "Error parsing line 1"),
            ("nothing", "", "No decision trees"),
            ("sides that overlap", "1) root 9 9 9\n2) x<1 9 9 0 *\n3) x<2 9 9 1 *", "line 3"),
            (
                "probabilities of other classes",
                "1) root 9 9 9\n2) x<1 9 9 7 (1 0) *\n3) x>=1 9 9 8 (1 0 0) *",
                "2 or 3 probabilities",
            ),
        ]
    ],
]

# --- learning


def _learner(
    name: str,
    make: Callable[[], Any],
    estimator: Any,
    labels: np.ndarray = CLASSES,
    modes: Sequence[str] = ("CLASSIFICATION",),
    tests: np.ndarray = TESTS,
    rows: np.ndarray = ROWS,
) -> Iterator[Any]:
    """Yield cases of a classifier that scikit-learn's estimator is on the same samples."""
    estimator.fit(rows, labels)
    for mode in modes:
        if mode in ("CLASSIFICATION", "REGRESSION"):
            expected = estimator.predict(tests)
        else:
            expected = estimator.predict_proba(tests)
            expected = expected[:, 1] if mode == "PROBABILITY" else expected

        def build(mode: str = mode) -> Any:
            classifier = make().setOutputMode(mode)
            collection = features(rows, c=labels)
            return found(classifier.train(collection, "c", list(NAMES)), tests)

        source = library(f"sklearn {type(estimator).__name__}")
        yield case(f"{name}: {mode}", build, expected, source, tolerance=1e-6)


ALL_CLASS_MODES = ("CLASSIFICATION", "PROBABILITY", "MULTIPROBABILITY")
BOOST = {"max_depth": None, "random_state": 0}
COUNTS = np.rint(ROWS)
LEARNERS = [
    # One tree on all samples, so that there is nothing random: every input, few leaves.
    *_learner(
        "smileCart",
        lambda: ee.Classifier.smileCart(6, 4),
        DecisionTreeClassifier(max_leaf_nodes=6, min_samples_leaf=4, random_state=0),
        modes=ALL_CLASS_MODES,
    ),
    *_learner(
        "smileCart",
        lambda: ee.Classifier.smileCart(7),
        DecisionTreeRegressor(max_leaf_nodes=7, random_state=0),
        NUMBERS,
        ["REGRESSION"],
    ),
    *_learner(
        "smileGradientTreeBoost",
        lambda: ee.Classifier.smileGradientTreeBoost(9, 0.3, 1, 4),
        GradientBoostingClassifier(n_estimators=9, learning_rate=0.3, max_leaf_nodes=4, **BOOST),
        modes=ALL_CLASS_MODES,
    ),
    *_learner(
        "smileGradientTreeBoost",
        lambda: ee.Classifier.smileGradientTreeBoost(9, 0.3, 1, 4, "Huber"),
        GradientBoostingRegressor(
            n_estimators=9, learning_rate=0.3, max_leaf_nodes=4, loss="huber", **BOOST
        ),
        NUMBERS,
        ["REGRESSION"],
    ),
    *_learner(
        "smileKNN",
        lambda: ee.Classifier.smileKNN(5),
        KNeighborsClassifier(5),
        modes=("CLASSIFICATION", "PROBABILITY"),
    ),
    *_learner(
        "smileKNN by city blocks",
        lambda: ee.Classifier.smileKNN(3, "LINEAR_SEARCH", "MANHATTAN"),
        KNeighborsClassifier(3, metric="manhattan"),
        THREE,
    ),
    *_learner(
        "smileKNN by Mahalanobis distance",
        lambda: ee.Classifier.smileKNN(3, "COVER_TREE", "MAHALANOBIS"),
        KNeighborsClassifier(
            3,
            metric="mahalanobis",
            algorithm="brute",
            metric_params={"VI": np.linalg.inv(np.cov(ROWS.T))},
        ),
        THREE,
    ),
    *_learner(
        "smileNaiveBayes",
        lambda: ee.Classifier.smileNaiveBayes(0.5),
        MultinomialNB(alpha=0.5),
        modes=ALL_CLASS_MODES,
        rows=COUNTS,
        tests=np.rint(TESTS),
    ),
    *_learner("libsvm", lambda: ee.Classifier.libsvm(), SVC(kernel="linear"), THREE),
    *_learner(
        "libsvm RBF",
        lambda: ee.Classifier.libsvm(kernelType="RBF", gamma=0.5, cost=10),
        SVC(gamma=0.5, C=10),
        THREE,
    ),
    *_learner(
        "libsvm NU_SVC POLY",
        lambda: ee.Classifier.libsvm(
            svmType="NU_SVC", kernelType="POLY", degree=2, gamma=0.5, coef0=1, nu=0.3
        ),
        NuSVC(nu=0.3, kernel="poly", degree=2, gamma=0.5, coef0=1),
    ),
    *_learner(
        "libsvm EPSILON_SVR",
        lambda: ee.Classifier.libsvm(svmType="EPSILON_SVR", kernelType="RBF", lossEpsilon=0.2),
        SVR(epsilon=0.2, gamma="auto"),
        NUMBERS,
        ["REGRESSION"],
    ),
    *_learner(
        "libsvm NU_SVR",
        lambda: ee.Classifier.libsvm(svmType="NU_SVR", kernelType="RBF", nu=0.4),
        NuSVR(nu=0.4, gamma="auto"),
        NUMBERS,
        ["REGRESSION"],
    ),
    case(
        "libsvm ONE_CLASS",
        lambda: found(
            trained(ee.Classifier.libsvm(svmType="ONE_CLASS", kernelType="RBF", oneClass=1))
        ),
        (OneClassSVM(gamma="auto").fit(ROWS[CLASSES == 1]).predict(TESTS) > 0).astype(int),
        library("sklearn.svm.OneClassSVM"),
    ),
    case(
        "svm is libsvm",
        lambda: found(trained(ee.Classifier(_call("Classifier.svm")), THREE)),
        SVC(kernel="linear").fit(ROWS, THREE).predict(TESTS),
        described("Classifier.svm"),
    ),
    case(
        "libsvm's probability is on the side of its class",
        lambda: found(trained(ee.Classifier.libsvm(), mode="PROBABILITY")),
        Check(
            lambda p: (
                np.mean(
                    (np.array(p) > 0.5) == SVC(kernel="linear").fit(ROWS, CLASSES).predict(TESTS)
                )
                > 0.9
            ),
            "more than 0.5 where the class is 1",
        ),
        GUIDE,
    ),
]

# --- minimum distance

MEANS = np.stack([ROWS[c == THREE].mean(axis=0) for c in range(3)])
COSINES = 1 - cdist(TESTS, MEANS, "cosine")
MAHALANOBIS = np.hstack(
    [
        cdist(TESTS, MEANS[[c]], "mahalanobis", VI=np.linalg.inv(np.cov(ROWS[c == THREE].T)))
        for c in range(3)
    ]
)
DISTANCES = {
    "euclidean": cdist(TESTS, MEANS),
    "cosine": np.arccos(COSINES),
    "manhattan": cdist(TESTS, MEANS, "cityblock"),
    "mahalanobis": MAHALANOBIS,
}


def _nearest(metric: str, mode: str, k: int = 1) -> Callable[[], Any]:
    return lambda: found(trained(ee.Classifier.minimumDistance(metric, k), THREE, mode))


MINIMUM_DISTANCE = [
    case(
        f"minimumDistance {metric}: {mode}",
        _nearest(metric, mode),
        expected,
        described("Classifier.minimumDistance"),
        tolerance=1e-6,
    )
    for metric, distances in DISTANCES.items()
    for mode, expected in [
        ("CLASSIFICATION", distances.argmin(axis=1)),
        ("REGRESSION", distances.min(axis=1)),
        ("RAW", distances),
    ]
] + [
    case(
        "minimumDistance: the two nearest",
        _nearest("euclidean", "CLASSIFICATION", 2),
        DISTANCES["euclidean"].argsort(axis=1)[:, :2],
        described("Classifier.minimumDistance"),
    ),
    case(
        "minimumDistance: no more than there are",
        _nearest("euclidean", "REGRESSION", 9),
        np.sort(DISTANCES["euclidean"], axis=1),
        described("Classifier.minimumDistance"),
    ),
]

# --- random forests: the generator is not published, so what must hold for any


def _twice(mode: str, **options: Any) -> ee.List:
    forest = ee.Classifier.smileRandomForest(20, **options)
    return ee.List([found(trained(forest, mode=mode)), found(trained(forest, mode=mode))])


EXPLAINED = {"classes", "importance", "numberOfTrees", "outOfBagErrorEstimate", "trees"}
RANDOM_FORESTS = [
    case(
        "smileRandomForest: right where classes are apart",
        lambda: found(trained(ee.Classifier.smileRandomForest(30)), np.array([[1, 1], [9, 9]])),
        [0, 1],
        GUIDE,
    ),
    case(
        "smileRandomForest: the same for a seed",
        lambda: _twice("PROBABILITY", seed=7),
        Check(lambda v: v[0] == v[1] and 0 <= min(v[0]) < max(v[0]) <= 1, "equal, in 0…1"),
        described("Classifier.smileRandomForest"),
    ),
    case(
        "smileRandomForest: probabilities of classes add up",
        lambda: found(trained(ee.Classifier.smileRandomForest(20), THREE, "MULTIPROBABILITY")),
        Check(
            lambda v: np.shape(v) == (40, 3) and np.allclose(np.sum(v, axis=1), 1, atol=1e-6),
            "three that sum to 1",
        ),
        described("Classifier.setOutputMode"),
    ),
    case(
        "smileRandomForest: one tree of all samples and inputs is a tree",
        lambda: found(
            trained(ee.Classifier.smileRandomForest(1, 2, 5, 1, 4), NUMBERS, "REGRESSION"), ROWS[:1]
        ),
        Check(lambda v: NUMBERS.min() < v[0] < NUMBERS.max(), "within the labels"),
        described("Classifier.smileRandomForest"),
    ),
    case(
        "smileRandomForest: trees of a regression",
        lambda: found(
            trained(ee.Classifier.smileRandomForest(20), NUMBERS, "RAW_REGRESSION"), TESTS[:3]
        ),
        Check(lambda v: np.shape(v) == (3, 20), "twenty each"),
        described("Classifier.setOutputMode"),
    ),
    case(
        "smileRandomForest: accuracy near scikit-learn's",
        lambda: (
            features(TESTS, c=TESTS.sum(axis=1) > 10)
            .classify(trained(ee.Classifier.smileRandomForest(50)))
            .errorMatrix("c", "classification")
            .accuracy()
        ),
        Check(lambda v: v > 0.8, "more than 0.8"),
        library("sklearn.ensemble.RandomForestClassifier"),
    ),
    case(
        "randomForest, of 2019",
        lambda: found(
            trained(ee.Classifier(_call("Classifier.randomForest", 30))), np.array([[1, 1], [9, 9]])
        ),
        [0, 1],
        described("Classifier.randomForest"),
    ),
    case(
        "explain: what it says",
        lambda: ee.Dictionary(trained(ee.Classifier.smileRandomForest(9)).explain()),
        Check(
            lambda v: (
                v.keys() >= EXPLAINED
                and v["numberOfTrees"] == len(v["trees"]) == 9
                and set(v["importance"]) == set(NAMES)
                and 0 <= v["outOfBagErrorEstimate"] < 0.4
            ),
            "importance, trees, error",
        ),
        sample("ee_classifier_explain"),
    ),
    case(
        "explain: the trees are the forest",
        lambda: (
            ee.Array.cat([])
            if False
            else ee.List(
                [
                    found(trained(ee.Classifier.smileRandomForest(9), mode="PROBABILITY")),
                    found(
                        ee.Classifier.decisionTreeEnsemble(
                            ee.List(
                                ee.Dictionary(
                                    trained(ee.Classifier.smileRandomForest(9)).explain()
                                ).get("trees")
                            )
                        ).setOutputMode("PROBABILITY")
                    ),
                ]
            )
        ),
        Check(lambda v: np.allclose(v[0], v[1], rtol=0, atol=1e-7), "the same probabilities"),
        sample("ee_classifier_explain"),
    ),
    case(
        "confusionMatrix: of the training data",
        lambda: trained(ee.Classifier.smileCart(3)).confusionMatrix(),
        confusion(
            CLASSES,
            DecisionTreeClassifier(max_leaf_nodes=3, random_state=0)
            .fit(ROWS, CLASSES)
            .predict(ROWS),
        ),
        described("Classifier.confusionMatrix"),
    ),
]

# --- describing, errors, other classifiers

BOW_TIE = [[0, 0, 10, 0, 10, 10, 0, 10], [4, 4, 6, 4, 6, 6, 4, 6]]


def _without(property_name: str) -> Callable[[], Any]:
    def build() -> Any:
        records = [{"x": 1, "y": 2, "c": c} for c in (0, 1)]
        for record in records:
            del record[property_name]
        training = ee.FeatureCollection([ee.Feature(None, record) for record in records])
        return found(ee.Classifier.smileCart().train(training, "c", list(NAMES)))

    return build


def _refused(name: str, build: Callable[[], Any], pattern: str, source: str = GUIDE) -> Any:
    return case(f"refused: {name}", build, Raises(pattern), source)


OTHERS = [
    case(
        "schema: none before training",
        lambda: ee.Classifier.smileCart().schema(),
        None,
        described("Classifier.schema"),
    ),
    case(
        "schema: the inputs in order",
        lambda: (
            ee.Classifier.smileCart().train(features(ROWS, c=CLASSES), "c", ["y", "x"]).schema()
        ),
        ["y", "x"],
        described("Classifier.schema"),
    ),
    case(
        "schema: the bands that were sampled",
        lambda: (
            ee.Classifier.smileCart()
            .train(
                plane()
                .addBands(ee.Image(1).rename("c"))
                .sample(ee.Geometry.Rectangle([0, 0, 1, 1], "EPSG:3857", False), 1),
                "c",
            )
            .schema()
        ),
        ["x", "y"],
        described("Classifier.train"),
    ),
    case(
        "mode: default",
        lambda: ee.Classifier.smileCart().mode(),
        "CLASSIFICATION",
        described("Classifier.setOutputMode"),
    ),
    case(
        "mode: as set",
        lambda: ee.Classifier.smileCart().setOutputMode("REGRESSION").mode(),
        "REGRESSION",
        described("Classifier.mode"),
    ),
    case(
        "classify: another name",
        lambda: plane().classify(trained(ee.Classifier.smileCart()), "cloud").bandNames(),
        ["cloud"],
        described("Image.classify"),
    ),
    case(
        "classify: bands by name, whatever their order",
        lambda: plane().select(["y", "x"]).classify(ensemble(FOREST, "PROBABILITY")),
        image_of(FOREST.predict_proba(PIXELS)[:, 1]),
        described("Image.classify"),
        tolerance=1e-6,
        grid=BIG,
    ),
    case(
        "train: features without numbers are left out",
        lambda: found(
            ee.Classifier.smileCart().train(
                features(ROWS, c=CLASSES).merge(ee.FeatureCollection([ee.Feature(None, {"c": 0})])),
                "c",
                list(NAMES),
            ),
            ROWS[:5],
        ),
        CLASSES[:5],
        GUIDE,
    ),
    case(
        "train: a share of the samples",
        lambda: (
            trained(ee.Classifier.smileCart())
            .train(features(ROWS, c=CLASSES), "c", list(NAMES), 0.5, 3)
            .confusionMatrix()
            .array()
        ),
        Check(lambda v: 40 <= np.sum(v) <= 80, "about half of 120"),
        described("Classifier.train"),
    ),
    case(
        "spectralRegion: inside, with a hole",
        lambda: (
            ee.FeatureCollection([ee.Feature(None, {"u": u, "v": 5}) for u in (-1, 2, 5, 8, 11)])
            .classify(ee.Classifier.spectralRegion(BOW_TIE))
            .aggregate_array("classification")
        ),
        [0, 1, 0, 1, 0],
        described("Classifier.spectralRegion"),
    ),
    case(
        "spectralRegion: schema",
        lambda: ee.Classifier.spectralRegion(BOW_TIE).schema(),
        ["u", "v"],
        described("Classifier.spectralRegion"),
    ),
    _refused(
        "no data",
        lambda: found(
            trained(ee.Classifier.smileCart()).train(ee.FeatureCollection([]), "c", list(NAMES))
        ),
        "No valid training data were found",
    ),
    _refused("no labels", _without("c"), "No valid training data were found"),
    _refused("no input", _without("x"), "No valid training data were found"),
    _refused(
        "one class for PROBABILITY",
        lambda: found(trained(ee.Classifier.smileCart(), CLASSES * 0, "PROBABILITY")),
        "Expected 2 classes for PROBABILITY, found 1",
    ),
    _refused(
        "one class for a support vector machine",
        lambda: found(trained(ee.Classifier.libsvm(), CLASSES * 0)),
        "class",
    ),
    _refused(
        "three classes for PROBABILITY",
        lambda: found(trained(ee.Classifier.smileCart(), THREE, "PROBABILITY")),
        "Expected 2 classes for PROBABILITY, found 3",
    ),
    _refused(
        "classes that are no integers",
        lambda: found(trained(ee.Classifier.smileCart(), NUMBERS)),
        "must be integers",
    ),
    _refused(
        "not trained",
        lambda: plane().classify(ee.Classifier.smileCart()).bandNames(),
        "has not been trained",
    ),
    _refused(
        "trees can't be trained",
        lambda: trained(ee.Classifier.decisionTree(PLAIN)),
        "can't be trained",
    ),
    _refused(
        "a missing band",
        lambda: plane().select("x").classify(trained(ee.Classifier.smileCart())),
        r"Band pattern 'y' did not match any bands",
    ),
    _refused(
        "a missing property",
        lambda: found(
            trained(ee.Classifier.smileCart()).train(
                features(ROWS, c=CLASSES, z=CLASSES), "c", ["x", "z"]
            )
        ),
        r"Property 'z' of feature '0' is missing",
    ),
    _refused(
        "an unknown mode",
        lambda: ee.Classifier.smileCart().setOutputMode("LOUD").mode(),
        "Unknown output mode 'LOUD'",
    ),
    *[
        _refused(
            f"{name} has no {mode}",
            lambda make=make, mode=mode: make().setOutputMode(mode).mode(),
            f"does not support output mode '{mode}'",
        )
        for name, make, modes in [
            ("smileCart", lambda: ee.Classifier.smileCart(), ("RAW", "RAW_REGRESSION")),
            ("smileKNN", lambda: ee.Classifier.smileKNN(), ("REGRESSION", "MULTIPROBABILITY")),
            ("smileNaiveBayes", lambda: ee.Classifier.smileNaiveBayes(), ("REGRESSION",)),
            ("minimumDistance", lambda: ee.Classifier.minimumDistance(), ("PROBABILITY",)),
        ]
        for mode in modes
    ],
    _refused(
        "an unknown kernel",
        lambda: ee.Classifier.libsvm(kernelType="MAGIC").mode(),
        "Unknown kernel type 'MAGIC'",
    ),
    _refused(
        "an asset that does not exist",
        lambda: ee.Classifier.load("projects/demo-project/assets/none").mode(),
        r"Classifier\.load: Classifier asset '.*none' not found",
    ),
]

# --- clusterers

BLOBS = np.vstack([RNG.normal(c, 0.2, (15, 2)) for c in ((0, 0), (5, 0), (0, 5))])
MIXED = RNG.permutation(len(BLOBS))


def _same_groups(got: Sequence[int]) -> bool:
    """Tell whether clusters are the blobs, whatever their numbers."""
    pairs = set(zip(got, (MIXED // 15).tolist(), strict=True))
    return len(pairs) == 3 and set(got) == {0, 1, 2}


def _clustered(clusterer: Any, scale: Sequence[float] = (1, 1)) -> Any:
    training = features(BLOBS[MIXED] * scale)
    return training.cluster(clusterer.train(training, list(NAMES))).aggregate_array(
        "cluster"
    )


BLOB_GROUPS = Check(_same_groups, "the three groups, numbered 0 to 2")
CLUSTERERS = [
    case(
        "wekaKMeans: groups of unlike ranges",
        lambda: _clustered(ee.Clusterer.wekaKMeans(3, 1), (1, 1000)),
        BLOB_GROUPS,
        described("Clusterer.wekaKMeans"),
    ),
    case(
        "wekaCascadeKMeans: the number of groups",
        lambda: _clustered(ee.Clusterer.wekaCascadeKMeans(2, 6, init=True)),
        BLOB_GROUPS,
        described("Clusterer.wekaCascadeKMeans"),
    ),
    case(
        "wekaKMeans: the same for a seed",
        lambda: ee.List([_clustered(ee.Clusterer.wekaKMeans(4, seed=s)) for s in (3, 3)]),
        Check(lambda v: v[0] == v[1] and set(v[0]) <= {0, 1, 2, 3}, "equal"),
        described("Clusterer.wekaKMeans"),
    ),
    case(
        "wekaKMeans: fewer samples than clusters",
        lambda: (
            features(BLOBS[:2])
            .cluster(ee.Clusterer.wekaKMeans(9).train(features(BLOBS[:2]), list(NAMES)))
            .aggregate_array("cluster")
        ),
        Check(lambda v: sorted(v) == [0, 1], "two clusters"),
        described("Clusterer.wekaKMeans"),
    ),
    case(
        "cluster: pixels with the nearest centre",
        lambda: plane().cluster(
            ee.Clusterer.wekaKMeans(2).train(
                features(np.array([[0.005, -0.005], [0.025, -0.005]])), list(NAMES)
            )
        ),
        Check(
            lambda v: v["cluster"][0, 0] != v["cluster"][0, 2] and set(v["cluster"].flat) == {0, 1},
            "two clusters",
        ),
        described("Image.cluster"),
        grid=Grid(3, 1),
    ),
    case(
        "schema",
        lambda: ee.Clusterer.wekaKMeans(2).train(features(BLOBS), ["y", "x"]).schema(),
        ["y", "x"],
        described("Clusterer.schema"),
    ),
    case(
        "schema: none before training",
        lambda: ee.Clusterer.wekaKMeans(2).schema(),
        None,
        described("Clusterer.schema"),
    ),
    _refused(
        "cluster without training",
        lambda: plane().cluster(ee.Clusterer.wekaKMeans(2)).bandNames(),
        "has not been trained",
        described("Clusterer.train"),
    ),
    _refused(
        "clusters of nothing",
        lambda: features(BLOBS).cluster(
            ee.Clusterer.wekaKMeans(2).train(ee.FeatureCollection([]), list(NAMES))
        ),
        "No valid training data were found",
        described("Clusterer.train"),
    ),
]

# --- confusion matrices: the matrix that the samples print

COUNTED = np.array(
    [
        [32, 0, 0, 0, 1, 0],
        [0, 5, 0, 0, 1, 0],
        [0, 0, 1, 3, 0, 0],
        [0, 1, 4, 26, 8, 0],
        [0, 0, 0, 7, 15, 0],
        [0, 0, 0, 1, 0, 5],
    ]
)
ACTUAL, PREDICTED = (
    np.repeat(np.indices(COUNTED.shape)[axis].ravel(), COUNTED.ravel()) for axis in (0, 1)
)
SPARSE = [[3, 1, 0], [2, 4, 0], [0, 0, 0]]  # a class that never was, nor was predicted


def _matrix(order: Sequence[int] | None = None) -> ee.ConfusionMatrix:
    return ee.ConfusionMatrix(ee.Array(COUNTED.tolist()), order)


def _pairs(actual: np.ndarray, predicted: np.ndarray) -> ee.FeatureCollection:
    return features(np.stack([actual, predicted], axis=1))


def _scores(function: Callable[..., Any], **options: Any) -> np.ndarray:
    return function(ACTUAL, PREDICTED, average=None, **options)


CONFUSION = [
    case(
        "accuracy",
        lambda: _matrix().accuracy(),
        accuracy_score(ACTUAL, PREDICTED),
        library("sklearn.metrics.accuracy_score"),
    ),
    case(
        "kappa",
        lambda: _matrix().kappa(),
        cohen_kappa_score(ACTUAL, PREDICTED),
        library("sklearn.metrics.cohen_kappa_score"),
    ),
    case(
        "consumersAccuracy: a row, right of predicted",
        lambda: _matrix().consumersAccuracy(),
        _scores(precision_score)[None],
        sample("ee_confusionmatrix_consumersaccuracy"),
    ),
    case(
        "producersAccuracy: a column, right of actual",
        lambda: _matrix().producersAccuracy(),
        (COUNTED.diagonal() / COUNTED.sum(axis=1))[:, None],
        sample("ee_confusionmatrix_producersaccuracy"),
    ),
    case(
        "fscore",
        lambda: _matrix().fscore(),
        _scores(fbeta_score, beta=1),
        library("sklearn.metrics.fbeta_score"),
    ),
    case(
        "fscore with β = 2",
        lambda: _matrix().fscore(2),
        _scores(fbeta_score, beta=2),
        library("sklearn.metrics.fbeta_score"),
    ),
    case("array", lambda: _matrix().array(), COUNTED, sample("ee_confusionmatrix_array")),
    case("itself", lambda: _matrix(), COUNTED, sample("ee_confusionmatrix")),
    case(
        "order: from 0",
        lambda: _matrix().order(),
        [0, 1, 2, 3, 4, 5],
        sample("ee_confusionmatrix_order"),
    ),
    case(
        "order: as given",
        lambda: _matrix([11, 22, 42, 52, 71, 81]).order(),
        [11, 22, 42, 52, 71, 81],
        sample("ee_confusionmatrix_order"),
    ),
    case(
        "a class without any: 0",
        lambda: ee.ConfusionMatrix(ee.Array(SPARSE)).producersAccuracy(),
        [[0.75], [4 / 6], [0]],
        described("ConfusionMatrix.producersAccuracy"),
    ),
    case(
        "errorMatrix",
        lambda: _pairs(ACTUAL, PREDICTED).errorMatrix("x", "y"),
        COUNTED,
        described("Collection.errorMatrix"),
    ),
    case(
        "errorMatrix: rows are actual",
        lambda: _pairs(np.array([0, 0, 2]), np.array([1, 1, 0])).errorMatrix("x", "y").array(),
        [[0, 2, 0], [0, 0, 0], [1, 0, 0]],
        described("Collection.errorMatrix"),
    ),
    case(
        "errorMatrix: only values of the order",
        lambda: _pairs(np.array([7, 3, 7, 5]), np.array([3, 3, 7, 3])).errorMatrix(
            "x", "y", [7, 3]
        ),
        [[1, 1], [0, 1]],
        described("Collection.errorMatrix"),
    ),
    _refused(
        "a matrix that is not square",
        lambda: ee.ConfusionMatrix(ee.Array([[1, 2, 3], [4, 5, 6]])),
        "square",
        described("ConfusionMatrix"),
    ),
    _refused(
        "a list",
        lambda: ee.ConfusionMatrix([[1, 0], [0, 1]]),
        "must be an Array",
        described("ConfusionMatrix"),
    ),
    _refused(
        "an order of another length",
        lambda: _matrix([1, 2]),
        "6 values",
        described("ConfusionMatrix"),
    ),
    _refused(
        "errorMatrix of a missing property",
        lambda: _pairs(ACTUAL, PREDICTED).errorMatrix("x", "z"),
        r"Property 'z' of feature '0' is missing",
        described("Collection.errorMatrix"),
    ),
]

CASES = [
    *FORESTS,
    *TREES,
    *LEARNERS,
    *MINIMUM_DISTANCE,
    *RANDOM_FORESTS,
    *OTHERS,
    *CLUSTERERS,
    *CONFUSION,
]
