"""Classifiers: made, trained when they are first used, applied to images and tables.

https://developers.google.com/earth-engine/guides/classification says which output modes each has
and which classifiers can be exported.
"""

import functools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any, Protocol

import numpy as np
import shapely

from emulator.errors import EarthEngineError
from emulator.functions.arrays import EEArray
from emulator.functions.confusion import ConfusionMatrix, count
from emulator.functions.elementwise import index_of
from emulator.functions.images import select
from emulator.functions.training import Training, UntrainableError, inputs_of, told_by
from emulator.functions.values import Collection, Feature, catalogue, not_found
from emulator.grids import PixelBox
from emulator.raster import DOUBLE, FLOAT, Array, Band, Image, Pixels, PixelType, Reader, combined
from emulator.registry import accepts, algorithm
from emulator.trees import Forest

OUTPUT_MODES = (
    "CLASSIFICATION",
    "REGRESSION",
    "PROBABILITY",
    "MULTIPROBABILITY",
    "RAW",
    "RAW_REGRESSION",
)
TREE_MODES = OUTPUT_MODES[:4]
CLASS_MODES = ("CLASSIFICATION", "PROBABILITY", "MULTIPROBABILITY")
EXPORTABLE = ("smileRandomForest", "smileCart", "decisionTree", "decisionTreeEnsemble")

MAX_TREES = 10_000  # of a forest; ours
KEPT = 4  # classifiers of assets in memory, each some megabytes
CLASS_NUMBER = PixelType("int", -(2**31), 2**31 - 1)
NO_LIMIT = None  # of the number of leaves


class Model(Protocol):
    """What a classifier has learnt, or was given."""

    @property
    def classes(self) -> Sequence[int]:
        """The classes in order; none: it can't have probabilities."""

    def output(self, mode: str, rows: Array) -> Array:
        """Return what an output mode is for rows (n, inputs): (n,) or, for arrays, (n, k)."""


@dataclass(frozen=True, eq=False)
class Classifier:
    """Something that learns a model, or has one, and what of the model it puts out."""

    name: str  # as in Classifier.name
    modes: Sequence[str]
    learn: Callable[[Any], Model] | None = None  # from samples
    training: Training | None = None
    given: Model | None = None
    given_schema: Sequence[str] | None = None
    mode: str = "CLASSIFICATION"
    arrays: bool = False  # puts out an array in every mode
    _learnt: dict[bool, Model] = field(default_factory=dict)  # by `regression`

    type_name = "Classifier"

    def to_json(self) -> dict[str, Any]:
        """Return what is known without training."""
        return {"type": f"Classifier.{self.name}", "mode": self.mode, "schema": self.schema}

    @property
    def schema(self) -> list[str] | None:
        """The names of the inputs, in order."""
        if self.training is not None:
            return self.training.schema
        return None if self.given_schema is None else list(self.given_schema)

    def inputs(self, caller: str) -> list[str]:
        """Return the names of the inputs; errors are told in the caller's name."""
        if self.schema is None:
            raise EarthEngineError(f"{caller}: The classifier has not been trained.")
        return self.schema

    @property
    def regression(self) -> bool:
        """Whether labels are numbers to predict, not classes."""
        return self.mode in ("REGRESSION", "RAW_REGRESSION")

    def model(self, caller: str) -> Model:
        """Return the model, learnt at the first call; errors are told in the caller's name."""
        if self.given is not None:
            return self.given
        if self.regression not in self._learnt:
            with told_by(caller):
                self._learnt[self.regression] = self._fitted()
        return self._learnt[self.regression]

    def _fitted(self) -> Model:
        if self.training is None or self.learn is None:
            raise UntrainableError("The classifier has not been trained.")
        names, rows = tuple(self.training.schema), self.training.rows
        labels = rows[:, -1]
        if not self.regression and not np.array_equal(labels, np.rint(labels)):
            raise UntrainableError(f"Classes in '{self.training.label}' must be integers.")
        samples = _learners().Samples(names, rows[:, :-1], labels, self.regression)
        return self.learn(samples)

    def output(self, rows: Array, caller: str) -> Array:
        """Return the output for rows of inputs."""
        model = self.model(caller)
        if self.mode == "PROBABILITY" and model.classes and len(model.classes) != 2:
            raise EarthEngineError(
                f"{caller}: Expected 2 classes for PROBABILITY, found {len(model.classes)}."
            )
        some = rows if len(rows) else np.zeros((1, rows.shape[1]))  # the shape, at least
        with told_by(caller):
            return model.output(self.mode, some)[: len(rows)]


