"""Other people's masks: read where they are; absent and said so, never clear, where not."""

import json

import ee
import numpy as np
import pytest
import rasterio

from emulator import client, launch
from emulator.scenes.synthetic import write_region
from shared.earth import reference_masks
from shared.earth.reference_masks import (
    CLOUD_SCORE_COLLECTION,
    QA60_GAP,
    reference_bands,
)

from .conftest import COLLECTION, SIZE, Scenes, band_values

#: Not the catalogue's, which the emulator fills by itself where s2cloudless is installed.
PROBABILITIES = "TEST/CLOUD_PROBABILITY"


def add_probabilities(region, folder, image_ids):
    """Write cloud probabilities of 0 to 100 % as Earth Engine has them."""
    folder.mkdir()
    scenes = []
    for image_id in image_ids:
        with rasterio.open(region.folder / f"{image_id}.tif") as source:
            profile = source.profile | {"count": 1, "dtype": "uint8", "nodata": None}
        values = np.arange(SIZE * SIZE).reshape(SIZE, SIZE) % 101
        with rasterio.open(folder / f"{image_id}.tif", "w", **profile) as target:
            target.write(values.astype("u1"), 1)
        properties = {"system:time_start": region.properties[image_id]["system:time_start"]}
        scenes.append({"id": image_id, "file": f"{image_id}.tif", "properties": properties})
    manifest = {"collection": PROBABILITIES, "scale": 0.01, "bands": ["probability"]}
    (folder / "scenes.json").write_text(json.dumps({**manifest, "scenes": scenes}))


@pytest.fixture(scope="module")
def region(tmp_path_factory):
    """The region with its Cloud Score+, and probabilities of its first image only."""
    scenes = Scenes(write_region(tmp_path_factory.mktemp("region"), images=20, size=SIZE))
    probabilities = tmp_path_factory.mktemp("s2cloudless") / "scenes"
    add_probabilities(scenes, probabilities, list(scenes.properties)[:1])
    scores = scenes.folder.parent / "cloud_score_plus"
    folders = [scenes.folder, scores, probabilities]
    with launch.running(tmp_path_factory.mktemp("data"), folders) as url:
        client.connect(url)
        yield scenes


@pytest.fixture(autouse=True)
def probabilities(monkeypatch):
    monkeypatch.setattr(reference_masks, "PROBABILITY_COLLECTION", PROBABILITIES)


def image_of(region, index):
    image_id = list(region.properties)[index]
    return ee.Image(f"{COLLECTION}/{image_id}"), region.grid(image_id)


def read(image, grid, name):
    """Return a reference's pixels, NaN where it says nothing, and whether it says it is there."""
    bands = reference_bands(image, [name])
    return band_values(bands, grid)[name], bands.get(f"{name}_present").getInfo()


def source_of(collection, image, band, grid):
    index = image.get("system:index")
    found = ee.ImageCollection(collection).filter(ee.Filter.eq("system:index", index))
    return band_values(ee.Image(found.first()).select(band), grid)[band]


def test_qa60_says_cloud_for_opaque_and_for_cirrus(region):
    values = set()
    for index in range(0, 20, 3):
        image, grid = image_of(region, index)
        got, present = read(image, grid, "qa60")
        bits = band_values(image.select("QA60"), grid)["QA60"]
        assert present == 1
        np.testing.assert_array_equal(got, np.where(np.isnan(bits), np.nan, bits > 0))
        values |= set(np.unique(got[~np.isnan(got)]))
    assert values == {0, 1}


def test_bits_of_qa60_that_are_not_clouds_do_not_count(region):
    image, grid = image_of(region, 2)
    for bits, cloud in ((1 << 10, 1), (1 << 11, 1), (1 << 9 | 1 << 12, 0), (0, 0)):
        band = ee.Image(bits).toUint16().rename("QA60")
        got, _ = read(image.addBands(band, None, True), grid, "qa60")
        assert set(np.unique(got)) == {cloud}


@pytest.mark.parametrize(
    ("day", "expected"),
    [("2022-01-31", 1), (QA60_GAP[0], 0), ("2023-06-01", 0), ("2024-02-27", 0), (QA60_GAP[1], 1)],
)
def test_qa60_is_absent_in_its_gap_even_where_it_holds_zeros(region, day, expected):
    image, grid = image_of(region, 2)
    got, present = read(image.set("system:time_start", ee.Date(day).millis()), grid, "qa60")
    assert present == expected
    assert np.isnan(got).all() == (expected == 0)


def test_an_image_without_the_band_qa60_has_none(region):
    image, grid = image_of(region, 2)
    got, present = read(image.select(["B2", "B3"]), grid, "qa60")
    assert present == 0
    assert np.isnan(got).all()


def test_s2cloudless_is_a_probability_where_there_is_one(region):
    image, grid = image_of(region, 0)
    got, present = read(image, grid, "s2cloudless")
    expected = np.arange(SIZE * SIZE).reshape(SIZE, SIZE) % 101 / 100
    assert present == 1
    np.testing.assert_allclose(got, expected, atol=1e-12)


def test_cloud_score_plus_is_turned_round_so_that_1_is_cloud(region):
    image, grid = image_of(region, 2)
    got, present = read(image, grid, "cloud_score_plus")
    assert present == 1
    score = source_of(CLOUD_SCORE_COLLECTION, image, "cs", grid)
    np.testing.assert_allclose(got, 1 - score, atol=1e-6)


@pytest.mark.parametrize(("name", "index"), [("s2cloudless", 1), ("cloud_score_plus", 11)])
def test_what_an_image_has_not_is_absent_and_not_clear(region, name, index):
    image, grid = image_of(region, index)
    got, present = read(image, grid, name)
    assert present == 0
    assert np.isnan(got).all()


def test_all_come_together_and_one_that_is_missing_does_not_harm_the_others(region):
    image, grid = image_of(region, 11)
    bands = reference_bands(image, ["qa60", "s2cloudless", "cloud_score_plus"])
    got = band_values(bands, grid)
    assert [name for name, values in got.items() if not np.isnan(values).all()] == ["qa60"]
    properties = bands.toDictionary().getInfo()
    assert {name: n for name, n in properties.items() if name.endswith("_present")} == {
        "qa60_present": 1,
        "s2cloudless_present": 0,
        "cloud_score_plus_present": 0,
    }


def test_unknown_names_are_refused(region):
    image, _ = image_of(region, 0)
    with pytest.raises(ValueError, match=r"No reference masks \['fmask'\]; there are qa60, "):
        reference_bands(image, ["qa60", "fmask"])
