"""How fast the emulator reduces stacks of images, against numpy on arrays in memory."""

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import ee
import numpy as np
import rasterio
from affine import Affine

from benchmarks.result import Result
from emulator import client, launch

ROUNDS = 5
CRS, SIDE = "EPSG:32633", 10
WEST, NORTH = 500_000, 5_100_000
NODATA_SHARE = 0.2
DAY = 86_400_000
YEAR = 365.25 * DAY
HARMONICS = 3


def median() -> dict[str, Result]:
    """Reduce 20 images × 13 bands × 512² px of GeoTIFF files, asked for with computePixels."""
    stack = _noise((20, 13, 512, 512))
    ours = _best_of_rounds(stack, lambda images: images.median())
    valid = np.where(stack > 0, stack, np.nan).astype(np.float32)
    baseline = _seconds(lambda: np.nanmedian(valid, axis=0))
    return {
        "emulator_median": Result(
            ours, "s", 1.5, "at most", baseline, "s, numpy.nanmedian in memory"
        )
    }


def regression() -> dict[str, Result]:
    """Fit 7 terms per pixel over 60 dates × 256² px of GeoTIFF files, with computePixels.

    The baseline has the design, values and masks in memory and solves the normal equations
    of all pixels with numpy.linalg, the fastest way there is; residuals are not asked for.
    """
    stack = _noise((60, 1, 256, 256))
    names = [f"c{i}" for i in range(1 + 2 * HARMONICS)]

    def fitted(images: ee.ImageCollection) -> ee.Image:
        fit = images.map(_with_harmonics).reduce(ee.Reducer.linearRegression(len(names), 1))
        return fit.select("coefficients").arrayProject([0]).arrayFlatten([names])

    ours = _best_of_rounds(stack, fitted)
    angles = 2 * np.pi * np.arange(60) * 5 * DAY / YEAR
    waves = [f(k * angles) for k in range(1, HARMONICS + 1) for f in (np.cos, np.sin)]
    pixels = stack.reshape(60, -1).T.astype(np.float64)
    design = np.repeat(np.column_stack([np.ones(60), *waves])[None], len(pixels), axis=0)
    baseline = _seconds(lambda: _solve(design, pixels, pixels > 0))
    return {
        "emulator_regression": Result(
            ours, "s", 2, "at most", baseline, "s, batched numpy.linalg in memory"
        )
    }


def _solve(design: np.ndarray, values: np.ndarray, known: np.ndarray) -> np.ndarray:
    weighted = (design * known[..., None]).swapaxes(1, 2)
    return np.linalg.solve(weighted @ design, weighted @ values[..., None])


def _with_harmonics(image: ee.Image) -> ee.Image:
    angle = image.metadata("system:time_start").multiply(2 * np.pi / YEAR)
    waves = [angle.multiply(k) for k in range(1, HARMONICS + 1)]
    terms = [ee.Image(1), *[wave for angle in waves for wave in (angle.cos(), angle.sin())]]
    return ee.Image(terms).toDouble().addBands(image)


def _noise(shape: tuple[int, ...]) -> np.ndarray:
    """Return reflectances; 0 is nodata."""
    random = np.random.default_rng(0)
    values = random.integers(1, 10_000, shape, dtype=np.uint16)
    return values * (random.random((shape[0], 1, *shape[2:])) > NODATA_SHARE).astype(np.uint16)


def _best_of_rounds(stack: np.ndarray, reduce: Callable[[ee.ImageCollection], ee.Image]) -> float:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_scenes(folder / "scenes", stack)
        with launch.running(folder / "data", [folder / "scenes"]) as url:
            client.connect(url)
            request = {
                "expression": reduce(ee.ImageCollection("bench/stack")),
                "fileFormat": "NPY",
                "grid": _grid(stack.shape[-1]),
            }
            return _seconds(lambda: ee.data.computePixels(request))


def _seconds(work: Callable[[], object]) -> float:
    """Return the least time of some rounds, after one that does not count."""
    work()
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def _grid(width: int) -> dict[str, object]:
    affine = {"scaleX": SIDE, "scaleY": -SIDE, "translateX": WEST, "translateY": NORTH}
    size = {"width": width, "height": width}
    return {"dimensions": size, "affineTransform": affine, "crsCode": CRS}


def _write_scenes(folder: Path, stack: np.ndarray) -> None:
    folder.mkdir()
    count, bands, height, width = stack.shape
    profile = {"driver": "GTiff", "count": bands, "width": width, "height": height}
    transform = Affine(SIDE, 0, WEST, 0, -SIDE, NORTH)
    scenes = []
    for i in range(count):
        with rasterio.open(
            folder / f"{i}.tif",
            "w",
            dtype="uint16",
            crs=CRS,
            transform=transform,
            nodata=0,
            tiled=True,
            **profile,
        ) as file:
            file.write(stack[i])
        properties = {"system:time_start": i * 5 * DAY}
        scenes.append({"id": str(i), "file": f"{i}.tif", "properties": properties})
    description = {
        "collection": "bench/stack",
        "scale": 0.0001,
        "bands": [f"B{i}" for i in range(bands)],
        "scenes": scenes,
    }
    (folder / "scenes.json").write_text(json.dumps(description))
