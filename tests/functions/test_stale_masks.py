"""Masks that would be made in another way by now are made again, once, and always readable."""

import json
from collections import Counter
from dataclasses import replace
from datetime import date

import ee
import pytest

from cli import stacks
from emulator import launch
from emulator.scenes.synthetic import write_region
from shared import bootstrap, models
from shared.config import Settings
from shared.domain.exports import State
from shared.domain.runs import MaskParameters, register
from shared.earth.reference_masks import CLOUD_SCORE_COLLECTION

from .conftest import IMAGES, Pipeline, configuration, few

#: A period with few images.
SHORT = {"start": date(2018, 3, 1), "end": date(2018, 3, 20), "days_after": 0}
FUNCTIONS = {"image-found": "mask_image", "export-finished": "record_export"}


@pytest.fixture
def with_scores(tmp_path, scenes):
    """A function that gives the emulator's option for Cloud Score+ of some images."""

    def write(image_ids):
        folder = tmp_path / f"scores-{len(image_ids)}"
        folder.mkdir(exist_ok=True)
        content = json.loads((scenes / "scenes.json").read_text())
        chosen = [scene for scene in content["scenes"] if scene["id"] in image_ids]
        manifest = {"collection": CLOUD_SCORE_COLLECTION, "bands": ["cs", "cs_cdf"]}
        (folder / "scenes.json").write_text(json.dumps({**manifest, "scenes": chosen}))
        return "--scenes", str(folder)

    return write


def finish(pipeline, twice=False):
    """Carry on until nothing is left to do; with every message delivered twice, if asked."""
    for _ in range(20):
        messages = pipeline.taken()
        for message in messages * (2 if twice else 1):
            pipeline.post(FUNCTIONS[message.topic], message.data, message.message_id)
        pipeline.wait_for_tasks()
        pipeline.tick("watch_exports")
        if not {x.state for x in pipeline.exports()} & {"FOUND", "CLAIMED", "STARTED"}:
            return
    raise AssertionError(pipeline.services.ledger.count_by_state("demo"))


def find(pipeline):
    counts = pipeline.tick("find_images")
    return counts["found"], counts["stale"]


def standing(pipeline):
    """Return the records that count, by image; there is one each."""
    records = [x for x in pipeline.exports() if x.state is not State.SUPERSEDED]
    assert len(records) == len({x.image_id for x in records})
    return {x.image_id: x for x in records}


def assets():
    """Return the properties of all masks that can be read, by image."""
    found = ee.data.listAssets(configuration().destination).get("assets", [])
    return {x["id"].rsplit("/", 1)[-1]: x["properties"] for x in found}


def started(pipeline):
    return pipeline.statistics()["exports_started"]


def test_a_late_input_has_just_its_images_made_again(start_pipeline, with_scores, monkeypatch):
    with start_pipeline() as pipeline:
        pipeline.start()
        assert find(pipeline) == (IMAGES, 0)
        finish(pipeline)
        first = standing(pipeline)
        assert {x.inputs for x in first.values()} == {("qa60",)}
    late = sorted(first)[:3]
    with start_pipeline(*with_scores(late)) as pipeline:

        def crash(records):
            raise RuntimeError("the process ends here")

        monkeypatch.setattr(pipeline.services.ledger, "add", crash)
        with pytest.raises(stacks.FunctionFailed):
            pipeline.tick("find_images")
        monkeypatch.undo()
        assert find(pipeline) == (3, 3)
        assert find(pipeline) == (0, 0)
        old = {name: properties["run_key"] for name, properties in assets().items()}
        assert old == {name: x.export_id for name, x in first.items()}, "all are readable still"
        assert sum(x.is_stale for x in pipeline.exports()) == 3
        finish(pipeline, twice=True)
        assert find(pipeline) == (0, 0)
        second, made = standing(pipeline), assets()
        assert {x.state for x in second.values()} == {State.SUCCEEDED}
        assert [name for name in sorted(first) if second[name] != first[name]] == late
        assert started(pipeline) == IMAGES + 3
        superseded = {x.reason for x in pipeline.exports() if x.state is State.SUPERSEDED}
        assert superseded == {"made without cloud_score_plus, which is there by now"}
    for name, record in second.items():
        assert made[name]["run_key"] == record.export_id
        assert made[name]["cloud_score_plus_present"] == (name in late)
        item = json.loads(record.item)["properties"]
        assert item["verdure:inputs"] == ["qa60", *(["cloud_score_plus"] if name in late else [])]
    with start_pipeline() as pipeline:
        assert find(pipeline) == (0, 0), "an input that is gone makes no mask stale"


