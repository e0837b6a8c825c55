"""Series of small images with known curves, served by an emulator, and their numpy twins."""

import json
from contextlib import contextmanager
from datetime import date

import ee
import numpy as np
import rasterio
from affine import Affine

from emulator import client, launch

CRS, CORNER, PIXEL = "EPSG:32633", (500_000, 5_000_000), 10
EPOCH = np.datetime64("1970-01-01")


def day(when: date) -> int:
    return int((np.datetime64(when) - EPOCH).astype(int))


@contextmanager
def served(folder, days, values):
    """Serve values (times, pixels), NaN where not observed, as one row; yield the series."""
    scenes = folder / "scenes"
    scenes.mkdir(parents=True)
    entries = []
    for i, (when, row) in enumerate(zip(days, values, strict=True)):
        write(scenes / f"{i}.tif", row)
        time = {"system:time_start": round(float(when) * 86_400_000)}
        entries.append({"id": str(i), "file": f"{i}.tif", "properties": time})
    manifest = {"collection": "test/ndvi", "bands": ["value", "clear"], "scenes": entries}
    (scenes / "scenes.json").write_text(json.dumps(manifest))
    with launch.running(folder / "data", [scenes]) as url:
        client.connect(url)
        yield ee.ImageCollection("test/ndvi").map(
            lambda image: image.select("value").updateMask(image.select("clear"))
        )


def write(path, row):
    bands = np.stack([np.nan_to_num(row), ~np.isnan(row)])[:, None].astype("float64")
    profile = {"driver": "GTiff", "count": 2, "dtype": "float64", "crs": CRS}
    transform = Affine(PIXEL, 0, CORNER[0], 0, -PIXEL, CORNER[1])
    size = {"width": bands.shape[2], "height": 1}
    with rasterio.open(path, "w", transform=transform, **size, **profile) as file:
        file.write(bands)


def read(image, pixels):
    """Return the bands of an image over the row by name, NaN where masked."""
    affine = {"scaleX": PIXEL, "scaleY": -PIXEL, "translateX": CORNER[0], "translateY": CORNER[1]}
    grid = {
        "dimensions": {"width": pixels, "height": 1},
        "affineTransform": affine,
        "crsCode": CRS,
    }
    request = {
        "expression": image.toDouble().unmask(-9999, False),
        "fileFormat": "NUMPY_NDARRAY",
        "grid": grid,
    }
    array = ee.data.computePixels(request)[0]
    return {name: np.where(array[name] == -9999, np.nan, array[name]) for name in array.dtype.names}


def double_logistic(days, start, end, low=0.15, high=0.75, rise=0.1, fall=0.07):
    """Return a season (times, pixels) that is half up at `start` and half down at `end`."""
    days = np.asarray(days, float)[:, None]
    up = 1 / (1 + np.exp(-rise * (days - start)))
    return low + (high - low) * (up - 1 / (1 + np.exp(-fall * (days - end))))
