"""Programs as they were written for Earth Engine in 2019, run through the client."""

import json
import uuid
from pathlib import Path

import ee
import numpy as np
import pytest
import rasterio
from conftest import end

ROOT = "projects/demo-project/assets"
BANDS = ["B2", "B3", "B4", "B8", "B10", "B11"]
SIDE = 80  # pixels
PIXEL = 10  # metres
ORIGIN = (465180, 5080260)
CRS = "EPSG:32633"
DAY = 24 * 3600 * 1000
START = 1519862400000  # 2018-03-01
CLOUDY = 4  # the index of the image that has a cloud
CLOUD = (slice(20, 50), slice(10, 45))


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    """Six images of one place; over a part of one there is a cloud."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "scenes"
    folder.mkdir()
    ground = rng.integers(300, 1500, (len(BANDS), SIDE, SIDE))
    transform = rasterio.Affine(PIXEL, 0, ORIGIN[0], 0, -PIXEL, ORIGIN[1])
    entries = []
    for index in range(6):
        pixels = ground + rng.integers(-40, 40, ground.shape)
        if index == CLOUDY:
            pixels[(slice(None), *CLOUD)] = rng.integers(4000, 6000, (len(BANDS), 30, 35))
        file = f"{index}.tif"
        with rasterio.open(
            folder / file, "w", driver="GTiff", dtype="uint16", count=len(BANDS),
            width=SIDE, height=SIDE, crs=CRS, transform=transform,
        ) as target:  # fmt: skip
            target.write(pixels.astype("uint16"))
        properties = {"system:time_start": START + 5 * index * DAY, "MGRS_TILE": "33TVL"}
        stamp = f"201803{1 + 5 * index:02d}T100021"
        entries.append({"id": f"{stamp}_{stamp}_T33TVL", "file": file, "properties": properties})
    manifest = {"collection": "COPERNICUS/S2", "scale": 0.0001, "bands": BANDS, "scenes": entries}
    (folder / "scenes.json").write_text(json.dumps(manifest))
    return folder


def percentile_difference(image: ee.Image, others: ee.ImageCollection) -> ee.Image:
    """Subtract the median of the background, in reflectance."""
    background = others.select(BANDS).reduce(ee.Reducer.percentile([50])).rename(BANDS)
    return image.select(BANDS).subtract(background).divide(10000)


def cluster_mask(image: ee.Image, difference: ee.Image, region: ee.Geometry) -> ee.Image:
    """Say cloud of clusters of the difference that are bright, and brighter than before."""
    sample = difference.sample(region=region, scale=PIXEL, numPixels=1000)
    columns = ee.List(BANDS)
    mean = ee.Image.constant(columns.map(lambda b: sample.aggregate_mean(b))).rename(BANDS)
    deviation = ee.Image.constant(columns.map(lambda b: sample.aggregate_total_sd(b))).rename(BANDS)
    standard = difference.subtract(mean).divide(deviation)
    training = standard.sample(region=region, scale=PIXEL, numPixels=1000)
    clusters = standard.cluster(ee.Clusterer.wekaKMeans(5).train(training))
    bands = ["B2", "B3", "B4"]
    numbers = difference.select(bands).addBands(
        image.select(bands, ["r2", "r3", "r4"]).divide(10000)
    )
    multitemporal = ee.Image(0)
    for number in range(5):
        inside = clusters.eq(number)
        means = numbers.updateMask(inside).reduceRegion(ee.Reducer.mean(), region, PIXEL)
        rise = _mean([ee.Number(means.get(b, 0)) for b in bands])
        brightness = _mean([ee.Number(means.get(b, 0)) for b in ("r2", "r3", "r4")])
        cloud = rise.gt(0.04).And(brightness.gt(0.175))
        multitemporal = multitemporal.where(inside, ee.Image.constant(cloud))
    return multitemporal.focal_min(2).focal_max(2).rename("clustered")


def _mean(numbers: list[ee.Number]) -> ee.Number:
    total = numbers[0]
    for number in numbers[1:]:
        total = total.add(number)
    return total.divide(len(numbers))


def test_multitemporal_cloud_mask_of_2019(start_emulator, scenes: Path) -> None:
    start_emulator("--scenes", str(scenes))
    collection = ee.ImageCollection("COPERNICUS/S2").sort("system:time_start")
    ee.data.createAsset({"type": "IMAGE_COLLECTION"}, f"{ROOT}/masks")
    images = collection.toList(10)
    image = ee.Image(images.get(CLOUDY))
    start = image.date()
    around = ee.Filter.Or(
        ee.Filter.date(start.advance(-40, "day"), start.advance(-18, "hour")),
        ee.Filter.date(start.advance(18, "hour"), start.advance(40, "day")),
    )
    background = collection.filterBounds(image.geometry()).filter(around)
    assert background.size().getInfo() == 5

    difference = percentile_difference(image, background)
    region = image.geometry()
    tree = image.expression("b('B3') > 3250 && b('B10') > 110").rename("tree2")
    clustered = cluster_mask(image, difference, region)
    features = difference.addBands(tree).addBands(clustered)
    label = ee.Image.pixelCoordinates(
        ee.Projection(CRS, [PIXEL, 0, ORIGIN[0], 0, -PIXEL, ORIGIN[1]])
    )
    rows, columns = CLOUD
    x, y = label.select("x"), label.select("y")
    truth = (
        x.gt(columns.start)
        .And(x.lt(columns.stop))
        .And(y.gt(rows.start))
        .And(y.lt(rows.stop))
        .rename("cloud")
    )
    training = features.addBands(truth).sample(region=region, scale=PIXEL, numPixels=1500)
    names = [*BANDS, "tree2", "clustered"]
    forest = (
        ee.Classifier.smileRandomForest(500)
        .setOutputMode("PROBABILITY")
        .train(training, "cloud", names)
    )
    probability = features.classify(forest, "cloud_probability")
    mask = probability.gt(0.29).rename("cloud").toByte()

    task = ee.batch.Export.image.toAsset(
        mask.addBands(clustered.toByte()).set("system:time_start", image.get("system:time_start")),
        "mask",
        f"{ROOT}/masks/mask",
        region=region,
        crs=CRS,
        crsTransform=[PIXEL, 0, ORIGIN[0], 0, -PIXEL, ORIGIN[1]],
    )
    task.start()
    assert end(task, seconds=120)["state"] == "COMPLETED"

    expected = np.zeros((SIDE, SIDE), bool)
    expected[CLOUD] = True
    found = pixels(ee.Image(f"{ROOT}/masks/mask"))
    assert np.mean(found["cloud"] == expected) > 0.99
    # Opened: the corners are not the rectangle's.
    assert np.mean(found["clustered"] == expected) > 0.99


def pixels(image: ee.Image) -> np.ndarray:
    """Return the pixels of the place."""
    transform = {
        "scaleX": PIXEL, "shearX": 0, "translateX": ORIGIN[0],
        "shearY": 0, "scaleY": -PIXEL, "translateY": ORIGIN[1],
    }  # fmt: skip
    return ee.data.computePixels(
        {
            "expression": image,
            "fileFormat": "NUMPY_NDARRAY",
            "grid": {
                "dimensions": {"width": SIDE, "height": SIDE},
                "affineTransform": transform,
                "crsCode": CRS,
            },
        }
    )


@pytest.mark.usefixtures("ee_emulator")
def test_classifier_is_exported_and_loaded() -> None:
    name = f"{ROOT}/forest-{uuid.uuid4().hex}"
    samples = ee.FeatureCollection(
        [ee.Feature(None, {"a": i / 40, "b": i % 7, "c": int(i % 11 > 5)}) for i in range(40)]
    )
    forest = ee.Classifier.smileRandomForest(20).train(samples, "c", ["a", "b"])
    task = ee.batch.Export.classifier.toAsset(forest, "forest", name)
    task.start()
    assert end(task)["state"] == "COMPLETED"
    assert ee.data.getAsset(name)["type"] == "CLASSIFIER"
    answers = [
        samples.classify(classifier.setOutputMode("PROBABILITY"))
        .aggregate_array("classification")
        .getInfo()
        for classifier in (forest, ee.Classifier.load(name))
    ]
    assert answers[0] == answers[1]
    assert len(set(answers[0])) > 5
