"""Maps of a tile's season: made once its masks are final, again when these change, never twice."""

import json
from dataclasses import replace
from datetime import date, timedelta

import ee
import pytest

from shared import seasons
from shared.domain import exports
from shared.domain.exports import Failure, State
from shared.domain.runs import ProductParameters
from shared.messages import ExportFinished, SeasonReady, decode

from .conftest import few

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
SEASONS = "projects/demo-project/assets/verdure/masks-season"


def maps(pipeline):
    return pipeline.exports("demo.products")


def standing(pipeline):
    [record] = [x for x in maps(pipeline) if x.state is not State.SUPERSEDED]
    return record


def deliver(pipeline, topics=FUNCTIONS, twice=False):
    """Deliver what waits of some topics, in turned order if twice; return what is left out."""
    kept = []
    for message in pipeline.taken():
        if message.topic not in topics:
            kept.append(message)
            continue
        for _ in range(2 if twice else 1):
            status = pipeline.post(FUNCTIONS[message.topic], message.data, message.message_id)
            assert status == 200
    return kept


def finish(pipeline, twice=False):
    for _ in range(30):
        deliver(pipeline, twice=twice)
        pipeline.wait_for_tasks()
        pipeline.tick("watch_exports")
        states = {x.state for x in (*pipeline.exports(), *maps(pipeline))}
        if not states & {"FOUND", "CLAIMED", "STARTED"}:
            return
    raise AssertionError(states)


def test_a_map_is_made_once_all_masks_of_its_tile_are_there(pipeline):
    pipeline.start(**SHORT)
    pipeline.tick("find_images")
    assert not maps(pipeline)
    finish(pipeline)
    record = standing(pipeline)
    done = [x.image_id for x in pipeline.exports() if x.state is State.SUCCEEDED]
    print(record, done)
    assert record.state is State.SUCCEEDED
