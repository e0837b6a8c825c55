"""Clusterers: made, trained when they are first used, applied to images and tables."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, cast

from emulator.errors import EarthEngineError, NotImplementedByEmulator
from emulator.functions.classifiers import CLASS_NUMBER, per_feature, per_pixel
from emulator.functions.training import Training, told_by
from emulator.functions.values import Collection
from emulator.raster import Array, Image
from emulator.registry import accepts, algorithm

INITIALISATIONS = ("random", "k-means++")  # scikit-learn's names of Weka's methods 0 and 1
MAX_ITERATIONS = 500  # Weka's default (SimpleKMeans)


@dataclass(frozen=True, eq=False)
class Clusterer:
    """K-means with one number of clusters, or the best of several."""

    least: int
    most: int
    options: dict[str, Any]
    training: Training | None = None

    type_name = "Clusterer"

    def to_json(self) -> dict[str, Any]:
        """Return what is known without training."""
        return {"type": "Clusterer", "schema": self.schema}

    @property
    def schema(self) -> list[str] | None:
        """The names of the inputs, in order."""
        return self.training and self.training.schema

    @cached_property
    def _clusters(self) -> Any:
        from emulator import learners  # when something is learnt: it takes long to load

        training = cast("Training", self.training)  # what has inputs has been trained
        return learners.k_means(training.rows, self.least, self.most, **self.options)

    def inputs(self, caller: str) -> list[str]:
        """Return the names of the inputs; errors are told in the caller's name."""
        if self.schema is None:
            raise EarthEngineError(f"{caller}: The clusterer has not been trained.")
        return self.schema

    def cluster(self, rows: Array, caller: str) -> Array:
        """Return the number of each row's cluster."""
        with told_by(caller):
            return self._clusters.cluster(rows) if len(rows) else rows[:, 0]


accepts("Clusterer", Clusterer)


@algorithm("Clusterer.wekaKMeans")
def k_means(
    count: int,
    initialisation: int,
    canopies: bool,
    max_candidates: int,
    periodic_pruning: int,
    min_density: int,
    t1: float,
    t2: float,
    distance: str,
    iterations: int | None,
    preserve_order: bool,
    fast: bool,
    seed: int,
) -> Clusterer:
    if initialisation not in range(len(INITIALISATIONS)):
        raise NotImplementedByEmulator(f"Clusterer.wekaKMeans with init {initialisation}")
    return _made("wekaKMeans", count, count, initialisation, 1, distance, iterations, seed)


@algorithm("Clusterer.wekaCascadeKMeans")
def cascade_k_means(
    least: int,
    most: int,
    restarts: int,
    manual: bool,
    plus_plus: bool,
    distance: str,
    iterations: int | None,
) -> Clusterer:
    if manual:
        raise NotImplementedByEmulator("Clusterer.wekaCascadeKMeans with a manual choice")
    return _made("wekaCascadeKMeans", least, most, plus_plus, restarts, distance, iterations, 0)


def _made(
    name: str,
    least: int,
    most: int,
    initialisation: int,
    starts: int,
    distance: str,
    iterations: int | None,
    seed: int,
) -> Clusterer:
    if not 1 <= least <= most:
        raise EarthEngineError(f"Clusterer.{name}: Invalid number of clusters {least} to {most}.")
    if distance != "Euclidean":
        raise NotImplementedByEmulator(f"Clusterer.{name} with distance '{distance}'")
    options = {
        "init": INITIALISATIONS[initialisation],
        "n_init": starts,
        "max_iter": MAX_ITERATIONS if iterations is None else iterations,
        "seed": seed,
    }
    return Clusterer(least, most, options)


@algorithm("Clusterer.train")
def train(
    clusterer: Clusterer,
    features: Collection,
    inputs: list[str] | None,
    subsampling: float,
    seed: int,
) -> Clusterer:
    return replace(clusterer, training=Training(features, None, inputs, subsampling, seed))


@algorithm("Clusterer.schema")
def schema(clusterer: Clusterer) -> list[str] | None:
    return clusterer.schema


@algorithm("Image.cluster")
def cluster(source: Image, clusterer: Clusterer, name: str) -> Image:
    def output(rows: Array) -> Array:
        return clusterer.cluster(rows, "Image.cluster")

    return per_pixel(source, clusterer.inputs("Image.cluster"), output, name, CLASS_NUMBER)


@algorithm("FeatureCollection.cluster")
def cluster_features(features: Collection, clusterer: Clusterer, name: str) -> Collection:
    caller = "FeatureCollection.cluster"

    def output(rows: Array) -> Array:
        return clusterer.cluster(rows, caller)

    return features.with_elements(
        per_feature(features, clusterer.inputs(caller), output, name, caller)
    )
