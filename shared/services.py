"""What the functions need from the outside world, whoever provides it.

`shared.bootstrap` builds one `Services` for the stack in use; the adapters implement the
protocols, and one contract suite (tests/contract) holds each of them to the same words.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from shared.domain.archive import Asset, DriveFile, File, Quota, State
from shared.domain.copies import Part
from shared.domain.exports import Export
from shared.domain.images import FoundImage
from shared.domain.runs import Run
from shared.messages import EndedTask, Message

Transition = Callable[[Export], Export | None]
AssetTransition = Callable[[Asset], Asset | None]


class Ledger(Protocol):
    """Everything that is remembered. Reads see every change that returned before them."""

    def add_run(self, run: Run) -> None:
        """Make this version of a run the ACTIVE one, and its other versions SUPERSEDED."""

    def run(self, run_id: str) -> Run:
        """Return a run, or raise NotFound."""

    def active_runs(self) -> list[Run]:
        """Return the runs in state ACTIVE, ordered by id."""

    def fail_run(self, run_id: str, reason: str) -> None:
        """Set a run to FAILED, with the reason."""

    def add(self, records: Sequence[Export]) -> int:
        """Record the exports whose ids are new, and return how many were."""

    def get(self, export_ids: Iterable[str]) -> dict[str, Export]:
        """Return the records of the ids that exist."""

    def change(self, export_id: str, transition: Transition) -> Export | None:
        """Apply a transition to a record in one transaction: the only way a record changes.

        Returns the new record, or None where the transition found nothing to do.
        """

    def waiting(self, run: str, now: datetime, limit: int) -> list[Export]:
        """Return the FOUND exports of a run's name whose `queued_at` has come, oldest first."""

    def in_flight(self, run: str) -> list[Export]:
        """Return the exports in state CLAIMED or STARTED."""

    def count_in_flight(self, run: str) -> int:
        """Return how many exports are in state CLAIMED or STARTED."""

    def exports(self, run: str) -> list[Export]:
        """Return every export of a run, ordered by sensing time."""

    def of_tile(self, run: str, tile: str) -> list[Export]:
        """Return every export of a run in a tile, ordered by sensing time."""

    def is_tile_open(self, run: str, tile: str) -> bool:
        """Tell whether an export of a run in a tile is in a state that is not final."""

    def count_by_state(self, run: str) -> dict[str, int]:
        """Return the number of exports in each state that occurs."""

    def settings(self) -> dict[str, str]:
        """Return what was found out about the service (see cli/first_run.py): JSON by name."""

    def keep_setting(self, name: str, value: str) -> None:
        """Keep one of the settings, in place of an earlier value."""


class AssetLedger(Protocol):
    """What is remembered of assets that left, leave or come back; the words of Ledger hold."""

    def add(self, records: Sequence[Asset]) -> int:
        """Record the assets whose ids are new, and return how many were."""

    def get(self, record_ids: Iterable[str]) -> dict[str, Asset]:
        """Return the records of the ids that exist."""

    def change(self, record_id: str, transition: AssetTransition) -> Asset | None:
        """Apply a transition to a record in one transaction: the only way a record changes."""

    def in_states(self, run: str, states: Sequence[State], limit: int | None = None) -> list[Asset]:
        """Return the assets of a run in some states, those longest in them first."""

    def of_run(self, run: str) -> list[Asset]:
        """Return every asset of a run, ordered by sensing time."""

    def count_by_state(self, run: str) -> dict[str, int]:
        """Return the number of assets in each state that occurs."""


class Objects(Protocol):
    """Objects of Cloud Storage, by `gs://` URI. Each raises NotFound for a bucket that is not."""

    def stat(self, uri: str) -> File | None:
        """Return what an object is now, or None where there is none."""

    def read(self, uri: str) -> bytes:
        """Return an object's content, or raise NotFound."""

    def write(self, uri: str, content: bytes, content_type: str) -> File:
        """Make or replace an object."""

    def delete(self, uri: str) -> None:
        """Delete an object; that there is none is as good."""

    def close(self) -> None:
        """Close connections; a later call opens them again."""


class Drive(Protocol):
    """Files of Google Drive. What passes raises Unavailable, all else a PermanentError."""

    def write(self, name: str, folder: str, content: bytes) -> DriveFile:
        """Make a file in a folder (its id), unless there is one of that name and content."""

    def stat(self, file_id: str) -> DriveFile | None:
        """Return what a file is now, or None where there is none."""

    def read(self, file_id: str) -> bytes:
        """Return a file's content, or raise NotFound."""

    def close(self) -> None:
        """Close connections; a later call opens them again."""


