"""What the default mask costs: seconds a megapixel beside s2cloudless, and bytes of its graph."""

import json
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import ee
import numpy as np
import rasterio

from benchmarks.result import Result
from emulator import PROJECT, client, launch
from emulator.scenes.synthetic import write_region
from model.pixels import Grid, read
from model.publish import asset_id, publish
from shared import models
from shared.domain.classes import NODATA
from shared.domain.runs import MaskParameters, RunConfiguration
from shared.earth.cloud_mask import REFLECTANCE_SCALE, Publication, cloud_mask, mask_of

COLLECTION = "COPERNICUS/S2_HARMONIZED"
ROOT = f"projects/{PROJECT}/assets"
#: A part of a tile: 10.24 km, 1.05 megapixels.
SIDE = 1024  # pixels
MEGAPIXELS = SIDE**2 / 1e6
IMAGES = 21  # the masked one, and a background of 20
MASKED = 10  # the masked one's place among them
WHOLE_YEAR = 365  # days: all images are near enough to be background
#: Model and number of background images of each result.
MASKS = {
    "mask_seconds_per_megapixel": ("cloud-13", 20),
    "mask_seconds_per_megapixel_4_images": ("cloud-13", 4),
    "mask_seconds_per_megapixel_six_bands": ("cloud-6", 20),
    "mask_seconds_per_megapixel_six_bands_4_images": ("cloud-6", 4),
}
ROUNDS = 3
OUTPUT_BYTES = 3  # of a pixel: three bands of uint8
#: Greatest ratio to s2cloudless, and greatest graph (issue 4).
MAX_RATIO, MAX_BYTES = 2.0, 60_000
#: The graph of one mask in the system of 2019, which trained its forest inside it.
ORIGINAL_BYTES = 168_000
#: The package's own cut-off, averaging and growing (pixels).
S2CLOUDLESS = {"threshold": 0.4, "average_over": 4, "dilation_size": 2, "all_bands": True}


def seconds_per_megapixel() -> dict[str, Result]:
    """Measure masks with all of their work, and s2cloudless on the same pixels.

    A mask's time goes from the request to its pixels: reading the files of image and
    background, features, forest, shadows, HTTP. That of s2cloudless is probability and mask
    from reflectances in memory. Both may use all cores, and take turns.
    """
    with tempfile.TemporaryDirectory() as name:
        scenes = write_region(Path(name) / "region", images=IMAGES, size=SIDE)
        image_id = json.loads((scenes / "scenes.json").read_text())["scenes"][MASKED]["id"]
        with rasterio.open(scenes / f"{image_id}.tif") as file:
            grid = Grid(file.crs.to_string(), tuple(file.transform)[:6], SIDE, SIDE)
            reflectance = np.moveaxis(file.read(), 0, -1)[None] / REFLECTANCE_SCALE
        theirs = _s2cloudless(reflectance)
        with launch.running(Path(name) / "data", [scenes]) as url:
            client.connect(url)
            works = {key: _mask(image_id, grid, *mask) for key, mask in MASKS.items()}
            rounds = [
                {key: (_seconds(work), _seconds(theirs)) for key, work in works.items()}
                for _ in range(ROUNDS)
            ]
    return {key: _result([round_[key] for round_ in rounds]) for key in works}


def _mask(image_id: str, grid: Grid, name: str, number: int) -> Callable[[], object]:
    model = models.load(name)
    parameters = MaskParameters(background_images=number, background_days=WHOLE_YEAR)
    used = Publication(model, publish(model, ROOT))
    image = ee.Image(f"{COLLECTION}/{image_id}")
    mask = cloud_mask(image, ee.ImageCollection(COLLECTION), parameters, used)
    return lambda: read(mask.unmask(NODATA, False).toByte(), grid, OUTPUT_BYTES)


def _s2cloudless(reflectance: np.ndarray) -> Callable[[], object]:
    from s2cloudless import S2PixelCloudDetector  # of the extra `clouds`

    detector = S2PixelCloudDetector(**S2CLOUDLESS)
    detector.get_cloud_masks(reflectance[:, :1, :1])  # reads its model
    return lambda: detector.get_cloud_masks(reflectance)


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _result(rounds: list[tuple[float, float]]) -> Result:
    """Return the round of the middle ratio."""
    ours, theirs = sorted(rounds, key=lambda pair: pair[0] / pair[1])[len(rounds) // 2]
    seconds = ours / MEGAPIXELS, theirs / MEGAPIXELS
    return Result(seconds[0], "s/Mpx", MAX_RATIO, "at most", seconds[1], "s/Mpx, s2cloudless")


def graph_bytes() -> dict[str, Result]:
    """Measure the serialised graph of one mask of the default preset, as an export sends it."""
    run = RunConfiguration(
        name="bench",
        region={"type": "Point", "coordinates": [14, 45]},
        start=date(2018, 3, 1),
        end=date(2018, 11, 1),
        destination=f"{ROOT}/masks",
    )
    model = models.load(models.NAMES[0])
    with tempfile.TemporaryDirectory() as name, launch.running(Path(name), []) as url:
        client.connect(url)
        image = ee.Image(f"{COLLECTION}/20180301T100021_20180301T130721_T33TVL")
        mask = mask_of(image, run, Publication(model, asset_id(ROOT, model)))
        size = len(json.dumps(ee.serializer.encode(mask, for_cloud_api=True)))
    limit = MAX_BYTES / ORIGINAL_BYTES
    baseline = "bytes, system of 2019"
    return {"mask_graph_bytes": Result(size, "bytes", limit, "at most", ORIGINAL_BYTES, baseline)}
