"""Where exports go, and what is written there, through the real client."""

import csv
import json
import re
import uuid

import ee
import numpy as np
import pytest
import rasterio
import requests
from conftest import end

ROOT = "projects/demo-project/assets"
PROJECT = "demo-project"
ONE = {"result": "0", "values": {"0": {"constantValue": 1}}}


def grid():
    """Return the options for 600 x 400 pixels of 1 m."""
    return {
        "region": ee.Geometry.Rectangle([0, 0, 600, 400], "EPSG:3857", False),
        "crs": "EPSG:3857",
        "crsTransform": [1, 0, 0, 0, -1, 400],
    }


@pytest.fixture
def bucket(ee_emulator):
    """The folder of an empty bucket."""
    folder = ee_emulator.data / "buckets" / uuid.uuid4().hex
    folder.mkdir()
    return folder


@pytest.fixture
def numbered():
    """Return an image of 600 x 400 pixels that are all different."""
    position = ee.Image.pixelCoordinates("EPSG:3857").floor()
    return position.select("y").multiply(1000).add(position.select("x")).toInt32().rename("number")


def to_bucket(image, folder, prefix, **options):
    """Export an image to a bucket; return the task's last status."""
    task = ee.batch.Export.image.toCloudStorage(
        image, prefix, folder.name, prefix, **(grid() | options)
    )
    task.start()
    return end(task)


def read(path):
    with rasterio.open(path) as dataset:
        return dataset.read(), dataset.profile, dataset.descriptions


def expected_numbers(rows=400, columns=600, row=0, column=0):
    """Return what `numbered` is from a row and column on."""
    y, x = np.mgrid[row : row + rows, column : column + columns]
    return (399 - y) * 1000 + x


def test_image_becomes_one_geotiff_with_all_bands(bucket, numbered):
    image = numbered.addBands(numbered.add(1).toInt32().rename("next"))
    status = to_bucket(image, bucket, "a/b")
    assert status["state"] == "COMPLETED", status
    assert status["destination_uris"] == [
        f"https://console.developers.google.com/storage/browser/{bucket.name}/a/"
    ]
    pixels, profile, names = read(bucket / "a/b.tif")
    assert names == ("number", "next")
    assert profile["dtype"] == "int32"
    assert profile["transform"][:6] == (1, 0, 0, 0, -1, 400)
    assert profile["blockxsize"] == 256
    assert np.array_equal(pixels[0], expected_numbers())
    assert np.array_equal(pixels[1], pixels[0] + 1)


def test_cloud_optimised_files_have_overviews(bucket, numbered):
    status = to_bucket(numbered, bucket, "cog", formatOptions={"cloudOptimized": True})
    assert status["state"] == "COMPLETED", status
    with rasterio.open(bucket / "cog.tif") as dataset:
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert np.array_equal(dataset.read(1), expected_numbers())


def test_large_images_are_split_into_named_files(bucket, numbered):
    assert to_bucket(numbered, bucket, "part", fileDimensions=256)["state"] == "COMPLETED"
    rows, columns = {0: 256, 256: 144}, {0: 256, 256: 256, 512: 88}
    names = {
        f"part{row:010d}-{column:010d}.tif": (row, column) for row in rows for column in columns
    }
    assert {path.name for path in bucket.iterdir()} == set(names)
    for name, (row, column) in names.items():
        pixels, profile, _ = read(bucket / name)
        assert np.array_equal(pixels[0], expected_numbers(rows[row], columns[column], row, column))
        assert (profile["transform"].c, profile["transform"].f) == (column, 400 - row)


def test_empty_files_are_skipped_when_asked(bucket, numbered):
    image = numbered.updateMask(ee.Image.pixelCoordinates("EPSG:3857").select("x").lt(256))
    options = {"fileDimensions": 256, "skipEmptyTiles": True}
    assert to_bucket(image, bucket, "part", **options)["state"] == "COMPLETED"
    assert {path.name[14:] for path in bucket.iterdir()} == {"-0000000000.tif"}


