"""The life of an asset, through the real client."""

import time
import uuid

import ee
import numpy as np
import pytest
import rasterio
import requests
from affine import Affine

ROOT = "projects/demo-project/assets"
#: Functions that the client still has.
DEPRECATED = pytest.mark.filterwarnings("ignore:.* is deprecated:DeprecationWarning")


@pytest.fixture
def folder(ee_emulator):
    """A new empty folder."""
    return ee.data.createFolder(f"{ROOT}/{uuid.uuid4().hex}")["name"]


def names(listing):
    return [asset["name"].rpartition("/")[2] for asset in listing["assets"]]


def test_root_has_the_published_default_quota(start_emulator):
    start_emulator()
    ee.data.createFolder(f"{ROOT}/a")
    assert ee.data.getAssetRootQuota(ROOT) == {
        "asset_count": {"usage": 1, "limit": 10_000},
        "asset_size": {"usage": 0, "limit": 250 * 10**9},
    }


def test_folder_is_created_listed_and_deleted(folder):
    ee.data.createAsset({"type": "ImageCollection"}, f"{folder}/c", {"k": "v"})
    assert ee.data.getAsset(f"{folder}/c")["properties"] == {"k": "v"}
    assert names(ee.data.listAssets(folder)) == ["c"]
    assert folder in [asset["name"] for asset in ee.data.listAssets(ROOT)["assets"]]
    ee.data.deleteAsset(f"{folder}/c")
    with pytest.raises(ee.EEException, match="does not exist"):
        ee.data.getAsset(f"{folder}/c")


def test_folder_with_children_is_not_deleted(folder):
    ee.data.createFolder(f"{folder}/a")
    with pytest.raises(ee.EEException, match="not empty"):
        ee.data.deleteAsset(folder)


@pytest.mark.parametrize("verb", ["DELETE", "PATCH"])
def test_root_is_not_changed(ee_emulator, verb):
    answer = requests.request(verb, f"{ee_emulator.url}/v1/{ROOT}/", json={})
    assert answer.status_code == 404


def test_parent_must_exist(folder):
    with pytest.raises(ee.EEException, match=f"'{folder}/missing' does not exist"):
        ee.data.createFolder(f"{folder}/missing/a")


def test_collection_contains_no_folders(folder):
    ee.data.createAsset({"type": "IMAGE_COLLECTION"}, f"{folder}/c")
    with pytest.raises(ee.EEException, match="cannot contain a FOLDER"):
        ee.data.createFolder(f"{folder}/c/a")


def test_existing_asset_is_not_overwritten(folder):
    with pytest.raises(ee.EEException, match="Cannot overwrite asset"):
        ee.data.createFolder(folder)


@pytest.mark.parametrize(
    "asset_id",
    ["../x", "a/../../x", "/etc/passwd", "a//b", "a/", ".", "..", "a b", "a\0b", "ä", "a.b", ""],
)
def test_ids_that_are_paths_or_odd_are_refused(ee_emulator, asset_id):
    url = f"{ee_emulator.url}/v1/projects/demo-project/assets"
    answer = requests.post(url, params={"assetId": asset_id}, json={"type": "FOLDER"})
    assert answer.status_code == 400
    assert "Invalid asset name" in answer.json()["error"]["message"]


def test_pages_cover_a_listing_once(folder):
    for i in range(5):
        ee.data.createFolder(f"{folder}/{i}")
    found, token = [], None
    while True:
        query = {"pageToken": token} if token else {}
        page = ee.data.listAssets({"parent": folder, "pageSize": 2, **query})
        found.append(names(page))
        token = page.get("nextPageToken")
        if not token:
            break
    assert found == [["0", "1"], ["2", "3"], ["4"]]


def test_move_takes_what_is_below_along(folder):
    ee.data.createFolder(f"{folder}/a")
    ee.data.createFolder(f"{folder}/a/b")
    ee.data.createFolder(f"{folder}/ab")
    ee.data.renameAsset(f"{folder}/a", f"{folder}/z")
    assert names(ee.data.listAssets(folder)) == ["ab", "z"]
    assert names(ee.data.listAssets(f"{folder}/z")) == ["b"]
    with pytest.raises(ee.EEException, match="into itself"):
        ee.data.renameAsset(f"{folder}/z", f"{folder}/z/b/c")


