"""Pixels, pictures, map tiles and tables, through the real client and what it points to."""

import csv
import io
import json
import zipfile

import ee
import numpy as np
import PIL.Image
import pytest
import requests
from conftest import end
from rasterio.io import MemoryFile

PROJECT = "demo-project"


def rectangle(west=0, south=0, east=100, north=100):
    return ee.Geometry.Rectangle([west, south, east, north], "EPSG:3857", False)


def coordinates():
    """An image whose pixels are their own x and y on the map, in metres."""
    return ee.Image.pixelCoordinates("EPSG:3857").toFloat()


def clipped(side=10):
    """The coordinates in a square of 100 m, with pixels of a size."""
    image = coordinates().setDefaultProjection("EPSG:3857", [1, 0, 0, 0, -1, 0])
    return image.clipToBoundsAndScale(rectangle(), scale=side)


def compute(image, grid=None, **request):
    grids = {} if grid is None else {"grid": grid}
    return ee.data.computePixels(
        {"expression": image, "fileFormat": "NUMPY_NDARRAY"} | grids | request
    )


def shown(picture):
    """Return a picture's rows of pixels."""
    return np.asarray(PIL.Image.open(io.BytesIO(picture)))


def size(width, height):
    return {"width": width, "height": height}


def test_without_a_grid_the_image_has_its_own(ee_emulator):
    pixels = compute(clipped())
    assert pixels.shape == (10, 10)
    assert pixels["x"][0].tolist() == list(range(5, 100, 10))
    assert pixels["y"][:, 0].tolist() == list(range(95, 0, -10))


def test_dimensions_alone_rescale_the_image(ee_emulator):
    pixels = compute(clipped(), {"dimensions": size(2, 4)})
    assert pixels.shape == (4, 2)
    assert pixels["x"][0].tolist() == [25, 75]
    assert pixels["y"][:, 0].tolist() == [87.5, 62.5, 37.5, 12.5]


def test_transform_alone_covers_the_image(ee_emulator):
    affine = {"scaleX": 25, "scaleY": -25, "translateX": 0, "translateY": 100}
    pixels = compute(clipped(), {"affineTransform": affine, "crsCode": "EPSG:3857"})
    assert pixels["x"].tolist() == [[12.5, 37.5, 62.5, 87.5]] * 4


def test_crs_alone_keeps_the_scale(ee_emulator):
    pixels = compute(clipped(), {"crsCode": "EPSG:4326"})
    assert pixels.shape[0] in (10, 11)
    assert pixels.shape[1] in (10, 11)


def test_asset_pixels_in_a_region(ee_emulator):
    name = f"projects/{PROJECT}/assets/pixels"
    task = ee.batch.Export.image.toAsset(clipped(), assetId=name)
    task.start()
    assert end(task)["state"] == "COMPLETED"
    pixels = ee.data.getPixels({"assetId": name, "fileFormat": "NUMPY_NDARRAY"})
    assert pixels["x"][0].tolist() == list(range(5, 100, 10))
    corner = ee.Geometry.Rectangle([20, 20, 60, 60], "EPSG:3857", False)
    region = corner.transform("EPSG:4326", 0.001).getInfo()
    request = {"assetId": name, "fileFormat": "NUMPY_NDARRAY", "bandIds": ["y"], "region": region}
    grid = {"dimensions": size(2, 1)}
    assert ee.data.getPixels(request)["y"].shape == (4, 4)
    assert ee.data.getPixels(request | {"grid": grid})["y"].shape == (1, 2)
    folder = ee.data.createFolder(f"projects/{PROJECT}/assets/no_pixels")["name"]
    with pytest.raises(ee.EEException, match="not of type IMAGE"):
        ee.data.getPixels({"assetId": folder, "fileFormat": "NPY"})


