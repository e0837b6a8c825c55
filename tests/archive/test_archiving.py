import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import ee
import pystac

from shared.archiving import Archiver
from shared.domain.runs import SEASON, ProductParameters
from shared.reading import masks

from .conftest import BUCKET, MASKS, POLICY, WORLD, succeeded, until_done, values
from .test_restoring import leave, request, use_quota

NEW_YEAR = datetime(2018, 1, 1, tzinfo=UTC)


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


def test_what_a_finished_season_has_used_leaves_first(start_archive):
    with start_archive() as archive:
        run = archive.register(products=ProductParameters())
        archive.masks(3)
        names = sorted(x.rpartition("/")[2] for x in archive.listed())
        season, estimate = (
            replace(
                succeeded(archive.key, f"33TVL_{name}", NEW_YEAR),
                export_id=f"{SEASON}-{archive.key}{name}",
                run=run.products_queue,
                inputs=inputs,
                in_season=name == "estimate",
                ended_at=archive.services.now(),
            )
            for name, inputs in (("2018", names[1:2]), ("estimate", names[2:]))
        )
        archive.services.ledger.add([season, estimate])
        use_quota(archive, 81)  # of 100, down to 60: all would leave, in this order
        _, chosen = Archiver(run, archive.services).plan()
        assert [x.image_id for x in chosen] == [names[1], names[0], names[2]]
        use_quota(archive, None)


def test_maps_leave_as_masks_do_and_are_not_read_as_masks(start_archive):
    with start_archive() as archive:
        run = archive.register(products=ProductParameters())
        archive.masks(1)
        archive.services.earth_engine.create_collection(run.collection_of(SEASON))
        record = replace(
            succeeded(archive.key, "33TVL_2018", NEW_YEAR),
            export_id=f"{SEASON}-{archive.key}",
            run=run.products_queue,
        )
        types = {"flag": "uint8", "day": "uint16", "slope": "int16"}
        numbers = ee.Image.random(3).multiply(200).subtract(ee.Image([0, 0, 100]))
        image = numbers.rename(list(types)).cast(types).updateMask(ee.Image.random(4).gt(0.2))
        image = image.set({"run_key": record.export_id})
        until_done(archive.export(image, run.place_of(record)))
        archive.services.ledger.add([record])
        before = values(run.place_of(record))
        leave(archive)
        assert archive.states() == {"ARCHIVED": 2}
        [gone] = [x for x in archive.records() if x.version == record.export_id]
        for file, expected in zip(gone.files[:-1], before.values(), strict=True):
            [found] = values(ee.Image.loadGeoTIFF(file.uri)).values()  # a file for each type
            assert (found == expected).all()
        read = masks(run, archive.services, WORLD, NEW_YEAR, NEW_YEAR + timedelta(days=365))
        assert read.size().getInfo() == 1


def test_old_images_are_looked_for_once_a_day(start_archive):
    with start_archive() as archive:
        archive.register(replace(POLICY, max_age_days=900))
        archive.masks(1)
        now = archive.services.now()
        midnight = now.replace(hour=0, minute=2) + timedelta(days=1)
        archive.ahead = midnight + timedelta(minutes=5) - now
        assert archive.step() == {"archiving": 0, "restoring": 0}
        archive.ahead = midnight - now
        assert archive.step() == {"archiving": 1, "restoring": 0}
        archive.until_still()
        assert archive.states() == {"ARCHIVED": 1}


def test_below_the_watermark_nothing_is_done(start_archive):
    with start_archive() as archive:
        archive.register()
        archive.masks(2)
        assert archive.step() == {"archiving": 0, "restoring": 0}
        assert archive.states() == {}


def test_by_cloud_storages_own_client_it_is_the_same(start_archive):
    from shared.adapters.storage import CloudObjects

    with start_archive() as archive:
        archive.use(objects=CloudObjects("demo-project", archive.earth_engine_url))
        archive.register()
        archive.masks(2)
        leave(archive)
        assert archive.states() == {"ARCHIVED": 2}
        request(archive, "cog", count=1)
        archive.until_still()
        assert archive.states() == {"ARCHIVED": 1, "LIVE": 1}
