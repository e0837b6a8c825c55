"""Masks of every image in scene folders, through the graphs of production on the emulator."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import ee
import numpy as np
import rasterio

from emulator.scenes.folder import InvalidSceneFolder, SceneFolder
from emulator.stored import StoredImage
from model.pixels import Array, Grid, read
from model.publish import publish
from shared.domain.classes import CLOUDY, NODATA
from shared.domain.runs import MASK_ALGORITHM, MaskParameters
from shared.earth.cloud_mask import Publication, cloud_mask
from shared.models import CloudModel

#: What each output is of: file suffix and band.
OUTPUTS = {"class": "class", "probability": "cloud_probability", "agreement": "agreement"}

#: What the files say of themselves (GeoTIFF tags, as JSON), beside the algorithm.
RECORDED = ("model", "inputs", "background_images", "fallbacks")


#: Tells where shadows fall if there is no date.
AZIMUTH = "MEAN_SOLAR_AZIMUTH_ANGLE"

#: A median of fewer images may show their clouds.
FEW_IMAGES = 3

EMPTY = "the image has no valid pixel: the mask is empty"


@dataclass(frozen=True)
class Applied:
    """What was done to one image; `inputs` is what its class, probability and agreement are from.

    `fallbacks` says in sentences what the mask had to do without; `problem`, why there is none.
    """

    image_id: str
    model: str = ""
    inputs: list[str] = field(default_factory=list)
    background_images: int = 0
    fallbacks: list[str] = field(default_factory=list)
    seconds: float = 0.0
    share_flagged: float | None = None
    files: list[str] = field(default_factory=list)
    problem: str = ""


@dataclass(frozen=True)
class Using:
    """What masks are made with: models by preference, their assets' root, and parameters."""

    models: tuple[CloudModel, ...]
    root: str
    parameters: MaskParameters = field(default_factory=MaskParameters)
    published: dict[str, Publication] = field(default_factory=dict)

    def model_for(self, image: StoredImage) -> CloudModel | None:
        """Return the first model whose bands an image has, if any."""
        return next((model for model in self.models if not _missing(model.bands, image)), None)

    def publication(self, model: CloudModel) -> Publication:
        """Return a model's publication, published at its first use."""
        if model.name not in self.published:
            self.published[model.name] = Publication(model, publish(model, self.root))
        return self.published[model.name]


def apply(
    parts: list[SceneFolder],
    out: Path,
    using: Using,
    track: Callable[[list[Any]], Iterable[Any]],
) -> list[Applied]:
    """Write class, probability and agreement of every image that the emulator serves.

    An image without a mask is among the results with its problem. Collections of which no image
    has a band of the models (cloud scores, weather) are inputs of others, if there are others.
    """
    out.mkdir(parents=True, exist_ok=True)
    reflecting = [part for part in parts if any(_reflects(i, using) for i in part.images)] or parts
    problems = [Applied("", problem=sentence) for part in parts for sentence in part.unreadable]
    images = [(part.collection, image) for part in reflecting for image in part.images]
    if not images and not problems:
        collections = ", ".join(part.collection for part in parts)
        raise InvalidSceneFolder(f"{collections}: there is no image to mask; expected one or more")
    seen: set[str] = set()
    results = [_apply_one(entry, out, using, seen) for entry in track(images)]
    return problems + results


def _reflects(image: StoredImage, using: Using) -> bool:
    return any(band.name in model.bands for model in using.models for band in image.bands)


def _missing(bands: tuple[str, ...], image: StoredImage) -> list[str]:
    known = {band.name for band in image.bands}
    return [band for band in bands if band not in known]


def _apply_one(entry: tuple[str, StoredImage], out: Path, using: Using, seen: set[str]) -> Applied:
    """Mask one image, or say why it cannot be: the others go on."""
    collection, image = entry
    image_id = image.id.rsplit("/", 1)[-1]
    if image_id in seen:
        problem = f"{collection} has an image of the same id as another collection"
        return Applied(image_id, problem=f"{problem}; apply them to folders of their own")
    seen.add(image_id)
    model = using.model_for(image)
    if model is None:
        missing = ", ".join(_missing(using.models[-1].bands, image))
        return Applied(image_id, problem=f"bands missing: {missing}")
    try:
        return _apply(collection, image, model, out, using)
    except ee.EEException as error:
        return Applied(image_id, problem=f"Earth Engine: {error}")


def _apply(
    collection: str, stored: StoredImage, model: CloudModel, out: Path, using: Using
) -> Applied:
    begin = time.monotonic()
    image_id, image = stored.id.rsplit("/", 1)[-1], ee.Image(stored.id)
    dated = stored.properties.get("system:time_start") is not None
    scenes = ee.ImageCollection(collection) if dated else None
    # Which input an image of no date has cannot be told: they come and go with time.
    wanted = using.parameters.inputs if dated else ()
    mask = cloud_mask(image, scenes, using.parameters, using.publication(model), wanted)
    number, present = _made_from(mask, wanted)
    band = next(band for band in stored.bands if band.name == "B2")
    grid = Grid(band.crs, band.transform, band.width, band.height)
    pixels = read(mask.unmask(NODATA, False).toByte(), grid, len(OUTPUTS))
    flagged, valid = np.isin(pixels["class"], CLOUDY), pixels["class"] != NODATA
    fallbacks = list(_fallbacks(stored, model, number, present, using))
    applied = Applied(
        image_id=image_id,
        model=model.asset_name,
        inputs=[*model.bands, *(["background"] if number else []), *present],
        background_images=number,
        fallbacks=fallbacks if valid.any() else [*fallbacks, EMPTY],
        seconds=round(time.monotonic() - begin, 3),
        share_flagged=round(float(flagged[valid].mean()), 4) if valid.any() else None,
        files=[f"{image_id}_{name}.tif" for name in OUTPUTS],
    )
    for name, band_name in OUTPUTS.items():
        _write(pixels[band_name], grid, out / f"{image_id}_{name}.tif", applied, name)
    return applied


def _made_from(mask: ee.Image, wanted: Sequence[str]) -> tuple[int, list[str]]:
    """Return how many images are a mask's background, and which of the wanted inputs are there."""
    names = ["background_images", *(f"{name}_present" for name in wanted)]
    found = mask.toDictionary(names).getInfo()
    return int(found["background_images"]), [name for name in wanted if found[f"{name}_present"]]


def _fallbacks(
    image: StoredImage, model: CloudModel, number: int, present: Sequence[str], using: Using
) -> Iterator[str]:
    """Yield what an image's mask does without, and why."""
    if missing := _missing(using.models[0].bands, image):
        yield f"{model.name} instead of {using.models[0].name}: bands missing: {', '.join(missing)}"
    days = using.parameters.background_days
    if image.properties.get("system:time_start") is None:
        yield "no background: the image has no date (system:time_start)"
        if image.properties.get(AZIMUTH) is None:
            yield f"shadows in any direction: the image has no date and no {AZIMUTH}"
    elif not number:
        yield f"no background: no other image of the tile within {days} days"
    elif number < FEW_IMAGES:
        yield f"background of {number} image{'s' * (number > 1)} only: clouds in it may remain"
    if absent := [name for name in using.parameters.inputs if name not in present]:
        yield f"agreement without {', '.join(absent)}: not there for this image"


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
            **{key: json.dumps(facts[key]) for key in RECORDED},
        )
    draft.replace(path)
