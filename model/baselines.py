"""The masks that the default one is held against, as graphs and what is made of their pixels."""

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import ee
import numpy as np

from model.pixels import Array
from model.publish import asset_id, publish
from shared import models
from shared.domain.classes import CLOUD, CLOUDY, NODATA
from shared.domain.runs import MaskParameters
from shared.earth.cloud_mask import Publication, cloud_mask
from shared.earth.features import ALL_BANDS, SIX_BANDS
from shared.earth.methods import METHODS, ORIGINAL, MethodRules, method_bands
from shared.earth.reference_masks import PERCENT, reference_bands

#: The mask that is judged, its probability, and the model for six bands on the same images.
DEFAULT, SIX = "default", "six bands"
#: Masks of Verdure's own: what is left is a baseline.
OWN = (DEFAULT, SIX)
PROBABILITY, SIX_PROBABILITY = f"{DEFAULT}_probability", f"{SIX}_probability"

#: What baselines are called.
QA60, PRESET_ORIGINAL = "QA60", "preset original"
LEARNT_HERE = f"{PRESET_ORIGINAL}, learnt here"
S2CLOUDLESS, S2CLOUDLESS_SMOOTHED = "s2cloudless", "s2cloudless, smoothed"

#: The masker of other people's masks.
REFERENCES = "references"

#: Raw probability of s2cloudless in per cent.
S2CLOUDLESS_PROBABILITY = "s2cloudless_probability"

#: The masker of pictures, its bands, and the digital number that is white.
COLOURS, COLOURED, WHITE = "colours", ("red", "green", "blue"), 6000

#: Its authors' threshold, and the discs (pixels) over which their examples average and grow
#: (package s2cloudless 1.7, S2PixelCloudDetector; eo-learn's reference masks).
THRESHOLD, AVERAGED, GROWN = 0.4, 4, 2

#: Folds of scenes on which another table of preset original is learnt and judged.
FOLDS = 5


@dataclass(frozen=True)
class Masker:
    """A graph of uint8 bands (255: says nothing), and the bands that an image needs for it."""

    name: str
    needs: frozenset[str]
    graph: Callable[[ee.Image, ee.ImageCollection | None], ee.Image]
    prepare: Callable[[], object] = lambda: None
    needs_date: bool = False
    of_catalogue: bool = False  # only for images of COPERNICUS/S2_HARMONIZED


def maskers(root: str) -> list[Masker]:
    """Return all maskers; classifiers are below an asset root, published when first needed."""
    return [
        _forest(DEFAULT, models.NAMES[0], ALL_BANDS, root),
        _forest(SIX, models.NAMES[1], SIX_BANDS, root),
        Masker(COLOURS, frozenset(["B2", "B3", "B4"]), _colours),
        Masker(REFERENCES, frozenset(["B2"]), _references, needs_date=True, of_catalogue=True),
        Masker("methods", frozenset(ALL_BANDS), _methods, needs_date=True),
    ]


def _forest(name: str, model_name: str, bands: tuple[str, ...], root: str) -> Masker:
    model = models.load(model_name)

    def graph(image: ee.Image, scenes: ee.ImageCollection | None) -> ee.Image:
        used = Publication(model, asset_id(root, model))
        mask = cloud_mask(image, scenes, MaskParameters(), used)
        named = [name, f"{name}_probability"]
        return mask.select(["class", "cloud_probability"], named)

    return Masker(name, frozenset(bands), graph, lambda: publish(model, root))


def _colours(image: ee.Image, scenes: ee.ImageCollection | None) -> ee.Image:
    """Return the true-colour picture, 0 to 254."""
    shown = image.select(["B4", "B3", "B2"], list(COLOURED)).toDouble().divide(WHITE)
    return shown.clamp(0, 1).sqrt().multiply(NODATA - 1)


def _methods(image: ee.Image, scenes: ee.ImageCollection | None) -> ee.Image:
    return method_bands(image, scenes, METHODS, MethodRules()).select(list(METHODS))


