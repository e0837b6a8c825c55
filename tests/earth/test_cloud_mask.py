"""The graphs against numpy on the same files, and against what they promise."""

import json
import warnings

import ee
import numpy as np
import pytest

from emulator.trees import Forest
from model.features import feature_rows
from model.publish import publish
from shared import models
from shared.domain.runs import MaskParameters
from shared.earth.background import background_images, median
from shared.earth.cloud_mask import Publication, _classes, cloud_mask, mask_of
from shared.earth.features import COMPARED
from shared.earth.shadows import NONE, SEEN, UNSEEN

from .conftest import COLLECTION, pixels
from .numpy_trees import check_trees

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


@pytest.fixture(scope="module")
def published(region):
    """The model of 13 bands, published on the region's emulator."""
    model = models.load("cloud-13")
    return Publication(model, publish(model, "projects/demo-project/assets"))


def shares_of(bands, background, model):
    """Return the forest's shares of cloud and thin cloud, and of snow; NaN where no data are."""
    forest = Forest.from_text(model.trees(), "test")
    rows = feature_rows(
        {name: values.ravel() for name, values in bands.items()},
        model.bands,
        {name: values.ravel() for name, values in background.items()},
    )
    valid = np.isfinite(rows).all(axis=1)
    order = [model.features.index(name) for name in forest.names]
    shares = np.full((len(rows), len(model.classes)), np.nan)
    shares[valid] = forest.output("MULTIPROBABILITY", rows[valid][:, order])
    shape = bands["B2"].shape
    return (shares[:, 1] + shares[:, 4]).reshape(shape), shares[:, 3].reshape(shape)


def mean_of(windows, axes):
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.nanmean(windows, axis=axes)


def averaged(values, reach):
    """Return means over squares of valid pixels, NaN where the pixel itself is."""
    padded = np.pad(values, reach, constant_values=np.nan)
    side = 2 * reach + 1
    windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side))
    return np.where(np.isfinite(values), mean_of(windows, (2, 3)), np.nan)


