"""Pixels of synthetic regions: what is drawn, and with which background."""

import ee
import numpy as np
import pytest
import rasterio

from emulator import client, launch
from model import regions as drawn
from shared.domain.runs import MaskParameters
from shared.earth.cloud_mask import background_of
from shared.earth.features import ALL_BANDS, COMPARED

PIXELS = 40


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Samples of a small region, and its folder."""
    work = tmp_path_factory.mktemp("regions")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drawn, "REGIONS", {"winter": (7,)})
        for name, value in {"IMAGES": 8, "SIZE": 48, "DRAWN": PIXELS, "LEAST": 50}.items():
            patch.setattr(drawn, name, value)
        yield drawn.regions(work), work / "7" / "scenes"


def places(folder, name, samples):
    """Return the flat places of an image's samples, found by their 13 bands."""
    with rasterio.open(folder / f"{name}.tif") as raster:
        pixels = raster.read().reshape(len(ALL_BANDS), -1).T
    chosen = samples[samples.scenes == f"7-{name}"]
    wanted = np.rint(np.stack([chosen.reflectance[b] for b in ALL_BANDS], 1) * 10_000)
    return chosen, [int(np.flatnonzero((pixels == row).all(1))[0]) for row in wanted]


def test_pixels_have_the_truths_class_and_half_of_them_no_background(small):
    samples, folder = small
    names = sorted({scene.removeprefix("7-") for scene in samples.scenes})
    assert len(samples) == PIXELS * len(names)
    for name in names:
        chosen, where = places(folder, name, samples)
        with rasterio.open(folder.parent / "truth" / f"{name}.tif") as raster:
            np.testing.assert_array_equal(chosen.classes, raster.read(1).ravel()[where])
    assert 0.35 < np.isnan(samples.background["B2"]).mean() < 0.75
    assert len(set(samples.classes.tolist())) > 2


def test_the_background_is_that_of_the_masks_graph(small, tmp_path):
    samples, folder = small
    name = samples.scenes[0].removeprefix("7-")
    chosen, where = places(folder, name, samples)
    with launch.running(tmp_path, [folder]) as url:
        client.connect(url)
        image = ee.Image(f"COPERNICUS/S2_HARMONIZED/{name}")
        scenes = ee.ImageCollection("COPERNICUS/S2_HARMONIZED")
        before = background_of(image, scenes, MaskParameters()).unmask(-1, False)
        pixels = ee.data.computePixels(
            {"expression": before, "fileFormat": "NUMPY_NDARRAY", "grid": grid_of(folder, name)}
        )
    compared = ~np.isnan(chosen.background["B2"])
    assert compared.sum() > 5
    for band in COMPARED:
        expected = pixels[band].ravel()[where][compared]
        np.testing.assert_allclose(chosen.background[band][compared], expected, atol=1e-6)


def grid_of(folder, name):
    """Return an image's grid as computePixels wants it."""
    with rasterio.open(folder / f"{name}.tif") as raster:
        a, b, c, d, e, f = raster.transform[:6]
        keys = ("scaleX", "shearX", "translateX", "shearY", "scaleY", "translateY")
        return {
            "dimensions": {"width": raster.width, "height": raster.height},
            "affineTransform": dict(zip(keys, (a, b, c, d, e, f), strict=True)),
            "crsCode": raster.crs.to_string(),
        }