def _learners() -> ModuleType:
    from emulator import learners  # when something is learnt: it takes most of a second to load

    return learners


accepts("Classifier", Classifier)


# --- making classifiers


@algorithm("Classifier.smileRandomForest")
def random_forest(
    trees: int, variables: int | None, least: int, bag: float, leaves: int | None, seed: int
) -> Classifier:
    return _forest(trees, variables, least, bag, leaves, seed)


@algorithm("Classifier.randomForest")
def old_random_forest(
    trees: int, variables: int, least: int, bag: float, out_of_bag: bool, seed: int
) -> Classifier:
    return _forest(trees, variables or None, least, bag, NO_LIMIT, seed)


def _forest(
    trees: int, variables: int | None, least: int, bag: float, leaves: int | None, seed: int
) -> Classifier:
    _check_count("smileRandomForest", trees)

    def learn(samples: Any) -> Model:
        return _learners().random_forest(
            samples,
            bag,
            seed,
            n_estimators=trees,
            max_features="sqrt" if variables is None else min(variables, len(samples.names)),
            min_samples_leaf=least,
            max_leaf_nodes=leaves,
        )

    return Classifier("smileRandomForest", OUTPUT_MODES, learn)


def _check_count(name: str, trees: int) -> None:
    if not 0 < trees <= MAX_TREES:
        raise EarthEngineError(
            f"Classifier.{name}: numberOfTrees must be from 1 to {MAX_TREES}, got {trees}."
        )


@algorithm("Classifier.smileCart")
def cart(leaves: int | None, least: int) -> Classifier:
    def learn(samples: Any) -> Model:
        return _learners().cart(samples, max_leaf_nodes=leaves, min_samples_leaf=least)

    return Classifier("smileCart", TREE_MODES, learn)


LOSSES = {
    "LeastSquares": "squared_error",
    "LeastAbsoluteDeviation": "absolute_error",
    "Huber": "huber",
}


@algorithm("Classifier.smileGradientTreeBoost")
def gradient_tree_boost(
    trees: int, shrinkage: float, sampling: float, leaves: int | None, loss: str, seed: int
) -> Classifier:
    _check_count("smileGradientTreeBoost", trees)
    options = {
        "loss": _known("smileGradientTreeBoost", "loss function", LOSSES, loss),
        "n_estimators": trees,
        "learning_rate": shrinkage,
        "subsample": sampling,
        "max_leaf_nodes": leaves,
        "seed": seed,
    }

    def learn(samples: Any) -> Model:
        return _learners().gradient_tree_boost(samples, **options)

    return Classifier("smileGradientTreeBoost", TREE_MODES, learn)


#: Every search finds the same neighbours; this one of scikit-learn does so by every metric.
SEARCHES = dict.fromkeys(("AUTO", "LINEAR_SEARCH", "KD_TREE", "COVER_TREE"), "brute")
METRICS = {name: name.lower() for name in ("EUCLIDEAN", "MAHALANOBIS", "MANHATTAN", "BRAYCURTIS")}


