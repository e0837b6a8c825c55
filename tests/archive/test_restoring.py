import json

import ee
import pytest

from shared.domain import archive as domain
from shared.domain.archive import State
from shared.earth import copies as graphs
from shared.messages import RestoreRequested

from .conftest import MASKS, values


def request(archive, way="", count=None):
    ids = tuple(x.record_id for x in archive.records() if x.state is State.ARCHIVED)[:count]
    archive.services.bus.publish([RestoreRequested(archive.run.run_id, ids, way)])
    archive.deliver()
    return ids


def properties(image):
    """What an expression sees of an image, without what belongs to the asset as a file."""
    found = ee.Image(image).toDictionary().getInfo()
    return {k: v for k, v in found.items() if k not in ("system:asset_size", "system:footprint")}


@pytest.fixture
def archived(start_archive):
    """Three masks, all of them archived, and what they were."""
    with start_archive() as archive:
        archive.register()
        archive.masks(3)
        before = {
            x: (values(x), values(x, 2), properties(x), ee.data.getAsset(x))
            for x in archive.listed()
        }
        leave(archive)
        assert archive.states() == {"ARCHIVED": 3}
        assert archive.listed() == set()
        yield archive, before


def leave(archive):
    """Have all that is live leave, as if the quota were reached."""
    use_quota(archive, 90)
    archive.until_still()
    use_quota(archive, None)


def use_quota(archive, used):
    """Have the archive see a quota of which so many assets of 100 are used; None: the true one."""
    from shared.adapters.earth_engine_assets import EarthEngineAssets

    class Told(EarthEngineAssets):
        def quota(self, root):
            if used is None:
                return super().quota(root)
            return domain.Quota(used, 100, 0, 10**9)

    archive.use(earth_assets=Told(archive.services.earth_engine))


def check(archive, before, pyramids=True):
    """Hold assets against what they were: full resolution, coarse reads, and all that is known."""
    for asset_id, (pixels, coarse, facts, description) in before.items():
        found, found_coarse = values(asset_id), values(asset_id, 2)
        for band in pixels:
            assert (found[band] == pixels[band]).all()
            assert not pyramids or (found_coarse[band] == coarse[band]).all()
        assert properties(asset_id) == facts
        now = ee.data.getAsset(asset_id)
        assert now["startTime"] == description["startTime"]
        assert now["bands"] == description["bands"]


@pytest.mark.parametrize("way", ["ingest", "cog", "export"])
def test_what_was_archived_comes_back_as_it_was(archived, way):
    archive, before = archived
    request(archive, way)
    archive.until_still()
    assert archive.states() == {"LIVE": 3}
    assert {x.way for x in archive.records()} == {way}
    check(archive, before, pyramids=way != "cog")  # which reads the file's own overviews
    # It leaves again without a new export: the copy is there still.
    exports = len(ee.data.listOperations())
    leave(archive)
    assert archive.states() == {"ARCHIVED": 3}
    assert len(ee.data.listOperations()) == exports


def test_virtual_needs_nothing_of_earth_engine(archived):
    archive, _ = archived
    from emulator import launch

    before = launch.statistics(archive.earth_engine_url)["requests"]
    request(archive, "virtual")
    assert archive.states() == {"ARCHIVED": 3}
    assert launch.statistics(archive.earth_engine_url)["requests"] == before


def test_classes_of_a_file_are_read_coarsely_by_their_mode(archived):
    archive, before = archived
    for record in archive.records():
        _, coarse, _, _ = before[record.asset_id]
        uris = [file.uri for file in record.files[:-1]]
        image = graphs.opened(json.loads(record.description), record.layout, uris)
        classes = image.select(["class"]).reduceResolution(ee.Reducer.mode())
        inside = slice(2), slice(3)  # of 5 and 7 pixels; what lies across the edge is nobody's
        assert (values(classes, 2)["class"][inside] == coarse["class"][inside]).all()


def test_a_request_that_comes_twice_or_late_ingests_once(archived):
    archive, before = archived
    earlier = ingestions()
    ids = request(archive)
    archive.services.bus.publish([RestoreRequested(archive.run.run_id, ids)] * 2)
    archive.deliver()
    archive.until_still()
    archive.services.bus.publish([RestoreRequested(archive.run.run_id, ids)])
    archive.deliver()
    archive.until_still()
    assert ingestions() == earlier + 3
    check(archive, before)


def ingestions():
    return sum(x["metadata"]["type"] == "INGEST_IMAGE" for x in ee.data.listOperations())


def test_only_as_many_come_back_as_there_is_room_for_and_the_oldest_restored_leave(archived):
    archive, _ = archived
    use_quota(archive, 78)
    first = request(archive, count=2)
    archive.until_still()
    assert archive.states() == {"ARCHIVED": 1, "LIVE": 2}
    use_quota(archive, 80)  # room for none
    second = request(archive, count=1)
    states = {x.record_id: x.state for x in archive.records()}
    assert states[first[0]] is State.ARCHIVED
    assert states[first[1]] is State.LIVE
    assert states[second[0]] is State.RESTORING
    use_quota(archive, 79)  # what has left has made room
    archive.until_still()
    states = {x.record_id: x.state for x in archive.records()}
    assert states[second[0]] is State.LIVE


def test_an_asset_in_the_way_is_left_alone_and_named(archived):
    archive, before = archived
    asset_id = sorted(before)[0]
    op = archive.export(ee.Image(7).toByte(), asset_id)
    from .conftest import until_done

    until_done(op)
    [record_id] = request(archive, count=1)
    archive.wait_for_tasks()
    archive.step()
    record = archive.services.assets.get([record_id])[record_id]
    assert record.state is State.ARCHIVED
    assert asset_id in record.reason
    assert "not what was archived" in record.reason
    assert ee.data.getAsset(asset_id)["bands"][0]["id"] == "constant"


def test_a_damaged_copy_is_not_restored(archived):
    archive, _ = archived
    record = archive.records()[0]
    name = record.files[0].uri.removeprefix("gs://")
    path = archive.data / "buckets" / name
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    request(archive, count=1)
    after = archive.records()[0]
    assert after.state is State.ARCHIVED
    assert "was changed" in after.reason
    assert after.next_action
    assert MASKS in after.asset_id
