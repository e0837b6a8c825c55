"""Judging masks that `apply` wrote against reference rasters of the same images."""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import rasterio

from model.build import UnusableSamples
from model.judge import confusion, scores
from shared.domain.classes import CLASS_NAMES, NODATA


def evaluate(masks: Path, truth: Path) -> dict[str, object]:
    """Return scores over all images, each image's own, and pixels by class and class found.

    `truth` holds <image id>*.tif, whose first band has classes 0 to 4; others are no data.
    """
    by_image: dict[str, Mapping[str, float | None]] = {}
    founds, truths = [], []
    for path in sorted(masks.glob("*_class.tif")):
        image_id = path.name.removesuffix("_class.tif")
        references = sorted(truth.glob(f"{image_id}*.tif"))
        if not references:
            continue
        with rasterio.open(path) as mask, rasterio.open(references[0]) as reference:
            found, real = mask.read(1), reference.read(1).astype(int)
        if found.shape != real.shape:
            raise UnusableSamples(
                f"{references[0]}: {real.shape} pixels, expected those of the mask: {found.shape}"
            )
        known = (found != NODATA) & (real >= 0) & (real < len(CLASS_NAMES))
        founds.append(found[known].astype(int))
        truths.append(real[known])
        by_image[image_id] = _plain(scores(founds[-1], truths[-1]))
    if not by_image:
        raise UnusableSamples(f"{truth}: no raster named after an image of {masks}")
    found, real = np.concatenate(founds), np.concatenate(truths)
    return {
        "images": len(by_image),
        "pixels": len(real),
        "scores": _plain(scores(found, real)),
        "confusion": confusion(found, real).tolist(),
        "by_image": by_image,
    }


def _plain(values: Mapping[str, float]) -> dict[str, float | None]:
    """Return scores as JSON has them: null where there is no pixel to score."""
    return {k: None if math.isnan(v) else round(float(v), 4) for k, v in values.items()}