def test_visualization_options(ee_emulator):
    grid = {
        "dimensions": size(2, 1),
        "crsCode": "EPSG:3857",
        "affineTransform": {"scaleX": 100, "scaleY": -100, "translateX": 0, "translateY": 100},
    }
    options = {"ranges": [{"min": 50, "max": 150}], "paletteColors": ["000000", "ff8000"]}
    picture = ee.data.computePixels(
        {
            "expression": coordinates(),
            "bandIds": ["x"],
            "grid": grid,
            "fileFormat": "PNG",
            "visualizationOptions": options,
        }
    )
    assert shown(picture).tolist() == [[[0, 0, 0, 255], [255, 128, 0, 255]]]


@pytest.mark.parametrize(("masked", "media_type"), [(True, "image/png"), (False, "image/jpeg")])
def test_automatic_format_depends_on_transparency(ee_emulator, masked, media_type):
    image = ee.Image.constant(9).toByte()
    image = image.updateMask(0) if masked else image
    answer = requests.get(image.getThumbURL({"region": rectangle(), "dimensions": "8x8"}))
    assert answer.headers["content-type"] == media_type
    image = image.clipToBoundsAndScale(rectangle(), scale=10)
    answer = requests.post(
        f"{ee_emulator.url}/v1/projects/{PROJECT}/image:computePixels",
        json={"expression": json.loads(ee.serializer.toJSON(image)), "fileFormat": "AUTO_JPEG_PNG"},
    )
    assert answer.headers["content-type"] == media_type


def test_pictures_clip_values(ee_emulator):
    image = ee.Image.constant([-5, 100.4, 900]).clipToBoundsAndScale(rectangle(), scale=50)
    picture = ee.data.computePixels({"expression": image, "fileFormat": "PNG"})
    assert shown(picture)[0, 0].tolist() == [0, 100, 255, 255]


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"fileFormat": "TF_RECORD_IMAGE"}, "not supported"),
        ({"fileFormat": "ZIPPED_GEO_TIFF"}, "not supported"),
        ({"fileFormat": "BMP"}, "fileFormat"),
        ({"bandIds": ["z"]}, "Band 'z' not found"),
        ({"grid": {"dimensions": size(40_000, 1)}}, "less than or equal to 32768"),
        ({"grid": {"dimensions": size(0, 1)}}, "must be positive"),
        ({"grid": {"dimensions": size(-1, -1)}}, "must be positive"),
        ({"grid": {"dimensions": size(30_000, 30_000)}}, "Total request size"),
        ({"grid": {"affineTransform": {"scaleX": 0, "scaleY": 1}}}, "cannot be inverted"),
        ({"grid": {"affineTransform": {"scaleX": "x"}}}, "scaleX"),
        ({"grid": {"crsCode": "EPSG:0"}}, "could not be parsed"),
        ({"grid": {"crsWkt": "nonsense"}}, "could not be parsed"),
    ],
)
def test_absurd_requests_for_pixels_are_refused(ee_emulator, request_, message):
    request = {"expression": clipped(), "fileFormat": "NPY"} | request_
    with pytest.raises(ee.EEException, match=message):
        ee.data.computePixels(request)


def test_unbounded_image_needs_a_grid(ee_emulator):
    with pytest.raises(ee.EEException, match="unbounded"):
        compute(coordinates())


# Downloads.


def files(answer):
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_download_has_a_file_for_each_band(ee_emulator):
    url = coordinates().getDownloadURL(
        {
            "name": "place",
            "bands": [{"id": "x", "scale": 10}, {"id": "y", "scale": 20}],
            "region": rectangle(),
            "crs": "EPSG:3857",
        }
    )
    answer = requests.get(url)
    assert answer.headers["content-type"] == "application/zip"
    found = files(answer)
    assert set(found) == {"place.x.tif", "place.y.tif"}
    with MemoryFile(found["place.x.tif"]).open() as x, MemoryFile(found["place.y.tif"]).open() as y:
        assert (x.res, y.res) == ((10, 10), (20, 20))


