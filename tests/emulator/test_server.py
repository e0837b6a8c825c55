"""The server through the real client, and through plain HTTP where the client cannot ask."""

import json
import subprocess
import sys
import time
from pathlib import Path

import ee
import numpy as np
import pytest
import requests
from rasterio.io import MemoryFile

PROJECT = "demo-project"
ROOT = Path(__file__).parents[2]


def test_ready_line_names_url_project_and_content(ee_emulator):
    images = requests.get(f"{ee_emulator.url}/emulator/stats").json()["images_by_collection"]
    content = f"{sum(images.values())} images in {len(images)} collections"
    expected = f"ready at {ee_emulator.url} (project {PROJECT}, {content})\n"
    assert ee_emulator.ready_line == f"Earth Engine emulator {expected}"


def test_values_are_computed(ee_emulator):
    assert ee.Number(2).add(3).getInfo() == 5


def test_foreign_project_is_denied(ee_emulator):
    url = f"{ee_emulator.url}/v1/projects/other-project/value:compute"
    answer = requests.post(url, json={"expression": ee.Number(1).serialize()})
    error = answer.json()["error"]
    assert answer.status_code == 403
    assert error["status"] == "PERMISSION_DENIED"
    assert "permission to use project other-project" in error["message"]


@pytest.mark.parametrize("name", ["projects/other-project/assets/x", "users/someone/x"])
def test_foreign_assets_are_denied(ee_emulator, name):
    with pytest.raises(ee.EEException, match="Permission denied"):
        ee.data.getAsset(name)


def test_public_assets_cannot_be_changed(ee_emulator):
    with pytest.raises(ee.EEException, match="Permission denied"):
        ee.data.deleteAsset("COPERNICUS/S2_HARMONIZED")


def test_unknown_method_says_so(ee_emulator):
    answer = requests.post(f"{ee_emulator.url}/v1/projects/{PROJECT}/video:export", json={})
    assert answer.status_code == 404
    assert answer.json()["error"]["message"].endswith("is not implemented by the emulator.")


def test_large_body_is_refused_in_earth_engines_words(ee_emulator):
    url = f"{ee_emulator.url}/v1/projects/{PROJECT}/value:compute"
    answer = requests.post(url, data=b" " * 10_485_761)
    assert answer.status_code == 400
    message = answer.json()["error"]["message"]
    assert message == "Request payload size exceeds the limit: 10485760 bytes."


