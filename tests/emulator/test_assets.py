"""The life of an asset, through the real client."""

import uuid

import ee
import pytest
import requests

ROOT = "projects/demo-project/assets"


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
    assert ee.data.getAsset(folder)["startTime"] == "2018-01-01T00:00:00.000000Z"
    ee.data.updateAsset(folder, {"properties": {"k": 1}}, ["properties"])
    assert ee.data.getAsset(folder)["startTime"] == "2018-01-01T00:00:00.000000Z"
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


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("properties.n >= 1", ["b", "c"]),
        ("properties.n>=1 AND properties.n<2", ["b"]),
        ('properties.s = "x y"', ["a"]),
        ("properties.absent = 1", []),
        ('startTime >= "2018-01-02T00:00:00Z"', ["b", "c"]),
        ('startTime >= "2018-01-02T00:00:00Z" AND endTime < "2018-01-03T00:00:00Z"', ["b"]),
        ('type = "FOLDER"', ["a", "b", "c"]),
    ],
)
def test_listing_is_filtered(folder, query, expected):
    for i, name in enumerate("abc"):
        properties = {"n": i, "s": "x y" if i == 0 else "z"}
        ee.data.createAsset({"type": "FOLDER", "properties": properties}, f"{folder}/{name}")
        time = {"start_time": f"2018-01-0{i + 1}T00:00:00Z"}
        ee.data.updateAsset(f"{folder}/{name}", time, ["start_time"])
    assert names(ee.data.listAssets({"parent": folder, "filter": query})) == expected


@pytest.mark.parametrize("query", ["a = 1 OR b = 2", "nonsense", "properties.a = 1 NOT", "("])
def test_filters_that_are_not_understood_are_refused(folder, query):
    with pytest.raises(ee.EEException, match="filter"):
        ee.data.listAssets({"parent": folder, "filter": query})
