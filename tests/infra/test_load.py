"""The deployed shape under load and failures: a process a function, Pub/Sub's push, Firestore.

One function after another is killed and started again throughout, and a poison message is among
the good ones. All images must be recorded, none twice, and the poison come back once its cause
is mended.
"""

import json
import threading
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from datetime import date

import pytest
import requests
from google.cloud import firestore
from typer.testing import CliRunner

import main
from cli import google_emulators
from cli.google_emulators import Pushes
from cli.main import app
from cli.pipeline import read_pipeline
from emulator import launch
from emulator.scenes.synthetic import write_metadata_only
from shared import bootstrap
from shared.adapters import pubsub
from shared.adapters.records import to_json
from shared.config import Settings
from shared.domain import archive
from shared.domain.archive import ArchivePolicy
from shared.domain.exports import State
from shared.domain.runs import (
    SEASON,
    Limits,
    MaskParameters,
    ProductParameters,
    RunConfiguration,
    register,
)
from shared.messages import ImageFound, encode

from .conftest import ROOT
from .processes import FunctionProcess

WORLD = {
    "type": "Polygon",
    "coordinates": [[[-20, 30], [40, 30], [40, 70], [-20, 70], [-20, 30]]],
}

#: An address that nothing listens at.
NOBODY = "http://127.0.0.1:9/"
BUCKET = "load-archive"

#: Where no image is: what a run there has was not found by it.
NOWHERE = {
    "type": "Polygon",
    "coordinates": [[[-140, 0], [-139, 0], [-139, 1], [-140, 1], [-140, 0]]],
}


@dataclass(frozen=True)
class Load:
    """What is run how hard; times are in seconds.

    With `quota` the project may have so many assets, fewer than there will be: masks are archived.
    """

    functions: tuple[str, ...]
    images: int
    slots: int
    kill_every: float
    schedule: Mapping[str, float]
    retry_seconds: tuple[int, int]
    ack_seconds: int
    patience: float
    quota: int | None = None

    @property
    def configuration(self):
        """The run: with a quota also an archive, and a map of each tile."""
        if self.quota is None:
            return configuration("load", WORLD, self.slots)
        return configuration(
            *("load", WORLD, self.slots),
            mask=MaskParameters(scale=1000),
            archive=ArchivePolicy(BUCKET, undo_hours=0, per_call=50),
            products=ProductParameters(maps=(SEASON,), scale=1000),
        )


#: The functions that a mask passes through, with times such that the test is short: five
#: deliveries within 9 s are longer than a start, on a machine with other work too.
FEW = Load(
    ("find_images", "mask_image", "watch_exports", "record_export"),
    images=4,
    slots=4,
    kill_every=2,
    schedule={"find_images": 60, "watch_exports": 1},
    retry_seconds=(1, 3),
    ack_seconds=30,
    patience=120,
)
#: All functions, each with work to do. Five deliveries within 30 s, not 150: the poison is to be
#: given up within the test.
MANY = Load(
    tuple(main.__all__),
    images=2000,
    slots=150,
    kill_every=10,
    schedule={"find_images": 60, "watch_exports": 12, "watch_assets": 20},
    retry_seconds=(2, 20),
    ack_seconds=60,
    patience=3600,
    quota=1500,
)


def configuration(name, region, slots, **changes):
    return RunConfiguration(
        name=name,
        region=region,
        start=date(2018, 3, 1),
        end=date(2018, 11, 1),
        destination=f"projects/{launch.PROJECT}/assets/{name}",
        limits=Limits(queued_tasks=slots),
        **changes,
    )


class Deployment:
    """Everything that a deployment runs, on this machine."""

    def __init__(self, folder, url, load):
        self.schedule = load.schedule
        self.settings = Settings("emulators", launch.PROJECT, None, url)
        self.services = bootstrap.build(self.settings)
        self.database = firestore.Client(launch.PROJECT)
        taking = [x for x in read_pipeline().values() if x.topic]
        functions = tuple(replace(x, retry_seconds=load.retry_seconds) for x in taking)
        self.pushes = Pushes(launch.PROJECT, functions, load.ack_seconds)
        self.environment = {"VERDURE_STACK": "emulators", "VERDURE_PROJECT": launch.PROJECT}
        self.environment["EARTH_ENGINE_URL"] = url
        self.processes = {
            name: FunctionProcess(name, ROOT, self.environment, folder / f"{name}.log").start()
            for name in load.functions
        }
        for function in self.pushes.functions:
            process = self.processes.get(function.name)
            self.pushes.subscribe(function, process.url if process else NOBODY)

    def tick(self, function):
        """Do what Cloud Scheduler does, which minds no failure: there is a next time."""
        try:
            return self.processes[function].post()[0]
        except requests.RequestException:
            return None

    def redrive(self):
        """Send dead letters again, as a person does; return what the command says."""
        done = CliRunner().invoke(
            app, ["redrive", "--stack", "emulators"], env=self.environment, catch_exceptions=False
        )
        assert done.exit_code == 0, done.output
        return done.output

    def counts(self, run="load"):
        return self.services.ledger.count_by_state(run)


@contextmanager
def deployed(folder, load, run):
    scenes = write_metadata_only(folder / "scenes", load.images)
    options = ["--metadata-only", "--concurrency", "2"]
    if load.quota is not None:
        (folder / "earth-engine" / "buckets" / BUCKET).mkdir(parents=True)
        options += ["--max-assets", str(load.quota)]
    with ExitStack() as exits:
        url = exits.enter_context(launch.running(folder / "earth-engine", [scenes], *options))
        deployment = Deployment(folder, url, load)
        exits.enter_context(closing(deployment.services))
        for process in deployment.processes.values():
            exits.callback(process.kill)
        deployment.services.ledger.add_run(run)  # Firestore is warm when the functions are there
        for process in deployment.processes.values():
            process.ready()
        yield deployment


