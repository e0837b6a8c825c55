"""The default mask beside every baseline, on the same pixels of the same scenes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emulator.scenes import synthetic
from model.baselines import (
    DEFAULT,
    LEARNT_HERE,
    OWN,
    PROBABILITY,
    S2CLOUDLESS,
    SIX,
    SIX_PROBABILITY,
    baseline_classes,
    original_learnt_here,
    s2cloudless_is_installed,
)
from model.build import LEAST_SCENES, UnusableSamples
from model.figures import figure
from model.intervals import MEASURES, Difference, count, interval, measures, resampled
from model.judge import confusion
from model.masking import Scene, Track, mask_all, scenes_in
from model.pixels import Array
from model.reference import read_reference, references
from shared.domain.classes import NODATA
from shared.earth.methods import ORIGINAL

#: Synthetic regions and their seeds: regions of the same seed have the same clouds.
REGIONS = {"foothills": 2026, "winter": 2027, "desert": 2028, "coast": 2029}

#: Their side (pixels of 10 m), images each has, and images compared: rather many small ones than
#: few large ones, for neighbouring pixels are right or wrong together.
SIDE, IMAGES, COMPARED = 128, 50, 16

#: Images of which less is known than this share are not compared: corners of a swath.
LEAST_KNOWN = 0.5


@dataclass(frozen=True)
class Place:
    """A scene folder and its reference rasters; `most` images of it are compared, or all."""

    name: str
    scenes: Path
    truth: Path
    most: int | None = None


@dataclass(frozen=True)
class Compared:
    """One scene's pixels: true classes and those of every mask, all (rows × columns).

    `bands` has what the masks are made of, probabilities too. Truth is NODATA where nothing is
    known or the default mask has no data; no mask is judged there.
    """

    place: str
    image_id: str
    truth: Array
    masks: dict[str, Array]
    bands: dict[str, Array]


@dataclass(frozen=True)
class Comparison:
    """MEASURES by mask (the default first), their differences to the default, and the scenes.

    `differences` are the default's measures less a baseline's, `silent` the share of pixels of
    which a mask says nothing, which count as clear. Baselines have no measures of shadow and snow,
    which they do not know.
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
    """Write REGIONS, unless they are there; return them."""
    places = []
    for kind, seed in REGIONS.items():
        scenes = synthetic.write_region(folder / kind, seed, IMAGES, side, kind)
        places.append(Place(kind, scenes, folder / kind / "truth", images))
    return places


def compare(places: list[Place], work: Path, track: Track) -> Comparison:
    """Mask the places' images by every masker and judge the masks.

    What was masked once is kept in `work`, and used again while the graph and the scenes are
    the same: an interrupted comparison goes on where it was.
    """
    scenes = [compared for place in places for compared in masked(place, work, track)]
    _learn_original(scenes)
    return judged(scenes)


def masked(place: Place, work: Path, track: Track) -> list[Compared]:
    """Return a place's scenes with all masks that their bands allow."""
    truths = _truths(place)
    scenes = {image_id: scene for image_id, (scene, _) in truths.items()}
    bands = mask_all(place.scenes, scenes, work, track)
    return [_compared(place, scene, truth, bands[name]) for name, (scene, truth) in truths.items()]


def _truths(place: Place) -> dict[str, tuple[Scene, Array]]:
    """Return images and true classes where enough is known of them, evenly over time."""
    scenes = scenes_in(place.scenes)
    found = []
    for image_id, path in references(place.truth, scenes).items():
        truth = read_reference(path, scenes[image_id].grid)
        if (truth != NODATA).mean() >= LEAST_KNOWN:
            found.append((scenes[image_id], truth))
    if not found:
        raise UnusableSamples(
            f"{place.truth}: has no raster of an image of {place.scenes}, expected "
            f"<image id>.tif or <image id>_*.tif of which at least {LEAST_KNOWN:.0%} is known"
        )
    found.sort(key=lambda entry: entry[0].time or 0)
    most = min(place.most or len(found), len(found))
    chosen = [found[i] for i in np.linspace(0, len(found) - 1, most).round().astype(int)]
    return {scene.image_id: (scene, truth) for scene, truth in chosen}


