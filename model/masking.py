"""Many masks of the same images, through the graphs of production, kept from run to run."""

import hashlib
import zipfile
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ee
import numpy as np

from emulator import client, launch
from emulator.launch import PROJECT
from emulator.scenes.folder import InvalidSceneFolder
from emulator.scenes.load import load_scenes
from emulator.scenes.sentinel2 import COLLECTION
from emulator.stored import StoredImage
from model.baselines import Masker, maskers
from model.pixels import Array, Grid, read
from shared.domain.classes import NODATA
from shared.earth.methods import METHODS

#: Bands of the masker that has most, a byte each.
MOST_BANDS = len(METHODS)

#: Digits of a file's name that stand for all that decides what is in it.
DIGITS = 16

ROOT = f"projects/{PROJECT}/assets"

Track = Callable[[list[Any]], Iterable[Any]]


@dataclass(frozen=True)
class Scene:
    """An image of a scene folder, and the grid of its B2."""

    collection: str
    stored: StoredImage
    grid: Grid

    @property
    def image_id(self) -> str:
        """Earth Engine's `system:index`."""
        return self.stored.id.rsplit("/", 1)[-1]

    @property
    def time(self) -> float | None:
        """Milliseconds since 1970, None if the image does not say."""
        time: float | None = self.stored.properties.get("system:time_start")
        return time


@dataclass(frozen=True)
class Job:
    """One masker on one image."""

    masker: Masker
    scene: Scene


def scenes_in(folder: Path) -> dict[str, Scene]:
    """Return the images of a scene folder that have a B2, by id."""
    found = {}
    for part in load_scenes(folder):
        for stored in part.images:
            band = next((band for band in stored.bands if band.name == "B2"), None)
            if band is not None:
                grid = Grid(band.crs, band.transform, band.width, band.height)
                scene = Scene(part.collection, stored, grid)
                found[scene.image_id] = scene
    if not found:
        raise InvalidSceneFolder(f"{folder}: no image has a band B2")
    return found


def mask_all(
    folder: Path,
    scenes: Mapping[str, Scene],
    work: Path,
    track: Track,
    wanted: Collection[str] | None = None,
) -> dict[str, dict[str, Array]]:
    """Return what maskers (all, or the wanted ones) say of images of a folder.

    By image id and band, uint8; a masker whose bands an image has not is left out. What was
    computed once is kept in `work`, and used again while graph, grid and files are the same.
    """
    name = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:DIGITS]
    found: dict[str, dict[str, Array]] = {image_id: {} for image_id in scenes}
    with launch.running(work / "earth-engine" / name, [folder]) as url:
        client.connect(url)
        every = [masker for masker in maskers(ROOT) if wanted is None or masker.name in wanted]
        jobs = [Job(m, scene) for scene in scenes.values() for m in every if _can(m, scene)]
        state = _state(folder)
        for job in track(jobs):
            found[job.scene.image_id] |= _bands(job, state, work / "masks" / name)
    return found


def _can(masker: Masker, scene: Scene) -> bool:
    known = {band.name for band in scene.stored.bands}
    return (
        masker.needs <= known
        and (scene.time is not None or not masker.needs_date)
        and (scene.collection == COLLECTION or not masker.of_catalogue)
    )


def _state(folder: Path) -> str:
    """Return what changes when a file of a folder does."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return repr([(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files])


def _bands(job: Job, state: str, folder: Path) -> dict[str, Array]:
    """Return a masker's bands of an image, from the folder if they are there."""
    scene = job.scene
    # Without a date there is no before and after, and so no background.
    scenes = None if scene.time is None else ee.ImageCollection(scene.collection)
    graph = job.masker.graph(ee.Image(scene.stored.id), scenes).unmask(NODATA, False).toByte()
    facts = (graph.serialize(), scene.grid, state)
    name = hashlib.sha256(repr(facts).encode()).hexdigest()[:DIGITS]
    path = folder / f"{scene.image_id}-{job.masker.name}-{name}.npz"
    if path.exists() and zipfile.is_zipfile(path):  # whole: its list of contents comes last
        with np.load(path) as kept:
            return dict(kept)
    job.masker.prepare()
    bands = read(graph, scene.grid, MOST_BANDS)
    folder.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".part")
    with draft.open("wb") as file:
        np.savez_compressed(file, **bands)
    draft.replace(path)
    return bands
