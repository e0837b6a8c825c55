"""Learning preset `original`: which combinations of the 2019 model's methods are cloud.

Its forest saw four binary methods, so it is no more than a table of their combinations; the table
holds the share of cloud among the pixels of each, cloud and clear weighing the same.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import ee
import numpy as np
import rasterio

from emulator import client, launch
from emulator.scenes.landscape import KINDS
from emulator.scenes.sentinel2 import COLLECTION
from emulator.scenes.synthetic import Truth, write_region
from model.judge import scores
from model.pixels import Array, Grid, read
from shared.domain.classes import CLOUD, CLOUDY
from shared.earth.methods import ORIGINAL, MethodRules, method_bands
from shared.earth.multitemporal import ALL_BANDS
from shared.models import FORMAT

#: Regions to learn from, one of each kind: seed of the first, images and their size in pixels; one
#: image in so many is asked, the others are its background.
SEED, IMAGES, SIZE, EVERY = 201, 50, 128, 4

#: Cut-off of the 2019 system's published model.
CUTOFF = 0.29

#: Folds of scenes that the table is judged on, each by a table of the others.
FOLDS = 5

#: Weight of ignorance, as a share of all pixels: a combination that nobody saw is 50 % cloud.
PRIOR = 1e-5

#: A method's value in a combination where it has nothing to say.
SILENT = 2


@dataclass(frozen=True)
class Votes:
    """Pixels of one scene: what each method says (n, 4), 2 is nothing, and the true classes."""

    said: Array
    classes: Array


def build(work: Path, out: Path) -> None:
    """Learn the table from synthetic regions and write it; `work` keeps what is finished."""
    scenes: list[Votes] = []
    for seed, kind in enumerate(KINDS, SEED):
        folder = write_region(work / kind, seed, IMAGES, SIZE, kind)
        entries = json.loads((folder / "scenes.json").read_text())["scenes"][1::EVERY]
        with launch.running(work / f"{kind}-earth-engine", [folder]) as url:
            client.connect(url)
            for entry in entries:
                truth = folder.parent / "truth" / f"{entry['id']}.tif"
                scenes.append(_kept(work / f"{kind}-{entry['id']}.npz", entry["id"], truth))
            client.disconnect()
    trained_on = (
        f"{len(scenes)} images of synthetic regions ({', '.join(KINDS)}; seeds from {SEED}, "
        f"{IMAGES} images of {SIZE} x {SIZE} pixels each, one in {EVERY} asked). No pixel of a "
        "real scene."
    )
    write(scenes, trained_on, out)


def _kept(path: Path, image_id: str, truth: Path) -> Votes:
    """Return an image's votes, from the file of an earlier call if there is one."""
    if not path.exists():
        found = votes(image_id, COLLECTION, truth)
        draft = path.with_suffix(".part.npz")
        np.savez_compressed(draft, said=found.said, classes=found.classes)
        draft.replace(path)
    with np.load(path) as kept:
        return Votes(kept["said"], kept["classes"])


def votes(image_id: str, collection: str, truth: Path) -> Votes:
    """Ask the methods about an image, pixel by pixel, beside its true classes (a raster)."""
    with rasterio.open(truth) as raster:
        classes = raster.read(1)
        grid = Grid(
            raster.crs.to_string(), tuple(raster.transform)[:6], raster.width, raster.height
        )
    image = ee.Image(f"{collection}/{image_id}")
    said = method_bands(image, ee.ImageCollection(collection), ORIGINAL, MethodRules())
    pixels = read(said.select(list(ORIGINAL)).unmask(SILENT, False).toByte(), grid, len(ORIGINAL))
    valid = classes != Truth.NODATA
    return Votes(np.stack([pixels[name][valid] for name in ORIGINAL], 1), classes[valid])


def tables(scenes: Iterable[Votes]) -> tuple[Array, Array]:
    """Return the probability of cloud by combination: of four methods (16), of two trees (4).

    The first method is the lowest bit.
    """
    said, cloudy = _joined(scenes)
    heard = (said != SILENT).all(axis=1)
    return (
        _shares(_combination(said[heard]), cloudy[heard], 2 ** len(ORIGINAL)),
        _shares(_combination(said[:, :2]), cloudy, 4),
    )


def judge(scenes: list[Votes]) -> dict[str, float]:
    """Return scores of cloud on scenes that the table has not seen."""
    found, truth = [], []
    for fold in range(FOLDS):
        table, _ = tables(x for i, x in enumerate(scenes) if i % FOLDS != fold)
        for scene in scenes[fold::FOLDS]:
            heard = (scene.said != SILENT).all(axis=1)
            cloud = table[_combination(scene.said[heard])] >= CUTOFF
            found.append(np.where(cloud, CLOUD, 0))
            truth.append(scene.classes[heard])
    every = scores(np.concatenate(found), np.concatenate(truth))
    wanted = ("cloud_precision", "cloud_recall", "cloud_f1", "false_cloud")
    return {name: round(float(every[name]), 3) for name in wanted}


def write(scenes: list[Votes], trained_on: str, path: Path) -> None:
    """Write the table as the file that the preset reads."""
    combinations, trees = tables(scenes)
    content = {
        "format": FORMAT,
        "bands": ALL_BANDS,
        "methods": ORIGINAL,
        "probabilities": [round(float(x), 4) for x in combinations],
        "without_background": [round(float(x), 4) for x in trees],
        "cutoff": CUTOFF,
        "trained_on": trained_on,
        "pixels": sum(len(scene.classes) for scene in scenes),
        "scores_on_other_scenes": judge(scenes),
    }
    path.write_text(json.dumps(content, indent=1) + "\n")


def _joined(scenes: Iterable[Votes]) -> tuple[Array, Array]:
    chosen = list(scenes)
    classes = np.concatenate([scene.classes for scene in chosen])
    return np.concatenate([scene.said for scene in chosen]), np.isin(classes, CLOUDY)


def _combination(said: Array) -> Array:
    return (said.astype(int) << np.arange(said.shape[1])).sum(axis=1)


def _shares(combination: Array, cloudy: Array, size: int) -> Array:
    """Return the share of cloud of each combination, with as much cloud as clear in all."""
    cloud = np.bincount(combination[cloudy], minlength=size) / max(cloudy.sum(), 1)
    clear = np.bincount(combination[~cloudy], minlength=size) / max((~cloudy).sum(), 1)
    return (cloud + PRIOR) / (cloud + clear + 2 * PRIOR)
