"""Exports as tasks, through the real client."""

import time
import uuid

import ee
import pytest
import requests
from conftest import end
from google.oauth2.credentials import Credentials

from emulator.database import Database
from emulator.errors import EarthEngineError
from emulator.faults import Faults
from emulator.tasks import SCHEMA, TaskQueue, Workers

ROOT = "projects/demo-project/assets"
REGION = [0, 0, 1000, 500]


def export(name, image=None, **options):
    """Return a task that exports 100 x 50 pixels of 10 m, not started."""
    options = {
        "region": ee.Geometry.Rectangle(REGION, "EPSG:3857", False),
        "crs": "EPSG:3857",
        "scale": 10,
    } | options
    image = ee.Image.constant(7).toByte() if image is None else image
    return ee.batch.Export.image.toAsset(image, name, f"{ROOT}/{name}", **options)


@pytest.fixture
def name(ee_emulator):
    """A name that no asset has."""
    return uuid.uuid4().hex


def test_export_makes_an_image_asset(name):
    image = ee.Image.constant(7).toByte().rename("seven")
    image = image.set({"key": "value", "system:time_start": 1514764800000})
    task = export(name, image, pyramidingPolicy={"seven": "mode"})
    task.start()
    assert end(task)["state"] == "COMPLETED"
    asset = ee.data.getAsset(f"{ROOT}/{name}")
    assert asset["properties"] == {"key": "value"}
    assert asset["startTime"] == "2018-01-01T00:00:00Z"
    assert int(asset["sizeBytes"]) > 0
    [band] = asset["bands"]
    assert band["id"] == "seven"
    assert band["dataType"] == {"precision": "INT", "range": {"min": 0, "max": 255}}
    assert band["pyramidingPolicy"] == "MODE"
    assert band["grid"]["dimensions"] == {"width": 100, "height": 50}
    assert band["grid"]["affineTransform"]["translateY"] == 500


@pytest.mark.parametrize(
    ("policy", "message"), [("max", "not implemented"), ("least", "Invalid pyramiding policy")]
)
def test_pyramiding_policies_are_checked_at_once(name, policy, message):
    with pytest.raises(ee.EEException, match=message):
        export(name, ee.Image.constant(7), pyramidingPolicy={".default": policy}).start()


def test_exported_pixels_are_read_back(name):
    task = export(name, ee.Image.pixelCoordinates("EPSG:3857").select("x").toInt())
    task.start()
    end(task)
    point = ee.Geometry.Point([255, 255], "EPSG:3857")
    sample = ee.Image(f"{ROOT}/{name}").reduceRegion("first", point, 10, "EPSG:3857")
    assert sample.getInfo() == {"x": 255}


def test_grid_is_taken_from_a_transform(name):
    task = export(name, scale=None, crsTransform=[20, 0, 7, 0, -20, 507])
    task.start()
    assert end(task)["state"] == "COMPLETED"
    [band] = ee.data.getAsset(f"{ROOT}/{name}")["bands"]
    transform = band["grid"]["affineTransform"]
    # The pixels of the given grid that the region touches.
    assert (transform["scaleX"], transform["translateX"], transform["translateY"]) == (20, -13, 507)
    assert band["grid"]["dimensions"] == {"width": 51, "height": 26}


def test_operation_has_the_documented_fields(name):
    task = export(name, priority=300)
    task.start()
    end(task)
    operation = ee.data.getOperation(task.name)
    metadata = operation["metadata"]
    assert operation["done"]
    assert metadata["state"] == "SUCCEEDED"
    assert metadata["type"] == "EXPORT_IMAGE"
    assert metadata["description"] == name
    assert metadata["priority"] == 300
    assert metadata["attempt"] == 1
    assert metadata["progress"] == 1
    assert metadata["batchEecuUsageSeconds"] > 0
    assert metadata["createTime"] <= metadata["startTime"] <= metadata["endTime"]
    assert name in metadata["destinationUris"][0]


