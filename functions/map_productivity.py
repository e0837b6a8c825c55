"""map_productivity, on `season-ready`: claim a map and start exactly one Earth Engine export."""

from shared.handler import on_message
from shared.messages import SeasonReady
from shared.services import Services
from shared.starting import start_export


@on_message(SeasonReady)
def map_productivity(message: SeasonReady, message_id: str, services: Services) -> None:
    """Have one map of a tile and year made of its masks."""
    start_export(message, message_id, services, services.earth_engine.start_map)
