"""The default mask beside every baseline, on the same pixels of the same scenes."""

import hashlib
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ee
import numpy as np

from emulator import client, launch
from emulator.launch import PROJECT
from emulator.scenes import synthetic
from emulator.scenes.landscape import KINDS
from emulator.stored import StoredImage
from model.apply import images_in
from model.baselines import (
    DEFAULT,
    PRESET_ORIGINAL,
    PROBABILITY,
    SIX,
    SIX_PROBABILITY,
    Masker,
    baseline_classes,
    maskers,
    original_classes,
)
from model.build import LEAST_SCENES, UnusableSamples
from model.figures import figure
from model.intervals import MEASURES, Difference, count, interval, measures, resampled
from model.judge import confusion
from model.pixels import Array, Grid, read
from model.reference import read_reference, references
from shared.domain.classes import NODATA
from shared.earth.methods import METHODS, ORIGINAL

#: Seed and side (pixels of 10 m) of the synthetic regions, images each has, and images compared.
SEED, SIDE, IMAGES, COMPARED = 2026, 256, 50, 6

#: Images of which less is known than this share are not compared: corners of a swath.
LEAST_KNOWN = 0.5

#: Bands of the masker that has most, a byte each.
MOST_BANDS = len(METHODS)

ROOT = f"projects/{PROJECT}/assets"

Track = Callable[[list["Job"], str], Iterable["Job"]]


@dataclass(frozen=True)
class Place:
    """A scene folder and its reference rasters; `most` images of it are compared, or all."""

    name: str
    scenes: Path
    truth: Path
    most: int | None = None


@dataclass(frozen=True)
class Scene:
    """An image with its true classes (rows × columns)."""

    collection: str
    stored: StoredImage
    grid: Grid
    truth: Array

    @property
    def image_id(self) -> str:
        """Earth Engine's `system:index`."""
        return self.stored.id.rsplit("/", 1)[-1]


@dataclass(frozen=True)
class Job:
    """One masker on one image; `state` is that of the files it works on."""

    masker: Masker
    scene: Scene
    state: str


@dataclass(frozen=True)
class Compared:
    """One scene's pixels: true classes and those of every mask, all (rows × columns).

    `bands` has what the masks are made of, probabilities too. Truth is NODATA where nothing is
    known or the default mask has no data; no mask is judged there.
    """

    place: str
    image_id: str
    grid: Grid
    truth: Array
    masks: dict[str, Array]
    bands: dict[str, Array]


@dataclass(frozen=True)
class Comparison:
    """MEASURES by mask (the default first), their differences to the default, and the scenes.

    `differences` are the default's measures less a baseline's, `silent` the share of pixels of
    which a mask says nothing, which count as clear.
    """

    names: tuple[str, ...]
    measures: Array  # (masks, measures)
    intervals: list[list[tuple[float, float]]]
    differences: list[list[Difference]]
    by_place: dict[str, Array]  # (masks, measures)
    silent: dict[str, float]
    left_out: dict[str, str]
    confusion: Array
    scenes: list[Compared]


def synthetic_places(folder: Path, images: int = COMPARED, side: int = SIDE) -> list[Place]:
    """Write a synthetic region of every kind, unless it is there; return them."""
    places = []
    for kind in KINDS:
        scenes = synthetic.write_region(folder / kind, SEED, IMAGES, side, kind)
        places.append(Place(kind, scenes, folder / kind / "truth", images))
    return places


def compare(places: list[Place], work: Path, track: Track) -> Comparison:
    """Mask the places' images by every masker and judge the masks.

    What was masked once is kept in `work`, and used again while the graph and the scenes are
    the same: an interrupted comparison goes on where it was.
    """
    scenes = [compared for place in places for compared in masked(place, work, track)]
    if len(scenes) < LEAST_SCENES:
        raise UnusableSamples(
            f"{len(scenes)} scenes have a reference, expected at least {LEAST_SCENES}"
        )
    _add_original(scenes)
    return judged(scenes)


