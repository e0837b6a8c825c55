"""Images and tables made of files in Cloud Storage, through the real client.

What a manifest may say is in https://developers.google.com/earth-engine/guides/image_manifest and
.../table_manifest; the pixels that must come out are read with rasterio.
"""

import json
import time
import uuid

import ee
import numpy as np
import pytest
import rasterio
import requests
from affine import Affine
from rasterio.shutil import copy as copy_raster
from rasterio.warp import transform, transform_bounds

ROOT = "projects/demo-project/assets"
CRS = "EPSG:32633"
SIDE = 10.0  # metres


@pytest.fixture(scope="module")
def bucket(ee_emulator):
    """A bucket's folder and the function that names its objects."""
    folder = ee_emulator.data / "buckets" / f"b-{uuid.uuid4().hex[:8]}"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def name():
    """The name of an asset that does not exist."""
    return f"{ROOT}/{uuid.uuid4().hex}"


def uri(path):
    return f"gs://{path.parent.name}/{path.name}"


def write(path, *bands, west=500_000.0, north=5_000_000.0, **options):
    """Write a GeoTIFF of 10 m pixels."""
    height, width = bands[0].shape
    names = options.pop("names", ())
    profile = {"crs": CRS, "transform": Affine(SIDE, 0, west, 0, -SIDE, north)} | options
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=width,
        height=height,
        count=len(bands),
        dtype=bands[0].dtype,
        **profile,
    ) as dataset:
        for i, band in enumerate(bands, 1):
            dataset.write(band, i)
        if names:
            dataset.descriptions = names
    return uri(path)


def numbers(height=4, width=5, start=1, dtype="uint16"):
    return np.arange(start, start + height * width, dtype=dtype).reshape(height, width)


def ended(operation):
    """Wait for an operation and return it."""
    name = operation["name"]
    while not (found := ee.data.getOperation(name))["done"]:
        time.sleep(0.05)
    return found


def ingest(manifest, overwrite=False):
    found = ended(ee.data.startIngestion(None, manifest, overwrite))
    assert "error" not in found, found["error"]
    return ee.data.getAsset(manifest["name"])


def failure(manifest, overwrite=False):
    return ended(ee.data.startIngestion(None, manifest, overwrite))["error"]["message"]


def tileset(*uris, **fields):
    return {"sources": [{"uris": [each]} for each in uris], **fields}


def pixels(name, fill=0):
    """Return an image asset's pixels by band; masked ones have the fill value."""
    image = ee.Image(name).unmask(fill)
    array = ee.data.computePixels(
        {
            "expression": image,
            "fileFormat": "NUMPY_NDARRAY",
            "grid": ee.data.getAsset(name)["bands"][0]["grid"],
        }
    )
    return {band: array[band] for band in array.dtype.names}


def test_image_has_the_pixels_times_properties_and_footprint(bucket, name):
    data = numbers()
    manifest = {
        "name": name,
        "tilesets": [tileset(write(bucket / "small.tif", data))],
        "startTime": "1980-01-31T00:00:00Z",
        "endTime": {"seconds": 318_211_200},
        "properties": {"cloud": 0.5, "sensor": "MSI"},
    }
    started = ee.data.startIngestion(None, manifest)
    operation = ended(started)
    assert operation["metadata"]["type"] == "INGEST_IMAGE"
    assert operation["metadata"]["description"] == f'Ingest image: "{name}"'
    asset = ee.data.getAsset(name)
    assert asset["startTime"] == "1980-01-31T00:00:00Z"
    assert asset["endTime"] == "1980-02-01T00:00:00Z"
    assert asset["properties"] == {"cloud": 0.5, "sensor": "MSI"}
    [band] = asset["bands"]
    assert band["id"] == "b1"
    assert band["pyramidingPolicy"] == "MEAN"
    assert band["dataType"] == {"precision": "INT", "range": {"max": 65535}} or band["dataType"][
        "range"
    ] == {"min": 0, "max": 65535}
    assert band["grid"]["crsCode"] == CRS
    assert np.array_equal(pixels(name)["b1"], data)
    image = ee.Image(name)
    assert image.get("system:time_start").getInfo() == 318_124_800_000
    expected = transform_bounds(CRS, "EPSG:4326", 500_000, 4_999_960, 500_050, 5e6)
    ring = np.array(asset["geometry"]["coordinates"][0])
    found = (*ring.min(axis=0), *ring.max(axis=0))
    assert np.allclose(found, expected, atol=1e-6)


