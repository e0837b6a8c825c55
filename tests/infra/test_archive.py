"""The archive that is deployed: its bytes, and every function run from it alone."""

import compileall
import hashlib
import re
import subprocess
import sys
import time
import venv
import zipfile
from datetime import date

import pytest

import main
from cli import function_archive
from cli.pipeline import push_body, read_pipeline
from emulator import launch
from emulator.scenes.synthetic import write_metadata_only
from shared.adapters.embedded import Database, SqliteBus, SqliteLedger
from shared.domain.archive import ArchivePolicy
from shared.domain.runs import RunConfiguration, register
from shared.messages import QuotaReached, RestoreRequested, encode

from .conftest import ROOT
from .processes import FunctionProcess

IMAGES = 3
WORLD = {
    "type": "Polygon",
    "coordinates": [[[-20, 30], [40, 30], [40, 70], [-20, 70], [-20, 30]]],
}
POISON = push_body(b'{"version": 99}', "1", "2026-11-22T09:05:40.170Z", "s")
PINNED = re.compile(r"^([A-Za-z0-9_.-]+)==(\S+)", re.MULTILINE)


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return function_archive.build(tmp_path_factory.mktemp("archive") / "functions.zip")


@pytest.fixture
def extracted(archive, tmp_path):
    with zipfile.ZipFile(archive) as content:
        content.extractall(tmp_path / "source")
    compileall.compile_dir(tmp_path / "source", quiet=1)  # as Cloud Functions' build does
    return tmp_path / "source"


def test_the_same_sources_are_the_same_bytes(archive, tmp_path):
    again = function_archive.build(tmp_path / "again.zip")
    assert again.read_bytes() == archive.read_bytes()
    assert archive.stat().st_size <= 2_000_000


def test_a_copy_of_the_repository_elsewhere_gives_the_same_bytes(archive, tmp_path):
    for name, path in function_archive.sources().items():
        copy = tmp_path / "elsewhere" / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
        assert name in zipfile.ZipFile(archive).namelist()
    (tmp_path / "elsewhere/shared/__pycache__").mkdir()
    (tmp_path / "elsewhere/shared/__pycache__/x.pyc").write_bytes(b"compiled")
    again = function_archive.build(tmp_path / "again.zip", tmp_path / "elsewhere")
    assert again.read_bytes() == archive.read_bytes()


def test_one_changed_byte_is_another_archive(archive, tmp_path):
    for path in function_archive.sources().values():
        copy = tmp_path / "elsewhere" / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    with (tmp_path / "elsewhere/main.py").open("a") as file:
        file.write("\n")
    again = function_archive.build(tmp_path / "again.zip", tmp_path / "elsewhere")
    digests = {hashlib.sha256(x.read_bytes()).hexdigest() for x in (again, archive)}
    assert len(digests) == 2


