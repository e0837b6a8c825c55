"""What the masks say of images that have no reference."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model.baselines import (
    DEFAULT,
    QA60,
    REFERENCES,
    S2CLOUDLESS_SMOOTHED,
    SIX,
    baseline_classes,
)
from model.masking import Track, mask_all, scenes_in
from model.pixels import Array
from shared.domain.classes import CLOUDY, NODATA, SHADOW, SNOW


@dataclass(frozen=True)
class Flagged:
    """Shares of an image's pixels by the default mask, and of cloud by others (None: unknown)."""

    folder: str
    image_id: str
    cloud: float | None
    shadow: float | None
    snow: float | None
    s2cloudless: float | None
    qa60: float | None


def flagged(folder: Path, work: Path, track: Track) -> list[Flagged]:
    """Mask all images of a scene folder, by the model that their bands allow."""
    bands = mask_all(folder, scenes_in(folder), work, track, (DEFAULT, SIX, REFERENCES))
    rows = []
    for image_id, found in bands.items():
        masks = baseline_classes(found)
        default = found.get(DEFAULT, found.get(SIX))
        rows.append(
            Flagged(
                folder.name,
                image_id,
                _share(default, CLOUDY),
                _share(default, (SHADOW,)),
                _share(default, (SNOW,)),
                _share(masks.get(S2CLOUDLESS_SMOOTHED), CLOUDY),
                _share(masks.get(QA60), CLOUDY),
            )
        )
    return rows


def _share(classes: Array | None, of: tuple[int, ...]) -> float | None:
    if classes is None or (classes == NODATA).all():
        return None
    return float(np.isin(classes[classes != NODATA], of).mean())