@algorithm("Classifier.smileKNN")
def k_nearest(k: int, search: str, metric: str) -> Classifier:
    options = {
        "k": k,
        "algorithm": _known("smileKNN", "search method", SEARCHES, search),
        "metric": _known("smileKNN", "metric", METRICS, metric),
    }

    def learn(samples: Any) -> Model:
        return _learners().k_nearest(samples, **options)

    return Classifier("smileKNN", ("CLASSIFICATION", "PROBABILITY"), learn)


@algorithm("Classifier.smileNaiveBayes")
def naive_bayes(smoothing: float) -> Classifier:
    def learn(samples: Any) -> Model:
        return _learners().naive_bayes(samples, smoothing)

    return Classifier("smileNaiveBayes", CLASS_MODES, learn)


SVM_MODES = {
    "C_SVC": CLASS_MODES,
    "NU_SVC": CLASS_MODES,
    "ONE_CLASS": ("CLASSIFICATION",),
    "EPSILON_SVR": ("REGRESSION",),
    "NU_SVR": ("REGRESSION",),
}
KERNELS = {name: name.lower() for name in ("LINEAR", "POLY", "RBF", "SIGMOID")}


@algorithm("Classifier.libsvm", "Classifier.svm")
def support_vectors(
    procedure: str,
    kind: str,
    kernel: str,
    shrinking: bool,
    degree: int | None,
    gamma: float | None,
    coef0: float | None,
    cost: float | None,
    nu: float | None,
    termination: float | None,
    loss: float | None,
    inside: int | None,
) -> Classifier:
    modes = _known("libsvm", "SVM type", SVM_MODES, kind)
    options = {
        "kernel": _known("libsvm", "kernel type", KERNELS, kernel),
        "shrinking": shrinking,
        "gamma": gamma or "auto",
        "coef0": coef0 or 0.0,
        "degree": degree,
        "tol": termination,
    }
    if kind in ("C_SVC", "EPSILON_SVR", "NU_SVR"):
        options["C"] = cost
    if kind in ("NU_SVC", "ONE_CLASS", "NU_SVR"):
        options["nu"] = nu
    if kind == "EPSILON_SVR":
        options["epsilon"] = loss
    options = {name: value for name, value in options.items() if value is not None}

    def learn(samples: Any) -> Model:
        if kind == "ONE_CLASS":
            return _learners().one_class(samples, inside or 0, **options)
        return _learners().support_vectors(samples, kind, **options)

    mode = "CLASSIFICATION" if "CLASSIFICATION" in modes else "REGRESSION"
    return Classifier("libsvm", modes, learn, mode=mode)


DISTANCES = {
    "euclidean": "euclidean",
    "cosine": "cosine",
    "mahalanobis": "mahalanobis",
    "manhattan": "cityblock",
}


@algorithm("Classifier.minimumDistance")
def minimum_distance(metric: str, nearest: int) -> Classifier:
    name = _known("minimumDistance", "metric", DISTANCES, metric)

    def learn(samples: Any) -> Model:
        # Distances to classes, also where they are put out in place of the nearest class.
        return _learners().minimum_distance(replace(samples, regression=False), name, nearest)

    modes = ("CLASSIFICATION", "REGRESSION", "RAW")
    return Classifier("minimumDistance", modes, learn, arrays=nearest > 1)


def _known(name: str, what: str, table: Mapping[str, Any], value: str) -> Any:
    if value not in table:
        options = ", ".join(table)
        raise EarthEngineError(
            f"Classifier.{name}: Unknown {what} '{value}'. Valid values: {options}."
        )
    return table[value]


@algorithm("Classifier.decisionTree")
def decision_tree(text: str) -> Classifier:
    return _read("decisionTree", TREE_MODES, [text])


@algorithm("Classifier.decisionTreeEnsemble")
def decision_tree_ensemble(texts: list[str]) -> Classifier:
    return _read("decisionTreeEnsemble", OUTPUT_MODES, texts)


