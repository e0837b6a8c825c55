import json

import ee
import pystac

from .conftest import BUCKET, MASKS, values
from .test_restoring import request


def test_above_the_watermark_the_oldest_leave_and_are_the_same_in_the_bucket(start_archive):
    # The collection is an asset too: 9 of 10, and 4 masks have to go to have 60 % less it.
    with start_archive("--max-assets", "10") as archive:
        archive.register()
        archive.masks(8)
        before = {x: values(f"{MASKS}/{x.rpartition('/')[2]}") for x in archive.listed()}
        archive.until_still()
        assert archive.states() == {"ARCHIVED": 3}
        gone = [x.asset_id for x in archive.records()]
        assert gone == sorted(before)[:3]
        assert archive.listed() == set(before) - set(gone)
        for record in archive.records():
            item = pystac.Item.from_dict(json.loads(record.item))
            assert item.properties["system:time_start"] == record.sensed_at.timestamp() * 1000
            uri = item.assets["data"].href
            assert uri.startswith(f"gs://{BUCKET}/verdure/masks/")
            found = values(ee.Image.loadGeoTIFF(uri))
            expected = before[record.asset_id].values()
            for ours, theirs in zip(found.values(), expected, strict=True):
                assert (ours == theirs).all()
        assert archive.step() == {"archiving": 0, "restoring": 0}
        folder = archive.bucket() / "verdure" / "masks"
        collection = pystac.Collection.from_file(str(folder / "collection.json"))
        items = {x.id: x for x in collection.get_items()}
        assert set(items) == {x.record_id for x in archive.records()}
        assert all(x.get_collection() is collection for x in items.values())
        assert collection.extent.temporal.intervals[0][0] == archive.records()[0].sensed_at


def test_below_the_watermark_nothing_is_done(start_archive):
    with start_archive() as archive:
        archive.register()
        archive.masks(2)
        assert archive.step() == {"archiving": 0, "restoring": 0}
        assert archive.states() == {}


def test_by_cloud_storages_own_client_it_is_the_same(start_archive):
    from shared.adapters.storage import CloudObjects

    with start_archive("--max-assets", "10") as archive:
        archive.use(objects=CloudObjects("demo-project", archive.earth_engine_url))
        archive.register()
        archive.masks(8)
        archive.until_still()
        assert archive.states() == {"ARCHIVED": 3}
        request(archive, "cog", count=1)
        archive.until_still()
        assert archive.states() == {"ARCHIVED": 2, "LIVE": 1}
