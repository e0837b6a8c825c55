"""What `verdure status` and summaries say of masks that wait to be made again."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from typer.testing import CliRunner

from cli.main import app
from cli.summary import summarize
from shared.adapters.embedded import Database, SqliteLedger
from shared.domain.exports import Export, State
from shared.domain.runs import RunConfiguration, register

RUN = register(
    RunConfiguration(
        name="demo",
        region={"type": "Polygon", "coordinates": []},
        start=date(2018, 3, 1),
        end=date(2018, 11, 1),
        destination="projects/demo-project/assets/masks",
    )
)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
OLD = Export(
    export_id="mask-1",
    run="demo",
    run_id=RUN.run_id,
    image_id="image-1",
    acquisition="a",
    sensed_at=NOW,
    platform="Sentinel-2A",
    tile="31UDT",
    footprint="{}",
    grid=("EPSG:32631", 20),
    queued_at=NOW,
    state=State.SUPERSEDED,
)
RECORDS = [
    OLD,
    replace(OLD, export_id="mask-2", state=State.FOUND, replaces="mask-1"),
    replace(OLD, export_id="mask-3", image_id="image-2", state=State.SUCCEEDED),
]


@pytest.fixture
def out(tmp_path):
    database = Database(tmp_path / "verdure.sqlite")
    ledger = SqliteLedger(database)
    ledger.add_run(RUN)
    ledger.add(RECORDS)
    database.close()
    return tmp_path


def test_status_counts_stale_masks(out):
    shown = CliRunner().invoke(app, ["status", "--out", str(out), "--json"])
    [run] = json.loads(shown.stdout)
    assert run["stale"] == 1
    assert run["states"] == {"FOUND": 1, "SUCCEEDED": 1, "SUPERSEDED": 1}


def test_a_summary_counts_each_image_once():
    summary = summarize("demo", RECORDS, 1.0)
    assert (summary.images_found, summary.succeeded) == (2, 1)
