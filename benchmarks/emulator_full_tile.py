"""A decision-tree mask of a full Sentinel-2 tile: an emulator's export, and a block loop."""

import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import ee
import numpy as np
import rasterio
import rasterio.shutil
from rasterio.windows import Window

from benchmarks.result import Result
from emulator import client
from shared.earth.cloud_mask import REFLECTANCE_SCALE
from shared.earth.decision_trees import TREE2, TREE3, decision_tree

SIDE = 10_980  # pixels of 10 m: a tile of 109.8 km
BLOCK = 512  # pixels on a side of a file's blocks, and of the loop's
BANDS = ("B1", "B2", "B3", "B5", "B6", "B8A", "B10", "B11", "B12")  # of the two trees
COLLECTION, SCENE = "COPERNICUS/S2_HARMONIZED", "20200101T100000_20200101T100000_T33TVM"
CRS, TRANSFORM = "EPSG:32633", rasterio.Affine(10, 0, 499_980, 0, -10, 5_100_000)
BRIGHTEST = 6000  # digital numbers: reflectance 0.6, on either side of every threshold
NOISE = 64  # digital numbers
PROJECT = "demo-project"
GIB = 2**30
#: Result / baseline, and memory (issue 3).
MAX_RATIO, MAX_GIB = 2.0, 2.0
PATIENCE = 900.0  # seconds for one export
#: A comparison of a tree, and what it compares.
COMPARISON = re.compile(r"(b\('\w+'\)(?: / b\('\w+'\))?) ([<>]) ([\d.]+)")


def full_tile(side: int = SIDE) -> dict[str, Result]:
    """Export the mask of a tile, then compute and write the same with rasterio and numpy.

    Both read one file of uint16 bands in blocks, compute in double precision, and write a
    cloud-optimised GeoTIFF with a mask. The emulator's time is its task's, over HTTP.
    """
    with tempfile.TemporaryDirectory() as folder:
        scenes = Path(folder) / "scenes"
        file = write_scene(scenes, side)
        seconds, peak, exported = _export(scenes, Path(folder) / "data", side)
        start = time.perf_counter()
        expected = block_loop(file, Path(folder))
        baseline = time.perf_counter() - start
        _check_same(exported, expected)
    return {
        "emulator_full_tile": Result(
            seconds, "s", MAX_RATIO, "at most", baseline, "rasterio block loop"
        ),
        "emulator_full_tile_memory": Result(peak, "GiB", MAX_GIB, "at most"),
    }


def write_scene(folder: Path, side: int) -> Path:
    """Write a scene folder with one image of smooth clouds with noise; return its file."""
    folder.mkdir()
    file = folder / "tile.tif"
    generator = np.random.default_rng(0)
    y, x = np.mgrid[0:BLOCK, 0:BLOCK] / BLOCK * 2 * np.pi
    blocks = [
        ((np.sin(x * (i + 1)) * np.cos(y + i) + 1) / 2 * BRIGHTEST).astype("uint16")
        + generator.integers(1, NOISE, (BLOCK, BLOCK), dtype="uint16")
        for i in range(len(BANDS))
    ]
    profile = _profile(side) | {"count": len(BANDS), "dtype": "uint16", "interleave": "band"}
    with rasterio.open(file, "w", nodata=0, **profile) as target:
        for window in _windows(side):
            part = [block[: window.height, : window.width] for block in blocks]
            target.write(np.stack(part), window=window)
    manifest = {
        "collection": COLLECTION,
        "scale": 1 / REFLECTANCE_SCALE,
        "bands": BANDS,
        "scenes": [{"id": SCENE, "file": file.name, "properties": {}}],
    }
    (folder / "scenes.json").write_text(json.dumps(manifest))
    return file


def _profile(side: int) -> dict[str, object]:
    return {
        "driver": "GTiff",
        "crs": CRS,
        "transform": TRANSFORM,
        "width": side,
        "height": side,
        "tiled": True,
        "blockxsize": BLOCK,
        "blockysize": BLOCK,
        "compress": "DEFLATE",
        "zlevel": 1,
    }


def _windows(side: int) -> list[Window]:
    return [
        Window(x, y, min(BLOCK, side - x), min(BLOCK, side - y))
        for y in range(0, side, BLOCK)
        for x in range(0, side, BLOCK)
    ]


