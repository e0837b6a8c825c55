"""`verdure first-run` on the emulator: its experiments work, and their answers are kept."""

import json
from datetime import UTC, datetime, timedelta

import ee
import pytest

from cli import first_run
from cli.doctor import Deployment, local_session
from emulator import client, launch
from shared.adapters.embedded import Database, SqliteLedger


@pytest.fixture
def scene(tmp_path):
    database = Database(tmp_path / "ledger.sqlite")
    with launch.running(tmp_path / "ee", []) as url, local_session() as session:
        client.connect(url)
        (tmp_path / "ee" / "buckets" / "my-bucket").mkdir(parents=True)
        deployment = Deployment(launch.PROJECT, "", {"earthengine": url}.get, session)
        yield first_run.Scene(deployment, SqliteLedger(database), "my-bucket", datetime.now(UTC))
        client.disconnect()
    database.close()


def test_the_answers_are_kept_and_nothing_is_left_behind(scene, monkeypatch):
    monkeypatch.setattr(first_run, "PAUSE", 0.05)
    monkeypatch.setattr(first_run, "EXPORTS", 3)
    answers = {x.name: x for x in first_run.ask(scene)}
    expected = {"request-ids", "concurrency", "expressions", "cog-backed"}
    assert set(answers) == expected, "no audit log is here"
    assert answers["expressions"].values["fine"]
    assert answers["request-ids"].values["same"]
    kept = {name: json.loads(value) for name, value in scene.ledger.settings().items()}
    assert kept["cog-backed"]["assets"] == answers["cog-backed"].values["assets"] == 1
    assert kept["concurrency"]["configured"] == answers["concurrency"].values["configured"] > 0
    assert ee.data.listAssets(f"projects/{launch.PROJECT}/assets")["assets"] == []

    later = first_run.Scene(scene.deployment, scene.ledger, None, scene.moment + timedelta(days=2))
    [again, *_] = first_run.ask(later)
    assert again.values["remembered_hours"] == pytest.approx(48, abs=0.01)
