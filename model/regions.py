"""Training pixels of synthetic regions, whose light, relief and clouds hang together in space.

They are drawn as they come, so that classes have the shares that images have. Backgrounds are those
of the mask's graph, the median of the clearest images around; some pixels go without.
"""

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.random import Generator

from emulator.scenes.folder import MANIFEST
from emulator.scenes.synthetic import write_region
from model.samples import Array, Samples, joined
from model.simulated import MISSING
from shared.domain.classes import CLASS_NAMES
from shared.domain.runs import MaskParameters
from shared.earth.background import SAME_PASS_HOURS
from shared.earth.features import ALL_BANDS, COMPARED

#: Kinds of regions and their seeds. Many regions, with few pixels of each: of few, forests learn
#: what is only theirs, and take other deserts for cloud.
REGIONS = {
    "foothills": (101, 102, 103, 301, 302, 303, 304),
    "winter": (104, 105, 110, 307, 308, 309),
    "desert": (106, 107, 111, 313, 314, 315, 316),
    "coast": (108, 109, 112, 319, 320, 321),
}

#: Images of a region, their sides (10 m pixels), pixels drawn of each, and how many valid ones an
#: image must have.
IMAGES, SIZE, DRAWN, LEAST = 24, 200, 500, 500

HOUR, DAY = 3_600_000, 86_400_000  # ms


def regions(work: Path) -> Samples:
    """Return pixels of REGIONS, which are written below `work` unless they are there."""
    rng = np.random.default_rng(0)
    parts = []
    for kind, seeds in REGIONS.items():
        for seed in seeds:
            folder = write_region(work / str(seed), seed, IMAGES, SIZE, kind)
            parts += _pixels(folder, seed, rng)
    return joined(parts)


def _pixels(folder: Path, seed: int, rng: Generator) -> list[Samples]:
    """Return pixels of each image of a region that has enough."""
    scenes = json.loads((folder / MANIFEST).read_text())["scenes"]
    bands = {scene["id"]: _read(folder / scene["file"]) / 10_000 for scene in scenes}
    found = []
    for scene in scenes:
        name = scene["id"]
        classes = _read(folder.parent / "truth" / scene["file"])[0]
        known = np.isfinite(bands[name]).all(0) & (classes < len(CLASS_NAMES))
        places = np.flatnonzero(known)
        if len(places) < LEAST:
            continue
        places = rng.choice(places, DRAWN, replace=len(places) < DRAWN)
        reflectance = dict(zip(ALL_BANDS, bands[name].reshape(len(ALL_BANDS), -1), strict=True))
        before = _background([bands[other] for other in _around(scene, scenes)], places)
        before[:, rng.random(DRAWN) < MISSING] = np.nan
        found.append(
            Samples(
                {band: values[places] for band, values in reflectance.items()},
                dict(zip(COMPARED, before, strict=True)),
                classes.ravel()[places].astype(np.uint8),
                np.array([f"{seed}-{name}"] * DRAWN),
            )
        )
    return found


def _around(scene: dict[str, Any], scenes: list[dict[str, Any]]) -> list[str]:
    """Return the ids of an image's background images, as `shared.earth.background` chooses them."""
    mask = MaskParameters()

    def apart(other: dict[str, Any]) -> float:
        times = [one["properties"]["system:time_start"] for one in (scene, other)]
        return abs(times[0] - times[1])

    near = [
        other
        for other in scenes
        if SAME_PASS_HOURS * HOUR < apart(other) <= mask.background_days * DAY
    ]
    near.sort(key=lambda other: other["properties"]["CLOUDY_PIXEL_PERCENTAGE"])
    return [other["id"] for other in near[: mask.background_images]]


def _background(others: list[Array], places: Array) -> Array:
    """Return the median (4, n) of COMPARED at places, NaN where no image has data."""
    rows = [ALL_BANDS.index(band) for band in COMPARED]
    if not others:
        return np.full((len(rows), len(places)), np.nan)
    stack = np.stack([other[rows].reshape(len(rows), -1)[:, places] for other in others])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # all NaN: no image has data there
        return np.nanmedian(stack, axis=0)


def _read(path: Path) -> Array:
    """Return a raster's bands (bands, rows, columns), NaN where it has no data."""
    with rasterio.open(path) as raster:
        return raster.read(masked=True).astype(float).filled(np.nan)
