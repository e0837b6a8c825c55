"""What goes wrong on purpose, as the real client meets it."""

import json
import time

import ee
import googleapiclient.http
import pytest
import requests
from conftest import end

from emulator.faults import Fault, Faults, InvalidFaults, load
from tests.emulator.test_tasks import export

PROJECT = "demo-project"
ROOT = f"projects/{PROJECT}/assets"


@pytest.fixture
def start_with(start_emulator, tmp_path, monkeypatch):
    """A function that starts an emulator with faults; the client's retries wait for nothing."""
    monkeypatch.setattr(googleapiclient.http.random, "random", lambda: 0.0)

    def start(*faults, seed=0, options=()):
        path = tmp_path / "faults.json"
        path.write_text(json.dumps({"seed": seed, "faults": list(faults)}))
        return start_emulator("--faults", str(path), *options)

    return start


def count(running, method):
    statistics = requests.get(f"{running.url}/emulator/stats").json()
    return statistics["requests_by_method"].get(method, 0)


@pytest.mark.parametrize(
    ("kind", "status", "message"),
    [
        ("rate_limit", "RESOURCE_EXHAUSTED", "Quota exceeded for quota metric"),
        ("internal", "INTERNAL", "An internal error has occurred"),
        ("unavailable", "UNAVAILABLE", "The service is currently unavailable."),
    ],
)
def test_client_gets_over_passing_errors(start_with, kind, status, message):
    running = start_with({"kind": kind, "method": "value.compute", "calls": [1, 2]})
    url = f"{running.url}/v1/projects/{PROJECT}/value:compute"
    error = requests.post(url, json={}).json()["error"]
    assert error["status"] == status
    assert message in error["message"]
    ee.data.setMaxRetries(5)
    assert ee.Number(1).add(1).getInfo() == 2
    assert count(running, "value.compute") == 3


def test_client_gives_up_after_six_requests(start_with):
    running = start_with({"kind": "unavailable", "method": "value.compute"})
    ee.data.setMaxRetries(5)
    with pytest.raises(ee.EEException, match="service is currently unavailable"):
        ee.Number(1).getInfo()
    assert count(running, "value.compute") == 6


def test_connection_dropped_before_the_effect(start_with):
    running = start_with({"kind": "drop_before", "method": "assets.create", "calls": [1]})
    with pytest.raises(ConnectionError):
        ee.data.createFolder(f"{ROOT}/a")
    ee.data.createFolder(f"{ROOT}/a")
    assert count(running, "assets.create") == 2


def test_connection_dropped_after_the_effect(start_with):
    start_with({"kind": "drop_after", "method": "assets.create", "calls": [1]})
    ee.data.setMaxRetries(5)
    # The retry has no idempotency key: it meets its own folder.
    with pytest.raises(ee.EEException, match="Cannot overwrite asset"):
        ee.data.createFolder(f"{ROOT}/a")
    assert ee.data.getAsset(f"{ROOT}/a")["type"] == "FOLDER"


def test_lost_answer_to_an_export_starts_no_second_task(start_with):
    start_with({"kind": "drop_after", "method": "image.export", "calls": [1]})
    ee.data.setMaxRetries(5)
    task = export("x")
    task.start()
    assert end(task)["state"] == "COMPLETED"
    assert len(ee.data.listOperations()) == 1


def test_slow_answers(start_with):
    start_with({"kind": "slow", "method": "value.compute", "seconds": 0.3, "calls": [2]})
    times = []
    for _ in range(2):
        start = time.monotonic()
        ee.Number(1).getInfo()
        times.append(time.monotonic() - start)
    assert times[0] < 0.3 <= times[1]


def test_window_of_the_clock(start_with):
    fault = {"kind": "internal", "method": "value.compute", "from": 0, "until": 3600}
    start_with(fault, options=("--speed", "7200"))  # the window is half a second wide
    with pytest.raises(ee.EEException, match="internal error"):
        ee.Number(1).getInfo()
    time.sleep(0.6)
    assert ee.Number(1).getInfo() == 1


@pytest.mark.parametrize("kind", ["asset_count", "asset_bytes"])
def test_exhausted_quota(start_with, kind):
    start_with(
        {"kind": kind, "method": "assets.create"}, {"kind": f"task_{kind}", "task": "EXPORT_IMAGE"}
    )
    with pytest.raises(ee.EEException, match="Asset quota exceeded"):
        ee.data.createFolder(f"{ROOT}/a")
    task = export("x")
    task.start()
    status = end(task)
    assert status["state"] == "FAILED"
    assert "Asset quota exceeded" in status["error_message"]


