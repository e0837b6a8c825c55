"""map_productivity, on `season-ready`: claim a map and start exactly one Earth Engine export."""

from shared.domain.exports import Export
from shared.domain.runs import Run
from shared.handler import on_message
from shared.messages import SeasonReady
from shared.services import Services
from shared.starting import start_export


@on_message(SeasonReady)
def map_productivity(message: SeasonReady, message_id: str, services: Services) -> None:
    """Have one map of a tile and year made of its masks."""

    def start(run: Run, record: Export) -> str:
        services.earth_engine.create_collection(run.collection_of(record.kind))
        return services.earth_engine.start_map(run, record)

    start_export(message, message_id, services, start)
