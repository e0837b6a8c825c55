"""The life of an asset: its record in the ledger, its only legal transitions, and what leaves.

    LIVE ──choose──▶ CHOSEN ──start──▶ COPYING ──tombstone──▶ TOMBSTONED ──doom──▶ DELETING
     ▲ ▲               │                 │                        │                   │
     │ └───spare───────┴─────────────────┴────────────────────────┴───(asset there)───┤
     │                                                                                │
     └──restored── RESTORING ◀──request── ARCHIVED ◀───────bury─────(asset gone)──────┘

Until DELETING, Earth Engine's asset is the owner of the pixels; from then on it is the verified
copy in Cloud Storage. Each function takes a record and returns the next one, or None when there
is nothing to do: the message came twice, late, or somebody else was faster.
"""

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, TypeVar

from shared.domain import ids

#: Share of the quota that new assets may fill: how large they will be is an estimate.
SAFE = 0.95


class State(StrEnum):
    """Where an asset stands."""

    LIVE = "LIVE"
    CHOSEN = "CHOSEN"
    COPYING = "COPYING"
    TOMBSTONED = "TOMBSTONED"
    DELETING = "DELETING"
    ARCHIVED = "ARCHIVED"
    RESTORING = "RESTORING"


#: States of assets that count against the quota now and will not when archiving is over.
LEAVING = (State.CHOSEN, State.COPYING, State.TOMBSTONED, State.DELETING)
#: States from which archiving can still be undone without a restore.
REVERSIBLE = (State.CHOSEN, State.COPYING, State.TOMBSTONED)
#: States in which something is to be done.
UNDER_WAY = (*LEAVING, State.RESTORING)
#: States in which Earth Engine's asset is there to be read.
READABLE = (State.LIVE, *REVERSIBLE)


class Way(StrEnum):
    """How pixels come back.

    As an ingested asset; as an asset over the file in Cloud Storage; as an asset that is exported
    from that file, which keeps what no manifest holds; or read from the file, without an asset.
    """

    INGEST = "ingest"
    COG = "cog"
    EXPORT = "export"
    VIRTUAL = "virtual"


@dataclass(frozen=True)
class File:
    """An object of the verified copy: `crc32c` as Cloud Storage writes it, base64, big-endian."""

    uri: str  # gs://bucket/name
    size: int  # bytes
    crc32c: str
    generation: int

    @property
    def place(self) -> str:
        """Where the file is, in words."""
        return self.uri

    @property
    def identity(self) -> str:
        """What tells the file from another one in its place, in words."""
        return f"size {self.size}, crc32c {self.crc32c}, generation {self.generation}"

    def is_like(self, other: "File") -> bool:
        """Tell whether another object, perhaps a later one of the name, has the same content."""
        return (self.size, self.crc32c) == (other.size, other.crc32c)


@dataclass(frozen=True)
class DriveFile:
    """A file of the second copy, in Drive: `sha256` in hexadecimal digits, as Drive gives it."""

    file_id: str
    name: str
    size: int  # bytes
    sha256: str

    @property
    def place(self) -> str:
        """Where the file is, in words."""
        return f"{self.name} in Drive"

    @property
    def identity(self) -> str:
        """What tells the file from another one in its place, in words."""
        return f"size {self.size}, sha256 {self.sha256}"


AnyFile = TypeVar("AnyFile", File, DriveFile)


def change_of(files: Sequence[AnyFile], stat: Callable[[AnyFile], AnyFile | None]) -> str:
    """Return in what files are not as on record, by what each is now; or an empty string."""
    for file in files:
        now = stat(file)
        if now is None:
            return f"{file.place} does not exist"
        if now != file:
            return f"{file.place} was changed: {now.identity}; verified were {file.identity}"
    return ""


