"""Confusion matrices: rows are actual classes, columns predicted ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from emulator.errors import EarthEngineError
from emulator.functions.arrays import EEArray
from emulator.functions.statistics import ratio
from emulator.functions.training import is_number
from emulator.functions.values import Collection, property_of
from emulator.raster import DOUBLE, Array, PixelType
from emulator.registry import accepts, algorithm

MAX_CLASS = 10_000  # a matrix of the classes up to it takes 800 MB; ours


@dataclass(frozen=True, eq=False)
class ConfusionMatrix:
    """Counts (n, n) and the classes that the rows and columns are."""

    counts: Array
    order: Sequence[int]

    type_name = "ConfusionMatrix"

    def to_json(self) -> list[list[int]]:
        """Return nested lists."""
        return self.counts.tolist()

    @property
    def correct(self) -> Array:
        """How many of each class were predicted rightly."""
        return np.diagonal(self.counts)


accepts("ConfusionMatrix", ConfusionMatrix)


@algorithm("ConfusionMatrix")
def make(array: Any, order: list[int] | None) -> ConfusionMatrix:
    if not isinstance(array, EEArray):
        raise EarthEngineError("ConfusionMatrix: The matrix must be an Array.")
    shape = array.values.shape
    if len(shape) != 2 or shape[0] != shape[1]:
        raise EarthEngineError(f"ConfusionMatrix: The array must be square, got {list(shape)}.")
    if order is not None and len(order) != shape[0]:
        raise EarthEngineError(
            f"ConfusionMatrix: The order must have {shape[0]} values, got {len(order)}."
        )
    return ConfusionMatrix(array.values.astype(np.int64), order or list(range(shape[0])))


def count(
    caller: str, actual: Array, predicted: Array, order: Sequence[int] | None
) -> ConfusionMatrix:
    """Count pairs of classes: all from 0 to the greatest, or those of the order only."""
    pairs = np.stack([actual, predicted])
    if order is None:
        if pairs.min(initial=0) < 0 or pairs.max(initial=0) > MAX_CLASS:
            raise EarthEngineError(f"{caller}: Values must be from 0 to {MAX_CLASS}.")
        order = list(range(int(pairs.max(initial=0)) + 1))
    pairs = pairs[:, np.isin(pairs, order).all(axis=0)]
    position = {value: i for i, value in enumerate(order)}
    counts = np.zeros((len(order), len(order)), np.int64)
    rows, columns = ([position[v] for v in values.tolist()] for values in pairs)
    np.add.at(counts, (rows, columns), 1)
    return ConfusionMatrix(counts, list(order))


@algorithm("Collection.errorMatrix")
def error_matrix(
    collection: Collection, actual: str, predicted: str, order: list[int] | None
) -> ConfusionMatrix:
    caller = "Collection.errorMatrix"
    columns = ([_class(f, name, caller) for f in collection] for name in (actual, predicted))
    return count(caller, *(np.array(values, dtype=np.int64) for values in columns), order)


def _class(feature: Any, name: str, caller: str) -> int:
    value = property_of(feature, name)
    if not is_number(value):
        index = feature.properties.get("system:index")
        raise EarthEngineError(f"{caller}: Property '{name}' of feature '{index}' is missing.")
    return int(value)


@algorithm("ConfusionMatrix.accuracy")
def accuracy(matrix: ConfusionMatrix) -> float:
    return float(ratio(matrix.correct.sum(), matrix.counts.sum()))


@algorithm("ConfusionMatrix.kappa")
def kappa(matrix: ConfusionMatrix) -> float:
    counts = matrix.counts
    total = counts.sum()
    chance = ratio(np.sum(counts.sum(axis=0) * counts.sum(axis=1)), total**2)
    return float(ratio(accuracy(matrix) - chance, 1 - chance))


@algorithm("ConfusionMatrix.array")
def array(matrix: ConfusionMatrix) -> EEArray:
    return EEArray(matrix.counts, PixelType.of(matrix.counts.dtype.name))


@algorithm("ConfusionMatrix.order")
def order(matrix: ConfusionMatrix) -> list[int]:
    return list(matrix.order)


def _precision(matrix: ConfusionMatrix) -> Array:
    return ratio(matrix.correct, matrix.counts.sum(axis=0))


def _recall(matrix: ConfusionMatrix) -> Array:
    return ratio(matrix.correct, matrix.counts.sum(axis=1))


@algorithm("ConfusionMatrix.consumersAccuracy")
def consumers_accuracy(matrix: ConfusionMatrix) -> EEArray:
    return EEArray(_precision(matrix)[None, :], DOUBLE)


@algorithm("ConfusionMatrix.producersAccuracy")
def producers_accuracy(matrix: ConfusionMatrix) -> EEArray:
    return EEArray(_recall(matrix)[:, None], DOUBLE)


@algorithm("ConfusionMatrix.fscore")
def fscore(matrix: ConfusionMatrix, beta: float) -> EEArray:
    precision, recall = _precision(matrix), _recall(matrix)
    weighted = (1 + beta**2) * precision * recall
    return EEArray(ratio(weighted, beta**2 * precision + recall), DOUBLE)