def _read(name: str, modes: Sequence[str], texts: Sequence[str]) -> Classifier:
    forest = _parsed(f"Classifier.{name}", tuple(texts))
    return Classifier(name, modes, given=forest, given_schema=forest.names)


@functools.lru_cache(maxsize=4)  # an image is classified tile by tile, in request after request
def _parsed(caller: str, texts: tuple[str, ...]) -> Forest:
    return Forest.from_text(texts, caller)


@dataclass(frozen=True)
class _Inside:
    """Whether two inputs are a point inside rings: an odd number of edges to get out."""

    rings: shapely.Geometry
    classes = (0, 1)

    def output(self, mode: str, rows: Array) -> Array:
        return shapely.contains_xy(self.rings, rows[:, 0], rows[:, 1]).astype(np.int64)


@algorithm("Classifier.spectralRegion")
def spectral_region(coordinates: list[list[float]], schema: list[str] | None) -> Classifier:
    names = schema or ["u", "v"]
    if len(names) != 2:
        raise EarthEngineError("Classifier.spectralRegion: The schema must have 2 names.")
    try:
        polygons = [shapely.Polygon(np.reshape(ring, (-1, 2))) for ring in coordinates]
        rings = functools.reduce(shapely.symmetric_difference, polygons, shapely.Polygon())
    except (ValueError, shapely.errors.ShapelyError) as error:
        raise EarthEngineError(f"Classifier.spectralRegion: Invalid ring: {error}") from error
    return Classifier("spectralRegion", ("CLASSIFICATION",), None, None, _Inside(rings), names)


# --- training and describing


@algorithm("Classifier.train")
def train(
    classifier: Classifier,
    features: Collection,
    label: str,
    inputs: list[str] | None,
    subsampling: float,
    seed: int,
) -> Classifier:
    if classifier.learn is None:
        raise EarthEngineError("Classifier.train: This classifier can't be trained.")
    training = Training(features, label, inputs, subsampling, seed)
    return replace(classifier, training=training, _learnt={})


@algorithm("Classifier.setOutputMode")
def set_output_mode(classifier: Classifier, mode: str) -> Classifier:
    if mode not in OUTPUT_MODES:
        raise EarthEngineError(f"Classifier.setOutputMode: Unknown output mode '{mode}'.")
    if mode not in classifier.modes:
        raise EarthEngineError(
            f"Classifier.setOutputMode: Classifier.{classifier.name} does not support "
            f"output mode '{mode}'."
        )
    return replace(classifier, mode=mode)


@algorithm("Classifier.mode")
def output_mode(classifier: Classifier) -> str:
    return classifier.mode


@algorithm("Classifier.schema")
def schema(classifier: Classifier) -> list[str] | None:
    return classifier.schema


@algorithm("Classifier.explain")
def explain(classifier: Classifier) -> dict[str, Any]:
    model = classifier.model("Classifier.explain")
    explanation = {"classes": list(model.classes)} if model.classes else {}
    if isinstance(model, Forest):
        trees = list(model.to_text())
        return explanation | {"numberOfTrees": len(trees), "trees": trees}
    return explanation | getattr(model, "explanation", {})


@algorithm("Classifier.confusionMatrix")
def confusion_matrix(classifier: Classifier) -> ConfusionMatrix:
    name = "Classifier.confusionMatrix"
    if classifier.training is None or classifier.mode != "CLASSIFICATION":
        raise EarthEngineError(f"{name}: The classifier must be trained in CLASSIFICATION mode.")
    found = classifier.model(name)  # also says what is wrong with the training data
    rows = classifier.training.rows
    return count(name, rows[:, -1], found.output("CLASSIFICATION", rows[:, :-1]), None)


# --- assets


def encode(classifier: Classifier) -> dict[str, Any]:
    """Return a trained classifier as JSON content, for an asset."""
    if classifier.name not in EXPORTABLE:
        raise EarthEngineError(f"Classifier.{classifier.name} cannot be exported.")
    model = classifier.model("Export.classifier")
    forest = model if isinstance(model, Forest) else model.forest
    return {"name": classifier.name, "mode": classifier.mode, **forest.to_json()}


