"""Labelled pixels, whatever they come from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from model.features import feature_rows

Array = np.ndarray[Any, Any]

#: What a TOA reflectance can be: glint and clouds in low sun exceed 1, digital numbers exceed 3.
LEAST, GREATEST = -0.2, 3.0


@dataclass(frozen=True)
class Samples:
    """Pixels: TOA reflectance and its background by band, classes, and the scene of each.

    The background is NaN where there is none.
    """

    reflectance: Mapping[str, Array]
    background: Mapping[str, Array]
    classes: Array
    scenes: Array

    def __len__(self) -> int:
        return len(self.classes)

    def features(self, bands: tuple[str, ...]) -> Array:
        """Return the features over these bands, (n, number)."""
        return feature_rows(self.reflectance, bands, self.background)

    def __getitem__(self, chosen: Array) -> "Samples":
        return Samples(
            {band: values[chosen] for band, values in self.reflectance.items()},
            {band: values[chosen] for band, values in self.background.items()},
            self.classes[chosen],
            self.scenes[chosen],
        )

    def thinned(self, most: int, seed: int) -> "Samples":
        """Return at most so many pixels of each class of each scene, chosen at random."""
        return self[stratified(self.classes, self.scenes, most, seed)]


def stratified(classes: Array, scenes: Array, most: int, seed: int) -> Array:
    """Return the places of at most so many pixels of each class of each scene, in order."""
    order = np.random.default_rng(seed).permutation(len(classes))
    _, kinds = np.unique(scenes, return_inverse=True)
    kinds = kinds * (int(classes.max(initial=0)) + 1) + classes.astype(int)
    # Of pixels in random order, those of a kind together: each one's place among its kind.
    order = order[np.argsort(kinds[order], kind="stable")]
    firsts = np.searchsorted(kinds[order], kinds[order], side="left")
    return np.sort(order[np.arange(len(order)) - firsts < most])


def joined(parts: Sequence[Samples]) -> Samples:
    """Return the pixels of all parts, with the bands that all of them have."""
    bands = set.intersection(*(set(part.reflectance) for part in parts))
    compared = set.intersection(*(set(part.background) for part in parts))
    return Samples(
        {band: np.concatenate([part.reflectance[band] for part in parts]) for band in bands},
        {band: np.concatenate([part.background[band] for part in parts]) for band in compared},
        np.concatenate([part.classes for part in parts]),
        np.concatenate([part.scenes for part in parts]),
    )
