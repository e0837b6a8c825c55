"""Scores of many masks on the same scenes, and how sure their differences are."""

from dataclasses import dataclass

import numpy as np

from model.judge import KINDS
from model.pixels import Array

#: Resamples of the scenes, their seed, and the interval's share.
RESAMPLES, SEED, CONFIDENCE = 2000, 0, 0.95

#: Scores of each kind, and the share of pixels without cloud that are taken for it.
MEASURES = (
    *(f"{kind}_{score}" for kind in KINDS for score in ("precision", "recall", "f1")),
    "false_cloud",
)

#: Numbers that a scene is counted as: pixels, and for each kind those that are found and are so,
#: those found, those that are so.
COUNTS = 1 + 3 * len(KINDS)


@dataclass(frozen=True)
class Difference:
    """A score less another one of the same scenes, with its confidence interval."""

    value: float
    low: float
    high: float


def count(found: Array, truth: Array) -> Array:
    """Return what MEASURES of one scene are made of, (COUNTS,)."""
    numbers = [truth.size]
    for classes in KINDS.values():
        said, is_so = np.isin(found, classes), np.isin(truth, classes)
        numbers += [(said & is_so).sum(), said.sum(), is_so.sum()]
    return np.array(numbers, float)


def measures(counts: Array) -> Array:
    """Return MEASURES along the last axis, NaN without pixels they are about; counts (…, COUNTS).

    Scenes are pooled by adding their counts.
    """
    columns = []
    for i in range(len(KINDS)):
        both, said, is_so = (counts[..., 1 + 3 * i + j] for j in range(3))
        columns += [_ratio(both, said), _ratio(both, is_so), _ratio(2 * both, said + is_so)]
    both, said, is_so = (counts[..., 1 + j] for j in range(3))
    columns.append(_ratio(said - both, counts[..., 0] - is_so))
    return np.stack(columns, axis=-1)


def _ratio(a: Array, b: Array) -> Array:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(b > 0, a / b, np.nan)


def resampled(counts: Array, places: Array) -> Array:
    """Return MEASURES of scenes drawn with replacement, (RESAMPLES, masks, measures).

    `counts` is (masks, scenes, COUNTS). As many scenes are drawn of each place as it has, the
    same for all masks: differences between masks are of the same scenes.
    """
    rng = np.random.default_rng(SEED)
    times = np.zeros((RESAMPLES, counts.shape[1]))
    for place in np.unique(places):
        scenes = np.flatnonzero(places == place)
        share = np.full(len(scenes), 1 / len(scenes))
        times[:, scenes] = rng.multinomial(len(scenes), share, RESAMPLES)
    return measures(np.einsum("rs,msc->rmc", times, counts))


def interval(values: Array) -> tuple[float, float]:
    """Return the CONFIDENCE interval of resampled values; NaN where none can be had."""
    known = values[~np.isnan(values)]
    if not len(known):
        return float("nan"), float("nan")
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(known, (tail, 1 - tail))
    return float(low), float(high)
