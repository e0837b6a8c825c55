"""Forests: as scikit-learn has them, as text, and as Earth Engine evaluates them."""

import json

import ee
import numpy as np
import pytest
import rasterio

from emulator import client, launch
from emulator.trees import Forest
from model.build import UnusableSamples, calibrate, check, cross_validate, write
from model.features import feature_rows
from model.forest import CLASS_NAMES, ForestSize, fit, probabilities, to_text
from model.pixels import Grid, read
from model.purposes import Purpose
from model.samples import Samples
from model.simulated import simulated
from shared import models
from shared.earth.features import ALL_BANDS, SIX_BANDS, definitions, feature_image, names
from shared.errors import InvalidModel

SMALL = ForestSize(trees=5, leaves=32)
PIXELS = 100_000


@pytest.fixture(scope="module")
def samples():
    return simulated(4000, 7)


@pytest.fixture(scope="module")
def emulator(tmp_path_factory):
    with launch.running(tmp_path_factory.mktemp("data"), []) as url:
        client.connect(url)
        yield url


def test_text_is_the_same_forest(samples):
    rows = samples.features(ALL_BANDS)
    forest = fit(rows, samples.classes, SMALL)
    read = Forest.from_text(to_text(forest, names(ALL_BANDS)), "test")
    order = [names(ALL_BANDS).index(name) for name in read.names]
    got = read.output("MULTIPROBABILITY", rows[:, order])
    np.testing.assert_allclose(got, probabilities(forest, rows), atol=1e-8)


@pytest.mark.parametrize("bands", [ALL_BANDS, SIX_BANDS])
def test_features_in_earth_engine_are_those_in_numpy(emulator, samples, bands):
    some = samples[np.arange(24)]
    expected = feature_rows(some.reflectance, bands)
    for i in range(24):
        values = [float(some.reflectance[band][i]) for band in bands]
        pixel = ee.Image.constant(values).toDouble().rename(list(bands))
        image = feature_image(pixel, bands, None)
        region = ee.Geometry.Point([14, 45])
        found = image.reduceRegion(ee.Reducer.first(), region, 10, "EPSG:32633").getInfo()
        got = [found[name] for name in names(bands)]
        np.testing.assert_allclose(got, expected[i], rtol=1e-6, atol=1e-7)


def test_scikit_learn_and_earth_engine_agree_on_100_000_pixels(tmp_path):
    pixels = simulated(PIXELS, 8)
    forest = fit(
        feature_rows(pixels.reflectance, ALL_BANDS)[:20_000],
        pixels.classes[:20_000],
        ForestSize(trees=20, leaves=128),
    )
    grid = Grid("EPSG:32633", (10, 0, 465_180, 0, -10, 5_080_260), 500, PIXELS // 500)
    shape = (grid.height, grid.width)
    stored = np.stack([pixels.reflectance[b].astype(np.float32).reshape(shape) for b in ALL_BANDS])
    with rasterio.open(
        tmp_path / "scene.tif",
        "w",
        driver="GTiff",
        dtype="float32",
        count=len(ALL_BANDS),
        width=grid.width,
        height=grid.height,
        crs=grid.crs,
        transform=rasterio.Affine(*grid.transform),
    ) as raster:
        raster.write(stored)
    scenes = {"collection": "TEST/SIMULATED", "bands": ALL_BANDS}
    scenes["scenes"] = [{"id": "scene", "file": "scene.tif"}]
    (tmp_path / "scenes.json").write_text(json.dumps(scenes))
    rows = feature_rows(
        {band: stored[i].ravel().astype(float) for i, band in enumerate(ALL_BANDS)}, ALL_BANDS
    )
    with launch.running(tmp_path / "data", [tmp_path]) as url:
        client.connect(url)
        features = feature_image(ee.Image("TEST/SIMULATED/scene").toDouble(), ALL_BANDS, None)
        text = to_text(forest, names(ALL_BANDS))
        classifier = ee.Classifier.decisionTreeEnsemble(text).setOutputMode("MULTIPROBABILITY")
        bands = [f"p{number}" for number in range(len(CLASS_NAMES))]
        found = read(features.classify(classifier).arrayFlatten([bands]), grid, 8 * len(bands))
    got = np.stack([found[band].ravel() for band in bands], axis=1)
    assert np.abs(got - probabilities(forest, rows)).max() < 1e-6


def test_what_cannot_be_learnt_from_is_refused(samples):
    def changed(**changes):
        return Samples(**{**vars(samples), **changes})

    with pytest.raises(UnusableSamples, match=r"classes are \[9\], which is none of 0 clear"):
        check(changed(classes=np.full(len(samples), 9)))
    with pytest.raises(UnusableSamples, match="all 4000 pixels are clear"):
        check(changed(classes=np.zeros(len(samples), int)))
    with pytest.raises(UnusableSamples, match="of 2 scenes, expected at least 3"):
        check(changed(scenes=np.arange(len(samples)) % 2))


def test_every_pixel_is_judged_by_a_forest_that_has_not_seen_its_scene(samples):
    judged = cross_validate(samples, SIX_BANDS, SMALL)
    np.testing.assert_allclose(judged.shares.sum(axis=1), 1)
    accuracy = (judged.shares.argmax(axis=1) == samples.classes).mean()
    assert accuracy > 0.6
    points = np.array(calibrate(judged))
    assert (np.diff(points, axis=0) >= 0).all()
    assert np.isfinite(points).all()


def test_a_written_model_is_read_back_and_a_damaged_one_refused(tmp_path, samples):
    line = [(0.0, 0.0), (1.0, 1.0)]
    cutoffs = {"cloud": 0.5}
    made = write("cloud-6", samples, SIX_BANDS, SMALL, line, cutoffs, "a test", tmp_path, Purpose())
    assert len(made.trees()) == SMALL.trees
    assert made.asset_name == f"cloud-6-{made.sha256[:8]}"
    path = tmp_path / "cloud-6.json"
    text = path.read_text()
    (tmp_path / "cloud-6.trees.gz").write_bytes(b"no")
    with pytest.raises(InvalidModel, match=r"cloud-6\.trees\.gz: cannot be read"):
        made.trees()
    for damaged, message in (
        (text.replace('"format": 1', '"format": 9'), "format is 9, expected 1"),
        (text.replace('"cutoffs"', '"other"'), "field 'cutoffs' is missing"),
        (text[:-20], "cannot be read as a model"),
    ):
        path.write_text(damaged)
        models.load.cache_clear()
        with pytest.raises(InvalidModel, match=message):
            models.load("cloud-6", tmp_path)
    models.load.cache_clear()


def test_the_models_of_the_project_are_whole_and_small():
    for name, bands in zip(models.NAMES, (ALL_BANDS, SIX_BANDS), strict=True):
        model = models.load(name)
        assert model.bands == bands
        assert model.features == names(bands)
        assert set(definitions(bands)) < set(model.features)
        assert len("".join(model.trees())) < 10_000_000
        assert len(model.classes) == len(CLASS_NAMES)
    assert sum(path.stat().st_size for path in models.FOLDER.iterdir() if path.is_file()) < 5e6


def test_images_get_the_model_that_their_bands_allow():
    assert models.for_bands(ALL_BANDS) == models.load("cloud-13")
    assert models.for_bands(SIX_BANDS) == models.load("cloud-6")
    assert models.for_bands(("B2", "B3")) is None
