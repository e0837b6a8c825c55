"""Maps of a tile's season: made once its masks are final, again when these change, never twice."""

import json
import random
from dataclasses import replace
from datetime import UTC, date, datetime

import ee
import pystac
import pytest

from shared import bootstrap, seasons
from shared.domain import exports
from shared.domain.archive import ArchivePolicy
from shared.domain.exports import FINAL, Failure, State
from shared.domain.runs import GPP, NDVI, SEASON, Limits, ProductParameters
from shared.earth.reference_masks import CLOUD_SCORE_COLLECTION
from shared.messages import SeasonReady, decode

from .test_watch_and_record import later

FUNCTIONS = {
    "image-found": "mask_image",
    "export-finished": "record_export",
    "season-ready": "map_productivity",
}
#: A period with few images.
SHORT = {
    "start": date(2018, 3, 1),
    "end": date(2018, 3, 20),
    "days_before": 0,
    "days_after": 0,
    "products": ProductParameters(),
}
COLLECTION = "projects/demo-project/assets/verdure/masks-season"


def maps(pipeline):
    return pipeline.exports("demo.products")


def standing(pipeline):
    [record] = [x for x in maps(pipeline) if x.state is not State.SUPERSEDED]
    return record


def masked(pipeline):
    return [x.image_id for x in pipeline.exports() if x.state is State.SUCCEEDED]


def step(pipeline, topics=FUNCTIONS, generator=None):
    """Deliver what waits, of some topics; twice and in any order with a generator."""
    messages = [x for x in pipeline.taken() if x.topic in topics]
    if generator:
        messages += messages
        generator.shuffle(messages)
    for message in messages:
        status = pipeline.post(FUNCTIONS[message.topic], message.data, message.message_id)
        assert status == 200
    pipeline.wait_for_tasks()
    pipeline.tick("watch_exports")


def finish(pipeline, generator=None):
    for _ in range(30):
        step(pipeline, generator=generator)
        if {x.state for x in (*pipeline.exports(), *maps(pipeline))} <= FINAL:
            return
    raise AssertionError(pipeline.services.ledger.count_by_state("demo.products"))


def properties():
    [asset] = ee.data.listAssets(COLLECTION)["assets"]
    return asset["properties"]


def test_a_map_is_made_once_all_masks_of_its_tile_are_there(pipeline):
    run = pipeline.start(**SHORT)
    pipeline.tick("find_images")
    step(pipeline)
    assert not maps(pipeline), "masks are started, and not recorded"
    finish(pipeline)
    record = standing(pipeline)
    assert (record.state, record.tile, record.grid) == ("SUCCEEDED", "33TTJ", ("EPSG:32633", 10))
    assert list(record.inputs) == masked(pipeline)
    assert properties()["run_key"] == record.export_id
    assert (properties()["masks"], properties()["in_season"]) == (len(record.inputs), 0)
    item = pystac.Item.from_dict(json.loads(record.item))
    assert item.id == "season_33TTJ_2018"
    assert item.properties["verdure:run"] == run.run_id
    assert item.assets["map"].extra_fields["bands"][2] == {
        "name": "SOSD_1",
        "data_type": "uint16",
        "unit": "YYDOY",
    }


def test_messages_that_come_twice_and_in_any_order_make_one_map(pipeline):
    pipeline.start(**SHORT)
    pipeline.tick("find_images")
    finish(pipeline, random.Random(0))
    pipeline.tick("find_images")
    finish(pipeline, random.Random(1))
    tasks = [x for x in pipeline.tasks() if x.export_id[:4] != "mask"]
    assert len(tasks) == 1
    assert len(maps(pipeline)) == 1
    late = SeasonReady(maps(pipeline)[0].run_id, tasks[0].export_id, "33TTJ_2018", 1)
    assert pipeline.post("map_productivity", late) == 200
    assert standing(pipeline).state is State.SUCCEEDED


def test_masks_that_are_made_again_have_the_map_made_again(start_pipeline, scenes, tmp_path):
    with start_pipeline() as pipeline:
        pipeline.start(**SHORT)
        pipeline.tick("find_images")
        finish(pipeline)
        first = standing(pipeline)
    folder = tmp_path / "scores"
    folder.mkdir()
    content = json.loads((scenes / "scenes.json").read_text())
    chosen = [scene for scene in content["scenes"] if scene["id"] == first.inputs[0]]
    manifest = {"collection": CLOUD_SCORE_COLLECTION, "bands": ["cs", "cs_cdf"], "scenes": chosen}
    (folder / "scenes.json").write_text(json.dumps(manifest))
    with start_pipeline("--scenes", str(folder)) as pipeline:
        assert pipeline.tick("find_images")["stale"] == 1
        step(pipeline, ["image-found"])
        assert standing(pipeline) == first, "there until the mask is"
        finish(pipeline)
        second = standing(pipeline)
        assert second.replaces == first.export_id != second.export_id
        assert second.inputs == first.inputs
        assert properties()["run_key"] == second.export_id
        assert (
            "made again" in pipeline.services.ledger.get([first.export_id])[first.export_id].reason
        )


