"""What a mask looks at beside the forest, and the 2019 system's mask, against numpy."""

import importlib.util
import json

import ee
import numpy as np
import pytest

from emulator import client, launch
from emulator.scenes.synthetic import write_region
from model.publish import publish
from shared import models
from shared.domain.runs import INPUTS, MaskParameters
from shared.earth.cloud_mask import Publication, cloud_mask, mask_of
from shared.earth.listing import images_page
from shared.earth.methods import ORIGINAL, MethodRules, method_bands
from shared.earth.original_mask import original_mask
from shared.earth.reference_masks import BLIND_TO_SHADOW, CLOUDY_FROM, REFERENCES, reference_bands

from .conftest import COLLECTION, SIZE, Scenes, band_values

#: Where s2cloudless is installed, the emulator has its probabilities of each image.
HAS_PROBABILITIES = importlib.util.find_spec("s2cloudless") is not None


@pytest.fixture(scope="module")
def region(tmp_path_factory):
    """The region with its Cloud Score+: the eleventh image has none."""
    scenes = Scenes(write_region(tmp_path_factory.mktemp("region"), images=20, size=SIZE))
    folders = [scenes.folder, scenes.folder.parent / "cloud_score_plus"]
    with launch.running(tmp_path_factory.mktemp("data"), folders) as url:
        client.connect(url)
        yield scenes


@pytest.fixture(scope="module")
def published(region):
    model = models.load("cloud-13")
    return Publication(model, publish(model, "projects/demo-project/assets"))


def image_of(region, index):
    image_id = list(region.properties)[index]
    return ee.Image(f"{COLLECTION}/{image_id}"), region.grid(image_id)


def mask(image, used, inputs):
    return cloud_mask(image, ee.ImageCollection(COLLECTION), MaskParameters(), used, inputs)


def test_inputs_are_named_alike_everywhere():
    assert set(INPUTS) == set(REFERENCES) == set(CLOUDY_FROM)
    assert set(BLIND_TO_SHADOW) < set(INPUTS)


@pytest.mark.parametrize("index", [2, 11])
def test_inputs_vote_where_they_have_pixels_and_change_no_mask(region, published, index):
    image, grid = image_of(region, index)
    alone = band_values(mask(image, published, ()), grid)
    voted = mask(image, published, INPUTS)
    with_inputs = band_values(voted, grid)
    for band in ("cloud_probability", "class"):
        np.testing.assert_array_equal(with_inputs[band], alone[band])
    # Four votes without inputs: the forest, the rise above the background, two trees.
    agreeing = np.round(alone["agreement"] / 25)
    votes = np.full(agreeing.shape, 4)
    references = band_values(reference_bands(image, INPUTS), grid)
    flagged, shadow = np.isin(alone["class"], (1, 4)), alone["class"] == 2
    for name, values in references.items():
        mine = flagged | shadow if name in BLIND_TO_SHADOW else flagged
        there = np.isfinite(values)
        votes = votes + there
        agreeing = agreeing + (there & ((values >= CLOUDY_FROM[name]) == mine))
    valid = np.isfinite(alone["class"])
    expected = np.round(100 * agreeing / votes)
    assert np.abs(with_inputs["agreement"] - expected)[valid].max() <= 0.51
    properties = voted.toDictionary().getInfo()
    assert properties["qa60_present"] == 1
    assert properties["s2cloudless_present"] == HAS_PROBABILITIES
    assert properties["cloud_score_plus_present"] == (index != 11)
    assert properties["background_images"] > 0


def test_the_listing_says_which_inputs_are_there(region, run_configuration):
    run = run_configuration(
        region={
            "type": "Polygon",
            "coordinates": [[[10, 40], [20, 40], [20, 50], [10, 50], [10, 40]]],
        },
        mask=MaskParameters(inputs=INPUTS),
    )
    facts = [feature["properties"] for feature in images_page(run, 0).getInfo()]
    scored = {x["image_id"] for x in facts if x["cloud_score_plus"]}
    content = json.loads((region.folder.parent / "cloud_score_plus/scenes.json").read_text())
    there = {x["id"] for x in content["scenes"] if not x["available_after_days"]}
    assert scored == there < {x["image_id"] for x in facts}
    assert {(x["qa60"], x["s2cloudless"]) for x in facts} == {(1, HAS_PROBABILITIES)}
    assert images_page(run, 1).getInfo() == []
    facts = images_page(run_configuration(region=run.region, mask=MaskParameters("original")), 0)
    assert not set(facts.getInfo()[0]["properties"]) & set(INPUTS)


def looked_up(said, model):
    """Return the table's probability for what methods say, NaN where there is no pixel."""
    weights = 2 ** np.arange(len(said))
    heard = np.isfinite(said).all(axis=0)
    every = (np.nan_to_num(said) * weights[:, None, None]).sum(0).astype(int)
    alone = (np.nan_to_num(said[:2]) * weights[:2, None, None]).sum(0).astype(int)
    return np.where(
        heard, np.take(model.probabilities, every), np.take(model.without_background, alone)
    )


@pytest.mark.parametrize("with_background", [True, False])
def test_the_original_mask_is_its_table(region, with_background):
    image, grid = image_of(region, 2)
    model = models.load_original()
    scenes = ee.ImageCollection(COLLECTION)
    if not with_background:
        scenes = scenes.filter(ee.Filter.eq("system:index", "none"))
    said = band_values(method_bands(image, scenes, ORIGINAL, MethodRules()), grid)
    votes = np.stack([said[name] for name in ORIGINAL])
    assert np.isfinite(votes[2:]).any() == with_background
    probability = looked_up(votes, model)
    made = original_mask(image, scenes, model)
    got = band_values(made, grid)
    valid = np.isfinite(region.reflectance(list(region.properties)[2])["B2"])
    np.testing.assert_array_equal(np.isfinite(got["class"]), valid)
    np.testing.assert_array_equal(got["class"][valid], (probability >= model.cutoff)[valid])
    assert np.abs(got["cloud_probability"] - 100 * probability)[valid].max() < 0.51
    share = np.nanmean(votes == (probability >= model.cutoff), axis=0, where=np.isfinite(votes))
    assert np.abs(got["agreement"] - 100 * share)[valid].max() < 0.51
    number = made.get("background_images").getInfo()
    assert (number > 0) == with_background


def test_the_graphs_stay_small_with_all_that_they_may_look_at(run_configuration, region, published):
    image, run = ee.Image(f"{COLLECTION}/image"), run_configuration()
    for used, inputs in ((published, INPUTS), (models.load_original(), ())):
        graph = ee.serializer.encode(mask_of(image, run, used, inputs), for_cloud_api=True)
        assert len(json.dumps(graph)) < 60_000
