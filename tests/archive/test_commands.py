"""`verdure archive`, `verdure restore` and `verdure ls`, as a user calls them."""

import json
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

import ee
import pytest
from typer.testing import CliRunner

from cli import stacks
from cli.main import app
from shared.adapters.earth_engine_assets import EarthEngineAssets
from shared.adapters.embedded import Database, SqliteLedger
from shared.adapters.embedded_assets import SqliteAssets
from shared.errors import Unavailable

from .conftest import MASKS, ROOT

FIRST, SECOND, THIRD = (f"2018030{day}T100541_T33TVL" for day in (1, 2, 3))


@pytest.fixture
def archive(start_archive, monkeypatch):
    """A run with three masks and an archive, whose stack is running already."""
    with start_archive() as archive:
        archive.register()
        archive.masks(3)

        @contextmanager
        def running(*_):
            yield archive

        monkeypatch.setattr(stacks, "start", running)
        monkeypatch.setattr("cli.archive.PAUSE", 0.05)
        yield archive


@pytest.fixture
def out(archive, tmp_path):
    """The run's folder."""
    return tmp_path


def verdure(out, *arguments):
    return CliRunner().invoke(app, [*arguments, "--out", str(out)])


def listed(out, *arguments):
    shown = verdure(out, "ls", "--json", *arguments)
    assert shown.exit_code == 0, shown.output
    return {x["image_id"]: x for x in json.loads(shown.stdout)}


def content(out):
    """Everything on the record of assets."""
    database = Database(out / "verdure.sqlite")
    records = SqliteAssets(database).of_run("demo")
    database.close()
    return records


def test_out_and_back_by_name(out, tmp_path):
    shown = verdure(out, "archive", "plan")
    assert "would leave now: 0 assets" in shown.output
    done = verdure(out, "archive", "run", FIRST, SECOND)
    assert done.exit_code == 0, done.output
    entries = listed(out)
    states = {FIRST: "ARCHIVED", SECOND: "ARCHIVED", THIRD: "LIVE"}
    assert {x: y["state"] for x, y in entries.items()} == states
    assert entries[THIRD]["places"] == [f"{MASKS}/{THIRD}"]
    assert entries[FIRST]["places"][0].startswith("gs://demo-archive/verdure/masks/")
    assert set(listed(out, "--period", "2018-03-01/2018-03-02")) == {FIRST}
    assert set(listed(out, "--region", "100,0,101,1")) == set()
    sidecar = tmp_path / "original.json"
    listed(out, "--original", str(sidecar))
    written = json.loads(sidecar.read_text())
    assert set(written) == {f"{MASKS}/{x}" for x in states}
    moment = datetime(2018, 3, 1, 10, 5, 41, 24_000, UTC)
    assert written[f"{MASKS}/{FIRST}"]["system:time_start"] == round(1000 * moment.timestamp())
    assert "2 copies checked, 0 with a problem" in verdure(out, "archive", "verify").output
    back = verdure(out, "restore", FIRST)
    assert back.exit_code == 0, back.output
    assert listed(out)[FIRST]["state"] == "LIVE"

    # Bad input: clear messages, nothing changed.
    before = content(out)
    for arguments, words in [
        (["restore", FIRST], f"{FIRST} is LIVE: nothing to restore"),
        (["restore", THIRD], f"{THIRD} is LIVE: nothing to restore"),
        (["restore", "20990101"], "the archive of run demo knows no 20990101"),
        (["restore"], "name what to restore"),
        (["restore", SECOND, "--way", "fax"], "--way is 'fax', expected one of ingest, cog"),
        (["restore", SECOND, "--period", "then"], "--period is 'then', expected two dates"),
        (["restore", SECOND, "--region", "1,2"], "--region is '1,2'"),
        (
            ["archive", "import", str(foreign_item(tmp_path))],
            "the STAC item 'x' is none of Verdure's archive",
        ),
        (["archive", "import", str(nowhere(tmp_path))], "Earth Engine has no such asset"),
        (["archive", "plan", "--run", "other"], "runs with an archive: demo"),
    ]:
        refused = verdure(out, *arguments)
        assert refused.exit_code == 2, refused.output
        assert words in " ".join(refused.output.split())
    assert content(out) == before


class Silent(EarthEngineAssets):
    """An Earth Engine that starts no copy."""

    def start_copy(self, *_):
        raise Unavailable("Earth Engine did not answer: 503")


class Gone(Silent):
    """An Earth Engine that does not say what there is either."""

    def describe(self, collection):
        raise Unavailable("Earth Engine did not answer: 502")