def test_a_mask_that_changes_while_the_map_is_made_is_not_forgotten(pipeline):
    run = pipeline.start(**SHORT)
    pipeline.tick("find_images")
    for _ in range(2):
        step(pipeline, ["image-found", "export-finished"])
    ledger, first = pipeline.services.ledger, standing(pipeline)
    message = SeasonReady(run.run_id, first.export_id, first.image_id, 1)
    assert pipeline.post("map_productivity", message) == 200
    # A person has a mask made again.
    now = pipeline.services.now()
    lost = masked(pipeline)[0]
    [mask] = [x for x in pipeline.exports() if x.image_id == lost]
    ledger.change(mask.export_id, lambda x: exports.supersede(x, "for a test", now))
    again = replace(mask, state=State.FOUND)
    ledger.change(mask.export_id, lambda x: exports.renew(x, again, now))
    ledger.change(mask.export_id, lambda x: exports.fail(x, Failure.PERMANENT, "a test", now))
    assert seasons.record_ready(run, pipeline.exports(), pipeline.services) == 0, "in flight"
    finish(pipeline)
    second = standing(pipeline)
    assert second.inputs == first.inputs[1:]
    assert second.replaces == first.export_id


def test_an_estimate_is_made_when_asked_for_and_gives_way_to_the_map(pipeline):
    run = pipeline.start(**SHORT)
    since = (datetime.now(UTC).date() - SHORT["end"]).days
    later(pipeline, days=-since - 1)
    pipeline.tick("find_images")
    finish(pipeline)
    assert not maps(pipeline), "the season is not over"
    assert seasons.record_now(run, bootstrap.services()) == 1
    assert seasons.record_now(run, bootstrap.services()) == 0
    finish(pipeline)
    estimate = standing(pipeline)
    assert (estimate.in_season, estimate.state) == (True, State.SUCCEEDED)
    assert properties()["in_season"] == 1
    later(pipeline)
    pipeline.tick("find_images")
    finish(pipeline)
    assert standing(pipeline).replaces == estimate.export_id
    assert not standing(pipeline).in_season
    assert properties()["in_season"] == 0


def test_the_ceiling_holds_for_masks_and_maps_together(pipeline):
    products = ProductParameters(maps=(SEASON, NDVI))
    pipeline.start(**{**SHORT, "products": products, "limits": Limits(queued_tasks=1)})
    pipeline.tick("find_images")
    finish(pipeline)
    assert {x.state for x in maps(pipeline)} == {State.SUCCEEDED}
    assert len(maps(pipeline)) == 2
    assert pipeline.statistics()["peak_queued_tasks"] == 1


def test_maps_are_of_the_index_that_is_asked_for(pipeline):
    products = ProductParameters(maps=(SEASON, NDVI), index="EVI2")
    pipeline.start(**{**SHORT, "products": products})
    pipeline.tick("find_images")
    finish(pipeline)
    assert {x.state for x in maps(pipeline)} == {State.SUCCEEDED}
    made = {x.kind: json.loads(x.item)["assets"]["map"]["bands"] for x in maps(pipeline)}
    assert {"EVI2", "EVI2/day", "EVI2 day"} <= {x.get("unit") for x in made[SEASON]}
    assert made[NDVI][1]["name"].startswith("EVI2_2018")
    assert json.loads(properties()["parameters"])["index"] == "EVI2"


def test_a_map_is_of_the_ground_where_that_is_asked_for(start_pipeline, scenes, tmp_path):
    ground = tmp_path / "ground"
    ground.mkdir()
    content = json.loads((scenes / "scenes.json").read_text())
    content["collection"] = "COPERNICUS/S2_SR_HARMONIZED"
    (ground / "scenes.json").write_text(json.dumps(content))
    products = ProductParameters(collection=content["collection"])
    with start_pipeline("--scenes", str(ground)) as pipeline:
        pipeline.start(**{**SHORT, "products": products})
        pipeline.tick("find_images")
        finish(pipeline)
        assert standing(pipeline).state is State.SUCCEEDED
        assert properties()["source"] == "COPERNICUS/S2_SR_HARMONIZED"


def test_without_any_mask_the_map_is_skipped_and_says_why(pipeline):
    run = pipeline.start(**SHORT)
    pipeline.tick("find_images")
    pipeline.taken()
    for record in pipeline.exports():
        now = pipeline.services.now()
        pipeline.services.ledger.change(
            record.export_id,
            lambda x, now=now: exports.fail(x, Failure.PERMANENT, "for a test", now),
        )
    pipeline.tick("find_images")
    assert standing(pipeline).state is State.SKIPPED
    found = len(pipeline.exports())
    assert standing(pipeline).reason == f"no mask of the tile was made: {found} FAILED"
    assert run.configuration.products is not None


def test_missing_weather_stops_gpp_alone_and_is_named(pipeline):
    products = ProductParameters(maps=(GPP, SEASON), land_cover=None)
    pipeline.start(**{**SHORT, "products": products})
    pipeline.tick("find_images")
    finish(pipeline)
    by_kind = {x.kind: x for x in maps(pipeline)}
    assert by_kind[SEASON].state is State.SUCCEEDED
    assert by_kind[GPP].state is State.FAILED
    assert "ECMWF/ERA5_LAND/DAILY_AGGR" in by_kind[GPP].reason


def test_a_run_without_products_makes_no_map(pipeline):
    pipeline.start(**{**SHORT, "products": None})
    pipeline.tick("find_images")
    finish(pipeline)
    pipeline.tick("find_images")
    assert not maps(pipeline)


@pytest.mark.parametrize("data", [b"{}", b'{"version": 1, "run_id": "x"}'])
def test_a_message_that_says_too_little_is_refused(data, pipeline):
    assert pipeline.post("map_productivity", data) == 400
    with pytest.raises(Exception, match="season-ready"):
        decode(SeasonReady, data)


def test_masks_of_a_run_with_an_archive_are_found_wherever_they_are(pipeline):
    pipeline.start(**{**SHORT, "archive": ArchivePolicy(bucket="masks")})
    pipeline.tick("find_images")
    finish(pipeline)
    made = standing(pipeline)
    assert made.state is State.SUCCEEDED, made.reason
    assert properties()["masks"] == len(masked(pipeline))
