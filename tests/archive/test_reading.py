"""Masks as one collection over live, archived and restored ones."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import ee
import numpy as np
import pytest

from shared.domain.archive import State
from shared.domain.exports import State as ExportState
from shared.messages import RestoreRequested
from shared.reading import masks

from .conftest import MASKS, WORLD, until_done, values
from .test_restoring import leave

START, END = datetime(2018, 1, 1, tzinfo=UTC), datetime(2019, 1, 1, tzinfo=UTC)


def content(collection, count):
    """Metadata of all images, and the pixels of each."""
    listed = collection.getInfo()["features"]
    images = collection.toList(count)
    pixels = [values(images.get(i)) for i in range(count)]
    facts = []
    for entry in listed:
        properties = {k: v for k, v in entry["properties"].items() if k != "system:asset_size"}
        footprint = properties.pop("system:footprint")["coordinates"]
        facts.append((entry["bands"], properties, footprint))
    return facts, pixels


def same(one, other):
    for (bands, properties, ring), (bands2, properties2, ring2) in zip(
        one[0], other[0], strict=True
    ):
        assert bands == bands2
        assert properties == properties2
        assert np.allclose(ring, ring2, rtol=0, atol=1e-9)
    for a, b in zip(one[1], other[1], strict=True):
        assert list(a) == list(b)
        assert all((a[name] == b[name]).all() for name in a)


def test_a_mixture_of_tiers_reads_as_the_live_assets_did(start_archive):
    with start_archive() as archive:
        run = archive.register()
        archive.masks(4)
        before = content(masks(run, archive.services, WORLD, START, END), 4)
        leave(archive)
        ids = [x.record_id for x in archive.records()]
        for number, way in enumerate(("ingest", "cog", "export")):
            archive.services.bus.publish([RestoreRequested(run.run_id, (ids[number],), way)])
        archive.deliver()
        archive.until_still()
        assert [x.state for x in archive.records()] == [State.LIVE] * 3 + [State.ARCHIVED]
        same(content(masks(run, archive.services, WORLD, START, END), 4), before)
        # Coarser than their own pixels, classes are the most frequent ones from assets only;
        # means of probabilities are the same from everywhere.
        middle = masks(run, archive.services, WORLD, START, END).select("cloud_probability").mean()
        assert middle.getInfo()["bands"][0]["id"] == "cloud_probability"


def test_a_mask_that_is_to_be_made_again_is_read_until_then(start_archive):
    with start_archive() as archive:
        run = archive.register()
        archive.masks(1)
        [export] = archive.services.ledger.exports("demo")
        leave(archive)
        before = content(masks(run, archive.services, WORLD, START, END), 1)
        archive.services.ledger.change(
            export.export_id,
            lambda x: replace(x, state=ExportState.SUPERSEDED, item="{}", ended_at=START),
        )
        again = replace(export, export_id=f"{export.export_id}-b", state=ExportState.STARTED)
        archive.services.ledger.add([again])
        same(content(masks(run, archive.services, WORLD, START, END), 1), before)
        image = ee.Image(7).toByte().rename("class").set("run_key", again.export_id)
        until_done(archive.export(image, f"{MASKS}/{export.image_id}"))
        archive.services.ledger.change(
            again.export_id, lambda x: replace(x, state=ExportState.SUCCEEDED, ended_at=END)
        )
        [found] = masks(run, archive.services, WORLD, START, END).getInfo()["features"]
        assert found["properties"]["run_key"] == again.export_id


def test_region_and_period_choose(start_archive):
    with start_archive() as archive:
        run = archive.register()
        archive.masks(4)
        second, third = (datetime(2018, 3, day, tzinfo=UTC) for day in (2, 3))
        assert masks(run, archive.services, WORLD, second, third).size().getInfo() == 1
        elsewhere = {"type": "Point", "coordinates": [170, 0]}
        assert masks(run, archive.services, elsewhere, START, END).size().getInfo() == 0


def footprint(number):
    """A ring of 25 positions that no other number has, as Earth Engine gives a raster's."""
    ring = [[14.011448134659929 + i / 7, 45.14560013049072 + number / 7] for i in range(25)]
    return {"type": "Polygon", "coordinates": [ring]}


@pytest.mark.parametrize("count", [100, pytest.param(1000, marks=pytest.mark.soak)])
def test_the_graph_of_many_files_stays_far_below_what_earth_engine_takes(count):
    from shared.earth.masks import Place, collection

    grid = {
        "crsCode": "EPSG:32633",
        "affineTransform": {"scaleX": 20, "translateX": 499980, "scaleY": -20, "translateY": 5e6},
        "dimensions": {"width": 5490, "height": 5490},
    }
    kind = {"precision": "INT", "range": {"max": 255}}
    description = {
        "bands": [
            {"id": x, "dataType": kind, "grid": grid}
            for x in ("cloud_probability", "class", "agreement")
        ],
        "startTime": "2018-03-01T10:05:41.024000Z",
        "properties": {f"property_{i}": "a value of some length" for i in range(12)},
        "sizeBytes": "90000000",
    }
    places = [
        Place(
            "a",
            f"20180301T100541_{i}",
            {**description, "geometry": footprint(i)},
            "nodata",
            (f"gs://bucket/verdure/masks/20180301T100541_{i}/asset-{i:040}.tif",),
        )
        for i in range(count)
    ]
    graph = ee.serializer.encode(collection(places), for_cloud_api=True)
    size = len(json.dumps(graph))
    assert size < 10 * 2**20 / 2
