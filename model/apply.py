"""Masks of every image in scene folders, through the graphs of production on the emulator."""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import ee
import numpy as np
import rasterio

from emulator.scenes.folder import InvalidSceneFolder
from emulator.scenes.load import load_scenes
from emulator.stored import StoredImage
from model.pixels import Array, Grid, read
from model.publish import publish
from shared import models
from shared.domain.classes import CLOUDY, NODATA
from shared.domain.runs import MASK_ALGORITHM, MaskParameters
from shared.earth.background import background_images
from shared.earth.cloud_mask import Publication, cloud_mask

#: What each output is of: file suffix and band.
OUTPUTS = {"class": "class", "probability": "cloud_probability"}

BYTES_EACH = 3


@dataclass(frozen=True)
class Applied:
    """What was done to one image; `inputs` is what the mask was made from."""

    image_id: str
    model: str = ""
    inputs: list[str] = field(default_factory=list)
    background_images: int = 0
    seconds: float = 0.0
    share_flagged: float | None = None
    files: list[str] = field(default_factory=list)
    problem: str = ""


def images_in(folders: Iterable[Path]) -> Iterator[tuple[str, StoredImage]]:
    """Yield (collection, image) of all images that folders hold."""
    for path in folders:
        for folder in load_scenes(path):
            for image in folder.images:
                yield folder.collection, image


def apply(
    folders: list[Path],
    out: Path,
    root: str,
    parameters: MaskParameters,
    track: Callable[[list[Any]], Iterable[Any]],
) -> list[Applied]:
    """Write class and probability of every image of folders that the emulator serves."""
    out.mkdir(parents=True, exist_ok=True)
    images = [entry for entry in images_in(folders) if _has_any_band_of_use(entry[1])]
    if not images:
        raise InvalidSceneFolder(
            f"{', '.join(map(str, folders))}: no image has the bands "
            f"{' '.join(models.load(models.NAMES[-1]).bands)}"
        )
    published: dict[str, Publication] = {}
    return [_apply(entry, out, root, parameters, published) for entry in track(images)]


def _has_any_band_of_use(image: StoredImage) -> bool:
    return any(band.name == "B2" for band in image.bands)


def _apply(
    entry: tuple[str, StoredImage],
    out: Path,
    root: str,
    parameters: MaskParameters,
    published: dict[str, Publication],
) -> Applied:
    begin = time.monotonic()
    collection, stored = entry
    image_id = stored.id.rsplit("/", 1)[-1]
    model = models.for_bands(band.name for band in stored.bands)
    if model is None:
        needed = set(models.load(models.NAMES[-1]).bands)
        missing = sorted(needed - {band.name for band in stored.bands})
        return Applied(image_id, problem=f"bands missing: {', '.join(missing)}")
    if model.name not in published:
        published[model.name] = Publication(model, publish(model, root))
    image = ee.Image(stored.id)
    dated = stored.properties.get("system:time_start") is not None
    scenes = ee.ImageCollection(collection) if dated else None
    number = 0 if scenes is None else _number_of_others(image, scenes, parameters)
    mask = cloud_mask(image, scenes, parameters, published[model.name])
    band = next(band for band in stored.bands if band.name == "B2")
    grid = Grid(band.crs, band.transform, band.width, band.height)
    pixels = read(mask.unmask(NODATA, False).toByte(), grid, BYTES_EACH)
    flagged, valid = np.isin(pixels["class"], CLOUDY), pixels["class"] != NODATA
    applied = Applied(
        image_id=image_id,
        model=model.asset_name,
        inputs=[*model.bands, *(["background"] if number else [])],
        background_images=number,
        seconds=round(time.monotonic() - begin, 3),
        share_flagged=round(float(flagged[valid].mean()), 4) if valid.any() else None,
        files=[f"{image_id}_{name}.tif" for name in OUTPUTS],
    )
    for name, band_name in OUTPUTS.items():
        _write(pixels[band_name], grid, out / f"{image_id}_{name}.tif", applied, name)
    return applied


def _number_of_others(
    image: ee.Image, scenes: ee.ImageCollection, parameters: MaskParameters
) -> int:
    days, most = parameters.background_days, parameters.background_images
    return int(background_images(image, scenes, days, most).size().getInfo())


def _write(values: Array, grid: Grid, path: Path, applied: Applied, name: str) -> None:
    draft = path.with_suffix(".part")
    with rasterio.open(
        draft,
        "w",
        driver="GTiff",
        dtype="uint8",
        count=1,
        width=grid.width,
        height=grid.height,
        crs=grid.crs,
        transform=rasterio.Affine(*grid.transform),
        nodata=NODATA,
        compress="deflate",
    ) as raster:
        raster.write(values, 1)
        raster.set_band_description(1, name)
        facts = asdict(applied)
        raster.update_tags(
            algorithm=MASK_ALGORITHM,
            **{key: json.dumps(facts[key]) for key in ("model", "inputs", "background_images")},
        )
    draft.replace(path)