def masked(place: Place, work: Path, track: Track) -> list[Compared]:
    """Return a place's scenes with all masks that their bands allow."""
    scenes = _scenes(place)
    with launch.running(work / "earth-engine" / place.name, [place.scenes]) as url:
        client.connect(url)
        every = maskers(ROOT)
        state = _state(place.scenes)
        jobs = [Job(m, scene, state) for scene in scenes for m in every if _can(m, scene)]
        bands: dict[str, dict[str, Array]] = {scene.image_id: {} for scene in scenes}
        for job in track(jobs, place.name):
            bands[job.scene.image_id] |= _masked(job, work / "masks" / place.name)
    return [_compared(place, scene, bands[scene.image_id]) for scene in scenes]


def _scenes(place: Place) -> list[Scene]:
    """Return the images that have a reference and enough known pixels, evenly over time."""
    images = {entry[1].id.rsplit("/", 1)[-1]: entry for entry in images_in([place.scenes])}
    found = []
    for image_id, path in references(place.truth, images).items():
        collection, stored = images[image_id]
        band = next((band for band in stored.bands if band.name == "B2"), None)
        if band is None:
            raise UnusableSamples(f"{image_id}: has no band B2")
        grid = Grid(band.crs, band.transform, band.width, band.height)
        truth = read_reference(path, grid)
        if (truth != NODATA).mean() >= LEAST_KNOWN:
            found.append(Scene(collection, stored, grid, truth))
    if not found:
        raise UnusableSamples(
            f"{place.truth}: has no raster of an image of {place.scenes}, expected "
            "<image id>.tif or <image id>_*.tif"
        )
    found.sort(key=lambda scene: scene.stored.properties.get("system:time_start", 0))
    most = min(place.most or len(found), len(found))
    return [found[i] for i in np.linspace(0, len(found) - 1, most).round().astype(int)]


def _state(folder: Path) -> str:
    """Return what changes when a file of a folder does."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return repr([(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files])


def _can(masker: Masker, scene: Scene) -> bool:
    dated = scene.stored.properties.get("system:time_start") is not None
    known = {band.name for band in scene.stored.bands}
    return masker.needs <= known and (dated or not masker.needs_date)


def _masked(job: Job, folder: Path) -> dict[str, Array]:
    """Return a masker's bands of an image, from the folder if they are there."""
    scene = job.scene
    dated = scene.stored.properties.get("system:time_start") is not None
    scenes = ee.ImageCollection(scene.collection) if dated else None
    graph = job.masker.graph(ee.Image(scene.stored.id), scenes).unmask(NODATA, False).toByte()
    facts = (graph.serialize(), scene.grid, job.state)
    name = hashlib.sha256(repr(facts).encode()).hexdigest()[:16]
    path = folder / f"{scene.image_id}-{job.masker.name}-{name}.npz"
    try:
        with np.load(path) as kept:
            return dict(kept)
    except (FileNotFoundError, zipfile.BadZipFile):
        pass
    job.masker.prepare()
    bands = read(graph, scene.grid, MOST_BANDS)
    folder.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".part")
    with draft.open("wb") as file:
        np.savez_compressed(file, **bands)
    draft.replace(path)
    return bands


def _compared(place: Place, scene: Scene, bands: dict[str, Array]) -> Compared:
    masks = baseline_classes(bands)
    if DEFAULT in bands:
        default = bands[DEFAULT]
    elif SIX in bands:
        default = masks.pop(SIX)
        bands[PROBABILITY] = bands[SIX_PROBABILITY]
    else:
        raise UnusableSamples(f"{scene.image_id}: has not the bands of any model")
    truth = np.where(default == NODATA, NODATA, scene.truth)
    return Compared(
        place.name, scene.image_id, scene.grid, truth, {DEFAULT: default} | masks, bands
    )


