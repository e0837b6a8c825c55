"""Runs of whole pipelines: undisturbed, killed, and with what can be wrong."""

import json
import os
import random
import sqlite3
import subprocess
import time
from collections import Counter

import pytest

from cli import google_emulators

from .conftest import FEW_IMAGES, IMAGES, ROOT, command, verdure


def operations(out):
    """The emulator's own log of exports of images: description and state of every task."""
    with sqlite3.connect(out / "earth-engine" / "emulator.sqlite") as connection:
        rows = connection.execute(
            "SELECT description, state FROM tasks WHERE type = 'EXPORT_IMAGE'"
        ).fetchall()
    connection.close()
    return rows


def ledger(out):
    """State and export id of every image, straight from the ledger's file."""
    with sqlite3.connect(out / "verdure.sqlite", timeout=30) as connection:
        rows = connection.execute("SELECT export_id, state FROM exports").fetchall()
    connection.close()
    return rows


def check_complete(ended, out, images):
    """Nothing is lost, nothing was exported twice."""
    assert ended.code == 0, ended.err
    assert ended.summary["succeeded"] == ended.summary["images_found"] == images
    assert Counter(state for _, state in ledger(out)) == {"SUCCEEDED": images}
    tasks = operations(out)
    assert Counter(state for _, state in tasks) == {"SUCCEEDED": images}
    assert len({description for description, _ in tasks}) == images
    assert len(list((out / "masks").glob("*.tif"))) == images


def test_a_run_goes_to_the_end_and_says_what_it_cost(tmp_path, scenes, write_run):
    ended = verdure("run", write_run(), "--scenes", scenes, "--out", tmp_path / "out", "--json")
    check_complete(ended, tmp_path / "out", IMAGES)
    assert ended.summary["ee_requests_per_image"] <= 1.5
    assert ended.summary["ledger_writes_per_image"] <= 4
    assert ended.summary["exports_started"] == IMAGES
    again = verdure("run", write_run(), "--scenes", scenes, "--out", tmp_path / "out", "--json")
    check_complete(again, tmp_path / "out", IMAGES)
    shown = verdure("status", "--out", tmp_path / "out", "--json")
    assert json.loads(shown.out)[0]["states"] == {"SUCCEEDED": IMAGES}


def states(out):
    try:
        return Counter(state for _, state in ledger(out))
    except sqlite3.OperationalError:  # no file, or no table in it, yet
        return Counter()


MOMENTS = {
    "images are being recorded": lambda out: (out / "verdure.sqlite").exists(),
    "the first export is starting": lambda out: states(out)["FOUND"] > 0,
    "half of the exports are started": lambda out: states(out)["STARTED"] >= FEW_IMAGES // 2,
    "the first masks are recorded": lambda out: states(out)["SUCCEEDED"] > 0,
    "outputs are being written": lambda out: len(list(out.glob("masks/*.tif"))) > 2,
}


def killed(arguments, moment):
    """Start a command and kill it when a moment has come, with nothing tidied up."""
    process = subprocess.Popen(
        command(*arguments),
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while not moment() and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.002)
    was_running = process.poll() is None
    process.kill()  # SIGKILL
    process.wait()
    return was_running


@pytest.mark.parametrize("name", MOMENTS)
def test_killed_and_started_again_it_goes_on_where_it_was(out, few_scenes, write_run, name):
    arguments = ("run", write_run(), "--scenes", few_scenes, "--out", out, "--json")
    assert killed(arguments, lambda: MOMENTS[name](out)), "it ended before it could be killed"
    check_complete(verdure(*arguments), out, FEW_IMAGES)


@pytest.mark.soak
def test_killed_again_and_again(tmp_path, scenes, write_run):
    out = tmp_path / "out"
    arguments = ("run", write_run(), "--scenes", scenes, "--out", out, "--json")
    moments = random.Random(0)
    for _ in range(20):
        end = time.monotonic() + moments.uniform(0.5, 4)
        killed(arguments, lambda end=end: time.monotonic() > end)
    check_complete(verdure(*arguments), out, IMAGES)


def test_on_googles_emulators_it_is_the_same(out, few_scenes, write_run):
    if lack := google_emulators.missing():
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(lack)
    arguments = ("run", write_run(), "--scenes", few_scenes, "--out", out)
    ended = verdure(*arguments, "--stack", "emulators", "--json")
    assert ended.code == 0, ended.err
    assert ended.summary["succeeded"] == FEW_IMAGES
    tasks = operations(out)
    assert Counter(state for _, state in tasks) == {"SUCCEEDED": FEW_IMAGES}
    assert len(list((out / "masks").glob("*.tif"))) == FEW_IMAGES


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"region": "nowhere.geojson"}, 2, ["region", "nowhere.geojson"]),
        ({"end": "2018-01-01"}, 2, ["end is 2018-01-01", "start"]),
        ({"limts": {"queued_tasks": 3}}, 2, ["unknown key limts", "did you mean limits?"]),
        ({"mask": {"inputs": ["fmask"]}}, 2, ["mask.inputs is ['fmask']"]),
        ({"collection": "COPERNICUS/S3"}, 1, ["COPERNICUS/S3", "not found"]),
        ({"destination": "projects/other-project/assets/x"}, 1, ["other-project"]),
        ({"start": "2012-01-01", "end": "2012-02-01"}, 1, ["no image", "widen the period"]),
    ],
)
def test_wrong_input_is_told_without_a_traceback(out, few_scenes, write_run, changes, code, words):
    path = write_run(**changes)
    ended = verdure("run", path, "--scenes", few_scenes, "--out", out)
    assert ended.code == code, ended.err
    assert all(word in ended.err for word in words), ended.err
    assert "Traceback" not in ended.err


def test_scenes_must_be_given_on_a_local_stack(write_run):
    ended = verdure("run", write_run())
    assert ended.code == 2
    assert "--scenes" in ended.err


def test_the_cloud_without_credentials_says_what_to_do(tmp_path, write_run):
    ended = verdure(
        "run",
        write_run(),
        "--stack",
        "cloud",
        "--out",
        tmp_path / "out",
        GOOGLE_CLOUD_PROJECT="demo-project",
        HOME=str(tmp_path),
        CLOUDSDK_CONFIG=str(tmp_path),
        NO_GCE_CHECK="true",
    )
    assert ended.code == 1
    assert "gcloud auth application-default login" in ended.err
    assert "Traceback" not in ended.err


def test_the_cloud_without_a_project_says_what_to_do(tmp_path, write_run):
    ended = verdure(
        "run", write_run(), "--stack", "cloud", GOOGLE_CLOUD_PROJECT="", VERDURE_PROJECT=""
    )
    assert ended.code == 2
    assert "VERDURE_PROJECT" in ended.err