def _references(image: ee.Image, scenes: ee.ImageCollection | None) -> ee.Image:
    if not s2cloudless_is_installed():
        return reference_bands(image, ["qa60"]).rename(QA60)
    found = reference_bands(image, ["qa60", "s2cloudless"])
    scaled = found.select("s2cloudless").multiply(PERCENT).round()
    return found.select("qa60").addBands(scaled).rename(QA60, S2CLOUDLESS_PROBABILITY)


def s2cloudless_is_installed() -> bool:
    """Tell whether the extra `clouds` is there, without which the emulator has no s2cloudless."""
    return importlib.util.find_spec("s2cloudless") is not None


def baseline_classes(bands: Mapping[str, Array]) -> dict[str, Array]:
    """Return an image's classes by baseline, of what its maskers said.

    Where a method says nothing its pixels stay NODATA.
    """
    found = {name: bands[name] for name in (SIX, QA60, *METHODS) if name in bands}
    if set(ORIGINAL) <= set(bands):
        found[PRESET_ORIGINAL] = _original(bands)
    percent = bands.get(S2CLOUDLESS_PROBABILITY)
    if percent is not None:
        found[S2CLOUDLESS] = _where_known(percent, percent / PERCENT > THRESHOLD)
        if s2cloudless_is_installed():
            found[S2CLOUDLESS_SMOOTHED] = _where_known(percent, _smoothed(percent))
    return found


def _smoothed(percent: Array) -> Array:
    # An extra that not everybody has; its own smoothing, so that it is not judged by ours.
    from s2cloudless import S2PixelCloudDetector

    detector = S2PixelCloudDetector(THRESHOLD, average_over=AVERAGED, dilation_size=GROWN)
    probability = np.where(percent == NODATA, 0, percent / PERCENT).astype(np.float32)
    mask: Array = detector.get_mask_from_prob(probability[None])[0]
    return mask


def _where_known(percent: Array, cloud: Array) -> Array:
    return np.where(percent == NODATA, NODATA, cloud * CLOUD).astype(np.uint8)


def _original(said: Mapping[str, Array]) -> Array:
    """Return preset original's classes, by the project's table."""
    model = models.load_original()
    codes, silent = _votes(said, model.methods), [said[name] == NODATA for name in model.methods]
    alone = np.array(model.without_background)
    known = np.array(model.probabilities)[codes]
    probability = np.where(np.any(silent, 0), alone[codes % len(alone)], known)
    cloud = (probability >= model.cutoff).astype(np.uint8) * CLOUD
    return np.where(silent[0], NODATA, cloud).astype(np.uint8)


def _votes(said: Mapping[str, Array], methods: Sequence[str]) -> Array:
    """Return each pixel's combination, the first method the lowest bit; silence counts as clear."""
    votes = [(said[name] == 1).astype(int) << i for i, name in enumerate(methods)]
    return np.sum(votes, 0)


def original_learnt_here(said: list[Mapping[str, Array]], truths: list[Array]) -> list[Array]:
    """Return preset original's classes of each scene, by a table learnt on other scenes of these.

    The 2019 model saw four binary methods, so its forest is a table of their 16 combinations:
    each is cloud if at least the model's cut-off of the pixels that have it are. A method that
    says nothing counts as saying clear.
    """
    cutoff = models.load_original().cutoff
    codes = [_votes(scene, ORIGINAL) for scene in said]
    size = 2 ** len(ORIGINAL)
    cloud, all_pixels = np.zeros((len(codes), size)), np.zeros((len(codes), size))
    for i, (code, truth) in enumerate(zip(codes, truths, strict=True)):
        known = truth != NODATA
        all_pixels[i] = np.bincount(code[known], minlength=size)
        cloud[i] = np.bincount(code[known & np.isin(truth, CLOUDY)], minlength=size)
    found = []
    folds = np.arange(len(codes)) % FOLDS
    for code, fold in zip(codes, folds, strict=True):
        others = folds != fold
        share = cloud[others].sum(0) / np.maximum(all_pixels[others].sum(0), 1)
        found.append((share >= cutoff)[code].astype(np.uint8) * CLOUD)
    return found
