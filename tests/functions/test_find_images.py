import json
from collections import Counter
from dataclasses import replace
from datetime import date

import ee
import pytest

from cli import stacks
from shared.domain.exports import State
from shared.domain.runs import MaskParameters, RunState, register
from shared.messages import ImageFound, decode

from .conftest import IMAGES, configuration, few

FAR_AWAY = {
    "type": "Polygon",
    "coordinates": [[[100, 0], [101, 0], [101, 1], [100, 1], [100, 0]]],
}


def test_every_image_is_recorded_and_offered_once(pipeline):
    pipeline.start()
    counts = {"found": IMAGES, "stale": 0, "released": IMAGES, "failed_runs": 0, "maps": 0}
    assert pipeline.tick("find_images") == counts
    records = pipeline.exports()
    assert {x.state for x in records} == {State.FOUND}
    offered = [decode(ImageFound, x.data) for x in pipeline.taken()]
    assert Counter(x.export_id for x in offered) == Counter(x.export_id for x in records)


def test_the_second_listing_finds_nothing_new(pipeline):
    pipeline.start()
    pipeline.tick("find_images")
    assert pipeline.tick("find_images")["found"] == 0
    assert len(pipeline.exports()) == IMAGES


def test_what_is_recorded_of_an_image(pipeline):
    pipeline.start()
    pipeline.tick("find_images")
    record = pipeline.exports()[0]
    assert record.tile in record.image_id
    assert record.platform.startswith("Sentinel-2")
    assert record.image_id.startswith(f"{record.sensed_at:%Y%m%dT}")
    assert record.grid[0].startswith("EPSG:32")
    assert '"Polygon"' in record.footprint
    assert record.acquisition.startswith(f"{record.platform}/{record.sensed_at:%Y%m%dT%H%M%S}/")


def test_no_more_than_the_ceiling_is_offered(pipeline):
    pipeline.start(**few(5))
    assert pipeline.tick("find_images")["released"] == 5
    first = {decode(ImageFound, x.data).export_id for x in pipeline.taken()}
    pipeline.tick("find_images")
    again = {decode(ImageFound, x.data).export_id for x in pipeline.taken()}
    assert first == again, "an image that is out already is offered in its own slot, not in another"


def test_images_outside_the_period_and_the_region_are_not_found(pipeline):
    pipeline.start(name="late", start=date(2019, 6, 1), end=date(2019, 7, 1))
    pipeline.start(name="far", region=FAR_AWAY)
    assert pipeline.tick("find_images")["found"] == 0


def test_the_period_is_widened_by_the_days_before_and_after(pipeline):
    pipeline.start(start=date(2018, 11, 15), end=date(2018, 11, 16), days_before=300)
    assert pipeline.tick("find_images")["found"] == IMAGES


def test_images_off_the_land_are_skipped_and_remembered(pipeline):
    pipeline.start(land=FAR_AWAY)
    counts = {"found": IMAGES, "stale": 0, "released": 0, "failed_runs": 0, "maps": 0}
    assert pipeline.tick("find_images") == counts
    assert {(x.state, x.reason) for x in pipeline.exports()} == {
        (State.SKIPPED, "outside the land geometry")
    }


def test_an_unknown_collection_fails_its_run_and_no_other(pipeline):
    wrong = pipeline.start(name="a-wrong", collection="COPERNICUS/S2_HARMONISED")
    pipeline.start(name="right")
    counts = pipeline.tick("find_images")
    assert counts == {"found": IMAGES, "stale": 0, "released": IMAGES, "failed_runs": 1, "maps": 0}
    failed = pipeline.services.ledger.run(wrong.run_id)
    assert failed.state is RunState.FAILED
    assert "COPERNICUS/S2_HARMONISED" in failed.reason
    assert "not found" in failed.reason


def test_earth_engine_refusing_the_project_fails_the_run_with_its_words(start_pipeline):
    with start_pipeline(project="other-project") as pipeline:
        run = pipeline.start()
        assert pipeline.tick("find_images")["failed_runs"] == 1
        assert "other-project" in pipeline.services.ledger.run(run.run_id).reason


def test_the_destination_is_there_before_any_image_is_on_record(pipeline, monkeypatch):
    pipeline.start()

    def crash(records):
        raise RuntimeError("the process ends here")

    monkeypatch.setattr(pipeline.services.ledger, "add", crash)
    with pytest.raises(stacks.FunctionFailed):
        pipeline.tick("find_images")
    destination = configuration().destination
    assert ee.data.getAsset(destination)["type"] == "IMAGE_COLLECTION"
    monkeypatch.undo()
    assert pipeline.tick("find_images")["found"] == IMAGES


def test_a_longer_period_adds_images_and_repeats_none(pipeline):
    pipeline.start(start=date(2018, 3, 1), end=date(2018, 3, 20), days_after=0)
    first = pipeline.tick("find_images")["found"]
    longer = configuration(start=date(2018, 3, 1), end=date(2018, 11, 1))
    pipeline.services.ledger.add_run(register(longer))
    assert pipeline.tick("find_images")["found"] == IMAGES - first
    assert 0 < first < IMAGES
    assert len(pipeline.exports()) == IMAGES


def test_other_parameters_are_other_outputs(pipeline):
    pipeline.start()
    pipeline.tick("find_images")
    other = replace(configuration().mask, difference=0.05)
    pipeline.start(mask=other)
    assert pipeline.tick("find_images")["found"] == IMAGES


@pytest.mark.parametrize(
    ("bands", "preset", "missing"),
    [
        (["B2", "B3", "B4", "B8", "B12"], "default", "B11"),
        (["B2", "B3", "B4", "B8", "B11", "B12"], "original", "B1, B10, B5, B6, B7, B8A, B9"),
    ],
)
def test_images_without_the_bands_that_the_mask_reads_are_skipped(
    tmp_path, scenes, bands, preset, missing
):
    content = {**json.loads((scenes / "scenes.json").read_text()), "bands": bands}
    folder = tmp_path / "few-bands"
    folder.mkdir()
    (folder / "scenes.json").write_text(json.dumps(content))
    with stacks.start("embedded", tmp_path / "out", [folder], ["--metadata-only"]) as stack:
        stack.services.ledger.add_run(register(configuration(mask=MaskParameters(preset))))
        assert stack.tick("find_images")["released"] == 0
        reasons = {x.reason for x in stack.services.ledger.exports("demo")}
    assert reasons == {f"bands missing for preset {preset}: {missing}"}