def test_nothing_else_is_in_it(archive):
    names = zipfile.ZipFile(archive).namelist()
    assert {x.split("/")[0] for x in names} == {
        "main.py",
        "requirements.txt",
        "functions",
        "shared",
    }
    tracked = subprocess.run(
        ["git", "ls-files", "functions", "shared", "main.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    if tracked:  # a source archive has no list
        assert set(tracked) <= {*names}


def test_an_archive_above_the_limit_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(function_archive, "LARGEST", 1000)
    with pytest.raises(function_archive.ArchiveTooLarge, match="expected at most 1,000"):
        function_archive.build(tmp_path / "functions.zip")


def test_every_deployed_dependency_is_pinned_and_hashed():
    wanted, tested, locked = map(pins, ("requirements.txt", "constraints.txt", "requirements.lock"))
    assert wanted.items() <= locked.items(), "run `make lock`"
    assert locked.items() <= tested.items(), "what is deployed is not what is tested"
    entries = re.split(r"\n(?=\S)", (ROOT / "requirements.lock").read_text().strip())
    assert all("--hash=sha256:" in x for x in entries if not x.startswith("#"))


def pins(file):
    """Return the versions that a file pins, by the packages' normal names."""
    found = PINNED.findall((ROOT / file).read_text())
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in found}


def clean_python(requirements, home):
    """Return the Python of a new environment with the archive's requirements and nothing else."""
    venv.create(home, with_pip=True)
    subprocess.run(
        [home / "bin/pip", "install", "--quiet", "--require-hashes", "-r", requirements], check=True
    )
    return home / "bin/python"


def drive(source, python, folder, publish_models):
    """Take images from the schedule to the ledger through every function of an archive."""
    publish_models(folder / "earth-engine")
    scenes = write_metadata_only(folder / "scenes", IMAGES)
    with launch.running(folder / "earth-engine", [scenes], "--metadata-only") as url:
        settings = {"VERDURE_STACK": "embedded", "VERDURE_PROJECT": launch.PROJECT}
        settings |= {"VERDURE_DATA": str(folder), "EARTH_ENGINE_URL": url}
        processes = {
            name: FunctionProcess(name, source, settings, folder / f"{name}.log", python).start()
            for name in main.__all__
        }
        try:
            for process in processes.values():
                process.ready()
            _refuse_poison(processes)
            return _flow(processes, folder)
        finally:
            for process in processes.values():
                process.kill()


def _refuse_poison(processes):
    for name, function in read_pipeline().items():
        if function.topic:
            status, text = processes[name].post(POISON)
            assert (status, "version 99 is newer" in text) == (400, True), f"{name}: {text}"


def _flow(processes, folder):
    database = Database(folder / "verdure.sqlite")
    ledger, bus = SqliteLedger(database), SqliteBus(database)
    run = register(
        RunConfiguration(
            name="archive",
            region=WORLD,
            start=date(2018, 3, 1),
            end=date(2018, 11, 1),
            destination=f"projects/{launch.PROJECT}/assets/verdure/masks",
            archive=ArchivePolicy("archive"),
        )
    )
    ledger.add_run(run)
    takers = {x.topic: x.name for x in read_pipeline().values() if x.topic}
    assert processes["find_images"].post()[0] == 200
    deadline = time.monotonic() + 120
    while ledger.count_by_state("archive") != {"SUCCEEDED": IMAGES}:
        assert time.monotonic() < deadline, ledger.count_by_state("archive")
        for delivery in bus.due(time.time(), 100):
            captured = push_body(delivery.data, delivery.message_id, delivery.published_at, "s")
            assert processes[takers[delivery.topic]].post(captured) == (200, "OK")
            bus.acknowledge(delivery)
        assert processes["watch_exports"].post()[0] == 200
    assert processes["watch_assets"].post()[0] == 200
    for message in (QuotaReached(run.run_id), RestoreRequested(run.run_id)):
        captured = push_body(encode(message), "1", "2026-11-22T09:05:40.170Z", "s")
        assert processes[takers[message.topic]].post(captured) == (200, "OK")
    database.close()
    return True


def test_every_function_runs_from_the_archive_alone(extracted, tmp_path, publish_models):
    assert drive(extracted, sys.executable, tmp_path, publish_models)


def test_the_code_that_answers_is_the_archives(extracted, tmp_path):
    """Without this, an installed copy of our packages could answer in its place."""
    (extracted / "shared/messages.py").write_text("raise ImportError('the copy in the archive')")
    log = tmp_path / "broken.log"
    broken = FunctionProcess("mask_image", extracted, {}, log).start()
    with pytest.raises(AssertionError, match="the copy in the archive"):
        broken.ready()
    broken.kill()


@pytest.mark.soak
def test_every_function_runs_with_the_locked_requirements_alone(
    extracted, tmp_path, publish_models
):
    python = clean_python(extracted / "requirements.txt", tmp_path / "clean")
    listed = subprocess.run([python, "-m", "pip", "check"], capture_output=True, text=True)
    assert listed.returncode == 0, listed.stdout
    # What only the cloud stack imports.
    names = [f"shared.adapters.{x.stem}" for x in (extracted / "shared/adapters").glob("[a-z]*.py")]
    subprocess.run([python, "-c", f"import {', '.join(names)}"], cwd=extracted, check=True)
    assert drive(extracted, python, tmp_path, publish_models)
