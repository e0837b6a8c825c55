"""What the functions need from the outside world, whoever provides it.

`shared.bootstrap` builds one `Services` for the stack in use; the adapters implement the
protocols, and one contract suite (tests/contract) holds each of them to the same words.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from shared.domain.exports import Export
from shared.domain.images import FoundImage
from shared.domain.runs import Run
from shared.messages import EndedTask, Message

Transition = Callable[[Export], Export | None]


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


class Bus(Protocol):
    """Where facts are published."""

    def publish(self, messages: Sequence[Message]) -> None:
        """Publish messages; on return they are safe, and will be delivered at least once."""


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

    def start_map(self, run: Run, export: Export) -> str:
        """Start the export of one map of a tile; like `start_mask`."""

    def tasks(self) -> Iterator[Task]:
        """List the export tasks that carry an export id: one request for every 500 tasks."""

    def describe_outputs(
        self, run: Run, kind: str, image_ids: Sequence[str]
    ) -> dict[str, dict[str, Any]]:
        """Look at the outputs of one kind themselves: one request, whatever their number.

        Returns, by image id and for those that exist: `run_key`, `bands`, `crs`, `scale`
        (metres) and `valid_share` (0 to 1). Of maps also `weather_days`, of masks `cloud_share`
        (of the valid pixels), `background_images`, and `<input>_present` (1 or 0) for each of
        shared.domain.runs.INPUTS.
        """

    def close(self) -> None:
        """Close connections; a later call opens them again."""


@dataclass(frozen=True)
class Services:
    """The outside world as the functions see it."""

    ledger: Ledger
    bus: Bus
    earth_engine: EarthEngine
    now: Callable[[], datetime]
