"""A run: which images, over which region and period, masked how and written where."""

from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Any

from shared.domain import ids, indices
from shared.domain.archive import ArchivePolicy
from shared.domain.exports import MASK, Export
from shared.domain.indices import VegetationIndex

#: Bumped with every change that alters a mask's pixels; part of every export id.
MASK_ALGORITHM = "mask-6"

#: Version of the project (pyproject.toml), which says what code made a mask.
CODE_VERSION = "0.1.0"

#: Ways to make a mask: our forest, or the 2019 system's four methods and their table.
PRESETS = ("default", "original")

#: Other people's masks that the default preset may look at, where an image has them.
INPUTS = ("qa60", "s2cloudless", "cloud_score_plus")

#: Maps of a tile's season: parameters of its seasons, the index in regular steps, carbon taken up.
SEASON, NDVI, GPP = "season", "ndvi", "gpp"
MAPS = (SEASON, NDVI, GPP)

#: Ways to fill gaps (shared.earth.gap_filling).
FILLINGS = ("default", "original")

#: Earth Engine's limit of READY tasks in a project (guides/usage, "Task queue").
MAX_QUEUED_TASKS = 3000


@dataclass(frozen=True)
class MaskParameters:
    """The cloud mask's parameters; thresholds are TOA reflectances from 0 to 1.

    `background_images` least cloudy images of the same tile within `background_days` of the
    image are its background, which the forest sees. The band `agreement` compares the forest
    with a rule: cloud where the mean difference to the background over B2 and B4 is above
    `difference`, and the brightness above `brightness` (Mateo-García et al. 2018,
    doi 10.3390/rs10071079), and with those of `inputs` that the image has; when one comes late,
    the mask is made again. By default QA60, which is part of an image, and Cloud Score+, the
    one that also knows shadow: a live run makes a mask twice at most. `scale` is the mask's pixel
    size in metres. Preset `original` has `scale` only; its rules are the published ones.
    """

    preset: str = "default"
    background_images: int = 20
    background_days: int = 60
    inputs: tuple[str, ...] = ("qa60", "cloud_score_plus")
    difference: float = 0.04
    brightness: float = 0.175
    scale: int = 20

    @property
    def wanted_inputs(self) -> tuple[str, ...]:
        """Inputs that the preset looks at, always in the same order."""
        if self.preset != "default":
            return ()
        return tuple(name for name in INPUTS if name in self.inputs)

    @property
    def deciding(self) -> dict[str, Any]:
        """What decides a mask's pixels beside its model, its grid and the inputs it has."""
        if self.preset != "default":
            return {"preset": self.preset}
        return {k: v for k, v in asdict(self).items() if k not in ("inputs", "scale")}


@dataclass(frozen=True)
class Limits:
    """Ceilings of a run: tasks in Earth Engine at once, and attempts for one image."""

    queued_tasks: int = 2500
    attempts: int = 3


@dataclass(frozen=True)
class ProductParameters:
    """The maps that are made of a tile's masks, and how.

    `maps` are some of `MAPS`, of a vegetation index (a name of shared.domain.indices), whose gaps
    `preset` fills; GPP is of NDVI always. The index is that of the masks' own images, at the top of
    the atmosphere, or of the images in `collection` that have their ids, as Level 2A has them at
    the ground. A mask without an image there does not count. Observed is a pixel where the mask
    says clear and cloud is less likely than `cloud_below` %: a cloud that is missed costs a series
    more than an observation that is lost (docs/science.md). `scale` is the pixel size in metres,
    `step` the days between the index's bands. GPP alone needs `weather`, daily images with
    ERA5-Land's bands, and `land_cover`, a collection of yearly images with MODIS' band LC_Type2;
    without the latter all land is `land_cover_class`, a number of that band (12: cropland).
    """

    maps: tuple[str, ...] = (SEASON,)
    collection: str | None = None
    index: str = indices.NDVI.name
    preset: str = "default"
    cloud_below: int = 20
    scale: int = 10
    step: int = 10
    weather: str = "ECMWF/ERA5_LAND/DAILY_AGGR"
    land_cover: str | None = "MODIS/061/MCD12Q1"
    land_cover_class: int = 12

    def deciding(self, kind: str) -> dict[str, Any]:
        """Return what decides a map's pixels beside its masks and its grid."""
        names = {
            SEASON: ("index",),
            NDVI: ("index", "step"),
            GPP: ("weather", "land_cover", "land_cover_class"),
        }
        return {name: getattr(self, name) for name in ("preset", "cloud_below", *names[kind])}

    def index_of(self, kind: str) -> VegetationIndex:
        """Return the index that a map is made of: carbon of NDVI, which FPAR is known for."""
        return indices.NDVI if kind == GPP else indices.INDICES[self.index]