def test_several_files_are_one_band(bucket, name):
    left = write(bucket / "left.tif", numbers())
    right = write(bucket / "right.tif", numbers(start=100), west=500_050.0)
    below = write(bucket / "below.tif", numbers(start=200), north=4_999_960.0)
    ingest({"name": name, "tilesets": [tileset(left, right, below)]})
    expected = np.zeros((8, 10), np.uint16)
    expected[:4, :5], expected[:4, 5:] = numbers(), numbers(start=100)
    expected[4:, :5] = numbers(start=200)
    assert np.array_equal(pixels(name)["b1"], expected)
    mask = ee.Image(name).mask().reduceRegion("mean", ee.Image(name).geometry(), SIDE, CRS)
    assert mask.getInfo()["b1"] == pytest.approx(0.75, abs=0.1)  # the fourth quarter is empty


def test_bands_are_stacked_chosen_and_renamed(bucket, name):
    write(bucket / "two.tif", numbers(), numbers(start=50))
    write(bucket / "one.tif", numbers(dtype="float32"))
    asset = ingest(
        {
            "name": name,
            "uriPrefix": f"gs://{bucket.name}/",
            "tilesets": [tileset("two.tif", id="a"), tileset("one.tif", id="b")],
            "bands": [
                {"id": "f", "tilesetId": "b", "pyramidingPolicy": "SAMPLE"},
                {"id": "s", "tilesetId": "a", "tilesetBandIndex": 1},
            ],
            "pyramidingPolicy": "MODE",
        }
    )
    assert [(b["id"], b["pyramidingPolicy"]) for b in asset["bands"]] == [
        ("f", "SAMPLE"),
        ("s", "MODE"),
    ]
    found = pixels(name)
    assert np.array_equal(found["s"], numbers(start=50))
    assert found["f"].dtype == np.float32


def test_bands_without_a_section_are_numbered_through_all_tilesets(bucket, name):
    write(bucket / "n2.tif", numbers(), numbers())
    write(bucket / "n1.tif", numbers())
    uris = [f"gs://{bucket.name}/{file}.tif" for file in ("n2", "n1")]
    tilesets = [tileset(each, id=each) for each in uris]
    asset = ingest({"name": name, "tilesets": tilesets})
    assert [band["id"] for band in asset["bands"]] == ["b1", "b2", "b3"]


def test_missing_data_is_masked(bucket, name):
    source = write(bucket / "missing.tif", numbers(), numbers(), nodata=20)
    ingest(
        {
            "name": name,
            "tilesets": [tileset(source)],
            "bands": [
                {"id": "own", "tilesetBandIndex": 0, "missingData": {"values": [1, 3]}},
                {"id": "common", "tilesetBandIndex": 1},
            ],
            "missingData": {"values": [2]},
        }
    )
    found = pixels(name, fill=999)
    expected = numbers()
    assert np.array_equal(found["own"], np.where(np.isin(expected, [1, 3]), 999, expected))
    assert np.array_equal(found["common"], np.where(expected == 2, 999, expected))


def test_nodata_of_a_file_is_masked_unless_the_manifest_says_otherwise(bucket, name):
    source = write(bucket / "nodata.tif", numbers(), nodata=20)
    ingest({"name": name, "tilesets": [tileset(source)]})
    assert pixels(name, fill=999)["b1"][-1, -1] == 999
    ingest({"name": name, "tilesets": [tileset(source)], "missingData": {}}, overwrite=True)
    assert pixels(name, fill=999)["b1"][-1, -1] == 20


@pytest.mark.parametrize(("bands", "masked"), [([], {"first", "second"}), (["second"], {"second"})])
def test_mask_band_is_the_last_band_of_its_tileset(bucket, name, bands, masked):
    data = numbers(dtype="uint8")
    shown = (data % 2).astype("uint8")
    write(bucket / "masked.tif", data, data)
    write(bucket / "mask.tif", 1 - shown, shown)
    ingest(
        {
            "name": name,
            "uriPrefix": f"gs://{bucket.name}/",
            "tilesets": [tileset("masked.tif", id="data"), tileset("mask.tif", id="mask")],
            "bands": [{"id": "first", "tilesetId": "data"}, {"id": "second", "tilesetId": "data"}],
            "maskBands": [{"tilesetId": "mask", "bandIds": bands}],
        }
    )
    for band, found in pixels(name, fill=99).items():
        expected = np.where(shown, data, 99) if band in masked else data
        assert np.array_equal(found, expected)


def test_last_band_of_a_file_can_be_its_mask(bucket, name):
    data = numbers(dtype="uint8")
    source = write(bucket / "alpha.tif", data, (data > 5).astype("uint8") * 255)
    # As `earthengine upload image --last_band_alpha` writes it.
    asset = ingest(
        {"name": name, "tilesets": [tileset(source, id="ts")], "maskBands": {"tilesetId": "ts"}}
    )
    assert [band["id"] for band in asset["bands"]] == ["b1"]
    assert np.array_equal(pixels(name, fill=99)["b1"], np.where(data > 5, data, 99))


