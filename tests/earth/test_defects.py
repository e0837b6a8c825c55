"""The defects of the 2019 system that concern the cloud mask, by their numbers: none is here.

Each test also does as that system did, and shows that it would notice.
"""

import json
from dataclasses import replace
from datetime import UTC, datetime

import ee
import h5py
import numpy as np
import pytest
from sklearn.model_selection import KFold

from emulator import client, launch
from emulator.scenes.synthetic import write_region
from model.build import cross_validate
from model.forest import ForestSize, fit, probabilities
from model.labels import read_labels
from model.publish import publish
from model.samples import Samples, stratified
from model.simulated import simulated
from shared import models
from shared.adapters.earth_engine import _export_request
from shared.domain.classes import CLOUDY, SHADOW, SNOW
from shared.domain.exports import Export
from shared.domain.runs import MaskParameters, register
from shared.earth.background import BackgroundRules, Selection, select_background
from shared.earth.cloud_mask import Publication, cloud_mask
from shared.earth.features import ALL_BANDS, COMPARED, SIX_BANDS
from shared.earth.methods import METHODS, MethodRules, background_of, method_bands
from shared.earth.multitemporal import ScoreRules, cloudy, pixel_scores

from . import archive
from .conftest import COLLECTION, SIZE, Scenes, pixels
from .truth import clearest, partly

RULES = BackgroundRules()
VISIBLE = ["B2", "B3", "B4"]
SCORES = ["difference", "brightness"]
#: The 2019 system's cut-off of its forest.
CUT_OFF = 0.29


@pytest.fixture(scope="module")
def region(tmp_path_factory):
    """The synthetic region and the hard archive behind one emulator."""
    folder = write_region(tmp_path_factory.mktemp("region"), size=SIZE)
    hard = archive.hard_archive(tmp_path_factory.mktemp("archive") / "scenes").write()
    with launch.running(tmp_path_factory.mktemp("data"), [folder, hard]) as url:
        client.connect(url)
        yield Scenes(folder)


def image_of(image_id):
    return ee.Image(f"{COLLECTION}/{image_id}")


def nodes(value):
    """Yield all calls of a graph as (function, arguments), references resolved."""
    graph = ee.serializer.encode(value, for_cloud_api=True)

    def walk(node):
        if isinstance(node, list):
            for part in node:
                yield from walk(part)
        if not isinstance(node, dict):
            return
        call = node.get("functionInvocationValue")
        if call:
            yield call.get("functionName"), call["arguments"]
        for part in node.values():
            yield from walk(part)

    return list(walk(graph["values"])), graph["values"]


def resolved(node, values):
    """Return a node as text, with what it refers to."""
    text = json.dumps(node)
    for _ in range(100):
        if '"valueReference"' not in text and '"body"' not in text:
            return text
        node = _expanded(json.loads(text), values)
        text = json.dumps(node)
    raise AssertionError("a graph that does not end")


def _expanded(node, values):
    if isinstance(node, list):
        return [_expanded(part, values) for part in node]
    if not isinstance(node, dict):
        return node
    if "valueReference" in node:
        return values[node["valueReference"]]
    if isinstance(node.get("body"), str):
        return {"function": values[node["body"]]}
    return {name: _expanded(part, values) for name, part in node.items()}


def all_methods():
    image = image_of("20180101T105441_20180101T105435_T31UDT")
    return method_bands(image, ee.ImageCollection(COLLECTION), METHODS, MethodRules())


def default_mask(published, image_id="20180101T105441_20180101T105435_T31UDT"):
    scenes = ee.ImageCollection(COLLECTION)
    return cloud_mask(image_of(image_id), scenes, MaskParameters(), published)


@pytest.fixture(scope="module")
def published(region):
    """The model of 13 bands, published on the region's emulator."""
    model = models.load(models.NAMES[0])
    return Publication(model, publish(model, "projects/demo-project/assets"))


def trained_in_the_graph(value):
    """Return how a graph makes classifiers, unless it loads what is published."""
    calls = {name for name, _ in nodes(value)[0] if name and "Classifier" in name}
    return {name for name in calls if "train" in name.lower() or "Forest" in name}


def tables_of(value):
    return {name for name, _ in nodes(value)[0] if name == "Collection.loadTable"}


