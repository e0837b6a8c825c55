"""The index over time from scenes and masks: duplicates, overlaps, scenes without masks."""

import json

import ee
import numpy as np
import pytest
import rasterio
from affine import Affine

from emulator import client, launch
from shared.domain.indices import DVI, EVI2, INDICES, NDVI
from shared.earth.curves import TRUST
from shared.earth.index_series import index_series
from shared.earth.vegetation_index import vegetation_index

from .season_series import CORNER, CRS, PIXEL, read

NOON = 1_530_439_200_000  # 1 July 2018, 10:00 UTC
DAY, HOUR = 86_400_000, 3_600_000
#: id: time, (B4, B8) of three pixels, class of three pixels; None: there is no mask.
SCENES = {
    "20180701T100000_20180701T120000_T33": (NOON, [(500, 3000)] * 3, [0, 1, 0]),
    # The same acquisition, processed again: counts where it is clear.
    "20180701T100000_20181101T120000_T33": (NOON, [(400, 3600)] * 3, [0, 0, 3]),
    # A second swath that morning, later.
    "20180701T110000_20180701T130000_T33": (NOON + HOUR, [(900, 2700)] * 3, [4, 4, 2]),
    "20180706T100000_20180706T120000_T33": (
        NOON + 5 * DAY,
        [(0, 0), (800, 800), (10, 900)],
        [0] * 3,
    ),
    "20180711T100000_20180711T120000_T33": (NOON + 10 * DAY, [(500, 3000)] * 3, None),
}


def write(folder, collection, bands, rows):
    folder.mkdir()
    entries = []
    for scene, (time, values) in rows.items():
        data = np.array(values, "uint16").reshape(3, len(bands)).T[:, None]
        profile = {"driver": "GTiff", "dtype": "uint16", "count": len(bands), "crs": CRS}
        transform = Affine(PIXEL, 0, CORNER[0], 0, -PIXEL, CORNER[1])
        path = folder / f"{scene}.tif"
        with rasterio.open(path, "w", width=3, height=1, transform=transform, **profile) as file:
            file.write(data)
        entries.append({"id": scene, "file": path.name, "properties": {"system:time_start": time}})
    manifest = {"collection": collection, "bands": bands, "scenes": entries}
    (folder / "scenes.json").write_text(json.dumps(manifest))


@pytest.fixture(scope="module")
def collections(tmp_path_factory):
    folder = tmp_path_factory.mktemp("index")
    images = {k: (time, values) for k, (time, values, _) in SCENES.items()}
    masks = {k: (time, classes) for k, (time, _, classes) in SCENES.items() if classes}
    write(folder / "scenes", "test/scenes", ["B4", "B8"], images)
    write(folder / "masks", "test/masks", ["class"], masks)
    with launch.running(folder / "data", [folder / "scenes", folder / "masks"]) as url:
        client.connect(url)
        yield ee.ImageCollection("test/scenes"), ee.ImageCollection("test/masks")


def test_one_image_a_day_with_the_newest_clear_value(collections):
    series = index_series(*collections)
    assert series.aggregate_array("system:time_start").getInfo() == [NOON, NOON + 5 * DAY]
    bands = read(series.toBands().rename(["first", "second"]), 3)
    old, new = (2500 / 3500, 3200 / 4000)
    np.testing.assert_allclose(bands["first"], [new, new, old])
    np.testing.assert_allclose(bands["second"], [np.nan, 0, 890 / 910])


def test_where_cloud_is_likely_nothing_counts_and_elsewhere_the_less_the_likelier(collections):
    scenes, masks = collections
    day = masks.filter(ee.Filter.stringStartsWith("system:index", "20180706"))
    column = ee.Image.pixelCoordinates(scenes.first().projection()).select("x").floor()
    likely = column.remap([0, 1, 2], [0, 12, 25]).rename("cloud_probability")
    series = index_series(
        scenes, day.map(lambda mask: mask.addBands(likely)), index=DVI, cloud_below=25
    )
    bands = read(ee.Image(series.first()), 3)
    assert list(bands) == ["DVI", TRUST]
    np.testing.assert_allclose(bands["DVI"], [np.nan, 0, np.nan])
    np.testing.assert_allclose(bands[TRUST][:2], [1, 1 / 5])
    assert np.isnan(bands[TRUST][2])


def test_no_masks_give_an_empty_series(collections):
    scenes, masks = collections
    nothing = masks.filter(ee.Filter.eq("system:index", "none"))
    assert index_series(scenes, nothing).size().getInfo() == 0


@pytest.mark.parametrize("index", INDICES.values(), ids=lambda x: x.name)
def test_indices_by_their_formulas(index, collections):
    red, near = 0.05, 0.3
    expected = {
        NDVI: (near - red) / (near + red),
        EVI2: 2.5 * (near - red) / (near + 2.4 * red + 1),
        DVI: near - red,
    }[index]
    image = vegetation_index(ee.Image([red, near]).rename("B4", "B8"), index)
    bands = read(image, 1)
    assert list(bands) == [index.name]
    np.testing.assert_allclose(bands[index.name], expected)
