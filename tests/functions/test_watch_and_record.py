import json
import random
from datetime import timedelta

import ee
import pystac
import pytest

from cli import stacks
from cli.drive import drive
from emulator.scenes.synthetic import write_metadata_only
from shared.adapters import earth_engine
from shared.domain import exports
from shared.domain.exports import State
from shared.domain.runs import register
from shared.messages import EndedTask, ExportFinished, ImageFound, decode

from .conftest import IMAGES, configuration, few

# What depends on when, and on which of two messages came first.
VOLATILE = {
    *("queued_at", "claimed_by", "claimed_at", "operation", "ended_at", "item", "eecu_seconds")
}


def later(pipeline, **delta):
    """The same services with a clock that is ahead."""
    from dataclasses import replace

    from shared import bootstrap

    now = pipeline.services.now
    bootstrap.use(replace(pipeline.services, now=lambda: now() + timedelta(**delta)))


def submitted(pipeline, **changes):
    """A run whose exports are all in Earth Engine's queue."""
    run = pipeline.start(**changes)
    pipeline.tick("find_images")
    for delivery in pipeline.taken():
        pipeline.post("mask_image", delivery.data, delivery.message_id)
    return run


def started(pipeline, **changes):
    """A run whose exports are all started and ended in Earth Engine."""
    run = submitted(pipeline, **changes)
    pipeline.wait_for_tasks()
    return run


def finish(pipeline):
    """Watch, and deliver what the watcher published."""
    counts = pipeline.tick("watch_exports")
    statuses = [pipeline.post("record_export", x.data) for x in pipeline.taken()]
    return counts, statuses


def test_what_ended_is_recorded_with_its_item(pipeline):
    run = started(pipeline)
    assert finish(pipeline) == ({"ended": IMAGES, "released": 0}, [200])
    for record in pipeline.exports():
        assert record.state is State.SUCCEEDED
        item = pystac.Item.from_dict(json.loads(record.item))
        assert item.id == record.image_id
        assert item.datetime == record.sensed_at
        assert item.properties["verdure:run_key"] == record.export_id
        assert item.properties["verdure:run"] == run.run_id
        assert item.properties["proj:code"] == record.grid[0]
        assert item.properties["grid:code"] == f"MGRS-{record.tile}"
        assert item.assets["mask"].href.endswith(record.image_id)


def test_the_watcher_asks_nothing_when_nothing_is_in_flight(pipeline):
    pipeline.start()
    before = pipeline.statistics()["requests"]
    assert pipeline.tick("watch_exports") == {"ended": 0, "released": 0}
    assert pipeline.statistics()["requests"] == before


def test_free_slots_are_filled_until_all_is_done(pipeline):
    pipeline.start(**few(5))
    pipeline.tick("find_images")
    rounds = 0
    while pipeline.services.ledger.count_by_state("demo") != {"SUCCEEDED": IMAGES}:
        pipeline.deliver()
        pipeline.wait_for_tasks()
        pipeline.tick("watch_exports")
        pipeline.deliver()
        rounds += 1
        assert rounds < 20
    assert pipeline.statistics()["peak_queued_tasks"] <= 5
    assert pipeline.statistics()["exports_started"] == IMAGES


@pytest.mark.parametrize("images", [100, pytest.param(1000, marks=pytest.mark.soak)])
def test_the_queue_never_holds_more_than_the_ceiling(tmp_path, images):
    scenes = write_metadata_only(tmp_path / "region", images)
    with stacks.start("embedded", tmp_path / "out", [scenes], ["--metadata-only"]) as stack:
        run = register(configuration(**few(20)))
        assert drive(stack, run, lambda *counts: None).counts == {"SUCCEEDED": images}
        counted = stacks.run_statistics(stack.earth_engine_url)
    assert counted["exports_started"] == images
    assert 1 < counted["peak_queued_tasks"] <= 20


def test_the_ceiling_holds_when_nothing_ends(start_pipeline):
    with start_pipeline("--concurrency", "0") as pipeline:
        pipeline.start(**few(5))
        for _ in range(3):
            pipeline.tick("find_images")
            pipeline.tick("watch_exports")
            pipeline.deliver()
        assert pipeline.statistics()["peak_queued_tasks"] == 5
        assert pipeline.services.ledger.count_by_state("demo")["STARTED"] == 5


def test_a_task_whose_starter_crashed_is_adopted(start_pipeline):
    with start_pipeline("--concurrency", "0") as pipeline:
        run = pipeline.start()
        pipeline.tick("find_images")
        message = decode(ImageFound, pipeline.taken()[0].data)
        claimed = pipeline.services.ledger.change(
            message.export_id, lambda x: exports.claim(x, 1, "1", pipeline.services.now())
        )
        operation = pipeline.services.earth_engine.start_mask(run, claimed)
        pipeline.tick("watch_exports")
        record = pipeline.services.ledger.get([message.export_id])[message.export_id]
        assert (record.state, record.operation) == (State.STARTED, operation)