def test_defect_1_no_table_of_training_data_is_needed(region, published):
    original = ee.FeatureCollection("ft:1XzZPz8HZMARKQ9OPTWvfuRkPaGIASzkRYMfhKT8H")
    assert tables_of(original)
    for graph in (all_methods(), default_mask(published)):
        assert not tables_of(graph)


def test_defect_2_no_classifier_is_trained_in_an_images_graph(region, published):
    training = ee.FeatureCollection("projects/demo-project/assets/training")
    original = all_methods().classify(ee.Classifier.smileRandomForest(500).train(training, "cloud"))
    assert trained_in_the_graph(original)
    for graph in (all_methods(), default_mask(published)):
        assert not trained_in_the_graph(graph)


def test_defect_3_a_cut_off_cuts(region):
    image_id, name = partly(region), "percentile5"
    image, grid = image_of(image_id), region.grid(image_id)
    rules = MethodRules(scores=ScoreRules(clusters=0))
    bands = method_bands(image, ee.ImageCollection(COLLECTION), [name], rules)
    scored = bands.select([f"{name}_{score}" for score in SCORES], SCORES)
    binary = cloudy(scored, ScoreRules())
    inert = [(pixels(binary.gt(cut), grid) == 1).mean() for cut in (0.01, CUT_OFF, 0.9)]
    assert len(set(inert)) == 1
    rules = [ScoreRules(difference=cut) for cut in (0.04, CUT_OFF, 0.9)]
    some, fewer, none = ((pixels(cloudy(scored, r), grid) == 1).mean() for r in rules)
    assert some > fewer > none


def test_defect_3_the_forests_cut_off_meets_a_probability(region, published):
    image_id = partly(region)
    model, grid = published.model, region.grid(image_id)
    original = (
        image_of(image_id)
        .select(ALL_BANDS)
        .classify(
            ee.Classifier.decisionTreeEnsemble(
                [
                    f"1) root 9 0 1\n  2) B2<={cut} 5 0 0 *\n  3) B2>{cut} 4 0 1 *"
                    for cut in (1000, 2000, 3000)
                ]
            )
        )
    )
    inert = {(pixels(original.gt(cut), grid) == 1).mean() for cut in (0.01, CUT_OFF, 0.9)}
    [share] = inert
    assert 0 < share < 1

    def flagged(cut):
        changed = replace(model, cutoffs={**model.cutoffs, "cloud": cut})
        mask = default_mask(Publication(changed, published.classifier), image_id)
        return np.isin(pixels(mask.select("class"), grid), CLOUDY).mean()

    many, some, few = (flagged(cut) for cut in (0.02, CUT_OFF, 0.98))
    assert many > some > few


def test_defect_4_thresholds_meet_reflectances(region):
    rules = MethodRules(scores=ScoreRules(clusters=0))
    one, other = clearest(region, 2)
    original, ours = [], []
    # Of two images each is brighter somewhere.
    for image_id, before in ((one, other), (other, one)):
        image, grid = image_of(image_id), region.grid(image_id)
        scenes = ee.ImageCollection([image_of(before)])
        background = background_of(image, scenes, "percentile1", rules).multiply(10_000)
        now = image.toDouble().select(VISIBLE)
        scored = pixel_scores(now, now.subtract(background))
        original.append(pixels(cloudy(scored, rules.scores), grid) == 1)
        bands = method_bands(image, scenes, ["percentile1"], rules)
        ours.append(pixels(bands.select("percentile1"), grid) == 1)
    assert np.mean(np.logical_or(*original)) > 0.5
    assert np.mean(np.logical_or(*ours)) < 0.01


#: Hollstein's classes, and those that the 2019 system took for cloud.
HOLLSTEIN = {10: "Clear", 20: "Water", 30: "Shadow", 40: "Cirrus", 50: "Cloud", 60: "Snow"}
CLOUD_IN_2019 = (40, 50)


def hollsteins_file(path):
    """Write simulated pixels in the layout of Hollstein's database; return it and its classes."""
    pixels = simulated(6000, 11)
    classes = np.array([10, 50, 30, 60, 40], "u1")[pixels.classes]
    with h5py.File(path, "w") as file:
        file["spectra"] = np.stack([pixels.reflectance[band] for band in ALL_BANDS], axis=1)
        file["band"] = [band.removeprefix("B") for band in ALL_BANDS]
        file["classes"], file["product_id"] = classes, pixels.scenes.tolist()
        file["class_ids"], file["class_names"] = list(HOLLSTEIN), list(HOLLSTEIN.values())
    return path, classes