def test_other_parameters_other_models_and_the_old_ones_again(pipeline, monkeypatch):
    pipeline.start(**SHORT)
    number, _ = find(pipeline)
    finish(pipeline)
    first = standing(pipeline)
    pipeline.start(**SHORT, mask=MaskParameters(difference=0.05))
    assert find(pipeline) == (number, number)
    finish(pipeline)
    assert {x["run_key"] for x in assets().values()} == {
        x.export_id for x in standing(pipeline).values()
    }
    pipeline.start(**SHORT)
    assert find(pipeline) == (number, number)
    finish(pipeline)
    again = standing(pipeline)
    assert {k: x.export_id for k, x in again.items()} == {k: x.export_id for k, x in first.items()}
    assert {(x.state, x.attempt) for x in again.values()} == {(State.SUCCEEDED, 2)}
    assert started(pipeline) == 3 * number

    model = models.load("cloud-13")
    other = replace(model, cutoffs={**model.cutoffs, "cloud": 0.5})
    monkeypatch.setattr(models, "for_preset", lambda preset, bands: other)
    monkeypatch.setattr(models, "by_version", lambda: {other.version: other})
    assert find(pipeline) == (number, number)
    finish(pipeline)
    assert {x["model"] for x in assets().values()} == {other.version} != {model.version}
    assert {x.reason for x in pipeline.exports() if x.model == model.version} >= {
        f"made with model {model.version}, to be made with {other.version}"
    }
    assert started(pipeline) == 4 * number


def test_what_is_in_earth_engines_hands_ends_before_it_is_made_again(start_pipeline):
    with start_pipeline("--concurrency", "0") as pipeline:
        pipeline.start(**few(5))
        find(pipeline)
        for message in pipeline.taken():
            pipeline.post("mask_image", message.data, message.message_id)
        pipeline.start(**few(5), mask=MaskParameters(brightness=0.2))
        assert find(pipeline) == (IMAGES - 5, 0)
        states = Counter(x.state for x in pipeline.exports())
        assert states == {"STARTED": 5, "SUPERSEDED": IMAGES - 5, "FOUND": IMAGES - 5}
        assert find(pipeline) == (0, 0)


def test_another_destination_overwrites_nothing(pipeline):
    pipeline.start(**SHORT)
    number, _ = find(pipeline)
    finish(pipeline)
    before = assets()
    elsewhere = configuration(**SHORT, destination="projects/demo-project/assets/verdure/others")
    pipeline.services.ledger.add_run(register(elsewhere))
    assert find(pipeline) == (number, 0)
    finish(pipeline)
    assert {x.state for x in standing(pipeline).values()} == {State.SUCCEEDED}
    assert assets() == before


@pytest.fixture
def small(tmp_path, publish_models):
    """A pipeline over a few small images with pixels: the original's clusters read them all."""
    scenes = write_region(tmp_path / "region", images=3, size=32)
    publish_models(tmp_path / "earth-engine")
    with launch.running(tmp_path / "earth-engine", [scenes]) as url:
        running = Pipeline(Settings("embedded", launch.PROJECT, tmp_path, url))
        yield running
    bootstrap.use(None)
    running.close()


def test_the_presets_share_a_run_one_after_the_other(small):
    small.start(mask=MaskParameters(preset="original"))
    number, _ = find(small)
    finish(small)
    for properties in assets().values():
        assert properties["preset"] == "original"
        assert properties["model"] == models.load_original().version
        assert properties["background_images"] > 0
        assert properties["qa60_present"] == 0
    small.start()
    assert find(small) == (number, number)
    finish(small)
    assert {x["preset"] for x in assets().values()} == {"default"}
    assert len(assets()) == number > 0
