"""What goes wrong with copies: found before anything is deleted, and said to people."""

import shutil
from datetime import timedelta
from pathlib import Path

import ee
import pytest

from shared.domain.archive import State

from .conftest import BUCKET, MASKS, POLICY, mask_image, until_done
from .test_restoring import use_quota


def object_of(archive, file):
    return archive.data / "buckets" / file.uri.removeprefix("gs://")


@pytest.fixture
def tombstoned(start_archive):
    """A mask whose copy is verified, and whose undo window is open for a day."""
    from dataclasses import replace

    with start_archive() as archive:
        archive.register(replace(POLICY, undo_hours=24, attempts=2))
        archive.masks(1)
        use_quota(archive, 90)
        for _ in range(3):
            archive.step()
            archive.wait_for_tasks()
        use_quota(archive, 10)
        assert archive.states() == {"TOMBSTONED": 1}
        yield archive


def truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


def change_a_byte(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def overwrite_with_the_same(path):
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "which", "words"),
    [
        (truncate, 0, "was changed: size"),
        (change_a_byte, 0, "was changed"),
        (overwrite_with_the_same, 0, "generation"),
        (lambda path: path.unlink(), -1, "does not exist"),
        (change_a_byte, -1, "was changed"),
    ],
)
def test_a_copy_that_was_damaged_after_it_was_verified_keeps_its_asset(
    tombstoned, damage, which, words
):
    archive = tombstoned
    [record] = archive.records()
    damage(object_of(archive, record.files[which]))
    archive.ahead = timedelta(hours=25)
    archive.step()
    [after] = archive.records()
    assert after.state is State.LIVE
    assert words in after.reason
    assert record.files[which].uri in after.reason
    assert "verdure archive run --again" in after.next_action
    assert archive.listed() == {record.asset_id}


def test_nothing_is_deleted_before_the_undo_window_is_over(tombstoned):
    archive = tombstoned
    archive.ahead = timedelta(hours=23)
    archive.step()
    assert archive.states() == {"TOMBSTONED": 1}
    archive.ahead = timedelta(hours=25)
    archive.step()
    assert archive.states() == {"ARCHIVED": 1}


def test_an_asset_made_anew_in_the_meantime_is_not_deleted(tombstoned):
    archive = tombstoned
    [record] = archive.records()
    ee.data.deleteAsset(record.asset_id)
    until_done(archive.export(mask_image(77), record.asset_id))
    archive.ahead = timedelta(hours=25)
    archive.step()
    [after] = archive.records()
    assert after.state is State.LIVE
    assert "was changed on" in after.reason
    assert archive.listed() == {record.asset_id}


@pytest.fixture
def copying(start_archive):
    """A mask whose copy is made and not yet verified."""
    from dataclasses import replace

    with start_archive() as archive:
        archive.register(replace(POLICY, attempts=2))
        archive.masks(1)
        use_quota(archive, 90)
        archive.step()
        archive.wait_for_tasks()
        assert archive.states() == {"COPYING": 1}
        yield archive


def copied(archive):
    [path] = (archive.data / "buckets" / BUCKET).rglob("*.tif")
    return path


@pytest.mark.parametrize("damage", [truncate, lambda path: path.write_bytes(b"no GeoTIFF")])
def test_a_copy_that_arrives_damaged_is_made_again(copying, damage):
    archive = copying
    first = copied(archive)
    damage(first)
    archive.step()
    [record] = archive.records()
    assert record.attempt == 2
    assert archive.listed() == {record.asset_id}
    archive.until_still()
    assert archive.states() == {"ARCHIVED": 1}
    assert archive.records()[0].files[0].uri.endswith("-2.tif")


def test_a_copy_with_other_pixels_does_not_pass(copying):
    archive = copying
    import rasterio

    with rasterio.open(copied(archive), "r+", IGNORE_COG_LAYOUT_BREAK="YES") as raster:
        pixels = raster.read(1)
        pixels[2, 3] ^= 1
        raster.write(pixels, 1)
    archive.step()
    [record] = archive.records()
    assert record.layout == "masks"  # the first thing that may be the cause
    assert "differ" in record.reason
    assert archive.listed() == {record.asset_id}
    archive.until_still()
    assert archive.states() == {"ARCHIVED": 1}


def test_a_bucket_that_is_missing_is_named_and_nothing_is_tried_for_ever(start_archive):
    with start_archive() as archive:
        archive.register()
        archive.masks(1)
        shutil.rmtree(archive.bucket())
        use_quota(archive, 90)
        for _ in range(3):
            archive.step()
        [record] = archive.records()
        assert record.state is State.LIVE
        assert BUCKET in record.reason
        assert record.next_action
        assert archive.listed() == {f"{MASKS}/{record.image_id}"}