def coarse(bands):
    """Return bands of 60 m pixels: as they are read, from 40 m pixels of the image's pyramid."""
    found = {}
    for name, values in bands.items():
        padded = np.pad(values, [(0, -n % 12) for n in values.shape], constant_values=np.nan)
        means = mean_of(padded.reshape(padded.shape[0] // 4, 4, -1, 4), (1, 3))
        means = np.rint(means * 10_000) / 10_000  # a pyramid's pixels are digital numbers too
        rows, columns = ((6 * np.arange(n // 6) + 3) // 4 for n in padded.shape)
        found[name] = means[np.ix_(rows, columns)]
    return found


def background_in(others):
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {band: np.nanmedian([other[band] for other in others], axis=0) for band in COMPARED}


def expected_mask(bands, others, model):
    """Return the probability of cloud, NaN where there are no data; `others` are the background."""
    near, snow = (averaged(part, 1) for part in shares_of(bands, background_in(others), model))
    far = background_in([coarse(other) for other in others])
    wide = averaged(shares_of(coarse(bands), far, model)[0], 10)
    wide = wide.repeat(6, 0).repeat(6, 1)[: near.shape[0], : near.shape[1]]
    share = (near + np.where(np.isfinite(wide), wide, near)) / 2
    share = np.minimum(share, near + snow + 0.05)
    return np.interp(share, *zip(*model.calibration, strict=True))


def test_the_probability_is_the_forests_mean_around_a_pixel_and_further_off(region, published):
    parameters, model = MaskParameters(), published.model
    for image_id in list(region.properties)[3::24]:
        image, chosen = background_of(
            image_id, parameters.background_days, parameters.background_images
        )
        names = chosen.aggregate_array("system:index").getInfo()
        others = [region.reflectance(name) for name in names]
        expected = expected_mask(region.reflectance(image_id), others, model)
        mask = cloud_mask(image, ee.ImageCollection(COLLECTION), parameters, published)
        got = pixels(mask.select("cloud_probability"), region.grid(image_id))
        np.testing.assert_array_equal(got >= 0, np.isfinite(expected))
        valid = got >= 0
        # A value on a threshold may fall to either side: medians end in the last digit. One of a
        # coarse pixel moves all around it, by little.
        assert (np.abs(got - 100 * expected)[valid] > 0.8).mean() < 0.005
        classes = pixels(mask.select("class"), region.grid(image_id))
        flagged = expected >= model.cutoffs["cloud"]
        assert (np.isin(classes, (1, 4)) != flagged)[valid].mean() < 0.005
        assert set(np.unique(classes[valid])) <= {0, 1, 2, 3, 4}


@pytest.mark.parametrize(
    ("cloud", "surest"), [(SEEN, "shadow"), (UNSEEN, "shadow_unseen"), (NONE, "shadow_alone")]
)
def test_a_shadow_must_be_surer_the_less_is_known_of_its_cloud(region, published, cloud, surest):
    model = published.model
    limits = [model.cutoffs[name] for name in ("shadow", "shadow_unseen", "shadow_alone")]
    assert limits == sorted(limits)
    dark = [model.cutoffs[surest] + step for step in (-0.01, 0.01)]
    shares = [
        ee.Image.constant([1 - value, 0, value, 0, 0]).rename([f"p{i}" for i in range(5)])
        for value in dark
    ]
    classes = [_classes(part, ee.Image(0), ee.Image(cloud), model) for part in shares]
    anywhere = ee.Geometry.Point([14, 45])
    found = ee.Image.cat(*classes).reduceRegion(ee.Reducer.first(), anywhere, 10)
    assert list(found.getInfo().values()) == [0, 2]


@pytest.mark.parametrize(
    ("dark", "snow", "found"), [(0.5, 0.45, 2), (0.45, 0.5, 3), (0.4, 0.42, 3)]
)
def test_shadow_on_snow_is_what_is_likelier(region, published, dark, snow, found):
    shares = ee.Image.constant([1 - dark - snow, 0, dark, snow, 0])
    shares = shares.rename([f"p{i}" for i in range(5)])
    classes = _classes(shares, ee.Image(0), ee.Image(SEEN), published.model)
    values = classes.reduceRegion(ee.Reducer.first(), ee.Geometry.Point([14, 45]), 10)
    assert list(values.getInfo().values()) == [found]


def test_without_a_background_the_image_decides(region, published):
    image_id = list(region.properties)[6]
    image = ee.Image(f"{COLLECTION}/{image_id}").set("MGRS_TILE", "31UDT")
    mask = cloud_mask(image, ee.ImageCollection(COLLECTION), MaskParameters(), published)
    bands = region.reflectance(image_id)
    nothing = {name: np.full(bands["B2"].shape, np.nan) for name in COMPARED}
    expected = expected_mask(bands, [nothing], published.model)
    got = pixels(mask.select("cloud_probability"), region.grid(image_id))
    valid = got >= 0
    np.testing.assert_array_equal(valid, np.isfinite(expected))
    assert np.abs(got - 100 * expected)[valid].max() < 0.55


def test_a_scene_without_pixels_has_a_mask_without_pixels(region, published):
    image_id = list(region.properties)[6]
    image = ee.Image(f"{COLLECTION}/{image_id}").updateMask(0)
    mask = cloud_mask(image, ee.ImageCollection(COLLECTION), MaskParameters(), published)
    assert (pixels(mask.select("class"), region.grid(image_id)) == -1).all()


def test_the_mask_has_three_byte_bands(region, run_configuration, published):
    image = ee.Image(f"{COLLECTION}/{next(iter(region.properties))}")
    bands = mask_of(image, run_configuration(), published).getInfo()["bands"]
    assert [band["id"] for band in bands] == ["cloud_probability", "class", "agreement"]
    for band in bands:
        assert (band["data_type"]["min"], band["data_type"]["max"]) == (0, 255)


def test_pixels_off_the_land_are_masked(region, run_configuration, published):
    image_id = next(iter(region.properties))
    image = ee.Image(f"{COLLECTION}/{image_id}")
    west, south, east, north = (
        image.geometry().bounds().coordinates().getInfo()[0][i][j]
        for i, j in ((0, 0), (0, 1), (2, 0), (2, 1))
    )
    middle = (west + east) / 2
    corners = [[west, south], [middle, south], [middle, north], [west, north], [west, south]]
    land = {"type": "Polygon", "coordinates": [corners]}
    got = pixels(
        mask_of(image, run_configuration(land=land), published).select("class"),
        region.grid(image_id),
    )
    width = got.shape[1]
    assert (got[:, : width // 2 - 2] >= 0).mean() > 0.95
    assert (got[:, width // 2 + 2 :] == -1).all()


def test_the_graph_stays_small(region, run_configuration, published):
    mask = mask_of(ee.Image(f"{COLLECTION}/image"), run_configuration(), published)
    graph = ee.serializer.encode(mask, for_cloud_api=True)
    assert len(json.dumps(graph)) < 60_000
