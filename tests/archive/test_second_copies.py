"""Second copies in Drive, through its own client: made, needed, and impossible."""

import json
from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.archive import State

from .conftest import POLICY, values
from .test_restoring import request, use_quota


@pytest.fixture
def start_team(start_archive):
    """An archive of one mask with second copies in a folder, which is empty."""
    with start_archive() as archive:
        for old in drive_of(archive).iterdir():
            old.unlink()

        def start(folder, **changes):
            archive.register(replace(POLICY, drive=folder, **changes))
            archive.masks(1)
            use_quota(archive, 90)
            for _ in range(4):
                archive.step()
                archive.wait_for_tasks()
            return archive

        yield start


def drive_of(archive):
    return archive.data / "shared-drives" / "team"


def objects_of(archive):
    return sorted(x for x in archive.bucket().rglob("asset-*") if x.is_file())


def test_without_storage_in_drive_the_asset_stays_and_says_what_to_do(start_team):
    archive = start_team("root")
    [record] = archive.records()
    assert record.state is State.LIVE
    assert "Service Accounts do not have storage quota" in record.reason
    assert "let archive.drive name a folder of a Shared Drive" in record.reason
    assert "verdure archive run --again" in record.next_action
    assert archive.listed() == {record.asset_id}
    assert record.second == ()


def test_a_folder_that_nobody_shared_is_named(start_team):
    archive = start_team("no-such-folder")
    [record] = archive.records()
    assert record.state is State.LIVE
    assert "File not found: no-such-folder" in record.reason
    assert "share the folder" in record.reason


def test_what_cloud_storage_lost_comes_back_from_drive(start_team):
    archive = start_team("team")
    [record] = archive.records()
    assert record.state is State.ARCHIVED
    first, second = objects_of(archive), sorted(drive_of(archive).iterdir())
    assert [x.read_bytes() for x in first] == [x.read_bytes() for x in second]
    assert [x.name for x in first] == [x.name for x in second]
    content = json.loads(second[0].read_text())
    assert content["id"] == record.record_id
    before = values_of_copy(record)
    for path in first:
        path.unlink()
    use_quota(archive, 10)
    request(archive)
    archive.until_still()
    [after] = archive.records()
    assert (after.state, after.reason) == (State.LIVE, "")
    assert [x.read_bytes() for x in objects_of(archive)] == [x.read_bytes() for x in second]
    now = values(record.asset_id)
    assert all((now[name] == before[name]).all() for name in now)


def test_verify_mends_what_drive_has_still(start_team, tmp_path):
    from typer.testing import CliRunner

    from cli.archive import app

    archive = start_team("team")
    [record] = archive.records()
    objects_of(archive)[0].unlink()
    out = ["--out", str(tmp_path)]

    def verify(*options):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("cli.stacks.start", lambda *_: nullcontext(archive))
            return CliRunner().invoke(app, ["verify", *options, *out])

    broken = verify()
    assert broken.exit_code == 1
    assert "does not exist" in broken.output
    assert "verdure archive verify --mend" in archive.records()[0].next_action
    mended = verify("--mend")
    assert (mended.exit_code, archive.records()[0].reason) == (0, "")
    assert "1 copies checked, 0 with a problem" in mended.output
    assert record.second == archive.records()[0].second


def values_of_copy(record):
    import ee

    found = values(ee.Image.loadGeoTIFF(record.files[0].uri))
    return dict(zip(("cloud_probability", "class", "agreement"), found.values(), strict=True))


def test_where_both_copies_are_damaged_both_are_named_and_nothing_is_made(start_team):
    archive = start_team("team")
    use_quota(archive, 10)
    objects_of(archive)[1].unlink()
    tif = next(x for x in drive_of(archive).iterdir() if x.suffix == ".tif")
    tif.write_bytes(tif.read_bytes()[:-1])
    request(archive)
    [record] = archive.records()
    assert record.state is State.ARCHIVED
    assert "does not exist" in record.reason
    assert "in Drive was changed" in record.reason
    assert archive.listed() == set()


def test_a_second_copy_that_is_gone_before_the_deletion_keeps_the_asset(start_team):
    archive = start_team("team", undo_hours=24)
    [record] = archive.records()
    assert record.state is State.TOMBSTONED
    next(drive_of(archive).iterdir()).unlink()
    archive.ahead = timedelta(hours=25)
    archive.step()
    [after] = archive.records()
    assert after.state is State.LIVE
    assert "in Drive does not exist" in after.reason
    assert archive.listed() == {record.asset_id}
