"""How fast the emulator applies a random forest, beside scikit-learn on the same pixels."""

import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from sklearn.ensemble import RandomForestClassifier

from benchmarks.result import Result
from emulator import engine, grids, raster
from emulator.functions.classifiers import Classifier, encode
from emulator.learners import forest_of
from emulator.stored import StoredBand, StoredCollection, StoredImage

TREES = 100
BANDS = [f"B{number}" for number in range(1, 11)]
SIDE = 512  # pixels
SAMPLES = 20_000
ROUNDS = 5
PLACE = {"crs": "EPSG:32633", "transform": (10.0, 0.0, 465180.0, 0.0, -10.0, 5080260.0)}
CLASSIFIED = {
    "result": "classified",
    "values": {
        "classified": {
            "functionInvocationValue": {
                "functionName": "Image.classify",
                "arguments": {
                    "image": {"valueReference": "image"},
                    "classifier": {"valueReference": "forest"},
                },
            }
        },
        "image": {
            "functionInvocationValue": {
                "functionName": "Image.load",
                "arguments": {"id": {"constantValue": "image"}},
            }
        },
        "forest": {
            "functionInvocationValue": {
                "functionName": "Classifier.load",
                "arguments": {"id": {"constantValue": "forest"}},
            }
        },
    },
}


def forest() -> dict[str, Result]:
    """Measure a forest's probabilities, from files and an asset, to predict_proba in memory."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 10_000, (SIDE * SIDE, len(BANDS)), np.uint16)
    learnt = _learnt(rng)
    expected = learnt.predict_proba(pixels)[:, 1]
    with tempfile.TemporaryDirectory() as folder:
        catalogue = Catalogue(_stored(Path(folder) / "image.tif", pixels), _document(learnt))
        box = grids.PixelBox(grids.Grid(**PLACE), SIDE, SIDE)

        def classify() -> np.ndarray:
            image = engine.evaluate(CLASSIFIED, catalogue)
            return raster.read(image, box)[0].data.ravel()

        assert np.abs(classify() - expected).max() < 1e-6
        rounds = [
            (_seconds(classify), _seconds(lambda: learnt.predict_proba(pixels)))
            for _ in range(ROUNDS)
        ]
    ours, theirs = sorted(rounds, key=lambda pair: pair[0] / pair[1])[ROUNDS // 2]
    baseline = "s, predict_proba"
    return {"emulator_forest": Result(ours, "s", 1.5, "at most", theirs, baseline)}


def _learnt(rng: np.random.Generator) -> RandomForestClassifier:
    rows = rng.integers(0, 10_000, (SAMPLES, len(BANDS))) / 10_000
    noisy = rows[:, 0] + rows[:, 1] * rows[:, 2] + rng.normal(0, 0.2, SAMPLES)
    return RandomForestClassifier(TREES, max_samples=0.5, random_state=0, n_jobs=-1).fit(
        rows * 10_000, noisy > 0.9
    )


def _document(learnt: RandomForestClassifier) -> dict[str, Any]:
    known = forest_of(learnt.estimators_, BANDS, (0, 1))
    return encode(Classifier("smileRandomForest", (), given=known, mode="PROBABILITY"))


def _stored(path: Path, pixels: np.ndarray) -> StoredImage:
    profile = PLACE | {"driver": "GTiff", "dtype": "uint16", "count": len(BANDS)}
    profile["transform"] = rasterio.Affine(*PLACE["transform"])
    with rasterio.open(path, "w", width=SIDE, height=SIDE, tiled=True, **profile) as target:
        target.write(pixels.T.reshape(len(BANDS), SIDE, SIDE))
    bands = [
        StoredBand(name, "uint16", **PLACE, width=SIDE, height=SIDE, path=path, index=index)
        for index, name in enumerate(BANDS, 1)
    ]
    return StoredImage("image", tuple(bands))


class Catalogue:
    """One image and one classifier."""

    def __init__(self, image: StoredImage, classifier: Mapping[str, Any]) -> None:
        self._image, self._classifier = image, json.dumps(classifier)

    def image(self, asset_id: str) -> StoredImage | None:
        """Return the image."""
        return self._image

    def collection(self, asset_id: str) -> StoredCollection | None:
        """There is none."""

    def table(self, asset_id: str) -> Sequence[Mapping[str, Any]] | None:
        """There is none."""

    def classifier(self, asset_id: str) -> str | None:
        """Return the classifier."""
        return self._classifier


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