@pytest.mark.parametrize(
    ("options", "content"),
    [
        ({"filePerBand": False}, "zip"),
        ({"format": "ZIPPED_GEO_TIFF"}, "zip"),
        ({"format": "GEO_TIFF"}, "tif"),
        ({"format": "NPY"}, "npy"),
    ],
)
def test_download_of_all_bands(ee_emulator, options, content):
    url = coordinates().getDownloadURL(
        options | {"scale": 10, "region": rectangle(), "crs": "EPSG:3857"}
    )
    answer = requests.get(url)
    if content == "npy":
        assert np.load(io.BytesIO(answer.content))["x"].shape == (10, 10)
        return
    data = files(answer)["download.tif"] if content == "zip" else answer.content
    with MemoryFile(data).open() as dataset:
        assert dataset.descriptions == ("x", "y")
        assert dataset.crs.to_epsg() == 3857
        assert dataset.read(1)[0].tolist() == list(range(5, 100, 10))


@pytest.mark.parametrize("kind", ["getVideoThumbURL", "getFilmstripThumbURL"])
def test_moving_pictures_are_not_implemented(ee_emulator, kind):
    collection = ee.ImageCollection([ee.Image.constant(1)])
    with pytest.raises(ee.EEException, match="not implemented"):
        getattr(collection, kind)({"region": rectangle(), "dimensions": 8})


# Maps.


def test_map_tiles_are_256_pixels_of_the_web_mercator_map(ee_emulator):
    reach = 20_037_508.342789244
    map_ = coordinates().getMapId({"bands": ["x"], "min": -reach, "max": reach, "format": "png"})
    grey = shown(map_["tile_fetcher"].fetch_tile(1, 0, 1))  # the north-east
    assert grey.shape[:2] == (256, 256)
    expected = np.rint(255 * (np.arange(256) + 0.5 + 256) / 512)
    assert np.abs(grey[7, :, 0] - expected).max() <= 1
    assert requests.get(ee.data.getTileUrl(map_, 1, 1, 1)).content.startswith(b"\x89PNG")


def test_collections_are_drawn_on_tiles(ee_emulator):
    square = ee.FeatureCollection([ee.Geometry.Rectangle([0, 0, 180, 85], None, False)])
    tile = requests.get(
        square.getMapId({"color": "0A141E"})["tile_fetcher"].format_tile_url(1, 0, 1)
    )
    with PIL.Image.open(io.BytesIO(tile.content)) as picture:
        assert picture.convert("RGBA").getpixel((128, 200)) == (10, 20, 30, 255)


@pytest.mark.parametrize(
    "tile", ["0/0/1", "1/2/0", "0/-1/0", "x/0/0", "1.5/0/0", "99/0/0", "²/0/0"]
)
def test_tiles_that_do_not_exist(ee_emulator, tile):
    name = ee.Image.constant(1).getMapId()["mapid"]
    answer = requests.get(f"{ee_emulator.url}/v1/{name}/tiles/{tile}")
    assert answer.status_code == 400
    assert "Invalid tile" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "path", ["maps/x/tiles/0/0/0", "thumbnails/x:getPixels", "tables/x:getFeatures"]
)
def test_what_was_not_created_is_not_found(ee_emulator, path):
    answer = requests.get(f"{ee_emulator.url}/v1/projects/{PROJECT}/{path}")
    assert answer.status_code == 404


def test_errors_of_a_thumbnail_are_json(ee_emulator):
    answer = requests.get(coordinates().getThumbURL({"dimensions": 8}))
    assert answer.status_code == 400
    assert "unbounded" in answer.json()["error"]["message"]


# Tables.


def table():
    return ee.FeatureCollection(
        [
            ee.Feature(ee.Geometry.Point([i, i]), {"n": i, "name": f"p{i}", "list": [i]})
            for i in range(3)
        ]
    )


def test_table_is_downloaded_as_csv(ee_emulator):
    answer = requests.get(table().getDownloadURL())
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert list(rows[0]) == ["system:index", "list", "n", "name", ".geo"]
    assert rows[2]["name"] == "p2"
    assert json.loads(rows[2][".geo"]) == {"type": "Point", "coordinates": [2, 2]}
    answer = requests.get(table().getDownloadURL("csv", ["name", "n"]))
    assert answer.text == "name,n\np0,0\np1,1\np2,2\n"