def test_defect_5_shadow_and_snow_are_classes_and_not_clear(tmp_path):
    path, published_classes = hollsteins_file(tmp_path / "labels.h5")
    samples = read_labels(path)
    assert set(samples.classes[published_classes == 30]) == {SHADOW}
    assert set(samples.classes[published_classes == 60]) == {SNOW}
    original = np.isin(published_classes, CLOUD_IN_2019).astype(int)
    rows, size = samples.features(ALL_BANDS), ForestSize(trees=5, leaves=64)
    dark, white = samples.classes == SHADOW, samples.classes == SNOW

    def recognised(labels):
        found = probabilities(fit(rows, labels, size), rows).argmax(axis=1)
        return (found[dark] == SHADOW).mean(), (found[white] == SNOW).mean()

    assert recognised(original) == (0, 0)
    assert min(recognised(samples.classes)) > 0.6


def told_by_scene(scenes=60, pixels=30):
    """Return pixels of which nothing but their scene tells the class."""
    rng = np.random.default_rng(12)
    where = np.repeat(np.arange(scenes), pixels)
    cloudy = rng.permutation(np.arange(scenes) % 2)[where]
    # Every scene has brightnesses of its own.
    light = rng.permutation(scenes)[where] / scenes + rng.random(len(where)) / scenes / 4
    nothing = dict.fromkeys(COMPARED, np.full(len(where), np.nan))
    return Samples(dict.fromkeys(SIX_BANDS, light), nothing, cloudy, where)


def test_defect_6_no_scene_is_both_learnt_from_and_judged():
    samples, size = told_by_scene(), ForestSize(trees=10, leaves=64, least=2)
    rows, shares = samples.features(SIX_BANDS), np.zeros((len(samples), 5))
    for train, test in KFold(5, shuffle=True, random_state=0).split(rows):
        shares[test] = probabilities(fit(rows[train], samples.classes[train], size), rows[test])
    original = (shares.argmax(axis=1) == samples.classes).mean()
    judged = cross_validate(samples, SIX_BANDS, size)
    ours = (judged.shares.argmax(axis=1) == judged.classes).mean()
    assert original > 0.95
    assert ours < 0.7


def test_defect_6_as_many_clear_pixels_are_drawn_as_cloudy_ones():
    rng = np.random.default_rng(13)
    cloud, scenes = rng.random(4000) < 0.1, rng.integers(0, 10, 4000)
    # The number wanted of clear pixels was counted among the cloudy ones.
    original = min((cloud == True).sum(), 2000)  # noqa: E712
    assert original < (~cloud).sum() / 4
    drawn = stratified(cloud.astype(int), scenes, 25, seed=1)
    assert cloud[drawn].sum() == (~cloud[drawn]).sum() == 250


def chosen(name, selection, rules=RULES):
    image = ee.Image(f"{archive.COLLECTION}/{name}")
    scenes = ee.ImageCollection(archive.COLLECTION)
    return select_background(image, scenes, selection, rules)


def days_after(images, name):
    """Return how long after an image others were taken."""
    time = ee.Number(ee.Image(f"{archive.COLLECTION}/{name}").get("system:time_start"))
    times = images.aggregate_array("system:time_start").getInfo()
    return [(other - time.getInfo()) / archive.DAY for other in times]


def test_defect_7_images_of_the_future_depend_on_how_many_there_are_before(region):
    many, few = "P090", "P010"
    number = RULES.number_of_images
    for name in (many, few):
        time = ee.Image(f"{archive.COLLECTION}/{name}").date()
        before = ee.ImageCollection(archive.COLLECTION).filterDate("2017-01-01", time)
        # A computed object is true, whatever its value is.
        assert before.size().lt(number)
    assert max(days_after(chosen(many, Selection.NEIGHBOURS), many)) < 0
    topped_up = days_after(chosen(few, Selection.NEIGHBOURS), few)
    assert len(topped_up) == number
    before = [days for days in topped_up if days < 0]
    assert 0 < len(before) < number
    assert topped_up[: len(before)] == before