def test_same_request_id_starts_one_task(name):
    task = export(name)
    task.start()
    first = task.name
    task.start()
    assert task.name == first
    described = [o for o in ee.data.listOperations() if o["metadata"]["description"] == name]
    assert len(described) == 1


def test_request_id_is_known_after_a_restart(start_emulator):
    first = start_emulator()
    task = export("x")
    task.start()
    operation = task.name
    first.kill()
    start_emulator()
    task.start()
    assert task.name == operation
    assert end(task)["state"] == "COMPLETED"


def test_existing_asset_fails_the_task_unless_overwritten(name):
    for overwrite, state in ((False, "COMPLETED"), (False, "FAILED"), (True, "COMPLETED")):
        task = export(name, overwrite=overwrite)
        task.start()
        status = end(task)
        assert status["state"] == state
        if state == "FAILED":
            assert status["error_message"] == f"Cannot overwrite asset '{ROOT}/{name}'."


def test_export_beyond_max_pixels_fails(name):
    task = export(name, maxPixels=4999)
    task.start()
    assert end(task)["error_message"] == (
        "Export too large: specified 5000 pixels (max: 4999). Specify higher maxPixels value "
        "if you intend to export a large area."
    )


def test_invalid_expression_fails_the_task(name):
    task = export(name, ee.Image(f"{ROOT}/missing"))
    task.start()
    status = end(task)
    assert status["state"] == "FAILED"
    assert "missing" in status["error_message"]


def test_byte_quota_fails_the_task(start_emulator):
    start_emulator("--max-bytes", "100")
    task = export("x")
    task.start()
    assert "Asset quota exceeded" in end(task)["error_message"]


@pytest.mark.parametrize("asset_id", ["../x", "a/../../../x", "a b"])
def test_destinations_that_are_paths_are_refused(ee_emulator, asset_id):
    request = {
        "expression": ee.Image(1),
        "assetExportOptions": {"earthEngineDestination": {"name": f"{ROOT}/{asset_id}"}},
    }
    with pytest.raises(ee.EEException, match="Invalid asset name"):
        ee.data.exportImage("", request)


def test_full_queue_answers_in_earth_engines_words(start_emulator):
    start_emulator("--concurrency", "0", "--max-queued", "3")
    for i in range(3):
        export(f"x{i}").start()
    with pytest.raises(ee.EEException) as error:
        export("x3").start()
    assert str(error.value) == (
        "Too many tasks already in the queue (3). Please wait for some of them to complete."
    )


def test_waiting_task_is_cancelled_at_once(start_emulator):
    start_emulator("--concurrency", "0")
    task = export("x")
    task.start()
    assert task.status()["state"] == "READY"
    assert task.status()["start_timestamp_ms"] == 0
    task.cancel()
    assert task.status()["state"] == "CANCELLED"
    task.cancel()  # has ended: nothing happens


def test_higher_priority_runs_first(start_emulator):
    waiting = start_emulator("--concurrency", "0")
    for task_name, priority in (("a", 100), ("b", 100), ("c", 900)):
        export(task_name, priority=priority).start()
    waiting.kill()
    running = start_emulator("--concurrency", "1")
    for operation in ee.data.listOperations():
        url = f"{running.url}/v1/{operation['name']}:wait"
        assert requests.post(url, json={"timeout": "30s"}).json()["done"]
    metadata = [operation["metadata"] for operation in ee.data.listOperations()]
    in_order = sorted(metadata, key=lambda m: m["startTime"])
    assert [m["description"] for m in in_order] == ["c", "a", "b"]


def test_operations_are_listed_newest_first_in_pages(start_emulator):
    running = start_emulator("--concurrency", "0")
    for i in range(5):
        export(f"x{i}").start()
    url, token, pages = f"{running.url}/v1/projects/demo-project/operations", None, []
    while True:
        page = requests.get(url, params={"pageSize": 2, "pageToken": token}).json()
        pages.append([o["metadata"]["description"] for o in page["operations"]])
        token = page.get("nextPageToken")
        if not token:
            break
    assert pages == [["x4", "x3"], ["x2", "x1"], ["x0"]]