def test_update_mask_changes_only_what_it_names(folder):
    ee.data.createAsset({"type": "IMAGE_COLLECTION"}, f"{folder}/c", {"a": 1, "b": 2, "c": 3})
    ee.data.updateAsset(f"{folder}/c", {"properties": {"a": 9, "b": 9}}, ["properties.a"])
    ee.data.updateAsset(f"{folder}/c", {"properties": {"c": None}}, ['properties."c"'])
    assert ee.data.getAsset(f"{folder}/c")["properties"] == {"a": 9, "b": 2}


def test_update_mask_sets_and_deletes_times(folder):
    ee.data.updateAsset(folder, {"start_time": "2018-01-01T00:00:00Z"}, ["start_time"])
    assert ee.data.getAsset(folder)["startTime"] == "2018-01-01T00:00:00Z"
    ee.data.updateAsset(folder, {"properties": {"k": 1}}, ["properties"])
    assert ee.data.getAsset(folder)["startTime"] == "2018-01-01T00:00:00Z"
    ee.data.updateAsset(folder, {}, ["startTime"])
    assert "startTime" not in ee.data.getAsset(folder)


def test_count_quota_is_enforced(start_emulator):
    start_emulator("--max-assets", "2")
    ee.data.createFolder(f"{ROOT}/a")
    ee.data.createFolder(f"{ROOT}/b")
    with pytest.raises(ee.EEException, match="Asset quota exceeded"):
        ee.data.createFolder(f"{ROOT}/c")
    ee.data.deleteAsset(f"{ROOT}/a")
    ee.data.createFolder(f"{ROOT}/c")


@pytest.fixture(scope="module")
def collection(ee_emulator):
    """A collection of three images of files in Cloud Storage, a day and a degree apart."""
    name = f"{ROOT}/{uuid.uuid4().hex}"
    ee.data.createAsset({"type": "IMAGE_COLLECTION"}, name)
    bucket = ee_emulator.data / "buckets" / "filtered"
    bucket.mkdir(parents=True)
    for i, index in enumerate("abc"):
        profile = {"driver": "COG", "count": 1, "dtype": "uint8", "blocksize": 256}
        place = {"crs": "EPSG:4326", "transform": Affine(0.1, 0, 10 + i, 0, -0.1, 1)}
        with rasterio.open(
            bucket / f"{index}.tif", "w", width=5, height=5, **profile, **place
        ) as file:
            file.write(np.ones((1, 5, 5), np.uint8))
        ee.data.startExternalImageIngestion(
            {
                "name": f"{name}/{index}",
                "tilesets": [{"sources": [{"uris": [f"gs://filtered/{index}.tif"]}]}],
                "properties": {"n": i, "s": "x y" if i == 0 else "zebra"},
                "startTime": f"2018-01-0{i + 1}T00:00:00Z",
            }
        )
    return name


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "abc"),
        ("properties.n >= 1", "bc"),
        ("properties.n>=1 AND properties.n<2", "b"),
        ("properties.n>=1 properties.n<2", "b"),
        ("properties.n = 0 OR properties.n = 2", "ac"),
        # OR binds closer than AND (https://google.aip.dev/160).
        ("properties.n = 0 AND properties.n = 1 OR properties.n = 0", "a"),
        ("properties.n = 1 OR properties.n = 0 AND properties.n = 0", "a"),
        ("(properties.n = 1) OR (properties.n = 0 AND properties.n = 0)", "ab"),
        ("NOT properties.n = 1", "ac"),
        ("-properties.n = 1", "ac"),
        ("-(properties.n = 1 OR properties.n = 2)", "a"),
        ("properties.n > -1", "abc"),
        ("properties.n != 1", "ac"),
        ('properties.s = "x y"', "a"),
        ("properties.s = 'x y'", "a"),
        ("properties.s = zebra", "bc"),
        ('properties.s = "z*"', "bc"),
        ('properties.s = "*y"', "a"),
        ('properties.s != "z*"', "a"),
        ("properties.s:*", "abc"),
        ("properties.s:zebra", "bc"),
        ("properties.absent:*", ""),
        ("properties.absent = 1", ""),
        ("properties.absent != 1", ""),
        ('properties."n" = 1', "b"),
        ('startTime >= "2018-01-02T00:00:00Z"', "bc"),
        ('startTime >= "2018-01-02" AND endTime < "2018-01-03T00:00:00+00:00"', "b"),
        ('updateTime > "2018-01-02T00:00:00Z"', "abc"),
        ("type = IMAGE", "abc"),
        ("type = TABLE", ""),
        ("name : */b", "b"),
        ("sizeBytes = 0", "abc"),
        ("intersects(\"{'type':'Point','coordinates':[10.1,0.9]}\")", "a"),
        (r'intersects("{\"type\":\"Point\",\"coordinates\":[12.1,0.9]}")', "c"),
        ('intersects("POINT (11.1 0.9)") AND properties.n = 1', "b"),
    ],
)
def test_collections_are_listed_with_a_filter(collection, query, expected):
    listing = ee.data.listAssets({"parent": collection, "filter": query})
    assert names(listing) == list(expected)


