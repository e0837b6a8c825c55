"""Training pixels of `model.simulate`, with backgrounds as they are found: missing or unclean."""

import numpy as np

from emulator.scenes.sentinel2 import BANDS
from model.samples import Samples
from model.simulate import simulate_pairs
from shared.domain.classes import CLOUDY
from shared.earth.features import COMPARED

#: Share of pixels without a background, and of those whose background is partly cloudy: a run
#: of few images has such.
MISSING, UNCLEAN = 0.5, 0.1

#: Pixels that count as one scene in cross-validation: each pixel has a sun and an air of its own.
PER_SCENE = 1000


def simulated(n: int, seed: int) -> Samples:
    """Return n labelled pixels with their backgrounds; the same seed gives the same pixels."""
    pairs = simulate_pairs(n, seed)
    rng = np.random.default_rng(np.random.SeedSequence([seed, 1]))
    background = pairs.background.astype(float)
    chance = rng.random(n)
    unclean = np.flatnonzero(chance < UNCLEAN)
    cloudy = pairs.reflectance[np.isin(pairs.classes, CLOUDY)]
    if len(cloudy):
        share = rng.random((len(unclean), 1))
        clouds = cloudy[rng.integers(0, len(cloudy), len(unclean))]
        background[unclean] += share * (clouds - background[unclean])
    background[chance > 1 - MISSING] = np.nan
    names = list(BANDS)
    return Samples(
        {band: pairs.reflectance[:, i].astype(float) for i, band in enumerate(names)},
        {band: background[:, names.index(band)] for band in COMPARED},
        pairs.classes,
        np.array([f"simulated-{seed}-{i // PER_SCENE}" for i in range(n)]),
    )
