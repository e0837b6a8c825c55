"""Labelled pixels of scene folders: features through Earth Engine, classes from rasters.

Every image that has a reference raster is sampled block by block by the graphs of production. A
block is kept in the work folder as soon as it is there, so that a stopped sampling goes on.
"""

import glob
import hashlib
import json
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import ee
import numpy as np
import rasterio

from emulator import client, launch
from emulator.scenes.folder import SceneFolder
from emulator.scenes.load import load_scenes
from emulator.stored import StoredBand, StoredImage
from model.build import UnusableSamples
from model.samples import Array, Samples, joined
from shared.domain.classes import CLASS_NAMES, NODATA
from shared.domain.runs import MASK_ALGORITHM, MaskParameters
from shared.earth.cloud_mask import REFLECTANCE_SCALE, background_of
from shared.earth.features import (
    ALL_BANDS,
    COMPARED,
    NO_BACKGROUND,
    SIX_BANDS,
    feature_image,
    names,
)
from shared.errors import PermanentError

#: Collection under which the reference rasters are served, and its band.
LABELS, CLASS = "VERDURE/LABELS", "class"

#: Rows and columns of a block: a request's answer stays within Earth Engine's limits of time.
BLOCK = 1024

#: Features of one answer (Earth Engine, "Collection query aborted after accumulating over 5000").
ANSWER_FEATURES = 5000

#: Pixels of a class that an image gives at most, so that an answer holds all classes.
MOST_PER_CLASS = ANSWER_FEATURES // len(CLASS_NAMES)

Track = Callable[[list[Any]], Iterable[Any]]


@dataclass(frozen=True)
class Choice:
    """Which pixels: so many of each class of each image at most, chosen by a seed."""

    per_class: int = 200
    seed: int = 1


@dataclass(frozen=True)
class Scene:
    """An image to be sampled, its collection, and the reference raster of its classes."""

    collection: str
    image: StoredImage
    reference: Path

    @property
    def name(self) -> str:
        """The image's id without its collection."""
        return self.image.id.rsplit("/", 1)[-1]

    @property
    def bands(self) -> tuple[str, ...]:
        """The largest set of features' bands that the image has; () if it has neither."""
        known = {band.name for band in self.image.bands}
        return next((bands for bands in (ALL_BANDS, SIX_BANDS) if known >= set(bands)), ())


@dataclass(frozen=True)
class Block:
    """A part of an image, as pixels of its grid, and the file that keeps what was sampled."""

    scene: Scene
    column: int
    row: int
    file: Path


def sample(folder: Path, references: Path, work: Path, choice: Choice, track: Track) -> Samples:
    """Return labelled pixels of a scene folder; `references` has <image id>*.tif with classes.

    A raster's first band holds 0 to 4, and 255 or its own nodata value elsewhere.
    """
    if not 1 <= choice.per_class <= MOST_PER_CLASS:
        raise UnusableSamples(
            f"pixels of each class are {choice.per_class}, expected 1 to {MOST_PER_CLASS}"
        )
    parts = load_scenes(folder)
    scenes = _scenes(parts, references)
    kept = work / _fingerprint(parts, scenes, choice)
    labels = kept / "labels"
    _write_labels(scenes, labels)
    blocks = [block for scene in scenes for block in _blocks(scene, kept)]
    with (
        tempfile.TemporaryDirectory() as data,
        launch.running(Path(data), [folder, labels]) as url,
    ):
        client.connect(url)
        for block in track(blocks):
            if not block.file.exists():
                _keep(_sampled(block, choice), block.file)
    return joined([_read(scene, blocks, choice) for scene in scenes])


def _scenes(parts: list[SceneFolder], references: Path) -> list[Scene]:
    """Return the images that have a reference, or raise UnusableSamples with what is wrong."""
    found, faults = [], []
    for part in parts:
        faults += part.unreadable
        for image in part.images:
            name = image.id.rsplit("/", 1)[-1]
            rasters = sorted(references.glob(f"{glob.escape(name)}*.tif"))
            if len(rasters) > 1:
                files = ", ".join(path.name for path in rasters)
                faults.append(f"{references}: {files} are all of {name}, expected one raster")
            elif rasters:
                scene = Scene(part.collection, image, rasters[0])
                if scene.bands:
                    found.append(scene)
                else:
                    faults.append(f"{name} has not all of the bands {' '.join(SIX_BANDS)}")
    if not found and not faults:
        faults = [f"{references}: no raster is named <image id>*.tif after an image"]
    if faults:
        raise UnusableSamples("\n".join(faults))
    return found


def _fingerprint(parts: list[SceneFolder], scenes: list[Scene], choice: Choice) -> str:
    """Return a name that changes with all that the samples depend on."""
    files = {band.path for part in parts for image in part.images for band in image.bands}
    files |= {scene.reference for scene in scenes}
    known = {
        "files": sorted(_identity(path) for path in files if path),
        "choice": asdict(choice),
        "algorithm": MASK_ALGORITHM,
        "parameters": asdict(MaskParameters()),
        "features": names(ALL_BANDS),
        "block": BLOCK,
    }
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:16]


def _identity(path: Path) -> tuple[str, int, int]:
    stat = path.stat()
    return str(path.resolve()), stat.st_size, stat.st_mtime_ns


