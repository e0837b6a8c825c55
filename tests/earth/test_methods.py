"""The thirteen methods by name: bands, properties, sizes, and too little to work with."""

import json

import ee
import numpy as np
import pytest

from shared.earth.methods import (
    METHODS,
    ORIGINAL,
    MethodRules,
    check_bands,
    method_bands,
    needed_bands,
)
from shared.earth.multitemporal import ALL_BANDS, ScoreRules

from .conftest import COLLECTION, band_values
from .truth import clearest, partly

RULES = MethodRules()
SCENES = "COPERNICUS/S2_HARMONIZED"
#: Of one mask; the 2019 system's had 168 kB.
GRAPH_BYTES = 60_000


def image_of(image_id):
    return ee.Image(f"{COLLECTION}/{image_id}")


def only(*image_ids):
    return ee.ImageCollection(COLLECTION).filter(ee.Filter.inList("system:index", image_ids))


def test_there_are_thirteen_methods_and_four_of_the_original_model():
    assert len(METHODS) == len(set(METHODS)) == 13
    assert ORIGINAL == ("tree2", "tree3", "percentile1", "percentile5")


@pytest.mark.parametrize("names", [["tree1"], ["percentile1"], ORIGINAL, METHODS])
def test_the_graph_stays_small(region, names):
    image = ee.Image("COPERNICUS/S2_HARMONIZED/20180101T105441_20180101T105435_T31UDT")
    graph = ee.serializer.encode(
        method_bands(image, ee.ImageCollection(SCENES), names, RULES), for_cloud_api=True
    )
    assert len(json.dumps(graph)) < GRAPH_BYTES


def test_bands_have_the_methods_names_and_those_of_their_scores(region):
    image = method_bands(
        image_of(partly(region)), ee.ImageCollection(COLLECTION), ["persistence2", "tree1"], RULES
    )
    described = image.getInfo()
    assert {band["id"]: band["data_type"]["precision"] for band in described["bands"]} == {
        "tree1": "int",
        "persistence2": "int",
        "persistence2_difference": "double",
        "persistence2_brightness": "double",
    }
    assert described["properties"]["persistence2_images"] > 0


def test_without_a_background_a_method_says_nothing(region):
    image_id = partly(region)
    bands = method_bands(image_of(image_id), only(image_id), ORIGINAL, RULES)
    properties = bands.toDictionary(["percentile1_images", "percentile5_images"]).getInfo()
    assert properties == {"percentile1_images": 0, "percentile5_images": 0}
    for name, found in band_values(bands, region.grid(image_id)).items():
        assert np.isnan(found).all() == name.startswith("percentile"), name


@pytest.mark.parametrize("count", [1, 2])
def test_one_or_two_background_images_are_enough(region, count):
    names = ["percentile1", "persistence3"]
    image_id = partly(region)
    scenes = only(image_id, *clearest(region, count))
    bands = method_bands(image_of(image_id), scenes, names, RULES)
    properties = bands.toDictionary(["percentile1_images", "persistence3_images"]).getInfo()
    assert properties == {"percentile1_images": count, "persistence3_images": count}
    got = band_values(bands, region.grid(image_id))
    for name in names:
        assert set(np.unique(got[name])) == {0, 1}


def test_a_scene_with_all_bands_masked_has_all_methods_masked(region):
    image_id = partly(region)
    image = image_of(image_id).updateMask(0)
    bands = method_bands(image, only(image_id, *clearest(region, 3)), ORIGINAL, RULES)
    for found in band_values(bands, region.grid(image_id)).values():
        assert np.isnan(found).all()


def test_an_image_alike_its_background_in_all_pixels_has_no_cloud(region):
    image_id = partly(region)
    image = image_of(image_id)
    same = image.set("system:time_start", image.date().advance(-30, "day").millis())
    bands = method_bands(image_of(image_id), ee.ImageCollection([same]), ["percentile1"], RULES)
    got = band_values(bands, region.grid(image_id))
    assert set(np.unique(got["percentile1"])) == {0}
    assert set(np.unique(got["percentile1_difference"])) == {0}


def test_six_bands_are_enough_for_methods_told_so(region):
    six = ["B2", "B3", "B4", "B8", "B11", "B12"]
    rules = MethodRules(scores=ScoreRules(bands=tuple(six)))
    check_bands(["percentile1", "persistence5"], rules, six)
    image_id = partly(region)
    scenes = only(image_id, *clearest(region, 3)).select(six)
    bands = method_bands(image_of(image_id).select(six), scenes, ["percentile1"], rules)
    got = band_values(bands, region.grid(image_id))
    assert set(np.unique(got["percentile1"])) == {0, 1}


def test_bands_that_are_missing_are_named():
    assert needed_bands("tree2", RULES) == {"B8A", "B3", "B10", "B2", "B6", "B11"}
    assert needed_bands("persistence4", RULES) == set(ALL_BANDS)
    check_bands(METHODS, RULES, ALL_BANDS)
    with pytest.raises(ValueError, match="'tree2' needs B10, B6, B8A; the images have B2, B3"):
        check_bands(["tree2"], RULES, ["B2", "B3", "B11"])


def test_names_that_are_no_methods_are_refused(region):
    image, scenes = ee.Image("image"), ee.ImageCollection(COLLECTION)
    for name in ("percentile6", "tree4", "", "persistence"):
        with pytest.raises(ValueError, match=f"There is no method '{name}'; there are tree1, "):
            method_bands(image, scenes, [name], RULES)
    with pytest.raises(ValueError, match="No method is named; there are tree1, "):
        method_bands(image, scenes, [], RULES)