def test_killed_task_is_done_after_a_restart(start_emulator):
    first = start_emulator()
    slow = ee.Image.constant(1).toByte().focalMean(3, "square")
    task = export("x", slow, scale=0.5)
    task.start()
    while task.status()["state"] == "READY":
        time.sleep(0.005)
    first.kill()
    second = start_emulator()
    assert end(task)["state"] == "COMPLETED"
    assert task.status()["attempt"] == 2
    assert len(list((second.data / "assets").iterdir())) == 1  # leftovers are swept
    statistics = requests.get(f"{second.url}/emulator/stats").json()
    assert statistics["exports_started"] == 1
    assert statistics["peak_queued_tasks"] == 1


def test_no_export_is_lost_or_doubled_by_kills(start_emulator):
    running = start_emulator()
    tasks = [export(f"x{i}", scale=2) for i in range(20)]
    for task in tasks:
        task.start()
    for pause in (0.05, 0.1, 0.2):
        time.sleep(pause)
        running.kill()
        running = start_emulator()
    # A second asset of the name, or a forgotten one, would fail a task.
    assert {end(task)["state"] for task in tasks} == {"COMPLETED"}
    assert len(ee.data.listAssets(ROOT)["assets"]) == 20
    assert len(list((running.data / "assets").iterdir())) == 20


def test_metadata_only_computes_all_but_pixels(start_emulator):
    running = start_emulator("--metadata-only")
    task = export("x", ee.Image.constant([1, 2]).toUint16().set("k", "v"))
    task.start()
    assert end(task)["state"] == "COMPLETED"
    asset = ee.data.getAsset(f"{ROOT}/x")
    assert asset["sizeBytes"] == str(100 * 50 * 2 * 2)
    assert asset["properties"] == {"k": "v"}
    assert list((running.data / "assets").iterdir()) == []


def test_copy_outlives_its_original(name):
    task = export(name)
    task.start()
    end(task)
    ee.data.copyAsset(f"{ROOT}/{name}", f"{ROOT}/{name}_copy")
    ee.data.deleteAsset(f"{ROOT}/{name}")
    copy = ee.Image(f"{ROOT}/{name}_copy")
    point = ee.Geometry.Point([255, 255], "EPSG:3857")
    assert copy.reduceRegion("first", point, 10, "EPSG:3857").getInfo() == {"constant": 7}


def test_running_task_is_cancelled_in_the_middle(start_emulator):
    running = start_emulator()
    # Work for half a minute, in 200 tiles.
    task = export("x", ee.Image.constant(1).toByte().focalMean(4, "square"), scale=0.1)
    task.start()
    seen = []
    while len(set(seen)) < 3:
        operation = ee.data.getOperation(task.name)
        seen.append(operation["metadata"]["progress"])
        time.sleep(0.01)
    stages = operation["metadata"]["stages"]
    assert seen == sorted(seen)
    assert 0 < seen[-1] < 1
    assert [stage["completeWorkUnits"] for stage in stages] == [seen[-1], 0]
    task.cancel()
    status = end(task, seconds=10)
    assert status["state"] == "CANCELLED"
    assert ee.data.getOperation(task.name)["metadata"]["progress"] < 1
    assert list((running.data / "assets").iterdir()) == []


def test_tasks_live_ten_days(start_emulator):
    start_emulator("--concurrency", "0", "--speed", str(DAYS_A_SECOND * 86_400))
    task = export("x")
    task.start()
    status = end(task)
    assert status["state"] == "FAILED"
    assert status["error_message"] == "Task exceeded its maximum lifetime of 10 days."
    assert status["update_timestamp_ms"] - status["creation_timestamp_ms"] >= 10 * 86_400_000


