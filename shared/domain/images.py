"""What Earth Engine says of an image when it is listed."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True)
class FoundImage:
    """One image of a collection; `crs` of its first band, `footprint` GeoJSON in EPSG:4326.

    `inputs` are those that its run asks for and that are there by now (shared.domain.runs).
    """

    image_id: str  # system:index
    sensed_ms: int  # system:time_start, ms since 1970, UTC
    bands: tuple[str, ...]
    crs: str
    footprint: dict[str, Any]
    on_land: bool = True
    tile: str = ""
    platform: str = ""
    inputs: tuple[str, ...] = ()

    @property
    def sensed_at(self) -> datetime:
        """Sensing time in UTC, to the millisecond."""
        return datetime.fromtimestamp(self.sensed_ms / 1000, UTC)

    @property
    def acquisition(self) -> str:
        """Key of the acquisition, the same for a reprocessed image with another id."""
        return f"{self.platform}/{self.sensed_at:%Y%m%dT%H%M%S}/{self.tile}"
