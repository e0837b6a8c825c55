"""map_productivity, on `season-ready`: claim a map and start exactly one Earth Engine export."""

import json
from typing import Any

from shared import reading
from shared.domain.exports import Export
from shared.domain.runs import Run
from shared.earth.masks import collection
from shared.handler import on_message
from shared.messages import SeasonReady
from shared.services import Services
from shared.starting import start_export


def _archived(run: Run, record: Export, services: Services) -> Any:
    """Return a map's masks wherever they are, of a run that has an archive; else None."""
    wanted = run.configuration
    if wanted.archive is None:
        return None
    footprint = json.loads(record.footprint)
    places = reading.places(run, services, footprint, wanted.first_instant, wanted.last_instant)
    # Its own only: those of other tiles may leave before the task begins, and it would fail.
    return collection([x for x in places if x.image_id in record.inputs])


@on_message(SeasonReady)
def map_productivity(message: SeasonReady, message_id: str, services: Services) -> None:
    """Have one map of a tile and year made of its masks."""

    def start(run: Run, record: Export) -> str:
        services.earth_engine.create_collection(run.collection_of(record.kind))
        return services.earth_engine.start_map(run, record, _archived(run, record, services))

    start_export(message, message_id, services, start)
