"""The life of one export: its record in the ledger, and its only legal transitions.

    FOUND ──claim──▶ CLAIMED ──start──▶ STARTED ──succeed──▶ SUCCEEDED
      ▲                 │                  ├─────fail──────▶ FAILED
      ├────put_back─────┴──────────────────┘
      ├────reopen──── FAILED
      └────renew───── SUPERSEDED ◀──supersede── FOUND | SUCCEEDED | FAILED | SKIPPED
    An image that is not wanted is born SKIPPED. Only a person reopens what FAILED. What is to be
    made in another way (other inputs, model, parameters) is SUPERSEDED by the record of that way,
    and renewed when its own way is wanted again; what is in Earth Engine's hands ends first.

Each function takes a record and returns the next one, or None when there is nothing to do:
the message came twice, late or out of order. All but FOUND, CLAIMED and STARTED are final.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

#: Wait before an image that was put back is offered again, doubled with every attempt
#: up to an hour: Earth Engine tasks take minutes to hours, so a full queue drains no faster.
BACKOFF = timedelta(minutes=1)
MAX_BACKOFF = timedelta(hours=1)


#: Kind of an export that is a cloud mask; the others are maps (shared.domain.runs.MAPS).
MASK = "mask"


class State(StrEnum):
    """Where an export stands."""

    FOUND = "FOUND"
    CLAIMED = "CLAIMED"
    STARTED = "STARTED"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"
    SUPERSEDED = "SUPERSEDED"


FINAL = frozenset({State.SUCCEEDED, State.FAILED, State.SKIPPED, State.SUPERSEDED})
IN_FLIGHT = (State.CLAIMED, State.STARTED)  # states that hold a task slot


class Failure(StrEnum):
    """Why an export failed, and so what comes next."""

    TRANSIENT = "transient"
    QUOTA = "quota"
    PERMANENT = "permanent"


#: What a person can do about an export that failed for good.
NEXT_ACTION = {
    Failure.TRANSIENT: "Earth Engine failed it repeatedly; try again later: verdure redrive",
    Failure.QUOTA: "free or raise the quota that the reason names, then verdure redrive",
    Failure.PERMANENT: "mend the cause that the reason names, then verdure redrive",
}


@dataclass(frozen=True)
class Export:
    """One output: the mask of an image, or a map of a tile and year; keyed by `export_id`.

    A map's `image_id` is `<tile>_<year>`, and its `inputs` are the images whose masks it is made
    of; `in_season` marks one that was asked for before the season was over.
    `grid` is (crs, pixel size in metres). `queued_at` is when it may be offered a slot.
    `attempt` counts the slots it was offered, `failures` the tasks that failed.
    `item` is the STAC item of the last output, as JSON, once there is one. `replaces` is the run's
    last export that wrote to the same place, if one did: its output is overwritten.
    """

    export_id: str
    run: str  # one of Run.queues: the run's name, or that of its maps
    run_id: str  # the version of its configuration that the output is made with
    image_id: str
    acquisition: str
    sensed_at: datetime
    platform: str
    tile: str
    footprint: str  # GeoJSON text: Firestore keeps no nested arrays
    grid: tuple[str, int]
    queued_at: datetime
    model: str = ""  # version of the cloud model that the image's bands allow
    inputs: tuple[str, ...] = ()  # what the mask looks at beside the image
    in_season: bool = False
    replaces: str = ""
    state: State = State.FOUND
    attempt: int = 1
    failures: int = 0
    claimed_by: str = ""
    claimed_at: datetime | None = None
    operation: str = ""
    ended_at: datetime | None = None
    eecu_seconds: float = 0.0
    failure: Failure | None = None
    reason: str = ""
    next_action: str = ""
    item: str = ""

    @property
    def kind(self) -> str:
        """What it is: MASK or one of shared.domain.runs.MAPS."""
        return self.export_id.split("-")[0]

    @property
    def is_stale(self) -> bool:
        """Whether the output that people read by now waits to be replaced by this one."""
        return bool(self.replaces) and self.state in (*IN_FLIGHT, State.FOUND, State.FAILED)


def claim(record: Export, attempt: int, claimant: str, now: datetime) -> Export | None:
    """Take the export for one message, before anything is started.

    The same message may claim again: it comes back only when its first delivery did not
    end well, and Earth Engine starts one task for a request id however often it is asked.
    """
    mine = record.state is State.CLAIMED and record.claimed_by == claimant
    if attempt != record.attempt or not (record.state is State.FOUND or mine):
        return None
    return replace(record, state=State.CLAIMED, claimed_by=claimant, claimed_at=now)


def start(record: Export, attempt: int, operation: str) -> Export | None:
    """Note the Earth Engine task of a claimed export."""
    if record.state is not State.CLAIMED or attempt != record.attempt:
        return None
    return replace(record, state=State.STARTED, operation=operation)


def succeed(record: Export, item: str, eecu_seconds: float, now: datetime) -> Export | None:
    """Close an export whose output exists and passed its checks."""
    if record.state in FINAL:
        return None
    return replace(
        record,
        state=State.SUCCEEDED,
        item=item,
        eecu_seconds=record.eecu_seconds + eecu_seconds,
        ended_at=now,
        reason="",
    )


def fail(record: Export, failure: Failure, reason: str, now: datetime) -> Export | None:
    """Close an export that cannot succeed."""
    if record.state in FINAL:
        return None
    return replace(
        record,
        state=State.FAILED,
        failure=failure,
        reason=reason,
        next_action=NEXT_ACTION[failure],
        ended_at=now,
    )


def put_back(record: Export, attempt: int, reason: str, now: datetime) -> Export | None:
    """Queue an export again, as a new attempt, after a wait that doubles with each."""
    if record.state not in IN_FLIGHT or attempt != record.attempt:
        return None
    wait = min(BACKOFF * 2 ** min(attempt - 1, 10), MAX_BACKOFF)
    return replace(_queued_again(record, now + wait), reason=reason)


def retry_or_fail(
    record: Export, attempt: int, failure: Failure, reason: str, attempts: int, now: datetime
) -> Export | None:
    """Queue an export whose task failed, unless that is permanent or was the last allowed."""
    if record.state not in IN_FLIGHT or attempt != record.attempt:
        return None
    failed = replace(record, failures=record.failures + 1)
    if failure is Failure.PERMANENT or failed.failures >= attempts:
        return fail(failed, failure, reason, now)
    return put_back(failed, attempt, reason, now)


def reopen(record: Export, now: datetime) -> Export | None:
    """Queue a failed export again, because a person mended the cause."""
    if record.state is not State.FAILED:
        return None
    return _afresh(record, now)


def supersede(record: Export, reason: str, now: datetime) -> Export | None:
    """Give way to another record of the same image, unless Earth Engine is at work on this one."""
    if record.state in IN_FLIGHT or record.state is State.SUPERSEDED:
        return None
    return replace(
        record,
        state=State.SUPERSEDED,
        failure=None,
        reason=reason,
        next_action="",
        ended_at=record.ended_at or now,
    )


def renew(record: Export, wanted: Export, now: datetime) -> Export | None:
    """Queue a superseded export again, because its way is `wanted` again."""
    if record.state is not State.SUPERSEDED:
        return None
    return replace(
        _afresh(record, now),
        state=wanted.state,
        run_id=wanted.run_id,
        replaces=wanted.replaces,
        reason=wanted.reason,
    )


def _afresh(record: Export, now: datetime) -> Export:
    return replace(
        _queued_again(record, now), failures=0, failure=None, next_action="", ended_at=None
    )


def _queued_again(record: Export, when: datetime) -> Export:
    return replace(
        record,
        state=State.FOUND,
        attempt=record.attempt + 1,
        queued_at=when,
        claimed_by="",
        claimed_at=None,
        operation="",
    )
