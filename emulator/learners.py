"""What classifiers and clusterers learn from samples, with scikit-learn.

scikit-learn takes most of a second to load: import this module where something is learnt.
Rows are (n, inputs) float64, labels (n,) float64; random numbers depend on the seed only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.metrics import calinski_harabasz_score
from sklearn.naive_bayes import MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC, SVR, NuSVC, NuSVR, OneClassSVM
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from emulator.raster import Array
from emulator.trees import Forest, Tree

ALL_CORES = -1  # scikit-learn's n_jobs
SEEDS = 2**32  # scikit-learn's seeds are less


@dataclass(frozen=True)
class Samples:
    """What to learn from."""

    names: tuple[str, ...]
    rows: Array
    labels: Array
    regression: bool

    @property
    def targets(self) -> Array:
        """Labels as numbers to predict, or as classes."""
        return self.labels if self.regression else self.labels.astype(np.int64)


@dataclass(frozen=True)
class Estimated:
    """An estimator of scikit-learn as a model."""

    estimator: Any
    classes: tuple[int, ...]
    explanation: dict[str, Any]

    def output(self, mode: str, rows: Array) -> Array:
        """Return what an output mode is for rows."""
        if mode in ("CLASSIFICATION", "REGRESSION"):
            return self.estimator.predict(rows)
        probabilities = self.estimator.predict_proba(rows)
        return probabilities[:, 1] if mode == "PROBABILITY" else probabilities


@dataclass(frozen=True)
class Learnt:
    """A forest that was learnt here, with what is known of it beside its trees."""

    forest: Forest
    explanation: dict[str, Any]

    @property
    def classes(self) -> tuple[int, ...]:
        """The classes, in order."""
        return self.forest.classes

    def output(self, mode: str, rows: Array) -> Array:
        """Return what an output mode is for rows."""
        return self.forest.output(mode, rows)


def random_forest(samples: Samples, bag: float, seed: int, **options: Any) -> Learnt:
    """Learn a random forest; each tree sees a share of the samples, drawn with replacement."""
    kind = RandomForestRegressor if samples.regression else RandomForestClassifier
    estimator = kind(
        bootstrap=True,
        max_samples=bag,
        random_state=seed % SEEDS,
        n_jobs=ALL_CORES,
        **options,
    ).fit(samples.rows, samples.targets)
    forest = forest_of(estimator.estimators_, samples.names, _classes(estimator))
    error = _out_of_bag_error(forest, estimator.estimators_samples_, samples)
    explanation = {
        "importance": _importance(estimator, samples),
        "numberOfTrees": len(forest.trees),
        "outOfBagErrorEstimate": error,
        "trees": list(forest.to_text()),
    }
    return Learnt(forest, explanation)


def cart(samples: Samples, **options: Any) -> Learnt:
    """Learn one decision tree."""
    kind = DecisionTreeRegressor if samples.regression else DecisionTreeClassifier
    estimator = kind(random_state=0, **options).fit(samples.rows, samples.targets)
    forest = forest_of([estimator], samples.names, _classes(estimator))
    [text] = forest.to_text()
    return Learnt(forest, {"importance": _importance(estimator, samples), "tree": text})


def forest_of(estimators: Sequence[Any], names: Sequence[str], classes: Sequence[int]) -> Forest:
    """Return scikit-learn's fitted trees as a forest; without classes it is a regression's."""
    trees = (
        Tree(t.children_left, t.children_right, t.feature, t.threshold, t.value[:, 0, :])
        for t in (estimator.tree_ for estimator in estimators)
    )
    return Forest(tuple(names), tuple(classes), tuple(trees))


def _classes(estimator: Any) -> tuple[int, ...]:
    return tuple(int(c) for c in getattr(estimator, "classes_", ()))


def _importance(estimator: Any, samples: Samples) -> dict[str, float]:
    return dict(zip(samples.names, estimator.feature_importances_.tolist(), strict=True))


def _out_of_bag_error(forest: Forest, bags: Sequence[Array], samples: Samples) -> float:
    """Return the share of wrong classes, or the root mean square error, of the trees' own tests.

    A tree is tested on the samples that it has not seen, a sample by the trees that it was not
    shown to; 0 when every tree saw every sample.
    """
    found = forest.output("RAW", samples.rows)
    unseen = np.ones(found.shape, dtype=bool)
    for tree, bag in enumerate(bags):
        unseen[bag, tree] = False
    tested = unseen.any(axis=1)
    if not tested.any():
        return 0.0
    truth, found, unseen = samples.labels[tested], found[tested], unseen[tested]
    if samples.regression:
        mean = (found * unseen).sum(axis=1) / unseen.sum(axis=1)
        return float(np.sqrt(np.mean((mean - truth) ** 2)))
    votes = np.stack([((found == c) & unseen).sum(axis=1) for c in forest.classes], axis=1)
    return float(np.mean(np.array(forest.classes)[votes.argmax(axis=1)] != truth))


def gradient_tree_boost(samples: Samples, loss: str, seed: int, **options: Any) -> Estimated:
    """Learn boosted trees; the loss is for regression only."""
    if samples.regression:
        options["loss"] = loss
    kind = GradientBoostingRegressor if samples.regression else GradientBoostingClassifier
    estimator = kind(max_depth=None, random_state=seed % SEEDS, **options)
    estimator.fit(samples.rows, samples.targets)
    explanation = {
        "importance": _importance(estimator, samples),
        "numberOfTrees": estimator.n_estimators_,
    }
    return Estimated(estimator, _classes(estimator), explanation)


def k_nearest(samples: Samples, k: int, **options: Any) -> Estimated:
    """Remember the samples; there are no more neighbours than these."""
    if options["metric"] == "mahalanobis":
        options["metric_params"] = {"VI": np.linalg.pinv(np.atleast_2d(np.cov(samples.rows.T)))}
    estimator = KNeighborsClassifier(min(k, len(samples.rows)), **options)
    estimator.fit(samples.rows, samples.targets)
    return Estimated(estimator, _classes(estimator), {})


class _NonNegative(MultinomialNB):
    """Naive Bayes over counts that takes negative inputs as absent."""

    def predict_log_proba(self, rows: Array) -> Array:
        return super().predict_log_proba(np.maximum(rows, 0))

    def predict(self, rows: Array) -> Array:
        return super().predict(np.maximum(rows, 0))


def naive_bayes(samples: Samples, smoothing: float) -> Estimated:
    """Learn how often each input counts in each class."""
    estimator = _NonNegative(alpha=smoothing).fit(np.maximum(samples.rows, 0), samples.targets)
    return Estimated(estimator, _classes(estimator), {})


@dataclass(frozen=True)
class SupportVectors(Estimated):
    """A support vector machine; its probabilities are learnt when they are asked for."""

    samples: Samples

    def output(self, mode: str, rows: Array) -> Array:
        """Return what an output mode is for rows; probabilities by Platt's method."""
        if mode in ("CLASSIFICATION", "REGRESSION"):
            return super().output(mode, rows)
        return self._calibrated.output(mode, rows)

    @cached_property
    def _calibrated(self) -> Estimated:
        calibrated = CalibratedClassifierCV(self.estimator, ensemble=False)
        calibrated.fit(self.samples.rows, self.samples.targets)
        return Estimated(calibrated, self.classes, {})


