"""The thirteen methods of the 2019 system by name: three trees, five medians, five latest images.

`tree1` … `tree3` look at the image alone; `percentile1` … `percentile5` compare it with the median
of a selection of background images, `persistence1` … `persistence5` with the latest of them.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import ee

from shared.earth.background import (
    BackgroundRules,
    Selection,
    latest,
    median,
    select_background,
)
from shared.earth.decision_trees import TREE1, TREE2, TREE3, decision_tree
from shared.earth.multitemporal import BRIGHTNESS, DIFFERENCE, ScoreRules, cloudy, scores

#: Sentinel-2 digital numbers per unit of reflectance (Earth Engine catalogue).
REFLECTANCE_SCALE = 10_000

TREES = {"tree1": TREE1, "tree2": TREE2, "tree3": TREE3}

#: What is predicted from a selection of background images.
PREDICTIONS = {"percentile": median, "persistence": latest}

METHODS = (*TREES, *(f"{name}{selection}" for name in PREDICTIONS for selection in Selection))

#: The methods of the 2019 system's published model.
ORIGINAL = ("tree2", "tree3", "percentile1", "percentile5")


@dataclass(frozen=True)
class MethodRules:
    """How background images are chosen, and how an image is compared with them."""

    background: BackgroundRules = field(default_factory=BackgroundRules)
    scores: ScoreRules = field(default_factory=ScoreRules)


def needed_bands(name: str, rules: MethodRules) -> set[str]:
    """Return the bands without which a method cannot be computed."""
    if name in TREES:
        return set(re.findall(r"b\('(\w+)'\)", TREES[name]))
    _known(name)
    return {*rules.scores.visible, *(rules.scores.bands if rules.scores.clusters else ())}


def check_bands(names: Sequence[str], rules: MethodRules, available: Collection[str]) -> None:
    """Raise ValueError if a method needs a band that images have not."""
    for name in names:
        missing = sorted(needed_bands(name, rules) - set(available))
        if missing:
            raise ValueError(
                f"Method '{name}' needs {', '.join(missing)}; the images have "
                f"{', '.join(available)}. Leave the method out."
            )


def method_bands(
    image: ee.Image, scenes: ee.ImageCollection, names: Sequence[str], rules: MethodRules
) -> ee.Image:
    """Return a band (1 cloud, 0 not) for each method, and its scores where there are any.

    The image and the scenes are digital numbers. Scores are `<name>_difference` and
    `<name>_brightness` (reflectance). A method's bands are masked where it has nothing to say:
    without a background image, everywhere. The property `<name>_images` is the number of these.
    """
    if not names:
        raise ValueError(f"No method is named; there are {', '.join(METHODS)}.")
    # In double precision a digital number on a threshold divides to just that threshold.
    reflectance = image.toDouble().divide(REFLECTANCE_SCALE)
    bands = [
        decision_tree(reflectance, TREES[name]).toByte().rename(name)
        for name in names
        if name in TREES
    ]
    comparing = [name for name in names if name not in TREES]
    if not comparing:
        return ee.Image.cat(bands)
    compared = _compared(image, reflectance, scenes, comparing, rules)
    counts = {f"{name}_images": _selected(image, scenes, name, rules).size() for name in comparing}
    return ee.Image.cat([*bands, compared]).set(counts)


def _compared(
    image: ee.Image,
    reflectance: ee.Image,
    scenes: ee.ImageCollection,
    names: Sequence[str],
    rules: MethodRules,
) -> ee.Image:
    """Return three bands for each name: cloud, difference, brightness."""

    def compare(background: ee.Image) -> ee.Image:
        scored = scores(reflectance, background, image.geometry(), rules.scores)
        return cloudy(scored, rules.scores).toDouble().addBands(scored)

    # Mapped, the comparison is in the graph once, however many methods there are.
    backgrounds = [background_of(image, scenes, name, rules) for name in names]
    bands = [
        band for name in names for band in (name, f"{name}_{DIFFERENCE}", f"{name}_{BRIGHTNESS}")
    ]
    compared = ee.ImageCollection(backgrounds).map(compare).toBands().rename(bands)
    return compared.addBands(compared.select(list(names)).toByte(), overwrite=True)


def background_of(
    image: ee.Image, scenes: ee.ImageCollection, name: str, rules: MethodRules
) -> ee.Image:
    """Return what a method expects without clouds, as reflectance; masked without an image."""
    prediction = PREDICTIONS[_known(name)[0]]
    selected = _selected(image, scenes, name, rules)
    needed = rules.scores.bands if rules.scores.clusters else rules.scores.visible
    return prediction(selected, image.select(needed)).toDouble().divide(REFLECTANCE_SCALE)


def _selected(
    image: ee.Image, scenes: ee.ImageCollection, name: str, rules: MethodRules
) -> ee.ImageCollection:
    return select_background(image, scenes, _known(name)[1], rules.background)


def _known(name: str) -> tuple[str, Selection]:
    """Return the prediction and the selection that a name stands for."""
    if name not in METHODS or name in TREES:
        raise ValueError(f"There is no method '{name}'; there are {', '.join(METHODS)}.")
    return name[:-1], Selection(int(name[-1]))