@pytest.mark.parametrize(
    ("cast", "options", "no_data", "masked"),
    [
        ("toInt16", {}, None, 0),
        ("toInt16", {"noData": -7}, -7, -7),
        ("toFloat", {}, None, np.nan),
        ("toFloat", {"noData": -9999}, -9999, -9999),
    ],
)
def test_masked_pixels(bucket, cast, options, no_data, masked):
    image = ee.Image.pixelCoordinates("EPSG:3857").select("x").floor()
    image = getattr(image.updateMask(image.gte(10)), cast)()
    assert to_bucket(image, bucket, "x", formatOptions=options)["state"] == "COMPLETED"
    pixels, profile, _ = read(bucket / "x.tif")
    assert profile["nodata"] == no_data
    assert np.array_equal(pixels[0, 0, 9:11], [masked, 10], equal_nan=True)


def test_bands_of_several_types_fail_the_task(bucket):
    image = ee.Image.constant(1).toFloat().addBands(ee.Image.constant(2).toByte())
    assert to_bucket(image, bucket, "x")["error_message"] == (
        "Exported bands must have compatible data types; found inconsistent types: "
        "Float32 and Byte."
    )
    assert list(bucket.iterdir()) == []


def test_no_data_must_be_a_value_of_the_type(bucket):
    image = ee.Image.constant(1).toByte()
    status = to_bucket(image, bucket, "x", formatOptions={"noData": -1})
    assert "no-data value -1" in status["error_message"]


def test_missing_bucket_is_an_error(ee_emulator):
    task = ee.batch.Export.image.toCloudStorage(ee.Image(1), "x", "no-such-bucket", "x", **grid())
    with pytest.raises(ee.EEException, match="'no-such-bucket' does not exist"):
        task.start()


@pytest.mark.parametrize("prefix", ["../x", "/etc/x", "a/../../x", "a//x", "link/x", "x\0y"])
def test_objects_outside_the_bucket_are_refused(bucket, prefix):
    (bucket / "link").symlink_to("/tmp")
    task = ee.batch.Export.image.toCloudStorage(ee.Image(1), "x", bucket.name, prefix, **grid())
    with pytest.raises(ee.EEException, match="Invalid Cloud Storage URI"):
        task.start()


@pytest.fixture
def drive(ee_emulator):
    """The folder that stands for Drive."""
    return ee_emulator.data / "drive"


def test_drive_keeps_files_of_one_name_side_by_side(drive, numbered):
    for _ in range(2):
        task = ee.batch.Export.image.toDrive(
            numbered, "x", "Masks of 2018", "mask", fileDimensions=512, **grid()
        )
        task.start()
        assert end(task)["state"] == "COMPLETED"
    assert task.status()["destination_uris"] == ["https://drive.google.com/"]
    names = {path.name for path in (drive / "Masks of 2018").iterdir()}
    first = {"mask-0000000000-0000000000.tif", "mask-0000000000-0000000512.tif"}
    assert names == first | {name.replace(".tif", " (1).tif") for name in first}


def test_drive_without_space_fails_the_task(start_emulator, numbered):
    running = start_emulator("--drive-bytes", "0")
    task = ee.batch.Export.image.toDrive(numbered, "x", "folder", "mask", **grid())
    task.start()
    message = end(task)["error_message"]
    assert re.fullmatch(
        r"Not enough space in Google Drive \(need [\d.]+[KM]?B for this export\)\.", message
    )
    assert not list((running.data / "drive").glob("*/mask*"))


@pytest.mark.parametrize("name", ["..", "a/b", ".hidden"])
def test_drive_folders_that_are_paths_are_refused(ee_emulator, name):
    task = ee.batch.Export.image.toDrive(ee.Image(1), "x", name, "mask", **grid())
    with pytest.raises(ee.EEException, match="Invalid name in Google Drive"):
        task.start()


# Tables.


@pytest.fixture
def plots(ee_emulator):
    """Two features, with properties of several types."""
    return ee.FeatureCollection(
        [
            ee.Feature(ee.Geometry.Point([1, 2]), {"name": 'a, "b"', "count": 3, "share": 0.5}),
            ee.Feature(ee.Geometry.Point([3, 4]), {"name": "c", "count": 4, "list": [1, 2]}),
        ]
    )