def test_stale_listings(start_with):
    listings = [
        {"kind": "stale", "method": method, "seconds": 3600}
        for method in ("operations.list", "projects.listAssets")
    ]
    start_with(*listings, options=("--speed", "3600"))
    assert ee.data.listOperations() == []
    assert ee.data.listAssets(ROOT) == {"assets": []}
    task = export("x")
    task.start()
    assert ee.data.listOperations() == []
    end(task)
    assert ee.data.listAssets(ROOT) == {"assets": []}
    time.sleep(1)
    assert len(ee.data.listOperations()) == 1
    assert len(ee.data.listAssets(ROOT)["assets"]) == 1


def test_task_that_fails_transiently_is_tried_again(start_with):
    start_with({"kind": "task_fails_transiently", "calls": [1, 2]})
    task = export("x")
    task.start()
    status = end(task)
    assert status["state"] == "COMPLETED"
    assert status["attempt"] == 3


def test_task_that_always_fails_transiently_is_given_up(start_with):
    start_with({"kind": "task_fails_transiently"})
    task = export("x")
    task.start()
    status = end(task)
    assert (status["state"], status["attempt"]) == ("FAILED", 5)
    assert status["error_message"] == "An internal error has occurred"


def test_task_that_fails_for_good(start_with):
    start_with({"kind": "task_fails", "message": "User memory limit exceeded."})
    task = export("x")
    task.start()
    status = end(task)
    assert (status["state"], status["attempt"]) == ("FAILED", 1)
    assert status["error_message"] == "User memory limit exceeded."


def test_task_that_vanishes_makes_its_asset(start_with):
    start_with({"kind": "task_vanishes", "task": "EXPORT_IMAGE"})
    task = export("x")
    task.start()
    deadline = time.monotonic() + 10
    while not ee.data.listAssets(ROOT)["assets"]:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert ee.data.listOperations() == []
    with pytest.raises(ee.EEException, match="not found"):
        ee.data.getOperation(task.name)


def test_a_seed_repeats_itself():
    def outcomes(seed):
        faults = Faults((Fault("internal", probability=0.5),), seed)
        return [len(faults.of_request("x")) for _ in range(50)]

    assert outcomes(1) == outcomes(1) != outcomes(2)
    assert 10 < sum(outcomes(1)) < 40


def test_tasks_fare_alike_in_any_order():
    def outcomes(names):
        faults = Faults((Fault("task_fails", probability=0.5),), seed=3)
        return {name: len(faults.of_task("EXPORT_IMAGE", name, 1)) for name in names}

    names = [f"mask_{i}" for i in range(50)]
    assert outcomes(names) == outcomes(reversed(names))
    assert 10 < sum(outcomes(names).values()) < 40


def test_yaml_is_read(tmp_path):
    path = tmp_path / "faults.yaml"
    path.write_text(
        "seed: 4\nfaults:\n- {kind: slow, method: assets.get, seconds: 2, from: 60, calls: [1]}\n"
    )
    faults = load(path, ["assets.get"])
    assert faults.seed == 4
    assert faults.faults == (Fault("slow", "assets.get", calls=(1,), start=60, seconds=2),)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("faults: [", "while parsing"),
        ("[]", "expected a mapping with 'faults'"),
        ("seed: x\nfaults: []", "'seed' must be a whole number"),
        ("faults: [3]", "fault 1: expected a mapping with a 'kind'"),
        ("faults: [{kind: x}]", "fault 1: unknown kind 'x'; known: rate_limit"),
        ("faults: [{kind: internal, metod: x}]", "unknown key 'metod'"),
        ("faults: [{kind: internal, method: x}]", "unknown method 'x'; known: *, assets.get"),
        ("faults: [{kind: internal, probability: 2}]", "'probability' must be at most 1"),
        ("faults: [{kind: internal, probability: often}]", "'probability' must be a number"),
        ("faults: [{kind: internal, calls: [0]}]", "'calls' must be a list"),
        ("faults: [{kind: slow}]", "'slow' needs 'seconds'"),
        ("faults: [{kind: task_fails, message: 3}]", "'message' must be text"),
    ],
)
def test_mistakes_in_the_file_are_explained(tmp_path, content, message):
    path = tmp_path / "faults.yaml"
    path.write_text(content)
    with pytest.raises(InvalidFaults) as error:
        load(path, ["assets.get"])
    assert message in str(error.value)
    assert str(path) in str(error.value)