class Bus(Protocol):
    """Where facts are published."""

    def publish(self, messages: Sequence[Message]) -> None:
        """Publish messages; on return they are safe, and will be delivered at least once."""

    def redrive(self, topic: str) -> int:
        """Publish every dead letter of a topic again, as it is, and return how many there were.

        Stopped in between, a letter may be delivered and stay a dead letter; none is lost.
        """


@dataclass(frozen=True)
class Task:
    """An export task as Earth Engine lists it; `ended` is None while it waits or runs."""

    name: str  # projects/P/operations/…
    export_id: str
    attempt: int
    ended: EndedTask | None


class EarthEngine(Protocol):
    """The calls to Earth Engine, each with the number of requests it costs."""

    def find_images(self, run: Run) -> Iterator[FoundImage]:
        """List the images of a run: one request for every 500."""

    def create_collection(self, asset_id: str) -> None:
        """Create an image collection and its folders; existing ones are left: one each."""

    def start_mask(self, run: Run, export: Export) -> str:
        """Start the export of one mask and return its operation's name: one request.

        Asking again for the same export and attempt starts nothing and gives the same name.
        Raises TaskQueueFull, PermanentError or TransientError.
        """

    def start_map(self, run: Run, export: Export, masks: Any = None) -> str:
        """Start the export of one map of a tile; like `start_mask`.

        `masks` is the ee.ImageCollection that its masks are in, the run's destination by default.
        """

    def tasks(self) -> Iterator[list[Task]]:
        """List the export tasks that carry an export id, newest first, in pages of 500.

        A page is asked for when it is taken, with one request.
        """

    def describe_outputs(
        self, run: Run, kind: str, image_ids: Sequence[str]
    ) -> dict[str, dict[str, Any]]:
        """Look at the outputs of one kind themselves: one request, whatever their number.

        Returns, by image id and for those that exist: `run_key`, `bands`, `crs`, `scale`
        (metres) and `valid_share` (0 to 1). Of maps also `weather_days`, of masks `cloud_share`
        (of the valid pixels), `background_images`, and `<input>_present` (1 or 0) for each of
        shared.domain.runs.INPUTS.
        """

    def connect(self) -> None:
        """Connect now, which any call does by itself."""

    def close(self) -> None:
        """Close connections; a later call opens them again."""


@dataclass(frozen=True)
class Copy:
    """An asset and the files that are said to hold the same pixels."""

    record_id: str
    asset_id: str
    description: Mapping[str, Any]
    layout: str
    uris: tuple[str, ...]


@dataclass(frozen=True)
class EndedCopy:
    """How a task of the archive ended: SUCCEEDED, FAILED, CANCELLED or VANISHED."""

    state: str
    error: str


class EarthAssets(Protocol):
    """The calls to Earth Engine about assets, each with the number of requests it costs.

    A description is Earth Engine's own of an asset (REST: projects.assets), as JSON.
    """

    def quota(self, root: str) -> Quota:
        """Return what a project has and may have: one request."""

    def describe(self, collection: str) -> Iterator[dict[str, Any]]:
        """List the images of a collection or folder: one request for every 1,000."""

    def describe_one(self, asset_id: str) -> dict[str, Any] | None:
        """Return an asset's description, or None where there is none: one request."""

    def start_copy(self, record: Asset, part: Part, number: int, uri: str, layout: str) -> str:
        """Start the export of one file of a copy, and return the operation: one request.

        Asking again for the same record, attempt and number starts nothing.
        """

    def compare(self, wanted: Sequence[Copy]) -> dict[str, dict[str, Any]]:
        """Compare assets with copies (see shared.earth.copies.comparison): one request for all.

        Returns the facts by record id.
        """

    def copy_tasks(self) -> dict[str, EndedCopy | None]:
        """Return how the archive's tasks ended, by request id; None while one waits or runs.

        One request for every 500 tasks of the project.
        """

    def ended_operation(self, name: str) -> EndedCopy | None:
        """Return how an operation ended, or None while it goes on: one request."""

    def delete(self, asset_id: str) -> None:
        """Delete an asset: one request. That it is gone already is as good."""

    def start_restore(
        self, record: Asset, description: Mapping[str, Any], uris: Sequence[str]
    ) -> str:
        """Start to bring an asset back by its record's way, and return the operation: one request.

        Asking again for the same record and attempt starts nothing.
        """


@dataclass(frozen=True)
class Services:
    """The outside world as the functions see it."""

    ledger: Ledger
    bus: Bus
    earth_engine: EarthEngine
    now: Callable[[], datetime]
    assets: AssetLedger
    earth_assets: EarthAssets
    objects: Objects
    drive: Drive

    def close(self) -> None:
        """Close connections; a later call opens them again."""
        for service in (self.earth_engine, self.objects, self.drive):
            service.close()