@contextmanager
def killing(processes, period):
    """Kill one process after another, and start it again at once; yield how often each was.

    A process is not killed again before it was up: a function that never is proves nothing.
    """
    killed, over = Counter(), threading.Event()

    def kill():
        while True:
            for name, process in processes.items():
                if over.wait(period):
                    return
                process.kill()
                process.start().ready()
                killed[name] += 1

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield killed
    finally:
        over.set()
        thread.join()


def until(condition, deployment, seconds):
    """Play the scheduler until a condition holds.

    A tick offers anew what is not claimed yet: too many of them, and messages that have
    nothing to do stand before those that have.
    """
    deadline, due = time.monotonic() + seconds, dict.fromkeys(deployment.schedule, 0.0)
    while not condition():
        assert time.monotonic() < deadline, deployment.counts()
        for function, period in deployment.schedule.items():
            if time.monotonic() >= due[function]:
                due[function] = time.monotonic() + period
                deployment.tick(function)
        time.sleep(0.1)


def poison(deployment):
    """Record an image of a run whose document is damaged, and publish its message."""
    broken = register(configuration("poisoned", NOWHERE, 1))
    document = deployment.database.collection("runs").document(broken.run_id)
    document.set({"name": broken.name, "state": "SUPERSEDED", "body": "{damaged"})
    record = replace(
        deployment.services.ledger.exports("load")[0],
        export_id="mask-" + "0" * 40,
        run=broken.name,
        run_id=broken.run_id,
        state=State.FOUND,
        attempt=1,
    )
    deployment.services.ledger.add([record])
    message = ImageFound(record.run_id, record.export_id, record.image_id, 1)
    deployment.services.bus.publish([message])

    def mend():
        document.update({"state": "ACTIVE", "body": to_json(broken)})
        deployment.services.earth_engine.create_collection(broken.configuration.destination)

    return encode(message), mend


def prove(folder, load):
    """Run it all; return what was counted."""
    run = register(load.configuration)
    with deployed(folder, load, run) as deployment:
        begin = time.monotonic()
        until(deployment.counts, deployment, 300)
        bad, mend = poison(deployment)
        with killing(deployment.processes, load.kill_every) as killed:
            until(lambda: _is_done(deployment, run, load), deployment, load.patience)
            took = time.monotonic() - begin
            until(lambda: _buried(deployment, bad), deployment, load.patience)
            mend()
            assert "1 dead letters sent again" in deployment.redrive()
            mended = {"SUCCEEDED": 1}
            until(lambda: deployment.counts("poisoned") == mended, deployment, load.patience)
        assert _is_done(deployment, run, load)
        assert deployment.pushes.dead_letters() == []
        facts = {"seconds": round(took), "images": load.images, "killed": dict(killed)}
        return facts | _counted(deployment, run, load)


def _is_done(deployment, run, load):
    """Tell whether all masks and maps are recorded, and nothing is on its way to the archive."""
    if deployment.counts() != {"SUCCEEDED": load.images}:
        return False
    if load.quota is None:
        return True
    maps = set(deployment.counts(run.products_queue))
    assert "FAILED" not in maps
    leaving = set(deployment.services.assets.count_by_state(run.name)) - {"ARCHIVED", "LIVE"}
    return maps == {"SUCCEEDED"} and not leaving


def _counted(deployment, run, load):
    """Hold the ledger against what Earth Engine has and did; return the counts."""
    services = deployment.services
    queues = (*run.queues, "poisoned")
    records = [x for queue in queues for x in services.ledger.exports(queue)]
    left = services.assets.of_run(run.name)
    statistics = launch.statistics(deployment.settings.earth_engine_url)
    tiles = {x.tile for x in records} if load.quota else ()
    assert len(records) == len({x.export_id for x in records}) == load.images + 1 + len(tiles)
    assert len({x.operation for x in records}) == len(records)
    started = statistics["tasks_by_type"]["EXPORT_IMAGE"]
    assert started == len(records) + len(left), "an image was exported twice, or not at all"
    there = {x["name"] for x in services.earth_assets.describe(run.configuration.destination)}
    gone = {x.asset_id for x in left}
    assert {x.state for x in left} <= {archive.State.ARCHIVED}
    assert not there & gone
    assert there | gone == {run.place_of(x) for x in records if x.run == run.name}
    most = statistics["most_assets"]
    return {"maps": len(tiles), "archived": len(left), "most_assets": most, "tasks": started}


def _buried(deployment, data):
    letters = deployment.pushes.dead_letters()
    assert {x[1] for x in letters} <= {data}, "only the poison is given up"
    return bool(letters)


@pytest.fixture
def folder(tmp_path, firestore_and_pubsub, publish_models):
    """Where a deployment keeps its files: the models are published."""
    publish_models(tmp_path / "earth-engine")
    return tmp_path


def test_a_few_images_with_kills_and_a_poison_message(folder, monkeypatch):
    for module in (google_emulators, pubsub):
        monkeypatch.setattr(module, "PATIENCE", 1.0)
    counted = prove(folder, FEW)
    assert sum(counted["killed"].values()) >= 2


@pytest.mark.soak
def test_two_thousand_images_with_a_kill_every_ten_seconds(folder):
    counted = prove(folder, MANY)
    assert set(counted["killed"]) == set(main.__all__)
    assert counted["archived"] >= MANY.images - MANY.quota
    assert counted["most_assets"] <= MANY.quota
    out = ROOT / "out" / "load.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(counted))