def test_a_function_that_fails_each_time_ends_the_command_with_the_reason(
    archive, out, monkeypatch
):
    monkeypatch.setattr(stacks, "_backoff", lambda *_: 0.0)
    monkeypatch.setattr("cli.archive.FAILING", 0.2)
    sound = archive.services.earth_assets
    archive.use(earth_assets=Silent(archive.services.earth_engine))
    failed = verdure(out, "archive", "run", FIRST)
    assert failed.exit_code == 1
    words = " ".join(failed.output.split())
    assert f"{FIRST} stays CHOSEN: Earth Engine did not answer: 503; mend that" in words
    archive.use(earth_assets=sound)
    assert verdure(out, "archive", "run").exit_code == 0
    assert listed(out)[FIRST]["state"] == "ARCHIVED"
    archive.use(earth_assets=Gone(archive.services.earth_engine))
    for _ in range(2):  # the letters of the first time do not count the second time
        failed = verdure(out, "restore", FIRST)
        assert failed.exit_code == 1
        words = " ".join(failed.output.split())
        assert "a message of restore-requested failed with each delivery: mend" in words
        assert words.endswith("then give the command again")
    archive.use(earth_assets=sound)
    assert verdure(out, "restore", FIRST).exit_code == 0
    assert listed(out)[FIRST]["state"] == "LIVE"


def test_a_ledger_that_was_lost_is_made_anew_from_the_sidecars(out, start_archive, tmp_path):
    assert verdure(out, "archive", "run", FIRST).exit_code == 0
    [record] = content(out)
    sidecar = tmp_path / "sidecar.json"
    sidecar.write_text(record.item)
    again = verdure(out, "archive", "import", str(sidecar))
    assert "0 assets on record, 1 were" in again.output
    forget(out)
    assert content(out) == []
    found = verdure(out, "archive", "import", record.files[-1].uri)
    assert "1 assets on record" in found.output, found.output
    [anew] = content(out)
    assert anew == replace(record, changed_at=None, attempt=1)
    assert verdure(out, "restore", FIRST).exit_code == 0
    assert listed(out)[FIRST]["state"] == "LIVE"
    # Now the asset is there, and the copy is not what has to be taken on record.
    forget(out)
    refused = verdure(out, "archive", "import", str(sidecar))
    assert refused.exit_code == 2
    assert "is in Earth Engine: import its folder" in " ".join(refused.output.split())


def forget(out):
    database = Database(out / "verdure.sqlite")
    with database.transaction() as connection:
        connection.execute("DELETE FROM assets")
    database.close()


def test_two_folders_with_the_same_ids_are_told_apart(out):
    ee.data.createAsset({"type": "IMAGE_COLLECTION"}, f"{ROOT}/others")
    try:
        ee.data.copyAsset(f"{MASKS}/{FIRST}", f"{ROOT}/others/{FIRST}")
        assert verdure(out, "archive", "run", FIRST).exit_code == 0
        before = content(out)
        refused = verdure(out, "archive", "import", f"{ROOT}/others")
        assert refused.exit_code == 2
        words = " ".join(refused.output.split())
        assert f"image id {FIRST} is in several folders" in words
        assert f"{ROOT}/others/{FIRST}" in words
        assert content(out) == before
    finally:
        ee.data.deleteAsset(f"{ROOT}/others/{FIRST}")
        ee.data.deleteAsset(f"{ROOT}/others")


def foreign_item(folder):
    path = folder / "item.json"
    path.write_text(json.dumps({"type": "Feature", "id": "x", "properties": {}}))
    return path


def nowhere(folder):
    path = folder / "nowhere.json"
    path.write_text(json.dumps({f"{MASKS}/no": {"geometry": [], "system:time_start": 0}}))
    return path


def test_what_the_original_system_made_is_imported_and_archived(out, tmp_path):
    path = tmp_path / "sidecar.json"
    entry = {"geometry": [[14, 45]], "date_deb": "2018-03-03T10:05:41.024", "date_end": "x"}
    path.write_text(json.dumps({f"{MASKS}/{THIRD}": entry}))
    assert "1 assets on record" in verdure(out, "archive", "import", str(path)).output
    assert "0 assets on record, 1 were" in verdure(out, "archive", "import", str(path)).output
    [record] = content(out)
    assert record.sensed_at == datetime(2018, 3, 3, 10, 5, 41, 24_000, UTC)
    assert record.state == "LIVE"


def test_a_folder_without_an_archive_says_what_is_missing(tmp_path):
    database = Database(tmp_path / "verdure.sqlite")
    SqliteLedger(database)
    database.close()
    refused = verdure(tmp_path, "ls")
    assert refused.exit_code == 2
    assert "archive:" in refused.output