def pages_of(pipeline, function):
    """Tick a function; return what it counted and how many pages of tasks it asked for."""
    before = pipeline.statistics()["requests_by_method"].get("operations.list", 0)
    counts = pipeline.tick(function)
    return counts, pipeline.statistics()["requests_by_method"].get("operations.list", 0) - before


def test_a_tick_reads_no_pages_of_tasks_that_ended_long_ago(pipeline, monkeypatch):
    monkeypatch.setattr(earth_engine, "TASKS_PAGE", 4)
    pipeline.start(**few(3))
    pipeline.tick("find_images")
    ended = 0
    while ended < IMAGES:
        pipeline.deliver()
        pipeline.wait_for_tasks()
        counts, pages = pages_of(pipeline, "watch_exports")
        assert pages == (counts["ended"] > 0)
        ended += counts["ended"]
        pipeline.deliver()
        pipeline.tick("find_images")
    assert pipeline.services.ledger.count_by_state("demo") == {"SUCCEEDED": IMAGES}


def test_a_crashed_starters_task_is_found_behind_any_number_of_newer_ones(pipeline, monkeypatch):
    monkeypatch.setattr(earth_engine, "TASKS_PAGE", IMAGES - 1)
    run = pipeline.start()
    pipeline.tick("find_images")
    first, *others = pipeline.taken()
    message = decode(ImageFound, first.data)
    claimed = pipeline.services.ledger.change(
        message.export_id, lambda x: exports.claim(x, 1, "1", pipeline.services.now())
    )
    pipeline.services.earth_engine.start_mask(run, claimed)
    for delivery in others:
        pipeline.post("mask_image", delivery.data, delivery.message_id)
    pipeline.wait_for_tasks()
    assert pages_of(pipeline, "watch_exports") == ({"ended": IMAGES - 1, "released": 0}, 1)
    pipeline.deliver()
    assert pages_of(pipeline, "watch_exports") == ({"ended": 0, "released": 0}, 1)
    later(pipeline, hours=1, seconds=1)
    assert pages_of(pipeline, "watch_exports") == ({"ended": 1, "released": 0}, 2)
    pipeline.deliver()
    assert pipeline.services.ledger.count_by_state("demo") == {"SUCCEEDED": IMAGES}


def test_an_ended_task_whose_starter_crashed_is_recorded(pipeline):
    run = pipeline.start()
    pipeline.tick("find_images")
    message = decode(ImageFound, pipeline.taken()[0].data)
    claimed = pipeline.services.ledger.change(
        message.export_id, lambda x: exports.claim(x, 1, "1", pipeline.services.now())
    )
    pipeline.services.earth_engine.start_mask(run, claimed)
    pipeline.wait_for_tasks()
    finish(pipeline)
    record = pipeline.services.ledger.get([message.export_id])[message.export_id]
    assert record.state is State.SUCCEEDED


def test_a_claim_that_came_to_nothing_is_put_back_after_an_hour(pipeline):
    pipeline.start()
    pipeline.tick("find_images")
    message = decode(ImageFound, pipeline.taken()[0].data)
    pipeline.services.ledger.change(
        message.export_id, lambda x: exports.claim(x, 1, "1", pipeline.services.now())
    )
    assert finish(pipeline)[0]["ended"] == 0
    pipeline.taken()
    later(pipeline, hours=1, seconds=1)
    assert pipeline.tick("watch_exports")["ended"] == 1
    [finished] = [x for x in pipeline.taken() if x.topic == "export-finished"]
    pipeline.post("record_export", finished.data)
    record = pipeline.services.ledger.get([message.export_id])[message.export_id]
    assert (record.state, record.attempt) == (State.FOUND, 2)


def test_a_vanished_task_whose_output_exists_is_a_success(pipeline):
    run = started(pipeline)
    record = pipeline.exports()[0]
    vanished = EndedTask(record.export_id, 1, "VANISHED", record.operation)
    assert pipeline.post("record_export", ExportFinished(run.run_id, (vanished,))) == 200
    assert pipeline.exports()[0].state is State.SUCCEEDED


def test_a_success_without_visible_output_is_asked_for_again(start_pipeline):
    with start_pipeline("--concurrency", "0") as pipeline:
        run = submitted(pipeline)
        record = pipeline.exports()[0]
        ended = EndedTask(record.export_id, 1, "SUCCEEDED", record.operation)
        assert pipeline.post("record_export", ExportFinished(run.run_id, (ended,))) == 500
        assert pipeline.exports()[0].state is State.STARTED