def _compared(place: Place, scene: Scene, known: Array, bands: dict[str, Array]) -> Compared:
    masks = baseline_classes(bands)
    if DEFAULT in bands:
        default = bands[DEFAULT]
    elif SIX in bands:
        default = masks.pop(SIX)
        bands[PROBABILITY] = bands[SIX_PROBABILITY]
    else:
        raise UnusableSamples(f"{scene.image_id}: has not the bands of any model")
    truth = np.where(default == NODATA, NODATA, known)
    return Compared(place.name, scene.image_id, truth, {DEFAULT: default} | masks, bands)


def _learn_original(scenes: list[Compared]) -> None:
    """Add preset original's masks by a table of other scenes, where these are enough."""
    known = all(set(ORIGINAL) <= set(scene.bands) for scene in scenes)
    if known and len(scenes) >= LEAST_SCENES:
        found = original_learnt_here([x.bands for x in scenes], [x.truth for x in scenes])
        for scene, classes in zip(scenes, found, strict=True):
            scene.masks[LEARNT_HERE] = classes


def judged(scenes: list[Compared]) -> Comparison:
    """Return every mask's scores over all scenes, and the default's differences to the others."""
    silent, left_out = _silent(scenes)
    names = tuple(silent)
    counts = np.array([[_count(scene, name) for scene in scenes] for name in names])
    places = np.array([scene.place for scene in scenes])
    drawn = resampled(counts, _strata(places))
    if len(scenes) < LEAST_SCENES:
        drawn[:] = np.nan  # too few to say how much scenes differ
    total = _of_known_classes(names, measures(counts.sum(1)))
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
            str(place): _of_known_classes(names, measures(counts[:, places == place].sum(1)))
            for place in np.unique(places)
        },
        silent=silent,
        left_out=left_out,
        confusion=sum(_confusion(scene) for scene in scenes),
        scenes=scenes,
    )


def _strata(places: Array) -> Array:
    """Return the places, or one for all where a place has a single scene: nothing varies there."""
    _, numbers = np.unique(places, return_counts=True)
    return places if numbers.min() > 1 else np.zeros(len(places))


def _of_known_classes(names: Sequence[str], values: Array) -> Array:
    """Return measures (masks, measures) without those of classes that a baseline has not."""
    of_cloud = np.array([name.startswith("cloud") or name == "false_cloud" for name in MEASURES])
    own = np.isin(names, OWN)
    return np.where(of_cloud | own[:, None], values, np.nan)


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
    if not s2cloudless_is_installed():
        left_out[S2CLOUDLESS] = "is not installed (extra `clouds`)"
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


def baselines(found: Comparison) -> list[int]:
    """Return the places of the masks that are not Verdure's own."""
    return [i for i, name in enumerate(found.names) if name not in OWN]


def best_baseline(found: Comparison, measure: str) -> str | None:
    """Return the baseline that does best by a measure, None where none has it."""
    sign = -1 if measure == "false_cloud" else 1
    values = sign * found.measures[:, MEASURES.index(measure)]
    known = [i for i in baselines(found) if not np.isnan(values[i])]
    return found.names[max(known, key=lambda i: values[i])] if known else None


def comparison_figures(found: Comparison) -> dict[str, dict[str, Any]]:
    """Return the figures of `out/model.json`: the default's measures, and its lead in cloud F1.

    `default_<measure>` has the best baseline's of that measure beside it;
    `cloud_f1_over_<baseline>` that baseline's, the difference and its interval.
    """
    figures = {}
    for j, name in enumerate(MEASURES):
        best = best_baseline(found, name)
        figures[f"default_{name}"] = figure(
            _rounded(found.measures[0, j]),
            None if best is None else _rounded(found.measures[found.names.index(best), j]),
            baseline_is=best,
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
