"""Images at rest: what a scene folder and the asset store hold, and what a graph loads."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Pyramiding = Literal["MEAN", "MODE", "SAMPLE"]


@dataclass(frozen=True)
class StoredBand:
    """One band on its own grid.

    `transform` is in Earth Engine's order: xScale, xShear, xTranslation, yShear, yScale,
    yTranslation. `path` is a GeoTIFF whose own nodata value or mask says which pixels are
    valid; without a path (metadata only, for load tests) every pixel reads as a valid 0.
    """

    name: str
    dtype: str  # numpy's name: uint8, int16, uint16, int32, uint32, float32, float64
    crs: str
    transform: tuple[float, float, float, float, float, float]
    width: int
    height: int
    path: Path | None = None
    index: int = 1  # 1-based band inside the file
    pyramiding: Pyramiding = "MEAN"


@dataclass(frozen=True)
class StoredImage:
    """An image asset: bands, properties (times in ms since 1970, UTC) and a footprint."""

    id: str  # as used in expressions: COPERNICUS/S2_HARMONIZED/<index> or projects/P/assets/…
    bands: tuple[StoredBand, ...]
    properties: Mapping[str, Any] = field(default_factory=dict)
    footprint: Mapping[str, Any] | None = None  # GeoJSON geometry, EPSG:4326; None: unbounded
    update_time: str = "1970-01-01T00:00:00.000000Z"
    size_bytes: int = 0