def _export(scenes: Path, data: Path, side: int) -> tuple[float, float, Path]:
    """Return an export's seconds, the emulator's greatest memory (GiB) and the asset's file."""
    command = [sys.executable, "-m", "emulator", "--port", "0", "--data", str(data)]
    emulator = subprocess.Popen(
        [*command, "--scenes", str(scenes)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert emulator.stdout is not None
        url = emulator.stdout.readline().partition(" at ")[2].partition(" ")[0]
        client.connect(url)
        seconds = _seconds(_task(side))
        return seconds, _peak_memory(emulator.pid), next((data / "assets").rglob("*.tif"))
    finally:
        emulator.kill()
        emulator.communicate()


def _rectangle(side: int) -> ee.Geometry:
    west, north = TRANSFORM.c, TRANSFORM.f
    south, east = north + side * TRANSFORM.e, west + side * TRANSFORM.a
    return ee.Geometry.Rectangle([west, south, east, north], CRS, False)


def _task(side: int) -> ee.batch.Task:
    reflectance = ee.Image(f"{COLLECTION}/{SCENE}").toDouble().divide(REFLECTANCE_SCALE)
    trees = decision_tree(reflectance, TREE2).Or(decision_tree(reflectance, TREE3))
    task = ee.batch.Export.image.toAsset(
        trees.toByte().rename("class"),
        assetId=f"projects/{PROJECT}/assets/mask",
        crs=CRS,
        crsTransform=list(TRANSFORM)[:6],
        region=_rectangle(side),
        maxPixels=10**9,
        pyramidingPolicy={".default": "mode"},
    )
    task.start()
    return task


def _seconds(task: ee.batch.Task) -> float:
    start = time.perf_counter()
    while task.active():
        if time.perf_counter() - start > PATIENCE:
            raise TimeoutError(f"The export has not ended after {PATIENCE:.0f} s.")
        time.sleep(0.2)
    seconds = time.perf_counter() - start
    status = task.status()
    if status["state"] != "COMPLETED":
        raise RuntimeError(f"The export has failed: {status}.")
    return seconds


def _peak_memory(pid: int) -> float:
    [line] = re.findall(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(line) * 2**10 / GIB


def block_loop(file: Path, folder: Path) -> Path:
    """Compute the same mask as one would by hand, block by block; return its file."""
    draft, finished = folder / "draft.tif", folder / "mask.tif"
    trees = _numpy(f"({TREE2}) || ({TREE3})")
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(file) as source:
        profile = _profile(source.width) | {"count": 1, "dtype": "uint8"}
        with rasterio.open(draft, "w", **profile) as target:
            for window in _windows(source.width):
                numbers = source.read(window=window)
                reflectance = dict(zip(BANDS, numbers / float(REFLECTANCE_SCALE), strict=True))
                target.write(trees(reflectance).astype("uint8"), 1, window=window)
                target.write_mask((numbers != 0).all(axis=0), window=window)
        rasterio.shutil.copy(
            draft, finished, driver="COG", compress="DEFLATE", overview_resampling="MODE"
        )
    return finished


def _numpy(tree: str) -> Callable[[dict[str, np.ndarray]], np.ndarray]:
    """Return a tree as a function of bands; x / 0 is 0, as in Earth Engine."""
    text = COMPARISON.sub(r"(\1 \2 \3)", tree.replace("\n", " ").strip())
    text = re.sub(r"(b\('\w+'\)) / (b\('\w+'\))", r"ratio(\1, \2)", text)
    code = compile(text.replace("&&", "&").replace("||", "|"), "tree", "eval")

    def ratio(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.divide(a, b, out=np.zeros_like(a), where=b != 0)

    def run(bands: dict[str, np.ndarray]) -> np.ndarray:
        return eval(code, {"b": bands.__getitem__, "ratio": ratio})  # our own trees

    return run


def _check_same(exported: Path, expected: Path) -> None:
    with rasterio.open(exported) as ours, rasterio.open(expected) as theirs:
        if ours.transform != theirs.transform or ours.shape != theirs.shape:
            raise AssertionError("The masks have different grids.")
        for window in _windows(ours.width):
            if not np.array_equal(ours.read(1, window=window), theirs.read(1, window=window)):
                raise AssertionError(f"The masks differ in {window}.")
