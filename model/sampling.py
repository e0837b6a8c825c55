"""Labelled pixels of scene folders: reflectance and background through Earth Engine's graphs.

What is sampled of a scene is kept in a file, so that an interrupted command goes on where it was.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import ee
import numpy as np
import rasterio

from emulator.scenes.folder import SceneImage
from model.samples import Array, Samples
from shared.domain.runs import MaskParameters
from shared.earth.cloud_mask import REFLECTANCE_SCALE, background_of
from shared.earth.features import COMPARED

#: Rows and columns read at once: 17 bands of doubles stay below the 48 MB of one answer.
BLOCK = 512

#: Pixels kept of each class and scene, so that no scene outweighs the others.
PER_CLASS = 400

NODATA = 255


def sample_scene(
    image: ee.Image,
    scenes: ee.ImageCollection,
    truth: Array,
    grid: dict[str, Any],
    parameters: MaskParameters,
    name: str,
    bands: tuple[str, ...],
) -> Samples:
    """Return PER_CLASS pixels of each class of `truth`, a raster on the image's `grid`."""
    chosen = _choose(truth, name)
    reflectance = image.select(list(bands)).toDouble().divide(REFLECTANCE_SCALE)
    background = background_of(image, scenes, parameters).rename([f"was_{b}" for b in COMPARED])
    values = read_pixels(reflectance.addBands(background), grid)
    found = {band: values[band].ravel()[chosen] for band in values}
    fine = ~np.isnan(np.stack([found[band] for band in bands])).any(axis=0)
    return Samples(
        {band: found[band][fine] for band in bands},
        {band: found[f"was_{band}"][fine] for band in COMPARED},
        truth.ravel()[chosen][fine],
        np.full(int(fine.sum()), name),
    )