def test_footprint_is_in_pixels(bucket, name):
    corners = [(0.5, 0.5), (0.5, 3.5), (2.5, 3.5), (2.5, 0.5), (0.5, 0.5)]
    asset = ingest(
        {
            "name": name,
            "tilesets": [tileset(write(bucket / "foot.tif", numbers()))],
            "footprint": {"points": [{"x": x, "y": y} for x, y in corners]},
        }
    )
    xs, ys = transform(
        CRS,
        "EPSG:4326",
        [500_000 + SIDE * x for x, _ in corners],
        [5e6 - SIDE * y for _, y in corners],
    )
    found = np.array(asset["geometry"]["coordinates"][0])
    assert np.allclose(found, np.column_stack([xs, ys]), atol=1e-9)


def test_crs_and_transform_may_come_from_the_manifest(bucket, name):
    path = bucket / "plain.tif"
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning):
        write(path, numbers(), crs=None, transform=None)
    affine = {"scaleX": 0.1, "translateX": 14.0, "scaleY": -0.1, "translateY": 46.0}
    source = {"uris": [uri(path)], "affineTransform": affine}
    asset = ingest({"name": name, "tilesets": [{"crs": "EPSG:4326", "sources": [source]}]})
    grid = asset["bands"][0]["grid"]
    assert grid["crsCode"] == "EPSG:4326"
    assert grid["affineTransform"]["translateX"] == 14.0
    assert "has no CRS" in failure({"name": f"{name}x", "tilesets": [tileset(uri(path))]})


def test_second_ingestion_of_a_name_fails(bucket, name):
    manifest = {"name": name, "tilesets": [tileset(write(bucket / "again.tif", numbers()))]}
    ingest(manifest)
    assert "Cannot overwrite asset" in failure(manifest)
    ingest(manifest, overwrite=True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"properties": {"a-b": 1}}, 'Property key "a-b" is invalid. Property keys must contain'),
        ({"properties": {"a": [1]}}, "must be a string or a number"),
        ({"missing_data": {"value": 1}}, "Unknown name \"value\" at 'image_manifest.missing_data'"),
        ({"tilesets": []}, "needs tilesets"),
        ({"tilesets": [tileset("gs://bbb/a.tif"), tileset("gs://bbb/b.tif")]}, "IDs are unique"),
        ({"tilesets": [tileset("/etc/passwd")]}, "Only Google Cloud Storage URIs"),
        ({"tilesets": [tileset("https://example.org/a.tif")]}, "Only Google Cloud Storage URIs"),
        ({"tilesets": [{"sources": [{"uris": []}]}]}, "needs a URI"),
        ({"bands": [{"id": "a", "tilesetId": "x"}]}, "no tileset with ID 'x'"),
        ({"bands": [{"id": "a"}, {"id": "a"}]}, "different IDs"),
        ({"bands": [{"id": "a", "pyramidingPolicy": "LEAST"}]}, "pyramidingPolicy"),
        ({"bands": [{"id": "a", "pyramidingPolicy": "MAX"}]}, "MAX is not implemented"),
        ({"footprint": {"points": [{"x": 1, "y": 1}, {"x": 2, "y": 2}]}}, "last point"),
        ({"maskBands": [{"tilesetId": ""}, {"tilesetId": ""}]}, "one mask band"),
        ({"startTime": "yesterday"}, "startTime"),
        ({"startTime": []}, "startTime"),
        ({"name": f"{ROOT}/../x"}, "Invalid asset name"),
        ({"name": 3}, "name"),
    ],
)
def test_manifests_are_checked_at_once(ee_emulator, changes, message):
    manifest = {"name": f"{ROOT}/a", "tilesets": [tileset("gs://bucket/a.tif")]} | changes
    with pytest.raises(ee.EEException) as refused:
        ee.data.startIngestion(None, manifest)
    assert message in str(refused.value)


