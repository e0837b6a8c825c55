import json
from dataclasses import replace

import ee
import pytest

from emulator import launch
from shared import bootstrap
from shared.config import Settings
from shared.domain import exports
from shared.domain.exports import State
from shared.messages import ImageFound, decode

from .conftest import PUSH, Pipeline, few, post

INVALID = sorted((PUSH / "invalid").glob("*.json"))


@pytest.fixture
def found(pipeline):
    """The first image-found message of a run."""
    pipeline.start()
    pipeline.tick("find_images")
    return decode(ImageFound, pipeline.taken()[0].data)


def record_of(pipeline, message):
    return pipeline.services.ledger.get([message.export_id])[message.export_id]


def test_one_message_starts_one_export(pipeline, found):
    assert pipeline.post("mask_image", found) == 200
    record = record_of(pipeline, found)
    assert record.state is State.STARTED
    assert record.operation.startswith("projects/demo-project/operations/")
    assert pipeline.statistics()["exports_started"] == 1


def test_a_message_that_comes_twice_starts_nothing_more(pipeline, found):
    for message_id in ("1", "1", "2"):
        assert pipeline.post("mask_image", found, message_id) == 200
    assert pipeline.statistics()["exports_started"] == 1


def test_the_same_message_goes_on_where_a_crash_left_it(pipeline, found):
    ledger = pipeline.services.ledger
    ledger.change(found.export_id, lambda x: exports.claim(x, 1, "1", pipeline.services.now()))
    run = ledger.run(found.run_id)
    operation = pipeline.services.earth_engine.start_mask(run, record_of(pipeline, found))
    assert pipeline.post("mask_image", found, "1") == 200
    assert record_of(pipeline, found).operation == operation
    assert pipeline.statistics()["exports_started"] == 1


def test_another_message_leaves_a_claim_alone(pipeline, found):
    ledger = pipeline.services.ledger
    ledger.change(found.export_id, lambda x: exports.claim(x, 1, "1", pipeline.services.now()))
    assert pipeline.post("mask_image", found, "2") == 200
    assert record_of(pipeline, found).state is State.CLAIMED
    assert pipeline.statistics()["exports_started"] == 0


def test_a_full_queue_puts_the_image_back_unharmed(start_pipeline):
    with start_pipeline("--max-queued", "1", "--concurrency", "0") as pipeline:
        pipeline.start()
        pipeline.tick("find_images")
        for delivery in pipeline.taken():
            assert pipeline.post("mask_image", delivery.data, delivery.message_id) == 200
        states = pipeline.services.ledger.count_by_state("demo")
        assert states == {"STARTED": 1, "FOUND": 11}
        waiting = [x for x in pipeline.exports() if x.state is State.FOUND]
        assert all("Too many tasks already in the queue (1)" in x.reason for x in waiting)
        assert all((x.attempt, x.failures) == (2, 0) for x in waiting)
        assert pipeline.tick("find_images")["released"] == 0, "it waits before it tries again"


def test_a_message_for_an_export_that_nobody_knows_is_acknowledged(pipeline, found):
    stranger = ImageFound(found.run_id, "mask-0000", "image", 1)
    assert pipeline.post("mask_image", stranger) == 200


def test_an_image_id_that_would_end_a_string_of_the_request_is_refused(pipeline, found):
    ledger = pipeline.services.ledger
    ledger.change(found.export_id, lambda x: replace(x, image_id='x", "overwrite": "true'))
    assert pipeline.post("mask_image", found) == 200
    record = record_of(pipeline, found)
    assert (record.state, record.failure) == (State.FAILED, exports.Failure.PERMANENT)
    assert "expected letters, digits" in record.reason
    assert pipeline.statistics()["exports_started"] == 0


def test_earth_engine_not_answering_raises_for_redelivery(tmp_path, scenes, publish_models):
    with launch.running(publish_models(tmp_path / "ee"), [scenes], "--metadata-only") as url:
        pipeline = Pipeline(Settings("embedded", launch.PROJECT, tmp_path, url))
        pipeline.start()
        pipeline.tick("find_images")
        message = decode(ImageFound, pipeline.taken()[0].data)
    ee.data.setMaxRetries(0)
    assert pipeline.post("mask_image", message, "7") == 500
    assert record_of(pipeline, message).state is State.CLAIMED
    pipeline.close()


def test_wrong_settings_lose_no_message(monkeypatch):
    bootstrap.use(None)
    monkeypatch.delenv("VERDURE_PROJECT", raising=False)
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT", raising=False)
    assert post("mask_image", (PUSH / "captured.json").read_bytes()) == 500


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem)
def test_a_poison_message_is_refused(pipeline, path):
    assert post("mask_image", path.read_bytes()) >= 400


def test_a_body_that_is_no_push_is_refused(pipeline):
    assert post("mask_image", b'{"message": {"data"') >= 400


def test_poison_ends_in_the_dead_letters_and_stops_nothing_else(pipeline, monkeypatch):
    pipeline.start(**few(3))
    monkeypatch.setattr("cli.stacks._backoff", lambda function, failures: 0.0)
    poison = json.dumps({"version": 2}).encode()
    pipeline.bus.publish_raw([("image-found", poison), ("image-found", b"\x00")])
    pipeline.tick("find_images")
    pipeline.deliver()
    assert [(topic, data) for topic, data, _ in pipeline.dead_letters()] == [
        ("image-found", poison),
        ("image-found", b"\x00"),
    ]
    assert "version 2 is newer" in pipeline.dead_letters()[0][2]
    assert pipeline.services.ledger.count_by_state("demo")["STARTED"] == 3