def test_defect_8_selections_are_sorted_as_they_say(region):
    def clouds(selection):
        return chosen("P090", selection).aggregate_array("CLOUDY_PIXEL_PERCENTAGE").getInfo()

    times = days_after(chosen("P090", Selection.NEIGHBOURS), "P090")
    assert times == sorted(times, reverse=True)
    assert max(clouds(Selection.CLEAR_NEIGHBOURS)) < RULES.cloud_threshold
    most, least = clouds(Selection.CLOUDIEST_NEIGHBOURS), clouds(Selection.CLEAREST_NEIGHBOURS)
    assert most == sorted(most, reverse=True)
    assert least == sorted(least)
    assert np.mean(most) > np.mean(least) + 20


def test_defect_9_no_footprint_is_compared_before_dates_are(region):
    def filters_before_footprints(images):
        calls, values = nodes(images)
        [pool] = [
            resolved(arguments["collection"], values)
            for name, arguments in calls
            if name == "Collection.map"
            and "Geometry.intersection" in resolved(arguments["baseAlgorithm"], values)
        ]
        # Not every mention: what a filter's bounds are computed from has the name too.
        return pool.count('"leftField": {"constantValue": "system:time_start"}')

    image = ee.Image(f"{archive.COLLECTION}/P050")
    footprint = image.geometry()
    original = (
        ee.ImageCollection(archive.COLLECTION)
        .filter(ee.Filter.eq("MGRS_TILE", image.get("MGRS_TILE")))
        .map(lambda i: i.set("area", i.geometry().intersection(footprint, 1).area(1)))
    )
    assert filters_before_footprints(original) == 0
    for selection in set(Selection) - {Selection.CLEAREST_EVER}:
        # Both sides of the search, and both of the same pass.
        assert filters_before_footprints(chosen("P050", selection)) >= 4
    # The whole archive has no dates; so many of its images are looked at, and no more.
    [pool] = [
        arguments
        for name, arguments in nodes(chosen("P050", Selection.CLEAREST_EVER))[0]
        if name == "Collection.limit" and arguments.get("limit") == {"constantValue": 200}
    ]
    assert pool


def test_defect_9_a_masked_qa60_masks_no_background(region):
    image_id = partly(region)

    def with_qa60(scene):
        # Were it masked in all, or in the last, those would not change places.
        there = ee.Number(scene.date().getRelative("day", "year")).divide(10).floor().mod(2)
        qa60 = ee.Image(0).updateMask(ee.Image.constant(there)).rename("QA60").toUint16()
        return scene.select(ALL_BANDS).addBands(qa60)

    scenes = ee.ImageCollection(COLLECTION).map(with_qa60)
    image = image_of(image_id)
    original = scenes.map(
        lambda i: i.set(
            i.select(["B2", "QA60"]).mask().reduce(ee.Reducer.min()).rename("valids")
            .reduceRegion(ee.Reducer.mean(), image.geometry(), 60)
        )
    )  # fmt: skip
    shares = original.aggregate_array("valids").getInfo()
    assert 10 < shares.count(0) < len(shares) - 10
    given, without = (
        select_background(image, some, Selection.NEIGHBOURS, RULES).aggregate_array("system:index")
        for some in (scenes, ee.ImageCollection(COLLECTION).select(["B1", *VISIBLE]))
    )
    assert len(given.getInfo()) == RULES.number_of_images
    assert given.getInfo() == without.getInfo()


def recorded(model):
    return Export(
        *("mask-1", "test", "test-1", "image", "acquisition", datetime(2018, 7, 1, tzinfo=UTC)),
        *("Sentinel-2A", "33TVL", "{}", ("EPSG:32633", 20), datetime(2018, 7, 2, tzinfo=UTC)),
        model=model,
    )


def test_defect_11_an_export_says_its_grid_its_limit_and_the_pyramids_of_classes(
    region, run_configuration
):
    model = models.load(models.NAMES[0]).version
    request = _export_request(register(run_configuration()), recorded(model))
    original = ee.batch.Export.image.toAsset(image_of("x").select("B2"), "mask", "a/b", scale=30)
    grid = [20, 0, 0, 0, -20, 0]
    for export, fixed in ((request, True), (original.config, False)):
        said = json.dumps(export["assetExportOptions"])
        assert ('"class": "MODE"' in said) == fixed
        expression = export["expression"]
        if not fixed:
            expression = ee.serializer.encode(expression, for_cloud_api=True)
        said = json.dumps(expression)
        assert ("EPSG:32633" in said and json.dumps(grid) in said) == fixed, said[:3000]
    # A tile at 10 m has more pixels than Earth Engine's own limit of 1e8.
    assert int(request["maxPixels"]["value"]) >= 10_980**2