def test_files_are_checked_by_the_task(bucket, name):
    (bucket / "text.tif").write_text("no image")
    (bucket / "link.tif").symlink_to("/etc/passwd")
    good = write(bucket / "good.tif", numbers())
    shifted = write(bucket / "shifted.tif", numbers(), west=500_003.0)
    other = write(bucket / "other.tif", numbers(), numbers())
    prefix = f"gs://{bucket.name}"
    for uris, message in [
        ([f"{prefix}/absent.tif"], "does not exist"),
        (["gs://no-such-bucket/a.tif"], "does not exist"),
        ([f"{prefix}/text.tif"], "Failed to load the GeoTIFF"),
        ([f"{prefix}/link.tif"], "Invalid Cloud Storage URI"),
        ([f"{prefix}/../../emulator.sqlite"], "Invalid Cloud Storage URI"),
        ([good, shifted], "same projection and pixel grid"),
        ([good, other], "same bands"),
    ]:
        assert message in failure({"name": name, "tilesets": [tileset(*uris)]})
    bands = [{"id": "a", "tilesetBandIndex": 1}]
    assert "has 1 bands" in failure({"name": name, "tilesets": [tileset(good)], "bands": bands})


# External images.


def write_cog(path, *bands, **options):
    draft = path.with_suffix(".draft")
    write(draft, *bands, **options)
    copy_raster(draft, path, driver="COG", blocksize=256)
    draft.unlink()
    return uri(path)


def test_external_image_is_read_where_it_is(bucket, name):
    data = numbers(300, 400)
    source = write_cog(bucket / "cog.tif", data, data + 1, names=("vis-red", "vis-green"))
    manifest = {
        "name": name,
        "tilesets": [{"id": "0", "sources": [{"uris": [source]}]}],
        "properties": {"version": "1.1"},
        "startTime": "2016-01-01T00:00:00.000000000Z",
    }
    assert ee.data.startExternalImageIngestion(manifest) == {"name": name}
    asset = ee.data.getAsset(name)
    assert [band["id"] for band in asset["bands"]] == ["vis-red", "vis-green"]
    assert asset["startTime"] == "2016-01-01T00:00:00Z"
    [location] = asset["tilesets"][0]["sources"][0]["uris"]
    assert location.startswith(f"{source}#")
    assert np.array_equal(pixels(name)["vis-green"], data + 1)
    write_cog(bucket / "cog.tif", data, data)
    with pytest.raises(ee.EEException) as refused:
        pixels(name)
    assert str(refused.value) == f"Failed to load the GeoTIFF at `{location}`"
    assert ee.data.getAsset(name) == asset
    ee.data.deleteAsset(name)
    assert (bucket / "cog.tif").exists()


def test_external_image_needs_a_cloud_optimised_geotiff(bucket, name):
    striped = write(bucket / "striped.tif", numbers(300, 300))
    odd = write(bucket / "odd.tif", numbers(300, 300), tiled=True, blockxsize=128, blockysize=128)
    late = bucket / "late.tif"
    write(late, numbers(600, 600), tiled=True, blockxsize=256, blockysize=256)
    with rasterio.open(late, "r+") as dataset:
        dataset.build_overviews([2])
    good = write_cog(bucket / "fine.tif", numbers(300, 300))
    for uris, message in [
        ([striped], "must have tiles"),
        ([odd], "must have tiles"),
        ([uri(late)], "all its IFDs at the beginning"),
        ([good, good], "At most one source"),
        ([f"{good}#123"], "Failed to load the GeoTIFF"),
    ]:
        with pytest.raises(ee.EEException, match=message):
            ee.data.startExternalImageIngestion({"name": name, "tilesets": [tileset(*uris)]})


def test_create_makes_external_images_too(bucket, name):
    source = write_cog(bucket / "created.tif", numbers(300, 300))
    value = {"type": "IMAGE", "gcs_location": {"uris": [source]}, "properties": {"k": "v"}}
    asset = ee.data.createAsset(value, name)
    assert asset["properties"] == {"k": "v"}
    with pytest.raises(ee.EEException, match="Cannot overwrite asset"):
        ee.data.createAsset(value, name)


# Tables.


def ingest_table(name, text, bucket, **source):
    path = bucket / f"{uuid.uuid4().hex}.csv"
    path.write_text(text)
    manifest = {"name": name, "sources": [{"uris": [uri(path)], **source}]}
    operation = ended(ee.data.startTableIngestion(str(uuid.uuid4()), manifest))
    assert "error" not in operation, operation["error"]
    assert operation["metadata"]["type"] == "INGEST_TABLE"
    return ee.FeatureCollection(name).getInfo()["features"]


def test_table_has_points_of_longitude_and_latitude(bucket, name):
    features = ingest_table(name, "longitude,latitude,name,n\n14.5,46,a,1\n15,46.5, b ,\n", bucket)
    assert [feature["id"] for feature in features] == [f"{i:020x}" for i in range(2)]
    assert features[0]["geometry"] == {"type": "Point", "coordinates": [14.5, 46]}
    assert features[0]["properties"] == {"longitude": 14.5, "latitude": 46, "name": "a", "n": 1}
    assert features[1]["properties"] == {"longitude": 15, "latitude": 46.5, "name": "b"}
    asset = ee.data.getAsset(name)
    assert asset["type"] == "TABLE"
    assert asset["featureCount"] == "2"
    assert int(asset["sizeBytes"]) > 0


