"""One pipeline a test, on the embedded stack: real ee client, emulator without pixels."""

import json
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pytest

from cli import stacks
from cli.pipeline import application, push_body, read_pipeline
from emulator import launch
from emulator.scenes.synthetic import write_metadata_only
from shared import bootstrap
from shared.adapters.embedded import SqliteBus
from shared.config import Settings
from shared.domain.runs import Limits, RunConfiguration, register
from shared.messages import encode

PUSH = Path(__file__).parent / "push"
IMAGES = 12
WORLD = {
    "type": "Polygon",
    "coordinates": [[[-20, 30], [40, 30], [40, 70], [-20, 70], [-20, 30]]],
}


def configuration(**changes):
    values = {
        "name": "demo",
        "region": WORLD,
        "start": date(2018, 3, 1),
        "end": date(2018, 11, 1),
        "destination": "projects/demo-project/assets/verdure/masks",
    }
    return RunConfiguration(**{**values, **changes})


@pytest.fixture(scope="session")
def scenes(tmp_path_factory):
    return write_metadata_only(tmp_path_factory.mktemp("region"), IMAGES)


class Pipeline(stacks.EmbeddedStack):
    """An embedded stack whose messages are taken out and pushed by hand."""

    def start(self, **changes):
        run = register(configuration(**changes))
        self.services.ledger.add_run(run)
        return run

    def taken(self):
        """Take all messages that wait off the bus."""
        assert isinstance(self.services.bus, SqliteBus)
        waiting = self.services.bus.due(float("inf"), 10_000)
        for delivery in waiting:
            self.services.bus.acknowledge(delivery)
        return waiting

    def post(self, function, message, message_id="1"):
        """Push a message and return the HTTP status."""
        data = message if isinstance(message, bytes) else encode(message)
        return post(function, push_body(data, message_id, "2026-11-22T09:05:40.170Z", "s"))

    def statistics(self):
        return stacks.run_statistics(self.earth_engine_url)

    def exports(self, run="demo"):
        return self.services.ledger.exports(run)

    def tasks(self):
        """All tasks of Earth Engine that carry an export id, newest first."""
        return [task for page in self.services.earth_engine.tasks() for task in page]

    def wait_for_tasks(self):
        """Wait until Earth Engine has run every task."""
        while any(task.ended is None for task in self.tasks()):
            pass


def post(function, body):
    client = application(read_pipeline()[function]).test_client()
    data = body if isinstance(body, bytes) else json.dumps(body)
    return client.post("/", data=data, content_type="application/json").status_code


@pytest.fixture
def start_pipeline(tmp_path, scenes, publish_models):
    """A function that gives a running pipeline, with options for the emulator."""

    @contextmanager
    def start(*options, project=launch.PROJECT):
        data = tmp_path / "earth-engine"
        if not data.exists():
            publish_models(data)
        with launch.running(data, [scenes], "--metadata-only", *options) as url:
            running = Pipeline(Settings("embedded", project, tmp_path, url))
            yield running
        bootstrap.use(None)
        running.close()

    return start


@pytest.fixture
def pipeline(start_pipeline):
    with start_pipeline() as running:
        yield running


def few(tasks):
    """A run with a ceiling of so many tasks."""
    return {"limits": Limits(queued_tasks=tasks)}
