"""Judging masks that `apply` wrote against reference rasters of the same images."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from rasterio.errors import RasterioError

from model.build import UnusableSamples
from model.judge import confusion, plain, scores
from model.pixels import Array, Grid
from model.reference import read_reference, references
from shared.domain.classes import NODATA

MASK = "_class.tif"


@dataclass(frozen=True)
class Evaluation:
    """Scores of all pixels together and of each image, and pixels by true class and class found.

    Scores without a pixel that they are about are None. `unjudged` have no reference.
    """

    pixels: int
    scores: Mapping[str, float | None]
    by_image: Mapping[str, Mapping[str, float | None]]
    confusion: list[list[int]]
    unjudged: list[str]


def evaluate(masks: Path, truth: Path) -> Evaluation:
    """Score every <image id>_class.tif of a folder that `truth` has a reference of.

    References are <image id>.tif or <image id>_*.tif, on the mask's grid, classes 0 to 4 in the
    first band. Raises UnusableSamples with what is wrong with them.
    """
    paths = sorted(masks.glob(f"*{MASK}"))
    if not paths:
        raise UnusableSamples(f"{masks}: has no <image id>{MASK}, as `model apply` writes them")
    by_id = {path.name.removesuffix(MASK): path for path in paths}
    known = references(truth, by_id)
    unjudged = [image_id for image_id in by_id if image_id not in known]
    if not known:
        raise UnusableSamples(
            f"{truth}: has no raster of {unjudged[0]} or any other of {len(unjudged)} masks, "
            f"expected {unjudged[0]}.tif or {unjudged[0]}_*.tif"
        )
    pairs = {image_id: _pair(by_id[image_id], known[image_id]) for image_id in sorted(known)}
    found, real = (np.concatenate(parts) for parts in zip(*pairs.values(), strict=True))
    return Evaluation(
        pixels=len(real),
        scores=plain(scores(found, real)),
        by_image={name: plain(scores(*pair)) for name, pair in pairs.items()},
        confusion=confusion(found, real).tolist(),
        unjudged=unjudged,
    )


def _pair(mask: Path, reference: Path) -> tuple[Array, Array]:
    """Return classes found and true classes of the pixels that have both."""
    found, grid = _read_mask(mask)
    real = read_reference(reference, grid)
    both = (found != NODATA) & (real != NODATA)
    return found[both], real[both]


def _read_mask(path: Path) -> tuple[Array, Grid]:
    try:
        with rasterio.open(path) as mask:
            transform = tuple(mask.transform)[:6]
            return mask.read(1).astype(int), Grid(str(mask.crs), transform, mask.width, mask.height)
    except RasterioError as error:
        raise UnusableSamples(f"{path}: cannot be read as a raster: {error}") from error