@dataclass(frozen=True)
class Asset:
    """One version of one image asset: the ledger's document, keyed by `record_id`.

    `version` is the run key, or the update time of what no run of ours made: an asset made anew
    under the same name is another record. `description` is Earth Engine's own (JSON text).
    `files` are the copy's, the sidecar last; empty until they are verified. `second` are the same
    in Drive, where a second copy is wanted. `layout` says how masked pixels are in them (see
    shared.domain.copies). `way` is how the pixels came back last.
    """

    record_id: str
    run: str  # name of the run, or of the import
    asset_id: str
    image_id: str
    version: str
    sensed_at: datetime
    description: str
    size_bytes: int
    state: State = State.LIVE
    attempt: int = 1
    failures: int = 0
    layout: str = ""
    files: tuple[File, ...] = ()
    second: tuple[DriveFile, ...] = ()
    item: str = ""  # the sidecar, as JSON text
    delete_after: datetime | None = None
    way: str = ""
    operation: str = ""
    used_at: datetime | None = None  # last use by a season that is finished
    read_at: datetime | None = None  # last restore, for the order of leaving
    changed_at: datetime | None = None
    reason: str = ""
    next_action: str = ""


@dataclass(frozen=True)
class ArchivePolicy:
    """When assets leave and where to; shares are of the quota of the project.

    Archiving begins above `high` and goes on to `low`, of assets or of bytes. Images sensed
    more than `max_age_days` ago leave whatever the quota is. Deletion waits for `undo_hours`.
    At most `per_call` assets are copied, and as many deleted, in one call. `restore` is the
    way back unless a request names another. `drive` is the id of a folder in Drive for second
    copies.
    """

    bucket: str
    prefix: str = "verdure"
    high: float = 0.8
    low: float = 0.6
    max_age_days: int | None = None
    undo_hours: float = 24.0
    per_call: int = 200
    attempts: int = 3
    restore: Way = Way.INGEST
    drive: str | None = None

    @property
    def undo_window(self) -> timedelta:
        """The time between verification and deletion."""
        return timedelta(hours=self.undo_hours)


@dataclass(frozen=True)
class Quota:
    """What a project has of what it may have (ee.data.getAssetRootQuota)."""

    assets: int
    max_assets: int
    bytes: int
    max_bytes: int

    @property
    def share(self) -> float:
        """The share of its limit that is used, of assets or of bytes, whichever is more."""
        return max(self.assets / self.max_assets, self.bytes / self.max_bytes)

    def is_above(self, share: float) -> bool:
        """Tell whether the assets or the bytes are more than a share of their limit."""
        return self.share > share

    def room(self, coming: int) -> int:
        """Return how many more assets of the usual size fit, beside those that are coming."""
        size = self.bytes / self.assets if self.assets else 0
        by_size = (SAFE * self.max_bytes - self.bytes) / size if size else self.max_assets
        by_count = SAFE * self.max_assets - self.assets
        return max(0, int(min(by_count, by_size)) - coming)

    def less(self, assets: int, size: int) -> "Quota":
        """Return the quota without some assets and bytes."""
        return replace(self, assets=self.assets - assets, bytes=self.bytes - size)


def record_id(asset_id: str, version: str) -> str:
    """Return the ledger's key of one version of an asset."""
    return f"asset-{ids.digest([asset_id, version])}"


def request_id(record: Asset, part: int) -> str:
    """Return the id under which Earth Engine starts the export of one file at most once."""
    return f"archive-{record.record_id.removeprefix('asset-')}-{record.attempt}-{part}"


def restore_id(record: Asset) -> str:
    """Return the id under which Earth Engine starts at most one restore of an attempt."""
    return f"restore-{record.record_id.removeprefix('asset-')}-{record.attempt}"


def to_choose(
    candidates: Iterable[Asset],
    leaving: Iterable[Asset],
    quota: Quota,
    policy: ArchivePolicy,
    now: datetime,
) -> list[Asset]:
    """Return which LIVE assets leave now.

    Nothing but old images leaves below the high watermark. Above it, as many are chosen at once
    as bring the quota to the low one when all that is leaving is gone: the choice in the ledger
    is the hysteresis, and no flag is needed. An asset that failed to be copied stays.
    """
    under_way = list(leaving)
    left = quota.less(len(under_way), sum(x.size_bytes for x in under_way))
    waiting = sorted((x for x in candidates if _may_leave(x)), key=order_of_leaving)
    chosen = [x for x in waiting if _is_old(x, policy, now)]
    left = left.less(len(chosen), sum(x.size_bytes for x in chosen))
    if quota.is_above(policy.high):
        for asset in waiting:
            if not left.is_above(policy.low):
                break
            if not _is_old(asset, policy, now):
                chosen.append(asset)
                left = left.less(1, asset.size_bytes)
    return chosen


