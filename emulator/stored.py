"""Images at rest: what a scene folder and the asset store hold, and what a graph loads."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

Pyramiding = Literal["MEAN", "MODE", "SAMPLE"]
PYRAMIDING: tuple[Pyramiding, ...] = get_args(Pyramiding)
UNSPECIFIED_POLICY = "PYRAMIDING_POLICY_UNSPECIFIED"
UNSUPPORTED_POLICIES = ("MAX", "MIN")  # GDAL makes no such overviews


@dataclass(frozen=True)
class StoredBand:
    """One band as its file has it.

    `transform`, `width` and `height` are the file's, `transform` in Earth Engine's order: xScale,
    xShear, xTranslation, yShear, yScale, yTranslation. Valid is what the file's own nodata value
    or mask says, and is not `nodata`. Without a path every pixel reads as 0: valid in metadata
    for load tests, masked where `nodata` is 0.

    A 20 m band that a file has at 10 m is `oversampled` 2 times: its default projection
    (`own_transform`) has 20 m, as in Earth Engine, and reads at 10 m get the file's pixels.
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
    fractional: bool = False  # the mask has more than two values: `band_files.mask_path`
    nodata: int | None = None
    shift: int = 0  # what harmonisation subtracts from the file's digital numbers
    oversampled: int = 1
    uri: str | None = None  # of a file in Cloud Storage that the asset does not own: gs://B/N#G
    make: Callable[[], None] | None = None  # writes the file, called when it is first read

    @property
    def own_transform(self) -> tuple[float, float, float, float, float, float]:
        """The transform of the band's own pixels."""
        a, b, c, d, e, f = self.transform
        n = self.oversampled
        return a * n, b * n, c, d * n, e * n, f

    @property
    def own_size(self) -> tuple[int, int]:
        """Columns and rows of the band's own pixels; the last may reach over the file's edge."""
        return -(-self.width // self.oversampled), -(-self.height // self.oversampled)


@dataclass(frozen=True, eq=False)
class StoredImage:
    """An image asset: bands, properties (times in ms since 1970, UTC) and a footprint."""

    id: str  # as used in expressions: COPERNICUS/S2_HARMONIZED/<index> or projects/P/assets/…
    bands: tuple[StoredBand, ...]
    properties: Mapping[str, Any] = field(default_factory=dict)
    footprint: Mapping[str, Any] | None = None  # GeoJSON geometry, EPSG:4326; None: unbounded
    update_time: str = "1970-01-01T00:00:00Z"
    size_bytes: int = 0
    available_after: int = 0  # days of the emulator's clock since it started

    @property
    def index(self) -> str:
        """The last part of the id: `system:index` unless the properties say otherwise."""
        return self.id.rsplit("/", 1)[-1]


class StoredCollection:
    """Images with their properties as columns, so that thousands are filtered at once."""

    def __init__(self, images: Sequence[StoredImage]) -> None:
        self._all = images
        self._rows: np.ndarray | None = None  # positions among all; None: every one
        self._columns: dict[str, np.ndarray | None] = {}  # of all, shared by what is taken

    def __iter__(self) -> Iterator[StoredImage]:
        if self._rows is None:
            return iter(self._all)
        return (self._all[row] for row in self._rows.tolist())

    def __len__(self) -> int:
        return len(self._all if self._rows is None else self._rows)

    def column(self, name: str) -> np.ndarray | None:
        """Return a property of each image: numbers, missing ones NaN, or text without gaps.

        None means that the property is of another kind, and to be looked at image by image.
        """
        if name not in self._columns:
            self._columns[name] = _column([_property(image, name) for image in self._all])
        column = self._columns[name]
        return column if column is None or self._rows is None else column[self._rows]

    def take(self, positions: np.ndarray) -> "StoredCollection":
        """Return the images at some positions, in the order of these."""
        taken = StoredCollection(self._all)
        taken._rows = positions if self._rows is None else self._rows[positions]
        taken._columns = self._columns
        return taken


def _property(image: StoredImage, name: str) -> Any:
    value = image.properties.get(name)
    return image.index if value is None and name == "system:index" else value


def _column(values: Sequence[Any]) -> np.ndarray | None:
    if all(isinstance(value, str) for value in values):
        return np.array(values, dtype=object)
    if all(value is None or isinstance(value, int | float) for value in values):
        return np.array(values, dtype=np.float64)  # None becomes NaN
    return None