@pytest.mark.parametrize(
    ("error", "state"),
    [
        ("An internal error has occurred.", State.FOUND),
        ("Computation timed out.", State.FOUND),
        ("Image.select: Band pattern 'B99' did not match any bands.", State.FAILED),
        ("Something nobody has seen before.", State.FAILED),
    ],
)
def test_a_failed_task_is_tried_again_or_not_by_its_reason(start_pipeline, error, state):
    with start_pipeline("--concurrency", "0") as pipeline:
        run = submitted(pipeline)
        record = pipeline.exports()[0]
        ended = EndedTask(record.export_id, 1, "FAILED", record.operation, error)
        assert pipeline.post("record_export", ExportFinished(run.run_id, (ended,))) == 200
        after = pipeline.exports()[0]
        assert (after.state, after.reason) == (state, error)
        assert bool(after.next_action) == (state is State.FAILED)


def test_a_destination_that_was_deleted_fails_its_exports_with_earth_engines_words(start_pipeline):
    with start_pipeline() as pipeline:
        pipeline.start()
        pipeline.tick("find_images")
        ee.data.deleteAsset("projects/demo-project/assets/verdure/masks")
        for delivery in pipeline.taken():
            pipeline.post("mask_image", delivery.data, delivery.message_id)
        pipeline.wait_for_tasks()
        assert finish(pipeline) == ({"ended": IMAGES, "released": 0}, [200])
        assert pipeline.services.ledger.count_by_state("demo") == {"FAILED": IMAGES}
        assert "assets/verdure/masks' does not exist" in pipeline.exports()[0].reason


def test_somebody_elses_asset_in_the_way_is_a_failure_that_says_so(pipeline):
    started(pipeline)
    finish(pipeline)
    started(pipeline, name="other", mask=exports_with_other_parameters())
    finish(pipeline)
    reasons = {x.reason for x in pipeline.exports("other")}
    assert pipeline.services.ledger.count_by_state("other") == {"FAILED": IMAGES}
    assert all("Cannot overwrite asset" in reason for reason in reasons)


def exports_with_other_parameters():
    from shared.domain.runs import MaskParameters

    return MaskParameters(difference=0.05)


def content(pipeline):
    records = [{k: v for k, v in vars(x).items() if k not in VOLATILE} for x in pipeline.exports()]
    return sorted(records, key=lambda x: x["export_id"])


def play(pipeline, shuffle=None):
    """Run to the end; with a random generator, every message twice and in random order."""
    pipeline.start(**few(7))
    pipeline.tick("find_images")
    old = []
    for _ in range(40):
        messages = pipeline.taken()
        if shuffle is not None:
            # Everything once more, and some of what came in earlier rounds.
            messages = messages * 2 + shuffle.sample(old, min(len(old), 5))
            old += messages
            shuffle.shuffle(messages)
        for message in messages:
            function = {"image-found": "mask_image", "export-finished": "record_export"}
            pipeline.post(function[message.topic], message.data, message.message_id)
        pipeline.wait_for_tasks()
        pipeline.tick("watch_exports")
        if pipeline.services.ledger.count_by_state("demo") == {"SUCCEEDED": IMAGES}:
            return content(pipeline), pipeline.statistics()["exports_started"]
    raise AssertionError(pipeline.services.ledger.count_by_state("demo"))


@pytest.mark.parametrize("seed", [0, pytest.param(range(1, 20), marks=pytest.mark.soak)])
def test_twice_and_in_random_order_is_the_same_as_once_and_in_order(start_pipeline, tmp_path, seed):
    with start_pipeline() as pipeline:
        expected = play(pipeline)
    for number in seed if isinstance(seed, range) else [seed]:
        import shutil

        shutil.rmtree(tmp_path / "earth-engine")
        for left in tmp_path.glob("verdure.sqlite*"):
            left.unlink()
        with start_pipeline() as pipeline:
            assert play(pipeline, random.Random(number)) == expected
    assert expected[1] == IMAGES


def test_a_full_asset_quota_puts_images_back_and_loses_none(start_pipeline):
    # The destination and its folder, the models and theirs are five assets: five masks fit.
    with start_pipeline("--max-assets", "10") as pipeline:
        started(pipeline)
        finish(pipeline)
        states = pipeline.services.ledger.count_by_state("demo")
        assert states == {"SUCCEEDED": 5, "FOUND": IMAGES - 5}
        waiting = [x for x in pipeline.exports() if x.state is State.FOUND]
        assert all("Asset quota exceeded" in x.reason for x in waiting)
        assert all((x.attempt, x.failures) == (2, 1) for x in waiting)
