"""Training data: the numeric properties of a collection's features."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from emulator.errors import EarthEngineError
from emulator.functions.values import Collection, property_of
from emulator.raster import Array


class UntrainableError(ValueError):
    """Training data that nothing can be learnt from."""


@dataclass(frozen=True, eq=False)
class Training:
    """Features to learn from; read when something is learnt, not before."""

    features: Collection
    label: str | None
    inputs: Sequence[str] | None
    subsampling: float
    seed: int

    @cached_property
    def schema(self) -> list[str]:
        """The inputs' names; where none were given, those of the image that was sampled.

        Of other collections the first feature's numeric properties: Earth Engine's choice is
        not published.
        """
        if self.inputs is not None:
            return list(self.inputs)
        names = self.features.properties.get("band_order")
        if names is None:
            first = next(iter(self.features), None)
            known = {} if first is None else first.properties
            names = sorted(name for name, value in known.items() if _is_number(value))
        return [name for name in names if name != self.label]

    @cached_property
    def rows(self) -> Array:
        """Inputs and, last, the label of the features that have numbers for all of them."""
        names = [*self.schema, *([] if self.label is None else [self.label])]
        values = ([property_of(feature, name) for name in names] for feature in self.features)
        rows = np.array([row for row in values if all(map(_is_number, row))], dtype=np.float64)
        rows = rows.reshape(-1, len(names))
        if self.subsampling < 1:
            rows = rows[np.random.default_rng(abs(self.seed)).random(len(rows)) < self.subsampling]
        if not len(rows):
            raise UntrainableError("No valid training data were found.")
        return rows


def _is_number(value: Any) -> bool:
    return isinstance(value, bool | int | float) and math.isfinite(value)


def inputs_of(feature: Any, index: int, schema: Sequence[str], algorithm: str) -> list[float]:
    """Return a feature's properties that a classifier or clusterer takes."""
    values = [property_of(feature, name) for name in schema]
    for name, value in zip(schema, values, strict=True):
        if not _is_number(value):
            position = feature.properties.get("system:index", index)
            raise EarthEngineError(
                f"{algorithm}: Property '{name}' of feature '{position}' is missing."
            )
    return values