def _add_original(scenes: list[Compared]) -> None:
    if all(set(ORIGINAL) <= set(scene.bands) for scene in scenes):
        found = original_classes([x.bands for x in scenes], [x.truth for x in scenes])
        for scene, classes in zip(scenes, found, strict=True):
            scene.masks[PRESET_ORIGINAL] = classes


def judged(scenes: list[Compared]) -> Comparison:
    """Return every mask's scores over all scenes, and the default's differences to the others."""
    silent, left_out = _silent(scenes)
    names = tuple(silent)
    counts = np.array([[_count(scene, name) for scene in scenes] for name in names])
    places = np.array([scene.place for scene in scenes])
    drawn = resampled(counts, places)
    total = measures(counts.sum(1))
    apart = drawn[:, :1] - drawn
    numbers = range(len(MEASURES))
    return Comparison(
        names=names,
        measures=total,
        intervals=[[interval(drawn[:, i, j]) for j in numbers] for i in range(len(names))],
        differences=[
            [
                Difference(float(total[0, j] - total[i, j]), *interval(apart[:, i, j]))
                for j in numbers
            ]
            for i in range(len(names))
        ],
        by_place={
            str(place): measures(counts[:, places == place].sum(1)) for place in np.unique(places)
        },
        silent=silent,
        left_out=left_out,
        confusion=sum(_confusion(scene) for scene in scenes),
        scenes=scenes,
    )


def _count(scene: Compared, name: str) -> Array:
    known = scene.truth != NODATA
    return count(scene.masks[name][known], scene.truth[known])


def _confusion(scene: Compared) -> Array:
    known = scene.truth != NODATA
    return confusion(scene.masks[DEFAULT][known], scene.truth[known])


def _silent(scenes: list[Compared]) -> tuple[dict[str, float], dict[str, str]]:
    """Return the share of pixels that a mask says nothing of, and why others are left out."""
    known = [scene.truth != NODATA for scene in scenes]
    silent, left_out = {}, {}
    for name in dict.fromkeys(name for scene in scenes for name in scene.masks):
        having = sum(name in scene.masks for scene in scenes)
        if having < len(scenes):
            left_out[name] = f"{len(scenes) - having} of {len(scenes)} scenes have not its bands"
            continue
        pixels = [scene.masks[name][k] == NODATA for scene, k in zip(scenes, known, strict=True)]
        share = float(np.concatenate(pixels).mean())
        if share == 1:
            left_out[name] = "says nothing of any pixel"
        else:
            silent[name] = share
    return silent, left_out


def comparison_figures(found: Comparison) -> dict[str, dict[str, Any]]:
    """Return the figures of `out/model.json`: the default's measures, and its lead in cloud F1.

    `default_<measure>` has the best baseline's of that measure beside it;
    `cloud_f1_over_<baseline>` that baseline's, the difference and its interval.
    """
    figures = {}
    for j, name in enumerate(MEASURES):
        others = found.measures[1:, j]
        best = (
            None
            if np.isnan(others).all()
            else 1 + int((np.nanargmin if name == "false_cloud" else np.nanargmax)(others))
        )
        figures[f"default_{name}"] = figure(
            _rounded(found.measures[0, j]),
            None if best is None else _rounded(found.measures[best, j]),
            baseline_is=None if best is None else found.names[best],
            interval=[_rounded(x) for x in found.intervals[0][j]],
            scenes=len(found.scenes),
        )
    cloud = MEASURES.index("cloud_f1")
    for i, name in enumerate(found.names[1:], 1):
        apart = found.differences[i][cloud]
        figures[f"cloud_f1_over_{name.replace(', ', '_').replace(' ', '_')}"] = figure(
            _rounded(found.measures[0, cloud]),
            _rounded(found.measures[i, cloud]),
            difference=_rounded(apart.value),
            interval=[_rounded(apart.low), _rounded(apart.high)],
            silent=round(found.silent[name], 4),
        )
    return figures


def _rounded(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 4)