def _write_labels(scenes: list[Scene], folder: Path) -> None:
    """Write the references as a scene folder, which the emulator can serve."""
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for scene in scenes:
        classes, profile = _classes(scene.reference)
        with rasterio.open(folder / f"{scene.name}.tif", "w", **profile) as raster:
            raster.write(classes, 1)
        entries.append({"id": scene.name, "file": f"{scene.name}.tif"})
    manifest = {"collection": LABELS, "bands": [CLASS], "scenes": entries}
    (folder / "scenes.json").write_text(json.dumps(manifest))


def _classes(path: Path) -> tuple[Array, dict[str, Any]]:
    """Return a reference's classes (uint8, NODATA elsewhere) and how to write them."""
    try:
        with rasterio.open(path) as raster:
            values = raster.read(1, masked=True).filled(NODATA)
            profile = {"crs": raster.crs, "transform": raster.transform}
    except rasterio.errors.RasterioError as error:
        raise UnusableSamples(f"{path}: cannot be read as a raster: {error}") from error
    if profile["crs"] is None:
        raise UnusableSamples(f"{path}: has no coordinate reference system; assign one")
    known = [*range(len(CLASS_NAMES)), NODATA]
    if unknown := sorted(set(np.unique(values).tolist()) - set(known)):
        classes = ", ".join(f"{number} {name}" for number, name in enumerate(CLASS_NAMES))
        raise UnusableSamples(
            f"{path}: classes are {unknown[:10]}, which is none of {classes}, {NODATA} no data"
        )
    height, width = values.shape
    profile |= {"driver": "GTiff", "dtype": "uint8", "count": 1, "nodata": NODATA}
    return values.astype("u1"), profile | {"height": height, "width": width}


def _blocks(scene: Scene, kept: Path) -> Iterator[Block]:
    band = _grid(scene)
    for row in range(0, band.height, BLOCK):
        for column in range(0, band.width, BLOCK):
            yield Block(scene, column, row, kept / f"{scene.name}-{row}-{column}.npz")


def _grid(scene: Scene) -> StoredBand:
    return next(band for band in scene.image.bands if band.name == "B2")


def _sampled(block: Block, choice: Choice) -> dict[str, Array]:
    """Return a block's features (n, number) and classes (n), asked of Earth Engine."""
    bands = block.scene.bands
    image = ee.Image(block.scene.image.id)
    dated = block.scene.image.properties.get("system:time_start") is not None
    reflectance = image.select(list(bands)).toDouble().divide(REFLECTANCE_SCALE)
    around = ee.ImageCollection(block.scene.collection)
    background = background_of(image, around, MaskParameters()) if dated else None
    labels = ee.Image(f"{LABELS}/{block.scene.name}").select(CLASS)
    points = (
        feature_image(reflectance, bands, background)
        .addBands(labels)
        .stratifiedSample(
            numPoints=choice.per_class,
            classBand=CLASS,
            region=_outline(block),
            projection=image.select("B2").projection(),
            seed=_seed(block, choice),
        )
    )
    try:
        found = [point["properties"] for point in points.getInfo()["features"]]
    except ee.EEException as error:
        raise PermanentError(
            f"{block.scene.name}: Earth Engine: {error}; what was sampled before is kept"
        ) from error
    rows = [[point[name] for name in names(bands)] for point in found]
    return {
        "features": np.array(rows, np.float32).reshape(len(found), len(names(bands))),
        "classes": np.array([point[CLASS] for point in found], int),
    }


def _seed(block: Block, choice: Choice) -> int:
    """Return a seed of a block's own: with one for all, each image would give the same places."""
    text = f"{choice.seed} {block.scene.name} {block.column} {block.row}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:3])


def _outline(block: Block) -> ee.Geometry:
    band = _grid(block.scene)
    a, b, c, d, e, f = band.transform
    left, top = block.column, block.row
    right, below = min(left + BLOCK, band.width), min(top + BLOCK, band.height)
    corners = [
        (a * x + b * y + c, d * x + e * y + f)
        for x, y in ((left, top), (right, top), (right, below), (left, below))
    ]
    return ee.Geometry.Polygon([corners], band.crs, False)


def _keep(values: dict[str, Array], path: Path) -> None:
    """Write a block's file whole or not at all."""
    draft = path.with_suffix(".part")
    with draft.open("wb") as file:
        np.savez(file, **values)
    draft.replace(path)


def _load(path: Path) -> dict[str, Array]:
    with np.load(path) as kept:
        return dict(kept)


def _read(scene: Scene, blocks: list[Block], choice: Choice) -> Samples:
    """Return an image's pixels from the files of its blocks."""
    parts = [_load(block.file) for block in blocks if block.scene == scene]
    features = np.concatenate([part["features"] for part in parts]).astype(float)
    classes = np.concatenate([part["classes"] for part in parts])
    if not len(classes):
        raise UnusableSamples(
            f"{scene.reference}: none of its labelled pixels is a valid pixel of {scene.name}"
        )
    columns = dict(zip(names(scene.bands), features.T, strict=True))
    rises = {band: columns[f"rise_{band}"] for band in COMPARED}
    samples = Samples(
        {band: columns[band] for band in scene.bands},
        {
            band: np.where(rise == NO_BACKGROUND, np.nan, columns[band] - rise)
            for band, rise in rises.items()
        },
        classes,
        np.full(len(classes), scene.name),
    )
    return samples.thinned(choice.per_class, choice.seed)