#: Of a fast clock: ten days are a quarter of a second.
DAYS_A_SECOND = 40


def test_history_forgets_what_ended_long_ago(start_emulator):
    start_emulator("--history", "20", "--speed", str(DAYS_A_SECOND * 86_400))
    task = export("x")
    task.start()
    end(task)
    assert len(ee.data.listOperations()) == 1
    time.sleep(20 / DAYS_A_SECOND)
    assert ee.data.listOperations() == []
    with pytest.raises(ee.EEException, match="not found"):
        ee.data.getOperation(task.name)
    task.start()  # the requestId stays taken
    assert ee.data.listOperations() == []


def test_clock_does_not_go_back(start_emulator):
    options = ("--concurrency", "0", "--speed", "864000")
    first = start_emulator(*options)
    time.sleep(0.5)
    export("x").start()
    first.kill()
    start_emulator(*options)
    export("y").start()
    second, first_ = ee.data.listOperations()
    assert second["metadata"]["createTime"] > first_["metadata"]["createTime"]


def test_exports_without_pixels_take_the_time_of_the_model(start_emulator):
    start_emulator("--metadata-only", "--speed", "100")
    image = ee.Image.constant([1] * 10).toByte()
    tasks = [export(f"x{i}", image) for i in range(3)]
    for task in tasks:
        task.start()
    seconds = 30 + 2e-6 * 100 * 50 * 10
    statuses = [end(task) for task in tasks]
    for status in statuses:
        taken = (status["update_timestamp_ms"] - status["start_timestamp_ms"]) / 1000
        assert seconds <= taken < 3 * seconds
        assert status["batch_eecu_usage_seconds"] == pytest.approx(1e-5 * 100 * 50 * 10, abs=0.2)
    # Two run at once: the third had to wait for a slot.
    freed = min(status["update_timestamp_ms"] for status in statuses[:2])
    assert statuses[2]["start_timestamp_ms"] >= freed


def test_waiting_task_without_pixels_is_cancelled_while_it_runs(start_emulator):
    start_emulator("--metadata-only", "--speed", "1")
    task = export("x")
    task.start()
    while task.status()["state"] != "RUNNING":
        time.sleep(0.01)
    task.cancel()
    assert end(task, seconds=2)["state"] == "CANCELLED"


def test_ceiling_may_be_per_user(start_emulator):
    running = start_emulator("--concurrency", "0", "--max-queued", "1", "--ceiling-per-user")
    for user in ("ann", "ben"):
        ee.Initialize(Credentials(user), project="demo-project", url=running.url)
        ee.data.setMaxRetries(0)
        export(user).start()
        with pytest.raises(ee.EEException, match=r"Too many tasks already in the queue \(1\)"):
            export(user).start()
    assert len(ee.data.listOperations()) == 2


def test_types_of_tasks_have_workers_of_their_own(tmp_path):
    queue = TaskQueue(Database(tmp_path / "tasks.sqlite", SCHEMA), "demo-project")
    queue.submit("EXPORT_IMAGE", {})
    queue.submit("INGEST_IMAGE", {})
    assert queue.claim(["INGEST_IMAGE", "INGEST_TABLE"], 0).type == "INGEST_IMAGE"
    assert queue.claim(["INGEST_IMAGE", "INGEST_TABLE"], 0) is None
    assert queue.claim(["EXPORT_IMAGE"], 0).type == "EXPORT_IMAGE"


def test_deleted_operation_is_gone(name):
    task = export(name)
    task.start()
    end(task)
    assert requests.delete(f"{ee_url()}/v1/{task.name}").json() == {}
    with pytest.raises(ee.EEException, match="not found"):
        ee.data.getOperation(task.name)


def ee_url():
    return ee.data._get_state().cloud_api_base_url