def test_table_has_geometries_of_a_column(bucket, name):
    square = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}
    quoted = json.dumps(square).replace('"', '""')
    features = ingest_table(
        name, f'id;shape\n1;"{quoted}"\n2;POINT (3 4)\n', bucket, csvDelimiter=";"
    )
    assert features[0]["geometry"]["coordinates"] == square["coordinates"]
    assert features[1]["geometry"] == {"type": "Point", "coordinates": [3, 4]}
    assert features[1]["properties"] == {"id": 2}


@pytest.mark.parametrize("text", ["here", '{"type": "Point"}', '{"a":' * 100_000, "POINT (1"])
def test_what_is_no_geometry_is_named(bucket, name, text):
    path = bucket / "odd.csv"
    path.write_text(f"id;shape\n1;{text}\n")
    source = {"uris": [uri(path)], "csvDelimiter": ";", "csvQualifier": "|"}
    source["primaryGeometryColumn"] = "shape"
    operation = ended(ee.data.startTableIngestion("", {"name": name, "sources": [source]}))
    assert f"in '{uri(path)}' is not a geometry" in operation["error"]["message"]


def test_table_of_projected_coordinates(bucket, name):
    features = ingest_table(
        name, "e,n\n500000,5000000\n", bucket, xColumn="e", yColumn="n", crs=CRS
    )
    [x], [y] = transform(CRS, "EPSG:4326", [500_000], [5_000_000])
    assert features[0]["geometry"]["coordinates"] == pytest.approx([x, y])


def test_column_types_and_qualified_spaces(bucket, name):
    path = bucket / "types.csv"
    path.write_text('a,b,c\n1,01, x \n2.5,02," y "\n')
    manifest = {
        "name": name,
        "sources": [{"uris": [uri(path)]}],
        "columnDataTypeOverrides": {"b": "COLUMN_DATA_TYPE_STRING"},
    }
    ended(ee.data.startTableIngestion("", manifest))
    rows = [f["properties"] for f in ee.FeatureCollection(name).getInfo()["features"]]
    assert rows == [{"a": 1, "b": "01", "c": "x"}, {"a": 2.5, "b": "02", "c": " y "}]


def test_several_sources_have_the_same_columns(bucket, name):
    for file, text in {
        "r1": "id,p\n1,POINT(0 0)\n",
        "r2": "id,p\n2,POINT(1 1)\n",
        "r3": "x\n1\n",
    }.items():
        (bucket / f"{file}.csv").write_text(text)

    def manifest(*files):
        uris = [f"gs://{bucket.name}/{file}.csv" for file in files]
        return {"name": name, "sources": [{"uris": [each]} for each in uris]}

    ended(ee.data.startTableIngestion("", manifest("r1", "r2")))
    assert ee.FeatureCollection(name).aggregate_array("id").getInfo() == [1, 2]
    operation = ended(ee.data.startTableIngestion("", manifest("r1", "r3"), True))
    assert "other columns" in operation["error"]["message"]


def test_repeated_table_request_is_one_task(bucket, name):
    path = bucket / "once.csv"
    path.write_text("a\n1\n")
    manifest = {"name": name, "sources": [{"uris": [uri(path)]}]}
    request = str(uuid.uuid4())
    first = ee.data.startTableIngestion(request, manifest)
    assert ee.data.startTableIngestion(request, manifest)["id"] == first["id"]
    assert "error" not in ended(first)


@pytest.mark.parametrize("file", ["a.shp", "a.zip", "a.tfrecord"])
def test_other_tables_are_not_implemented(bucket, name, file):
    (bucket / file).write_text("x")
    manifest = {"name": name, "sources": [{"uris": [f"gs://{bucket.name}/{file}"]}]}
    operation = ended(ee.data.startTableIngestion("", manifest))
    assert operation["error"]["message"].endswith("is not implemented by the emulator.")


def test_large_manifests_are_refused(ee_emulator):
    uris = [f"gs://bucket/{i:0200d}.tif" for i in range(60_000)]
    manifest = {"name": f"{ROOT}/a", "tilesets": [tileset(*uris)]}
    answer = requests.post(
        f"{ee_emulator.url}/v1/projects/demo-project/image:import", json={"imageManifest": manifest}
    )
    assert answer.status_code == 400
    assert "Request payload size exceeds the limit" in answer.json()["error"]["message"]