def table_to_bucket(collection, folder, **options):
    task = ee.batch.Export.table.toCloudStorage(collection, "t", folder.name, "t", **options)
    task.start()
    return end(task)


def test_table_becomes_csv(bucket, plots):
    assert table_to_bucket(plots, bucket)["state"] == "COMPLETED"
    with (bucket / "t.csv").open(newline="") as file:
        header, first, second = csv.reader(file)
    assert header == ["system:index", "count", "name", "share", ".geo"]
    assert first[:-1] == ["0", "3", 'a, "b"', "0.5"]
    assert second[:-1] == ["1", "4", "c", ""]
    assert json.loads(first[-1]) == {"type": "Point", "coordinates": [1, 2]}


def test_selectors_choose_columns_in_order(bucket, plots):
    assert table_to_bucket(plots, bucket, selectors="list,name")["state"] == "COMPLETED"
    with (bucket / "t.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [["list", "name"], ["", 'a, "b"'], ["[1, 2]", "c"]]


def test_table_becomes_geojson(bucket, plots):
    status = table_to_bucket(plots, bucket, fileFormat="GeoJSON", selectors=["count"])
    assert status["state"] == "COMPLETED"
    content = json.loads((bucket / "t.geojson").read_text())
    assert content["type"] == "FeatureCollection"
    assert [f["properties"] for f in content["features"]] == [{"count": 3}, {"count": 4}]
    assert [f["geometry"]["coordinates"] for f in content["features"]] == [[1, 2], [3, 4]]


def test_table_becomes_an_asset(ee_emulator, plots):
    name = f"{ROOT}/plots"
    task = ee.batch.Export.table.toAsset(plots, "t", name)
    task.start()
    assert end(task)["state"] == "COMPLETED"
    assert ee.data.getAsset(name)["type"] == "TABLE"
    again = ee.batch.Export.table.toAsset(plots, "t", name)
    again.start()
    assert end(again)["error_message"] == f"Cannot overwrite asset '{name}'."


def test_table_assets_need_geometries(ee_emulator):
    collection = ee.FeatureCollection([ee.Feature(None, {"a": 1})])
    task = ee.batch.Export.table.toAsset(collection, "t", f"{ROOT}/nowhere")
    task.start()
    assert end(task)["error_message"] == "Unable to export features with null geometry."


def test_table_goes_to_drive(drive, plots):
    task = ee.batch.Export.table.toDrive(plots, "t", "tables", "plots", "CSV", ["count"])
    task.start()
    assert end(task)["state"] == "COMPLETED"
    assert (drive / "tables" / "plots.csv").read_text() == "count\n3\n4\n"


# What is not there says so.


def file_export(what, file_options, **others):
    destination = {"driveDestination": {"filenamePrefix": "x"}}
    body = {"expression": ONE, **others}
    return what, body | {"fileExportOptions": destination | file_options}


@pytest.mark.parametrize(
    ("what", "body"),
    [
        file_export("image", {"fileFormat": "TF_RECORD_IMAGE"}),
        file_export("image", {"fileFormat": "GEO_TIFF", "geoTiffOptions": {"metadataKeys": ["a"]}}),
        *(
            file_export("table", {"fileFormat": x})
            for x in ("KML", "KMZ", "SHP", "TF_RECORD_TABLE")
        ),
        file_export("table", {"fileFormat": "CSV"}, maxVertices={"value": 9}),
        file_export("classifier", {}),
        ("video", {}),
        ("map", {}),
    ],
)
def test_what_is_not_implemented_says_so(ee_emulator, what, body):
    answer = requests.post(f"{ee_emulator.url}/v1/projects/{PROJECT}/{what}:export", json=body)
    assert answer.status_code in (400, 404)
    assert answer.json()["error"]["message"].endswith("is not implemented by the emulator.")


#: Values that no field takes, or not every field.
WRONG = [None, True, -1, 0, 2**70, 1e400, "x", "", "\0", [], [None], {}, {"value": []}, {"x": {}}]


def paths(content, prefix=()):
    """Yield the path of every field of a JSON object."""
    for key, value in content.items():
        yield (*prefix, key)
        if isinstance(value, dict) and key != "expression":
            yield from paths(value, (*prefix, key))


def replaced(content, path, value):
    first, *rest = path
    return content | {first: replaced(content[first], rest, value) if rest else value}


def requests_of_all_kinds():
    expression = json.loads(
        ee.Image(1)
        .toByte()
        .clipToBoundsAndScale(ee.Geometry.Rectangle([0, 0, 9, 9], "EPSG:3857", False), scale=1)
        .serialize()
    )
    common = {"expression": expression, "description": "d", "requestId": "", "priority": 1}
    asset = {"earthEngineDestination": {"name": f"{ROOT}/wrong", "overwrite": True}}
    pyramiding = {"pyramidingPolicy": "MEAN", "pyramidingPolicyOverrides": {"constant": "MODE"}}
    drive = {"driveDestination": {"folder": "wrong", "filenamePrefix": "x"}}
    bucket = {"cloudStorageDestination": {"bucket": "fuzzed", "filenamePrefix": "x"}}
    tiff = {
        "tileSize": {"value": 256},
        "tileDimensions": {"width": 256, "height": 256},
        "noData": {"floatValue": 0},
        "cloudOptimized": True,
        "skipEmptyFiles": True,
    }
    image = common | {"maxPixels": {"value": "100"}}
    table = common | {"selectors": ["a"], "maxVertices": 0}
    geotiff = {"fileFormat": "GEO_TIFF", "geoTiffOptions": tiff}
    yield "image", image | {"assetExportOptions": asset | pyramiding}
    yield "image", image | {"fileExportOptions": drive | geotiff}
    yield "table", table | {"fileExportOptions": bucket | {"fileFormat": "CSV"}}
    yield "table", table | {"assetExportOptions": asset}
    yield "classifier", common | {"assetExportOptions": asset}


def test_wrong_values_in_every_field_are_the_callers_fault(start_emulator):
    running = start_emulator("--concurrency", "1")
    (running.data / "buckets" / "fuzzed").mkdir()
    url = f"{running.url}/v1/projects/{PROJECT}"
    with requests.Session() as session:
        for what, body in requests_of_all_kinds():
            assert session.post(f"{url}/{what}:export", json=body).status_code == 200, body
            for path in paths(body):
                for value in WRONG:
                    wrong = json.dumps(replaced(body, path, value))
                    answer = session.post(f"{url}/{what}:export", data=wrong)
                    assert answer.status_code in (200, 400), (path, value, answer.text)
                    assert "Traceback" not in answer.text
    for operation in ee.data.listOperations():
        last = requests.post(f"{running.url}/v1/{operation['name']}:wait", json={}).json()
        assert last["done"]
        # Nothing that was let in goes wrong in a way that is not the caller's either.
        assert last.get("error", {}).get("code") in (None, 3, 5), last
    outside = {"assets", "buckets", "drive", "emulator.sqlite", "lock", "requests.jsonl"}
    names = {path.name.removesuffix("-wal").removesuffix("-shm") for path in running.data.iterdir()}
    assert names == outside


# Classifiers.


def test_classifier_becomes_an_asset_that_classifies(ee_emulator):
    samples = ee.FeatureCollection(
        [ee.Feature(None, {"x": x, "class": int(x > 4)}) for x in range(10)]
    )
    classifier = ee.Classifier.smileCart().train(samples, "class", ["x"])
    name = f"{ROOT}/{uuid.uuid4().hex}"
    task = ee.batch.Export.classifier.toAsset(classifier, "c", name)
    task.start()
    assert end(task)["state"] == "COMPLETED", task.status()
    assert ee.data.getAsset(name)["type"] == "CLASSIFIER"
    new = ee.FeatureCollection([ee.Feature(None, {"x": x}) for x in (1, 8)])
    classified = new.classify(ee.Classifier.load(name))
    assert classified.aggregate_array("classification").getInfo() == [0, 1]