def test_folders_are_listed_without_filter_and_details(folder):
    """As reference/rest/v1/projects.assets/listAssets says."""
    ee.data.createFolder(f"{folder}/a")
    listing = ee.data.listAssets({"parent": folder, "filter": "properties.n = 1", "view": "FULL"})
    [asset] = listing["assets"]
    assert asset == {"type": "FOLDER", "name": f"{folder}/a", "id": f"{folder}/a"}


@DEPRECATED
def test_legacy_listings(collection, folder):
    listed = ee.data.getList({"id": collection, "starttime": 1_514_851_200_000})
    assert [entry["id"][-1] for entry in listed] == ["b", "c"]
    assert {entry["type"] for entry in listed} == {"Image"}
    assert folder in [entry["id"] for entry in ee.data.getAssetRoots()]
    assert ee.data.getInfo(f"{folder}/absent") is None


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ("nonsense", 0),
        ("a = 1 OR b = 2", 0),
        ("properties.a = 1 NOT", 20),
        ("(", 1),
        ("properties.a = 1)", 16),
        ("properties.a =", 14),
        ("properties.a = 1 AND", 20),
        ("properties.a ! 1", 13),
        ('properties.a = "x', 15),
        ("= 1", 0),
        ("(" * 60 + "properties.a = 1" + ")" * 60, 51),
    ],
)
def test_filters_that_are_wrong_are_refused_with_the_place(folder, query, place):
    with pytest.raises(ee.EEException, match=f"^Invalid filter: .* at position {place},"):
        ee.data.listAssets({"parent": folder, "filter": query})


@pytest.mark.parametrize(
    "query", ['startTime > "soon"', 'intersects("here")', "intersects(\"{'type':'Point'}\")"]
)
def test_values_in_filters_are_checked(folder, query):
    with pytest.raises(ee.EEException, match="Invalid"):
        ee.data.listAssets({"parent": folder, "filter": query})


@pytest.mark.parametrize("token", ["x", f"{ROOT}/other/a", "../.."])
def test_page_tokens_belong_to_their_folder(folder, token):
    with pytest.raises(ee.EEException, match="Invalid page token"):
        ee.data.listAssets({"parent": folder, "pageToken": token})


def test_fields_of_an_answer_can_be_chosen(ee_emulator, collection):
    url = f"{ee_emulator.url}/v1/{collection}"

    def ask(fields):
        return requests.get(f"{url}/b", params={"fields": fields}).json()

    assert ask("name") == {"name": f"{collection}/b"}
    assert ask("properties/n,bands(id,grid/crsCode)") == {
        "properties": {"n": 1},
        "bands": [{"id": "b1", "grid": {"crsCode": "EPSG:4326"}}],
    }
    assert ask("bands.id")["bands"] == [{"id": "b1"}]
    page = requests.get(f"{url}:listAssets", params={"fields": "assets(name)", "pageSize": 1})
    assert page.json() == {"assets": [{"name": f"{collection}/a"}]}
    assert set(ask("*")) == set(ask(""))
    for wrong in ["(", "a(b", "a)", "a,,b", "a/", "{"]:
        assert requests.get(url, params={"fields": wrong}).status_code == 400