def decode(document: Mapping[str, Any]) -> Classifier:
    """Return the classifier that `encode` wrote."""
    forest = Forest.from_json(document)
    modes = OUTPUT_MODES if document["name"] != "smileCart" else TREE_MODES
    mode = document["mode"]
    return Classifier(document["name"], modes, None, None, forest, forest.names, mode)


@algorithm("Classifier.load")
def load(id: str) -> Classifier:
    text = catalogue().classifier(id)
    if text is None:
        raise not_found("Classifier.load", "Classifier", id)
    return _decoded(text)


@functools.lru_cache(maxsize=KEPT)
def _decoded(text: str) -> Classifier:
    """Return a classifier of an asset, which many requests after each other load."""
    return decode(json.loads(text))


# --- classifying


def _pixel_type(classifier: Classifier) -> PixelType:
    match classifier.mode:
        case "CLASSIFICATION" if not _is_regression(classifier.given):
            kind = CLASS_NUMBER
        case "PROBABILITY":
            kind = FLOAT
        case "MULTIPROBABILITY":
            return replace(FLOAT, dimensions=1)
        case "RAW" | "RAW_REGRESSION":
            return replace(DOUBLE, dimensions=1)
        case _:
            kind = DOUBLE
    return replace(kind, dimensions=1) if classifier.arrays else kind


def _is_regression(model: Model | None) -> bool:
    return isinstance(model, Forest) and not model.classes


@algorithm("Image.classify")
def classify(source: Image, classifier: Classifier, name: str) -> Image:
    def output(rows: Array) -> Array:
        return classifier.output(rows, "Image.classify")

    inputs = classifier.inputs("Image.classify")
    return per_pixel(source, inputs, output, name, _pixel_type(classifier))


def per_pixel(
    source: Image,
    names: Sequence[str],
    output: Callable[[Array], Array],
    name: str,
    kind: PixelType,
) -> Image:
    """Return an image of one band, computed from the named bands' values at valid pixels."""
    bands = select(source, list(names), None).bands

    def compute(box: PixelBox, read: Reader) -> Pixels:
        pixels = [read(band, box) for band in bands]
        mask = combined(p.mask for p in pixels)
        valid = mask > 0
        values = output(np.column_stack([p.data[valid] for p in pixels]))
        data = np.zeros((*box.shape, *values.shape[1:]), kind.dtype)
        data[valid] = values
        return Pixels(data, mask)

    first = bands[0]
    band = Band(name, kind, first.grid, compute, bands, first.extent)
    return Image([band], index_of(source), source.footprint)


@algorithm("FeatureCollection.classify")
def classify_features(features: Collection, classifier: Classifier, name: str) -> Collection:
    caller = "FeatureCollection.classify"
    kind = _pixel_type(classifier)

    def output(rows: Array) -> Array:
        return classifier.output(rows, caller).astype(kind.dtype)

    inputs = classifier.inputs(caller)
    return features.with_elements(per_feature(features, inputs, output, name, caller))


FEATURES = 2**12  # computed at once


def per_feature(
    features: Collection,
    names: Sequence[str],
    output: Callable[[Array], Array],
    name: str,
    caller: str,
) -> Iterator[Feature]:
    """Yield features with one more property, computed from the named ones."""
    elements = list(features)
    for start in range(0, len(elements), FEATURES):
        block = elements[start : start + FEATURES]
        rows = [inputs_of(f, start + i, names, caller) for i, f in enumerate(block)]
        values = output(np.array(rows, dtype=np.float64))
        for feature, value in zip(block, values, strict=True):
            made = EEArray(value, PixelType.of(value.dtype.name)) if value.ndim else value.item()
            yield feature.with_properties({**feature.properties, name: made})