@pytest.mark.parametrize("kind", ["json", "geojson"])
def test_table_is_downloaded_as_geojson(ee_emulator, kind):
    content = requests.get(table().getDownloadURL(kind, ["name"])).json()
    assert content["type"] == "FeatureCollection"
    assert [feature["properties"] for feature in content["features"]] == [
        {"name": f"p{i}"} for i in range(3)
    ]


def test_other_table_formats_are_not_implemented(ee_emulator):
    answer = requests.get(table().getDownloadURL("kml"))
    assert answer.status_code == 400
    assert "not implemented" in answer.json()["error"]["message"]


def test_features_are_computed_in_pages(ee_emulator):
    request = {"expression": table(), "pageSize": 2}
    first = ee.data.computeFeatures(request)
    assert first["type"] == "FeatureCollection"
    assert [feature["properties"]["n"] for feature in first["features"]] == [0, 1]
    second = ee.data.computeFeatures(request | {"pageToken": first["nextPageToken"]})
    assert [feature["properties"]["n"] for feature in second["features"]] == [2]
    assert "nextPageToken" not in second
    for token in ["x", "-1", "99"]:
        with pytest.raises(ee.EEException, match="oken"):
            ee.data.computeFeatures(request | {"pageToken": token})
    with pytest.raises(ee.EEException, match="not a table"):
        ee.data.computeFeatures({"expression": ee.Number(1)})


def test_features_are_in_longitude_and_latitude(ee_emulator):
    projected = ee.Feature(ee.Geometry.Point([111_319.49079327357, 0], "EPSG:3857"))
    answer = ee.data.computeFeatures({"expression": ee.FeatureCollection([projected])})
    assert answer["features"][0]["geometry"]["coordinates"] == pytest.approx([1, 0], abs=1e-6)


def test_images_are_computed(ee_emulator):
    images = ee.ImageCollection([clipped().set("system:time_start", 0, "k", "v")])
    [image] = ee.data.computeImages({"expression": images})["images"]
    assert image["type"] == "IMAGE"
    assert image["startTime"] == "1970-01-01T00:00:00Z"
    assert image["properties"]["k"] == "v"
    assert [band["id"] for band in image["bands"]] == ["x", "y"]
    assert image["bands"][0]["grid"]["dimensions"] == {"width": 10, "height": 10}


def test_features_of_an_asset_are_listed_filtered_and_paged(ee_emulator):
    name = f"projects/{PROJECT}/assets/listed"
    task = ee.batch.Export.table.toAsset(table(), assetId=name)
    task.start()
    assert end(task)["state"] == "COMPLETED"
    page = ee.data.listFeatures({"assetId": name, "pageSize": 2})
    assert [feature["properties"]["n"] for feature in page["features"]] == [0, 1]
    rest = ee.data.listFeatures({"assetId": name, "pageToken": page["nextPageToken"]})
    assert [feature["properties"]["n"] for feature in rest["features"]] == [2]
    region = json.dumps({"type": "Point", "coordinates": [1, 1]})
    found = ee.data.listFeatures({"assetId": name, "region": region})
    assert [feature["properties"]["name"] for feature in found["features"]] == ["p1"]
    for wanted in ("properties.n > 0", "n > 0"):
        found = ee.data.listFeatures({"assetId": name, "filter": wanted})
        assert [feature["properties"]["n"] for feature in found["features"]] == [1, 2]
    for wrong in ({"filter": "n >"}, {"region": "x"}, {"pageToken": "x"}):
        with pytest.raises(ee.EEException):
            ee.data.listFeatures({"assetId": name} | wrong)
    assert ee.data.getAsset(name)["featureCount"] == "3"
    assert ee.FeatureCollection(name).size().getInfo() == 3