@DEPRECATED
def test_policies_are_remembered(folder):
    assert ee.data.getIamPolicy(folder) == {}
    policy = {"bindings": [{"role": "roles/viewer", "members": ["user:a@b.c", "allUsers"]}]}
    ee.data.setIamPolicy(folder, policy)
    assert ee.data.getIamPolicy(folder) == policy
    assert ee.data.getAssetAcl(folder) == {
        "owners": [],
        "readers": ["user:a@b.c"],
        "writers": [],
        "all_users_can_read": True,
    }
    ee.data.setAssetAcl(folder, {"writers": ["user:w@b.c"]})
    moved = f"{folder}-moved"
    ee.data.renameAsset(folder, moved)
    assert ee.data.getAssetAcl(moved)["writers"] == ["user:w@b.c"]
    ee.data.deleteAsset(moved)
    ee.data.createFolder(moved)
    assert ee.data.getIamPolicy(moved) == {}
    with pytest.raises(ee.EEException, match="does not exist"):
        ee.data.getIamPolicy(f"{folder}/absent")


def test_permissions_are_all_given(ee_emulator, folder):
    asked = {"permissions": ["earthengine.assets.get", "earthengine.assets.delete"]}
    url = f"{ee_emulator.url}/v1/{folder}:testIamPermissions"
    assert requests.post(url, json=asked).json() == asked


def test_bands_are_renamed(collection):
    ee.data.copyAsset(f"{collection}/a", f"{collection}/renamed")
    ee.data.updateAsset(f"{collection}/renamed", {"bands": [{"id": "cloud"}]}, ["bands"])
    assert ee.Image(f"{collection}/renamed").bandNames().getInfo() == ["cloud"]
    with pytest.raises(ee.EEException, match="1 band names"):
        ee.data.updateAsset(f"{collection}/renamed", {"bands": []}, ["bands"])
    ee.data.deleteAsset(f"{collection}/renamed")


@pytest.mark.parametrize("value", [[1], {"a": 1}, True, {"value": 1}])
def test_properties_are_strings_and_numbers(folder, value):
    with pytest.raises(ee.EEException, match="must be a string or a number"):
        ee.data.updateAsset(folder, {"properties": {"k": value}}, ["properties.k"])


def test_update_mask_may_be_text(ee_emulator, folder):
    body = {"asset": {"properties": {"a": 1}}, "updateMask": "properties.a,startTime"}
    answer = requests.patch(f"{ee_emulator.url}/v1/{folder}", json=body)
    assert answer.json()["properties"] == {"a": 1}


def test_more_exports_run_at_once_when_configured(start_emulator):
    start_emulator("--metadata-only", "--concurrency", "1", "--speed", "1")  # they take their time
    region = ee.Geometry.Rectangle([0, 0, 100, 100], "EPSG:3857", False)
    for i in range(4):
        image = ee.Image.constant(i).toByte()
        ee.batch.Export.image.toAsset(
            image, assetId=f"{ROOT}/n{i}", region=region, scale=10
        ).start()

    def wait_for(running):
        while [o["metadata"]["state"] for o in ee.data.listOperations()].count(
            "RUNNING"
        ) != running:
            time.sleep(0.02)

    wait_for(1)
    ee.data.updateProjectConfig({"maxConcurrentExports": 3})
    wait_for(3)


def test_concurrency_is_configured(ee_emulator):
    before = ee.data.getProjectConfig()["maxConcurrentExports"]
    assert ee.data.updateProjectConfig({"maxConcurrentExports": 7})["maxConcurrentExports"] == 7
    assert ee.data.getProjectConfig()["maxConcurrentExports"] == 7
    ee.data.updateProjectConfig({"maxConcurrentExports": before})
    with pytest.raises(ee.EEException, match="maxConcurrentExports"):
        ee.data.updateProjectConfig({"maxConcurrentExports": 0})
