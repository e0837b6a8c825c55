"""The synthetic region behind an emulator, and its files beside it for numpy."""

import json
from datetime import date
from pathlib import Path

import ee
import numpy as np
import pytest
import rasterio

from emulator import client, launch
from emulator.scenes.synthetic import write_region
from shared.domain.runs import RunConfiguration

REAL_SCENES = Path(__file__).parents[3] / "shared" / "data" / "slovenia-s2-l1c"
COLLECTION = "COPERNICUS/S2_HARMONIZED"
SIZE = 64


class Scenes:
    """A scene folder as numpy sees it."""

    def __init__(self, folder):
        self.folder = folder
        content = json.loads((folder / "scenes.json").read_text())
        self.bands = content["bands"]
        self.properties = {scene["id"]: scene["properties"] for scene in content["scenes"]}

    def reflectance(self, image_id):
        """Return bands by name as TOA reflectance, NaN where there is no data."""
        with rasterio.open(self.folder / f"{image_id}.tif") as raster:
            values = raster.read(masked=True).astype(float).filled(np.nan) / 10_000
        return dict(zip(self.bands, values, strict=True))

    def grid(self, image_id):
        """Return the grid of an image as computePixels wants it."""
        with rasterio.open(self.folder / f"{image_id}.tif") as raster:
            affine = raster.transform
            return {
                "dimensions": {"width": raster.width, "height": raster.height},
                "affineTransform": {
                    "scaleX": affine.a,
                    "shearX": affine.b,
                    "translateX": affine.c,
                    "shearY": affine.d,
                    "scaleY": affine.e,
                    "translateY": affine.f,
                },
                "crsCode": raster.crs.to_string(),
            }


def connected(scenes, data):
    """Serve a scene folder and connect the client to it."""
    with launch.running(data, [scenes.folder]) as url:
        client.connect(url)
        yield scenes


@pytest.fixture(scope="session")
def _region_scenes(tmp_path_factory):
    return Scenes(write_region(tmp_path_factory.mktemp("region"), size=SIZE))


@pytest.fixture(scope="module")
def region(_region_scenes, tmp_path_factory):
    yield from connected(_region_scenes, tmp_path_factory.mktemp("data"))


def pixels(image, grid):
    """Return the values of a one-band image on a grid; -1 where it is masked."""
    filled = image.toDouble().unmask(-1, False)
    request = {"expression": filled, "fileFormat": "NUMPY_NDARRAY", "grid": grid}
    array = ee.data.computePixels(request)
    return array[array.dtype.names[0]].astype(float)


def band_values(image, grid):
    """Return all bands of an image by name, NaN where masked."""
    filled = image.toDouble().unmask(-9999, False)
    request = {"expression": filled, "fileFormat": "NUMPY_NDARRAY", "grid": grid}
    array = ee.data.computePixels(request)
    return {name: np.where(array[name] == -9999, np.nan, array[name]) for name in array.dtype.names}


@pytest.fixture
def run_configuration():
    """A function that makes a run over the region, with changes."""

    def make(**changes):
        values = {
            "name": "test",
            "region": {"type": "Point", "coordinates": [14, 45]},
            "start": date(2018, 3, 1),
            "end": date(2018, 11, 1),
            "destination": "projects/demo-project/assets/masks",
        }
        return RunConfiguration(**{**values, **changes})

    return make
