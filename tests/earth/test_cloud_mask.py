"""The graphs against numpy on the same files, and against what they promise."""

import json

import ee
import numpy as np

from shared.domain.runs import MaskParameters
from shared.earth.background import background_images, median
from shared.earth.cloud_mask import cloud_mask, mask_of

from .conftest import COLLECTION, pixels
from .numpy_trees import check_trees, tree2, tree3

HOUR = 3_600_000


def test_trees_are_what_numpy_makes_of_them(region):
    for image_id in list(region.properties)[::7]:
        check_trees(region, image_id)


def background_of(image_id, days, number):
    image = ee.Image(f"{COLLECTION}/{image_id}")
    return image, background_images(image, ee.ImageCollection(COLLECTION), days, number)


def test_the_background_is_the_least_cloudy_around_but_not_of_the_same_pass(region):
    image_id = list(region.properties)[24]
    _, chosen = background_of(image_id, days=38, number=6)
    time = region.properties[image_id]["system:time_start"]
    distance = {
        other: abs(properties["system:time_start"] - time) / HOUR
        for other, properties in region.properties.items()
    }
    near = [other for other, hours in distance.items() if 18 < hours <= 38 * 24]
    near.sort(key=lambda other: region.properties[other]["CLOUDY_PIXEL_PERCENTAGE"])
    assert chosen.aggregate_array("system:index").getInfo() == near[:6]


def test_an_images_reprocessed_twin_is_no_background_for_it(region):
    image_id = list(region.properties)[24]
    image = ee.Image(f"{COLLECTION}/{image_id}")
    twin = image.set("system:index", "twin", "CLOUDY_PIXEL_PERCENTAGE", -1)
    scenes = ee.ImageCollection(COLLECTION).merge(ee.ImageCollection([twin]))
    names = background_images(image, scenes, 60, 50).aggregate_array("system:index").getInfo()
    assert names
    assert not any("twin" in name for name in names)


def test_images_of_other_tiles_are_no_background(region):
    image = ee.Image(f"{COLLECTION}/{list(region.properties)[24]}").set("MGRS_TILE", "31UDT")
    scenes = ee.ImageCollection(COLLECTION)
    assert background_images(image, scenes, 60, 20).size().getInfo() == 0


def test_the_median_is_numpys_over_what_is_valid(region):
    image_id = list(region.properties)[24]
    image, chosen = background_of(image_id, days=40, number=7)
    names = chosen.aggregate_array("system:index").getInfo()
    stack = np.stack([region.reflectance(name)["B4"] for name in names])
    got = pixels(median(chosen, image.select(["B4"])), region.grid(image_id))
    with np.errstate(all="ignore"):
        expected = np.nanmedian(np.round(stack * 10_000), axis=0)
    covered = np.isfinite(stack).any(axis=0)
    np.testing.assert_allclose(got[covered], expected[covered])
    assert (got[~covered] == -1).all()


def test_without_a_background_the_trees_decide(region):
    image_id = list(region.properties)[6]
    image = ee.Image(f"{COLLECTION}/{image_id}").set("MGRS_TILE", "31UDT")
    mask = cloud_mask(image, ee.ImageCollection(COLLECTION), MaskParameters())
    bands = region.reflectance(image_id)
    valid = np.isfinite(np.stack(list(bands.values()))).all(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = np.where(valid, tree2(bands) | tree3(bands), -1)
    np.testing.assert_array_equal(pixels(mask, region.grid(image_id)), expected)


def test_what_is_brighter_than_its_background_is_cloud(region):
    parameters = MaskParameters()
    for image_id in list(region.properties)[3::12]:
        image, chosen = background_of(
            image_id, parameters.background_days, parameters.background_images
        )
        names = chosen.aggregate_array("system:index").getInfo()
        bands = region.reflectance(image_id)
        now = np.mean([bands[name] for name in parameters.bands], axis=0)
        with np.errstate(all="ignore"):
            before = np.mean(
                [
                    np.nanmedian([region.reflectance(name)[band] for name in names], axis=0)
                    for band in parameters.bands
                ],
                axis=0,
            )
            rose = np.nan_to_num(now - before) > parameters.difference
            expected = tree2(bands) | tree3(bands) | (rose & (now > parameters.brightness))
        got = pixels(
            cloud_mask(image, ee.ImageCollection(COLLECTION), parameters), region.grid(image_id)
        )
        valid = got >= 0
        # Sums in another order differ in the last digit, and so may a pixel on the threshold.
        assert (got[valid] != expected[valid]).mean() < 0.001


def test_the_mask_is_one_byte_band_named_class(region, run_configuration):
    image = ee.Image(f"{COLLECTION}/{next(iter(region.properties))}")
    [band] = mask_of(image, run_configuration()).getInfo()["bands"]
    assert band["id"] == "class"
    assert (band["data_type"]["min"], band["data_type"]["max"]) == (0, 255)


def test_pixels_off_the_land_are_masked(region, run_configuration):
    image_id = next(iter(region.properties))
    image = ee.Image(f"{COLLECTION}/{image_id}")
    west, south, east, north = (
        image.geometry().bounds().coordinates().getInfo()[0][i][j]
        for i, j in ((0, 0), (0, 1), (2, 0), (2, 1))
    )
    middle = (west + east) / 2
    corners = [[west, south], [middle, south], [middle, north], [west, north], [west, south]]
    land = {"type": "Polygon", "coordinates": [corners]}
    got = pixels(mask_of(image, run_configuration(land=land)), region.grid(image_id))
    width = got.shape[1]
    assert (got[:, : width // 2 - 2] >= 0).mean() > 0.95
    assert (got[:, width // 2 + 2 :] == -1).all()


def test_the_graph_stays_small(region, run_configuration):
    mask = mask_of(ee.Image(f"{COLLECTION}/image"), run_configuration())
    graph = ee.serializer.encode(mask, for_cloud_api=True)
    assert len(json.dumps(graph)) < 60_000
