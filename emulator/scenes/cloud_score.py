"""Cloud Score+ of the synthetic region: the truth, with errors as such a score has them.

The score of a pixel is the share of the light that comes straight from a surface in the sun. It is
blurred as by a network's field of view, off by an error that is alike over some hundred metres and
another one of every pixel, and lower over snow. `cs_cdf` is a steeper function of `cs`. As in Earth
Engine some images never get a score, and some get it late: see `delay`.

Properties: https://developers.google.com/earth-engine/datasets/catalog/
GOOGLE_CLOUD_SCORE_PLUS_V1_S2_HARMONIZED.
"""

from datetime import timedelta
from typing import Any

import numpy as np
from numpy.random import Generator
from scipy.ndimage import gaussian_filter

from emulator.scenes.noise import turbulence
from emulator.scenes.sentinel2 import COLLECTION, Acquisition

CLOUD_SCORE_COLLECTION = "GOOGLE/CLOUD_SCORE_PLUS/V1/S2_HARMONIZED"
CLOUD_SCORE_BANDS = ["cs", "cs_cdf"]
NODATA = -1
#: Field of view (standard deviation, pixels); size (pixels) and deviations of the errors; what
#: full snow costs.
BLUR, ERROR_SIZE, ERROR, PIXEL_ERROR, SNOW_LOSS = 1.5, 20, 0.05, 0.02, 0.35
#: Scores are multiples of this, which keeps files small.
STEP = 1 / 255
#: Of so many images, which has no score, and which has it late and by how many days.
MISSING_EVERY, MISSING = 16, 11
LATE_EVERY, LATE, LATE_DAYS = 10, 6, 3
PRODUCED_AFTER = timedelta(days=1)


def delay(index: int) -> int | None:
    """Return after how many days of the emulator's clock an image has a score; None: never."""
    if index % MISSING_EVERY == MISSING:
        return None
    return LATE_DAYS if index % LATE_EVERY == LATE else 0


def cloud_score(clear: np.ndarray, snow: np.ndarray, rng: Generator) -> np.ndarray:
    """Return cs and cs_cdf (2, rows, columns), 0 to 1.

    `clear` is the share of light from the surface in the sun, `snow` that of the ground under it.
    """
    noise = ERROR * turbulence(rng, clear.shape, ERROR_SIZE)
    noise += PIXEL_ERROR * rng.standard_normal(clear.shape, dtype=np.float32)
    score = np.clip(gaussian_filter(clear, BLUR) * (1 - SNOW_LOSS * snow) + noise, 0, 1)
    scores = np.stack([score, score**2 * (3 - 2 * score)])
    return (np.rint(scores / STEP) * STEP).astype("f4")


def properties(acquisition: Acquisition, source: dict[str, Any]) -> dict[str, Any]:
    """Return the properties of an image's score, from the image's own."""
    times = ("system:index", "system:time_start", "system:time_end", "MGRS_TILE")
    produced = acquisition.generated + PRODUCED_AFTER
    return {name: source[name] for name in times} | {
        "DATE_PRODUCT_GENERATED": produced.date().isoformat(),
        "MODEL_VERSION": "synthetic",
        "NO_CONTEXT_FRACTION": 0.0,
        "PROCESSING_SOFTWARE_VERSION": "synthetic",
        "SOURCE_ASSET_ID": f"{COLLECTION}/{acquisition.id}",
        "SOURCE_PRODUCT_ID": source["PRODUCT_ID"],
    }