def to_make_room(
    candidates: Iterable[Asset], quota: Quota, policy: ArchivePolicy, wanted: Sequence[Asset]
) -> list[Asset]:
    """Return which restored assets leave again so that others may come back, least recent first.

    Only those leave that have their copy still: it costs no new export.
    """
    needed = quota.less(-len(wanted), -sum(x.size_bytes for x in wanted))
    restored = [x for x in candidates if _may_leave(x) and x.files and x.read_at is not None]
    leaving = []
    for asset in sorted(restored, key=lambda x: (x.read_at, x.record_id)):
        if not needed.is_above(policy.high):
            break
        leaving.append(asset)
        needed = needed.less(1, asset.size_bytes)
    return leaving


def order_of_leaving(asset: Asset) -> tuple[bool, bool, datetime, datetime, str]:
    """Sort what a finished season has used first, then what has a copy, then the oldest."""
    recent = asset.read_at or asset.sensed_at
    return (asset.used_at is None, not asset.files, recent, asset.sensed_at, asset.record_id)


def _may_leave(asset: Asset) -> bool:
    return asset.state is State.LIVE and not asset.reason


def _is_old(asset: Asset, policy: ArchivePolicy, now: datetime) -> bool:
    if policy.max_age_days is None or asset.read_at is not None:
        return False
    return now - asset.sensed_at > timedelta(policy.max_age_days)


# Transitions.

_NO_REASON: dict[str, Any] = {"reason": "", "next_action": ""}


def _step(
    record: Asset, states: Collection[State], of_attempt: int | None = None, **changes: Any
) -> Asset | None:
    """Return the record changed, if it is in one of the states and in the attempt, if given."""
    if record.state not in states or of_attempt not in (None, record.attempt):
        return None
    return replace(record, **changes)


def choose(record: Asset, now: datetime) -> Asset | None:
    """Mark a live asset as leaving."""
    if not _may_leave(record):
        return None
    return replace(record, state=State.CHOSEN, changed_at=now)


def start(record: Asset, attempt: int, layout: str, now: datetime) -> Asset | None:
    """Note that Earth Engine copies the asset, or that its earlier copy is to be verified."""
    chosen = [State.CHOSEN]
    return _step(record, chosen, attempt, state=State.COPYING, layout=layout, changed_at=now)


def tombstone(
    record: Asset,
    attempt: int,
    files: Sequence[File],
    second: Sequence[DriveFile],
    item: str,
    after: timedelta,
    now: datetime,
) -> Asset | None:
    """Note that the copy is verified; the asset may be deleted when the undo window is over."""
    return _step(
        record,
        [State.COPYING],
        attempt,
        state=State.TOMBSTONED,
        files=tuple(files),
        second=tuple(second),
        item=item,
        delete_after=now + after,
        changed_at=now,
        **_NO_REASON,
    )


def doom(record: Asset, now: datetime) -> Asset | None:
    """Take the asset for deletion: from here on, undoing means restoring."""
    if not is_due(record, now):
        return None
    return _step(record, [State.TOMBSTONED], state=State.DELETING, changed_at=now)


def is_due(record: Asset, now: datetime) -> bool:
    """Tell whether the undo window is over."""
    return record.delete_after is not None and now >= record.delete_after


def bury(record: Asset, now: datetime) -> Asset | None:
    """Note that Earth Engine has the asset no more."""
    return _step(
        record,
        [State.DELETING],
        state=State.ARCHIVED,
        delete_after=None,
        failures=0,
        way="",
        read_at=None,
        changed_at=now,
        **_NO_REASON,
    )


def copy_again(
    record: Asset, attempt: int, layout: str, reason: str, now: datetime
) -> Asset | None:
    """Have a copy made anew, under a new request id, because this one will not do."""
    return _step(
        record,
        [State.COPYING],
        attempt,
        state=State.CHOSEN,
        layout=layout,
        files=(),
        **_failed(record, reason, now),
    )