@pytest.mark.parametrize(
    "body",
    [
        *(b"{", b"[]", b"{}", b"NaN", b'{"a": NaN}', b"\xff", b"\x00"),
        *(b'{"expression": 3}', b'{"expression": {}}', b'{"expression":' + b"[" * 100_000),
    ],
)
def test_malformed_bodies_are_the_callers_fault(ee_emulator, body):
    answer = requests.post(f"{ee_emulator.url}/v1/projects/{PROJECT}/value:compute", data=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["status"] == "INVALID_ARGUMENT"


def test_answers_do_not_wait_for_delayed_acknowledgements(ee_emulator):
    """Two small writes without TCP_NODELAY would take 40 ms per answer."""
    session = requests.Session()
    url = f"{ee_emulator.url}/v1/projects/{PROJECT}/assets/"
    session.get(url)
    start = time.perf_counter()
    for _ in range(50):
        session.get(url)
    assert (time.perf_counter() - start) / 50 < 0.02


def test_requests_are_counted_and_logged_across_restarts(start_emulator):
    first = start_emulator()
    ee.data.getAssetRootQuota(f"projects/{PROJECT}/assets")
    first.kill()
    second = start_emulator()
    statistics = requests.get(f"{second.url}/emulator/stats").json()
    by_method = statistics["requests_by_method"]
    assert by_method["assets.get"] == 1
    assert by_method["discovery"] == 4  # each Initialize asks for it twice
    lines = (second.data / "requests.jsonl").read_text().splitlines()
    assert statistics["requests"] == sum(by_method.values()) == len(lines)
    assert {json.loads(line)["status"] for line in lines} == {200}


def test_emulator_exits_with_its_parent(start_emulator):
    running = start_emulator()
    running.process.stdin.close()
    assert running.process.wait(5) == 0
    running.process.stdin = None


def test_it_says_so_when_other_machines_can_reach_it(tmp_path):
    command = [sys.executable, "-m", "emulator", "--data", str(tmp_path), "--port", "0"]
    for host, warned in (("127.0.0.1", False), ("0.0.0.0", True)):
        process = subprocess.Popen(
            [*command, "--host", host], cwd=ROOT, stdout=-1, stderr=-1, text=True
        )
        process.stdout.readline()
        process.kill()
        assert ("Other machines can reach it" in process.communicate()[1]) == warned


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--faults", "missing.yaml"], "missing.yaml: [Errno 2] No such file"),
        (["--speed", "0"], "0 is not above 0"),
        (["--project", "demo"], "'demo' is no project id"),
        (["--scenes", "missing"], "missing/scenes.json does not exist"),
        (["--host", "192.0.2.1"], "Cannot assign requested address"),
        (["--port", "65536"], "port must be 0-65535"),
    ],
)
def test_wrong_arguments_are_explained(tmp_path, arguments, message):
    command = [sys.executable, "-m", "emulator", "--data", str(tmp_path), "--port", "0"]
    result = subprocess.run([*command, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode
    assert message in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("query", ["pageSize=x", "pageToken=x", f"pageToken={2**70}"])
def test_odd_page_numbers_are_the_callers_fault(ee_emulator, query):
    url = f"{ee_emulator.url}/v1/projects/{PROJECT}/operations?{query}"
    assert requests.get(url).status_code == 400


def test_thumbnail_is_a_picture(ee_emulator):
    region = ee.Geometry.Rectangle([0, 0, 1000, 1000], "EPSG:3857", False)
    image = ee.Image.constant([255, 0, 0]).toByte()
    url = image.getThumbURL({"region": region, "dimensions": "8x8", "format": "png"})
    answer = requests.get(url)
    assert answer.headers["content-type"] == "image/png"
    assert answer.content.startswith(b"\x89PNG")


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """A folder of ten scenes without pixels, one a day, side by side."""
    folder = tmp_path_factory.mktemp("scenes")
    scene = [
        {
            "id": f"scene_{i}",
            "grid": {
                "crs": "EPSG:3857",
                "transform": [10, 0, 1000 * i, 0, -10, 1000],
                "width": 100,
                "height": 100,
            },
            "properties": {"system:time_start": i * 86_400_000, "cloud": 10 * i},
        }
        for i in range(10)
    ]
    manifest = {"collection": "A/COLLECTION", "bands": ["B1"], "scenes": scene}
    (folder / "scenes.json").write_text(json.dumps(manifest))
    return folder


def test_public_collection_is_listed(start_emulator, scenes):
    running = start_emulator("--scenes", str(scenes))
    assert running.ready_line.endswith("(project demo-project, 10 images in 1 collections)\n")
    assert ee.data.getAsset("A/COLLECTION")["type"] == "IMAGE_COLLECTION"
    image = ee.data.getAsset("A/COLLECTION/scene_3")
    assert image["name"] == "projects/earthengine-public/assets/A/COLLECTION/scene_3"
    assert image["id"] == "A/COLLECTION/scene_3"
    assert image["startTime"] == "1970-01-04T00:00:00Z"
    found = ee.data.listImages(
        {
            "parent": "A/COLLECTION",
            "startTime": "1970-01-03T00:00:00Z",
            "endTime": "1970-01-08T00:00:00Z",
            "region": ee.Geometry.Rectangle([0.03, 0, 0.2, 0.001]).toGeoJSON(),
            "properties": ["cloud>=50"],
        }
    )
    assert [image["id"][-1] for image in found["images"]] == ["5", "6"]
    statistics = requests.get(f"{running.url}/emulator/stats").json()
    assert statistics["images_by_collection"] == {"A/COLLECTION": 10}


def test_basic_view_leaves_details_out(start_emulator, scenes):
    start_emulator("--scenes", str(scenes))
    listing = ee.data.listAssets({"parent": "A/COLLECTION", "view": "BASIC", "pageSize": 1})
    assert set(listing["assets"][0]) == {"type", "name", "id"}


def test_pixels_are_a_structured_array_from_the_north(ee_emulator):
    image = ee.Image.pixelCoordinates("EPSG:3857").toInt32()
    grid = {
        "crsCode": "EPSG:3857",
        "affineTransform": {"scaleX": 1, "scaleY": -1, "translateX": 100, "translateY": 200},
        "dimensions": {"width": 3, "height": 2},
    }
    request = {"expression": image, "grid": grid, "fileFormat": "NUMPY_NDARRAY"}
    pixels = ee.data.computePixels(request)
    assert pixels.dtype.names == ("x", "y")
    assert pixels["x"].tolist() == [[100, 101, 102]] * 2
    request = {"expression": image, "grid": grid, "fileFormat": "GEO_TIFF", "bandIds": ["y"]}
    with MemoryFile(ee.data.computePixels(request)).open() as dataset:
        assert dataset.descriptions == ("y",)
        assert dataset.transform[:6] == (1, 0, 100, 0, -1, 200)
        assert np.array_equal(dataset.read(1), pixels["y"])


def test_masked_pixels_are_zero(ee_emulator):
    image = ee.Image.constant(9).toByte().updateMask(0)
    grid = {"crsCode": "EPSG:4326", "affineTransform": {"scaleX": 1, "scaleY": -1}}
    grid["dimensions"] = {"width": 2, "height": 2}
    request = {"expression": image, "grid": grid, "fileFormat": "NUMPY_NDARRAY"}
    assert ee.data.computePixels(request)["constant"].tolist() == [[0, 0], [0, 0]]
