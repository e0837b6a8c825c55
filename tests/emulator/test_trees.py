"""Forests as classifier assets, and as text: what is written gives the same forest back."""

import json

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from emulator.errors import EarthEngineError
from emulator.functions.classifiers import Classifier, decode, encode, k_nearest, spectral_region
from emulator.learners import forest_of
from emulator.trees import Forest

NAMES = ("a", "b", "c")


@pytest.fixture(scope="module")
def learnt() -> RandomForestClassifier:
    rng = np.random.default_rng(1)
    rows = rng.random((400, 3))
    return RandomForestClassifier(7, min_samples_leaf=3, random_state=0).fit(
        rows, np.digitize(rows.sum(axis=1) + rng.normal(0, 0.3, 400), [1.2, 1.8])
    )


@pytest.fixture(scope="module")
def forest(learnt: RandomForestClassifier) -> Forest:
    return forest_of(learnt.estimators_, NAMES, (0, 1, 2))


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    return np.random.default_rng(2).random((5000, 3))


def test_asset_is_the_same_classifier(forest: Forest, rows: np.ndarray) -> None:
    document = encode(Classifier("smileRandomForest", (), given=forest, mode="MULTIPROBABILITY"))
    loaded = decode(json.loads(json.dumps(document)))
    assert (loaded.name, loaded.mode, loaded.schema) == (
        "smileRandomForest",
        "MULTIPROBABILITY",
        list(NAMES),
    )
    assert np.array_equal(loaded.output(rows, "test"), forest.output("MULTIPROBABILITY", rows))


def test_text_is_the_same_forest(forest: Forest, rows: np.ndarray) -> None:
    again = Forest.from_text(list(forest.to_text()), "test")
    assert again.classes == forest.classes
    for mode in ("CLASSIFICATION", "MULTIPROBABILITY", "RAW"):
        # Names come in the order of the text.
        order = [NAMES.index(name) for name in again.names]
        assert np.array_equal(again.output(mode, rows[:, order]), forest.output(mode, rows))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_probabilities_are_the_library_s(
    learnt: RandomForestClassifier, forest: Forest, rows: np.ndarray, dtype: str
) -> None:
    rows = rows.astype(dtype)
    found = forest.output("MULTIPROBABILITY", rows)
    assert np.abs(found - learnt.predict_proba(rows)).max() < 1e-6


def test_limits_hold_in_double_precision() -> None:
    forest = Forest.from_text(["1) root 9 9 9\n2) a<=0.1 9 9 0 *\n3) a>0.1 9 9 1 *"], "test")
    rows = np.array([[np.nextafter(0.1, 0)], [0.1], [np.nextafter(0.1, 1)]])
    assert forest.output("CLASSIFICATION", rows).tolist() == [0, 0, 1]
    assert forest.output("CLASSIFICATION", rows.astype("float32")).tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    "classifier",
    [k_nearest(3, "AUTO", "EUCLIDEAN"), spectral_region([[0, 0, 1, 0, 1, 1]], None)],
    ids=lambda classifier: classifier.name,
)
def test_only_trees_are_exported(classifier: Classifier) -> None:
    with pytest.raises(EarthEngineError, match="cannot be exported"):
        encode(classifier)