def _failed(record: Asset, reason: str, now: datetime) -> dict[str, Any]:
    """Return what changes when an attempt has failed and another one follows."""
    return {
        "attempt": record.attempt + 1,
        "failures": record.failures + 1,
        "reason": reason,
        "changed_at": now,
    }


def spare(record: Asset, reason: str, next_action: str, now: datetime) -> Asset | None:
    """Leave the asset where it is, for good or until a person has mended the cause."""
    return _step(
        record,
        LEAVING,
        state=State.LIVE,
        attempt=record.attempt + 1,
        failures=0,
        delete_after=None,
        files=(),
        second=(),
        item="",
        reason=reason,
        next_action=next_action,
        changed_at=now,
    )


def note(record: Asset, reason: str, next_action: str) -> Asset | None:
    """Say why an asset that is under way does not move on; it is tried again."""
    return _told(record, UNDER_WAY, reason, next_action)


def deplore(record: Asset, reason: str, next_action: str) -> Asset | None:
    """Say what is wrong with an archived asset's copy."""
    return _told(record, [State.ARCHIVED], reason, next_action)


def _told(record: Asset, states: Collection[State], reason: str, next_action: str) -> Asset | None:
    if record.reason == reason:
        return None
    return _step(record, states, reason=reason, next_action=next_action)


def undo(record: Asset, now: datetime) -> Asset | None:
    """Keep an asset that was leaving; a verified copy stays as one."""
    return _step(
        record,
        REVERSIBLE,
        state=State.LIVE,
        attempt=record.attempt + 1,
        delete_after=None,
        read_at=now,
        changed_at=now,
        **_NO_REASON,
    )


def forgive(record: Asset, now: datetime) -> Asset | None:
    """Let an asset be chosen again whose copy had failed, because a person mended the cause."""
    if not record.reason:
        return None
    return _step(record, [State.LIVE], failures=0, changed_at=now, **_NO_REASON)


def use(record: Asset, when: datetime | None) -> Asset:
    """Note when a finished season has used the asset, which then leaves before others."""
    return replace(record, used_at=when)


def request(record: Asset, way: str, now: datetime) -> Asset | None:
    """Ask for an archived asset back."""
    return _step(
        record,
        [State.ARCHIVED],
        state=State.RESTORING,
        way=way,
        operation="",
        attempt=record.attempt + 1,
        failures=0,
        changed_at=now,
        **_NO_REASON,
    )


def begin_restore(record: Asset, attempt: int, operation: str, now: datetime) -> Asset | None:
    """Note the task, or the asset, that brings the pixels back."""
    if record.operation:
        return None
    return _step(record, [State.RESTORING], attempt, operation=operation, changed_at=now)


def restored(record: Asset, attempt: int, updated: str, size: int, now: datetime) -> Asset | None:
    """Note that the asset is back, verified; the copy stays, so that leaving again is cheap.

    The description stays the original's, but for the time at which Earth Engine has it from.
    """
    return _step(
        record,
        [State.RESTORING],
        attempt,
        state=State.LIVE,
        description=json.dumps({**json.loads(record.description), "updateTime": updated}),
        size_bytes=size,
        operation="",
        failures=0,
        read_at=now,
        changed_at=now,
        **_NO_REASON,
    )


def mend(record: Asset, files: Sequence[File]) -> Asset | None:
    """Note that objects of the copy were brought back, with other generations."""
    if len(files) != len(record.files):  # the copy was given up meanwhile
        return None
    return replace(record, files=tuple(files), reason="", next_action="")


def restore_again(record: Asset, attempt: int, reason: str, now: datetime) -> Asset | None:
    """Have a restore started anew, under a new request id."""
    again = _failed(record, reason, now)
    return _step(record, [State.RESTORING], attempt, operation="", **again)


def leave_archived(
    record: Asset, attempt: int, reason: str, next_action: str, now: datetime
) -> Asset | None:
    """Give a restore up: the asset stays readable from its copy."""
    return _step(
        record,
        [State.RESTORING],
        attempt,
        state=State.ARCHIVED,
        operation="",
        way="",
        failures=0,
        reason=reason,
        next_action=next_action,
        changed_at=now,
    )
