"""Building a model from labelled pixels, as `verdure model build` does."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from model.build import Judged, calibrate, check, cross_validate, write
from model.forest import ForestSize
from model.judge import confusion, plain, scores
from model.purposes import Point, Purpose, cheapest, curve
from model.samples import Array, Samples
from model.study import study
from shared.domain.classes import CLOUD, CLOUDY, THIN
from shared.earth.features import ALL_BANDS, SIX_BANDS
from shared.models import CloudModel

BANDS = {"cloud-13": ALL_BANDS, "cloud-6": SIX_BANDS}

#: Shares of the forest from which a pixel is snow or shadow: a shadow whose cloud may be outside
#: the image must be surer, and one without a cloud surer still. From which probability a pixel is
#: cloud depends on the purpose.
CUTOFFS = {"shadow": 0.45, "shadow_unseen": 0.55, "shadow_alone": 0.8, "snow": 0.4}


@dataclass(frozen=True)
class Built:
    """A model, and what a cross-validation says of its like on other scenes' pixels."""

    model: CloudModel
    scores: dict[str, float]
    confusion: Array
    curve: list[Point]  # what each cut-off would do


def build(
    name: str,
    samples: Samples,
    size: ForestSize,
    trained_on: str,
    folder: Path,
    purpose: Purpose | None = None,
) -> Built:
    """Cross-validate by scenes, calibrate and choose the cut-off on what was judged so; write."""
    purpose = purpose or Purpose()
    check(samples)
    judged = cross_validate(samples, BANDS[name], size)
    line = calibrate(judged)
    probability = calibrated(judged, line)
    points = curve(probability, np.isin(judged.classes, CLOUDY), purpose.cost_ratio)
    cutoffs = {"cloud": cheapest(points), **CUTOFFS}
    model = write(name, samples, BANDS[name], size, line, cutoffs, trained_on, folder, purpose)
    found, truth = classes(judged, probability, cutoffs), judged.classes
    return Built(model, scores(found, truth), confusion(found, truth), points)


def build_with_report(
    name: str,
    samples: Samples,
    size: ForestSize,
    trained_on: str,
    folder: Path,
    purpose: Purpose,
) -> dict[str, Any]:
    """Build a model, and write what is known of it as <name>.report.json; return that too."""
    built = build(name, samples, size, trained_on, folder, purpose)
    report = {
        "model": built.model.asset_name,
        "trained_on": trained_on,
        "pixels": len(samples),
        "scenes": len(np.unique(samples.scenes)),
        "purpose": asdict(purpose),
        "cutoffs": built.model.cutoffs,
        "scores": plain(built.scores),
        "confusion": built.confusion.tolist(),
        "curve": [plain(point._asdict()) for point in built.curve],
        **study(samples, BANDS[name], size),
    }
    (folder / f"{name}.report.json").write_text(json.dumps(report, indent=1) + "\n")
    return report


def calibrated(judged: Judged, line: list[tuple[float, float]]) -> Array:
    """Return each pixel's probability of cloud or thin cloud."""
    share = judged.shares[:, CLOUD] + judged.shares[:, THIN]
    return np.interp(share, *zip(*line, strict=True))


def classes(judged: Judged, probability: Array, cutoffs: dict[str, float]) -> Array:
    """Return each pixel's class by the cut-offs, as the mask's graph would without neighbours."""
    cloud, shadow, snow, thin = judged.shares.T[1:]
    found = np.where(shadow >= cutoffs["shadow"], 2, 0)
    found = np.where(snow >= cutoffs["snow"], 3, found)
    flagged = probability >= cutoffs["cloud"]
    return np.where(flagged, np.where(thin > cloud, 4, 1), found)