def support_vectors(samples: Samples, kind: str, **options: Any) -> SupportVectors:
    """Learn a support vector machine."""
    kinds = {"C_SVC": SVC, "NU_SVC": NuSVC, "EPSILON_SVR": SVR, "NU_SVR": NuSVR}
    estimator = kinds[kind](**options).fit(samples.rows, samples.targets)
    return SupportVectors(estimator, _classes(estimator), {}, samples)


class _OneClass(OneClassSVM):
    """Answers a class where a row is in it and the other of 0 and 1 elsewhere."""

    inside = 0

    def predict(self, rows: Array) -> Array:
        return np.where(super().predict(rows) > 0, self.inside, 1 - self.inside)


def one_class(samples: Samples, inside: int, **options: Any) -> Estimated:
    """Learn where the samples of one class are."""
    estimator = _OneClass(**options)
    estimator.inside = inside
    estimator.fit(samples.rows[samples.labels == inside])
    return Estimated(estimator, (0, 1), {})


@dataclass(frozen=True)
class Centres:
    """Class means and, for Mahalanobis distance, the inverse covariance of each class."""

    classes: tuple[int, ...]
    means: Array
    inverses: Sequence[Array] | None
    metric: str
    nearest: int
    explanation: dict[str, Any]

    def output(self, mode: str, rows: Array) -> Array:
        """Return what an output mode is for rows."""
        distances = self._distances(rows)
        if mode == "RAW":
            return distances
        order = distances.argsort(axis=1, kind="stable")[:, : self.nearest]
        if mode == "REGRESSION":
            found = np.take_along_axis(distances, order, axis=1)
        else:
            found = np.array(self.classes)[order]
        return found[:, 0] if self.nearest == 1 else found

    def _distances(self, rows: Array) -> Array:
        if self.metric == "cosine":  # the angle, in radians
            return np.arccos(np.clip(1 - cdist(rows, self.means, "cosine"), -1, 1))
        if self.inverses is None:
            return cdist(rows, self.means, self.metric)
        each = zip(self.means, self.inverses, strict=True)
        return np.hstack([cdist(rows, mean[None], "mahalanobis", VI=inv) for mean, inv in each])


def minimum_distance(samples: Samples, metric: str, nearest: int) -> Centres:
    """Learn the mean of each class."""
    classes = np.unique(samples.targets)
    groups = [samples.rows[samples.targets == c] for c in classes]
    means = np.stack([group.mean(axis=0) for group in groups])
    inverses = None
    if metric == "mahalanobis":
        inverses = [np.linalg.pinv(np.atleast_2d(np.cov(g.T, bias=len(g) == 1))) for g in groups]
    known = tuple(classes.tolist())
    return Centres(known, means, inverses, metric, min(nearest, len(known)), {})


# --- clusters


@dataclass(frozen=True)
class Clusters:
    """Cluster centres in ranges of the samples: as Weka does, so that no input outweighs."""

    low: Array
    span: Array
    estimator: KMeans

    def cluster(self, rows: Array) -> Array:
        """Return the number of each row's cluster."""
        return self.estimator.predict((rows - self.low) / self.span)


def k_means(rows: Array, least: int, most: int, seed: int, **options: Any) -> Clusters:
    """Learn clusters: of several numbers of them the best by Calinski and Harabasz (1974)."""
    low = rows.min(axis=0)
    span = np.ptp(rows, axis=0)
    span = np.where(span > 0, span, 1)
    scaled = (rows - low) / span
    distinct = len(np.unique(scaled, axis=0))
    counts = range(min(least, distinct), min(most, distinct) + 1)
    fitted = [KMeans(count, random_state=seed % SEEDS, **options).fit(scaled) for count in counts]
    tested = [f for f in fitted if 1 < f.n_clusters < len(rows)] if len(fitted) > 1 else []
    best = max(tested, key=lambda f: calinski_harabasz_score(scaled, f.labels_), default=fitted[0])
    return Clusters(low, span, best)