def test_unfinished_operation_is_not_deleted(start_emulator):
    running = start_emulator("--concurrency", "0")
    task = export("x")
    task.start()
    answer = requests.delete(f"{running.url}/v1/{task.name}")
    assert answer.status_code == 400
    assert "has not ended" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "body",
    [
        {"requestId": 3},
        {"requestId": "a b"},
        {"requestId": "x" * 61},
        {"description": "x" * 101},
        {"description": ["x"]},
        {"priority": 10_000},
        {"priority": -1},
        {"maxPixels": "many"},
    ],
)
def test_wrong_fields_are_the_callers_fault(ee_emulator, body):
    destination = {"earthEngineDestination": {"name": f"{ROOT}/x"}}
    body = {"expression": {}, "assetExportOptions": destination, **body}
    url = f"{ee_emulator.url}/v1/projects/demo-project/image:export"
    answer = requests.post(url, json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["status"] == "INVALID_ARGUMENT"


class Unlucky:
    """A task's work that fails so many times before it succeeds."""

    def __init__(self, failures, error):
        self.failures = failures
        self.error = error
        self.released = []

    def run(self, task):
        if task.attempt <= self.failures:
            raise self.error
        return self

    def commit(self, connection):
        return ["uri"]

    def release(self, committed):
        self.released.append(committed)


@pytest.mark.parametrize(
    ("failures", "code", "state", "attempts"),
    [
        (4, 500, "SUCCEEDED", 5),
        (5, 500, "FAILED", 5),
        (1, 429, "SUCCEEDED", 2),
        (1, 400, "FAILED", 1),
    ],
)
def test_transient_failures_are_tried_five_times(tmp_path, failures, code, state, attempts):
    queue = TaskQueue(Database(tmp_path / "tasks.sqlite", SCHEMA), "demo-project")
    work = Unlucky(failures, EarthEngineError("It failed.", code))
    Workers(queue, {"EXPORT_IMAGE": work.run}, 1).start(Faults())
    name = queue.submit("EXPORT_IMAGE", {})["name"]
    operation = queue.wait(name.rpartition("/")[2], 10)
    assert operation["metadata"]["state"] == state
    assert operation["metadata"]["attempt"] == attempts
    assert operation.get("error", {}).get("message") == (
        "It failed." if state == "FAILED" else None
    )


def test_cancelled_while_running_leaves_no_output(tmp_path):
    queue = TaskQueue(Database(tmp_path / "tasks.sqlite", SCHEMA), "demo-project")
    work = Unlucky(0, None)
    task_id = queue.submit("EXPORT_IMAGE", {})["name"].rpartition("/")[2]
    task = queue.claim(["EXPORT_IMAGE"], 0)
    queue.cancel(task_id)
    assert queue.get(task_id)["metadata"]["state"] == "CANCELLING"
    assert not queue.succeed(task, work, 1.5)
    operation = queue.get(task_id)
    assert operation["metadata"]["state"] == "CANCELLED"
    assert operation["metadata"]["batchEecuUsageSeconds"] == 1.5
    assert operation["error"] == {"code": 1, "message": "Cancelled."}


def test_task_that_kills_its_process_is_given_up(tmp_path):
    for _ in range(5):
        queue = TaskQueue(Database(tmp_path / "tasks.sqlite", SCHEMA), "demo-project")
        queue.submit("EXPORT_IMAGE", {"requestId": "deadly"})
        assert queue.claim(["EXPORT_IMAGE"], 0).attempt
    queue = TaskQueue(Database(tmp_path / "tasks.sqlite", SCHEMA), "demo-project")
    [operation] = queue.list(1, 2)["operations"]
    assert operation["metadata"]["state"] == "FAILED"
    assert operation["metadata"]["attempt"] == 5


def test_only_one_emulator_owns_a_data_folder(start_emulator, monkeypatch):
    from emulator import app

    running = start_emulator()
    monkeypatch.setattr(app, "LOCK_PATIENCE", 0)
    with pytest.raises(app.DataFolderInUse, match="choose another --data"):
        app.Emulator(app.Options(running.data))
