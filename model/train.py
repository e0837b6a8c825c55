"""Building a model from labelled pixels, as `verdure model build` does."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model.build import Judged, calibrate, check, cross_validate, write
from model.forest import ForestSize
from model.judge import confusion, scores
from model.samples import Array, Samples, joined
from shared.earth.features import ALL_BANDS, SIX_BANDS
from shared.models import CloudModel

BANDS = {"cloud-13": ALL_BANDS, "cloud-6": SIX_BANDS}

#: From which probability a pixel is cloud: less takes more than 2 % of a bright desert for cloud.
#: Shares of the forest from which a pixel is snow or shadow: a shadow whose cloud may be outside
#: the image must be surer, and one without a cloud surer still.
CUTOFFS = {"cloud": 0.5, "shadow": 0.45, "shadow_unseen": 0.55, "shadow_alone": 0.8, "snow": 0.4}


@dataclass(frozen=True)
class Built:
    """A model, and what a cross-validation says of its like on other scenes' pixels."""

    model: CloudModel
    scores: dict[str, float]
    confusion: Array


def build(name: str, samples: Samples, size: ForestSize, trained_on: str, folder: Path) -> Built:
    """Cross-validate by scenes, calibrate on what was judged so, learn from all, and write."""
    check(samples)
    judged = cross_validate(samples, BANDS[name], size)
    line = calibrate(judged)
    found = classes(judged, line)
    model = write(name, samples, BANDS[name], size, line, CUTOFFS, trained_on, folder)
    truth = judged.classes
    return Built(model, scores(found, truth), confusion(found, truth))


def classes(judged: Judged, line: list[tuple[float, float]]) -> Array:
    """Return each pixel's class by the cut-offs, as the mask's graph would without neighbours."""
    cloud, shadow, snow, thin = judged.shares.T[1:]
    probability = np.interp(cloud + thin, *zip(*line, strict=True))
    found = np.where(shadow >= CUTOFFS["shadow"], 2, 0)
    found = np.where(snow >= CUTOFFS["snow"], 3, found)
    flagged = probability >= CUTOFFS["cloud"]
    return np.where(flagged, np.where(thin > cloud, 4, 1), found)


def usable(parts: list[Samples], name: str) -> Samples:
    """Return the parts that have a model's bands, as one."""
    return joined([part for part in parts if set(BANDS[name]) <= set(part.reflectance)])