@dataclass(frozen=True)
class RunConfiguration:
    """What a user asks for; `region` and `land` are GeoJSON geometries or Earth Engine tables.

    The period goes from `start` to `end` (exclusive, UTC), widened by `days_before` and
    `days_after`. Images that do not touch `land` are skipped, pixels outside it are masked.
    """

    name: str
    region: dict[str, Any] | str
    start: date
    end: date
    destination: str
    land: dict[str, Any] | str | None = None
    days_before: int = 30
    days_after: int = 30
    collection: str = "COPERNICUS/S2_HARMONIZED"
    mask: MaskParameters = field(default_factory=MaskParameters)
    limits: Limits = field(default_factory=Limits)
    archive: ArchivePolicy | None = None
    products: ProductParameters | None = None

    @property
    def index_collection(self) -> str:
        """The images that maps take their index from."""
        return (self.products and self.products.collection) or self.collection

    @property
    def asset_root(self) -> str:
        """Root of the destination's project, whose quota it is: projects/P/assets."""
        return self.destination.split("/assets/")[0] + "/assets"

    @property
    def first_instant(self) -> datetime:
        """Start of the widened period, inclusive."""
        return datetime.combine(self.start - timedelta(self.days_before), time(), UTC)

    @property
    def last_instant(self) -> datetime:
        """End of the widened period, exclusive."""
        return datetime.combine(self.end + timedelta(self.days_after), time(), UTC)


class RunState(StrEnum):
    """A run is ACTIVE until it proves impossible, or its name gets another configuration."""

    ACTIVE = "ACTIVE"
    FAILED = "FAILED"
    SUPERSEDED = "SUPERSEDED"


@dataclass(frozen=True)
class Run:
    """One version of a run: its id changes with its configuration, its name stays.

    Exports keep the id, so that an image is masked as it was recorded, whatever came since.
    """

    run_id: str
    configuration: RunConfiguration
    state: RunState = RunState.ACTIVE
    reason: str = ""

    @property
    def name(self) -> str:
        """The name that all versions share."""
        return self.configuration.name

    @property
    def products_queue(self) -> str:
        """Under what the ledger keeps the run's maps: no run has such a name."""
        return f"{self.name}.products"

    @property
    def queues(self) -> tuple[str, ...]:
        """Under what the ledger keeps the run's exports; masks come first."""
        if self.configuration.products is None:
            return (self.name,)
        return (self.name, self.products_queue)

    @property
    def collections(self) -> tuple[str, ...]:
        """The image collections that the run writes to, that of masks first."""
        products = self.configuration.products
        kinds = (MASK, *(products.maps if products is not None else ()))
        return tuple(self.collection_of(kind) for kind in kinds)

    def collection_of(self, kind: str) -> str:
        """Return the image collection that outputs of a kind are written to."""
        destination = self.configuration.destination
        return destination if kind == MASK else f"{destination}-{kind}"

    def place_of(self, record: Export) -> str:
        """Return the asset id of an output."""
        return f"{self.collection_of(record.kind)}/{record.image_id}"


def register(configuration: RunConfiguration) -> Run:
    """Return the run of a configuration: the same configuration is always the same run."""
    plain = asdict(configuration)
    plain.update(start=configuration.start.isoformat(), end=configuration.end.isoformat())
    return Run(f"{configuration.name}-{ids.digest(plain)[:8]}", configuration)
