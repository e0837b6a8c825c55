"""From labelled pixels to a model file: forest, calibration, cut-offs, and how well it does."""

import gzip
import hashlib
import json
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.isotonic import IsotonicRegression
from sklearn.model_selection import GroupKFold

from model.forest import ForestSize, fit, probabilities, to_text
from model.purposes import Purpose
from model.samples import Array, Samples
from shared.domain.classes import CLASS_NAMES, CLOUD, CLOUDY, THIN
from shared.earth.features import names
from shared.models import FORMAT, CloudModel, load

FOLDS = 3

#: Points of the calibration's line: as exact as a per cent, and short in a graph.
CALIBRATION_POINTS = 21

#: Least scenes of a cross-validation that says anything of other scenes.
LEAST_SCENES = 3


class UnusableSamples(ValueError):
    """No model can be learnt from these pixels; the message says why."""


@dataclass(frozen=True)
class Judged:
    """Pixels as a forest saw them that was trained on other scenes: shares (n, 5)."""

    shares: Array
    classes: Array
    scenes: Array


def check(samples: Samples) -> None:
    """Raise UnusableSamples unless something can be learnt and judged."""
    unknown = sorted(set(np.unique(samples.classes).tolist()) - set(range(len(CLASS_NAMES))))
    if unknown:
        known = ", ".join(f"{i} {name}" for i, name in enumerate(CLASS_NAMES))
        raise UnusableSamples(f"classes are {unknown}, which is none of {known}")
    cloudy = np.isin(samples.classes, CLOUDY)
    if not 0 < cloudy.sum() < len(samples):
        kind = "cloud" if cloudy.any() else "clear"
        raise UnusableSamples(f"all {len(samples)} pixels are {kind}; both kinds are needed")
    if (found := len(np.unique(samples.scenes))) < LEAST_SCENES:
        raise UnusableSamples(
            f"the pixels are of {found} scenes, expected at least {LEAST_SCENES}: a model is "
            "judged on scenes that it was not trained on"
        )


def cross_validate(samples: Samples, bands: tuple[str, ...], size: ForestSize) -> Judged:
    """Judge every pixel by a forest that has not seen its scene."""
    rows = samples.features(bands)
    shares = np.zeros((len(samples), len(CLASS_NAMES)))
    folds = GroupKFold(min(FOLDS, len(np.unique(samples.scenes))))
    for train, test in folds.split(rows, groups=samples.scenes):
        forest = fit(rows[train], samples.classes[train], size)
        shares[test] = probabilities(forest, rows[test])
    return Judged(shares, samples.classes, samples.scenes)


def calibrate(judged: Judged) -> list[tuple[float, float]]:
    """Return (forest's share, probability) points of cloud and thin cloud (isotonic)."""
    share = judged.shares[:, CLOUD] + judged.shares[:, THIN]
    cloudy = np.isin(judged.classes, CLOUDY)
    line = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(share, cloudy)
    x = np.linspace(0, 1, CALIBRATION_POINTS)
    # Bins as wide as the points are apart: single pixels make no steps.
    edges = np.concatenate([[0], (x[1:] + x[:-1]) / 2, [1]])
    means = [line.predict(np.linspace(a, b, 9)).mean() for a, b in pairwise(edges)]
    return [(round(float(a), 4), round(float(b), 4)) for a, b in zip(x, means, strict=True)]


def write(
    name: str,
    samples: Samples,
    bands: tuple[str, ...],
    size: ForestSize,
    calibration: list[tuple[float, float]],
    cutoffs: dict[str, float],
    trained_on: str,
    folder: Path,
    purpose: Purpose,
) -> CloudModel:
    """Learn from all pixels, write the model's two files and return it."""
    features = names(bands)
    forest = fit(samples.features(bands), samples.classes, size)
    text = "\n\n".join(to_text(forest, features))
    content: dict[str, Any] = {
        "format": FORMAT,
        "bands": bands,
        "features": features,
        "classes": list(range(len(CLASS_NAMES))),
        "class_names": CLASS_NAMES,
        "calibration": calibration,
        "cutoffs": cutoffs,
        "purpose": asdict(purpose),
        "trees": size.trees,
        "leaves": size.leaves,
        "trained_on": trained_on,
        "pixels": len(samples),
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    # mtime 0: the same forest is the same file.
    (folder / f"{name}.trees.gz").write_bytes(gzip.compress(text.encode(), mtime=0))
    (folder / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")
    load.cache_clear()
    return load(name, folder)