FAULTS = """
faults:
  - {kind: quotaExceeded, method: storage.objects.insert, calls: [1]}
  - {kind: forbidden, method: storage.objects.insert, calls: [2],
     message: "archive@demo does not have storage.objects.create access to the object."}
  - {kind: forbidden, method: storage.objects.get, calls: [1],
     message: "archive@demo does not have storage.objects.get access to the object."}
"""


def test_a_full_bucket_is_tried_again_and_a_missing_permission_waits_for_a_person(
    start_archive, tmp_path
):
    from shared.adapters.storage import CloudObjects
    from shared.domain.archive import forgive

    path = tmp_path / "faults.yaml"
    path.write_text(FAULTS)

    def until_told(words):
        """Step until an asset's reason has some words, and return its record."""
        for _ in range(6):
            archive.step()
            archive.wait_for_tasks()
            [record] = archive.records()
            assert archive.listed() == {record.asset_id}
            if words in record.reason:
                return record
        raise AssertionError(record.reason)

    def mend():
        [record] = archive.records()
        archive.services.assets.change(
            record.record_id, lambda x: forgive(x, archive.services.now())
        )

    with start_archive("--faults", str(path)) as archive:
        archive.use(objects=CloudObjects("demo-project", archive.earth_engine_url))
        archive.register()
        archive.masks(1)
        use_quota(archive, 90)
        record = until_told("does not have storage.objects.get access")
        assert record.state is State.LIVE
        assert "verdure archive run --again" in record.next_action
        mend()
        record = until_told("quota of the bucket's project is used up")
        assert record.state is State.COPYING
        assert "tried again with every call" in record.next_action
        record = until_told("does not have storage.objects.create access")
        assert record.state is State.LIVE
        mend()
        archive.until_still()
        assert archive.states() == {"ARCHIVED": 1}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's device that is full")
def test_a_disk_that_is_full_is_said_to_be(tmp_path):
    from shared.adapters.folder import FolderObjects
    from shared.errors import Unavailable

    (tmp_path / "bucket").mkdir()
    (tmp_path / "bucket" / ".x.json.draft").symlink_to("/dev/full")
    with pytest.raises(Unavailable, match="No space left on device"):
        FolderObjects(tmp_path).write("gs://bucket/x.json", b"x", "text/plain")


def test_a_value_that_stands_for_masked_pixels_is_no_problem(start_archive):
    """255 is valid somewhere and masked elsewhere: the copy needs masks of its own."""
    from shared.domain.copies import WITH_MASKS

    from .conftest import values
    from .test_restoring import request

    with start_archive() as archive:
        archive.register()
        archive.masks(1)
        [asset_id] = archive.listed()
        properties = ee.data.getAsset(asset_id)["properties"]
        ee.data.deleteAsset(asset_id)
        mask = ee.Image.random(1).gt(0.3).multiply(ee.Image.random(2).multiply(255).round())
        image = ee.Image.random(5).multiply(2).floor().multiply(255).toByte().rename("class")
        image = image.updateMask(mask.divide(255)).set(properties)
        until_done(archive.export(image, asset_id))
        before = values(asset_id)
        masks = values(ee.Image(asset_id).mask())
        use_quota(archive, 90)
        archive.until_still()
        use_quota(archive, 10)
        assert archive.states() == {"ARCHIVED": 1}
        assert archive.records()[0].layout == WITH_MASKS
        request(archive)
        archive.until_still()
        assert (values(asset_id)["class"] == before["class"]).all()
        assert (values(ee.Image(asset_id).mask())["class"] == masks["class"]).all()


class Telling:
    """Earth Engine's assets with a list of tasks of our own."""

    def __init__(self, assets, tasks):
        self._assets, self._tasks = assets, tasks

    def copy_tasks(self):
        return self._tasks

    def __getattr__(self, name):
        return getattr(self._assets, name)


@pytest.mark.parametrize(
    ("ended", "state", "words"),
    [
        (("FAILED", "An internal error has occurred."), State.CHOSEN, "internal error"),
        (("FAILED", "Export too large: 1 pixels."), State.LIVE, "too large"),
        (("CANCELLED", ""), State.CHOSEN, "CANCELLED and left no file"),
        ((), State.CHOSEN, "VANISHED and left no file"),
        (None, State.COPYING, ""),
    ],
)
def test_a_copy_that_does_not_come_is_looked_for_among_the_tasks(copying, ended, state, words):
    from shared.domain.archive import request_id
    from shared.services import EndedCopy

    archive = copying
    copied(archive).unlink()
    [record] = archive.records()
    tasks = {request_id(record, 0): EndedCopy(*ended) if ended else None}
    assets = archive.services.earth_assets
    archive.use(earth_assets=Telling(assets, {} if ended == () else tasks))
    archive.step()
    assert archive.states() == {"COPYING": 1}  # too early to ask
    archive.ahead = timedelta(minutes=16)
    archive.step()
    [after] = archive.records()
    assert after.state is state
    assert words in after.reason
    assert archive.listed() == {record.asset_id}
