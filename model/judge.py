"""How well masks do: scores of pixels, by kind, with every scene counted by itself."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from shared.domain.classes import CLASS_NAMES, CLOUDY, SHADOW, SNOW

Array = np.ndarray[Any, Any]

#: What is scored, and the classes that count as it.
KINDS = {"cloud": CLOUDY, "shadow": (SHADOW,), "snow": (SNOW,)}


def scores(found: Array, truth: Array) -> dict[str, float]:
    """Return precision, recall and F1 of each kind, and the share of clear taken for cloud.

    A score without a pixel that it is about is NaN.
    """
    result = {}
    for kind, classes in KINDS.items():
        said, is_so = np.isin(found, classes), np.isin(truth, classes)
        both = int((said & is_so).sum())
        result[f"{kind}_precision"] = _ratio(both, int(said.sum()))
        result[f"{kind}_recall"] = _ratio(both, int(is_so.sum()))
        result[f"{kind}_f1"] = _ratio(2 * both, int(said.sum() + is_so.sum()))
    clear = ~np.isin(truth, KINDS["cloud"])
    result["false_cloud"] = _ratio(
        int((np.isin(found, KINDS["cloud"]) & clear).sum()), int(clear.sum())
    )
    return result


def confusion(found: Array, truth: Array) -> Array:
    """Return pixels by true class (rows) and class found (columns)."""
    table = np.zeros((len(CLASS_NAMES), len(CLASS_NAMES)), int)
    np.add.at(table, (truth, found), 1)
    return table


def plain(values: Mapping[str, float]) -> dict[str, float | None]:
    """Return scores as JSON has them: null where there is no pixel to score."""
    return {k: None if math.isnan(v) else round(float(v), 4) for k, v in values.items()}


def _ratio(a: int, b: int) -> float:
    return a / b if b else float("nan")
