"""The wire contract: one frozen dataclass a topic, with one way to encode and one to decode.

A message is a UTF-8 JSON object with its `version`. Fields are only ever added, with a
default; anything else is a new version (and a line under "Breaking" in the CHANGELOG).
"""

import json
from dataclasses import asdict, dataclass
from typing import ClassVar, TypeVar

import msgspec

from shared.errors import InvalidMessage

VERSION = 1

M = TypeVar("M", bound="Message")


@dataclass(frozen=True)
class Message:
    """Base of all messages: the topic is the past-tense name of what happened."""

    topic: ClassVar[str]


@dataclass(frozen=True)
class ImageFound(Message):
    """An image waits for its mask, and a task slot is free for it.

    `attempt` is the ledger's count when the slot was given, so that a late duplicate of an
    earlier attempt cannot take a second slot.
    """

    topic: ClassVar[str] = "image-found"
    run_id: str
    export_id: str
    image_id: str
    attempt: int


@dataclass(frozen=True)
class SeasonReady(Message):
    """A map of a tile and year waits for its export, its masks are there, and a slot is free.

    `map_id` is `<tile>_<year>`; `attempt` is as in ImageFound.
    """

    topic: ClassVar[str] = "season-ready"
    run_id: str
    export_id: str
    map_id: str
    attempt: int


@dataclass(frozen=True)
class EndedTask:
    """What Earth Engine says of one export task that is over.

    `state` is the operation's: SUCCEEDED, FAILED or CANCELLED, or VANISHED when Earth Engine
    no longer lists a task that the ledger knows as started. `eecu_seconds` is the compute used.
    """

    export_id: str
    attempt: int
    state: str
    operation: str = ""
    error: str = ""
    eecu_seconds: float = 0.0


@dataclass(frozen=True)
class ExportFinished(Message):
    """Export tasks of one run ended; together, so that one request checks all their outputs."""

    topic: ClassVar[str] = "export-finished"
    run_id: str
    tasks: tuple[EndedTask, ...]


@dataclass(frozen=True)
class QuotaReached(Message):
    """A run's assets may have to leave, or some are leaving: the archive has something to do."""

    topic: ClassVar[str] = "quota-reached"
    run_id: str


@dataclass(frozen=True)
class RestoreRequested(Message):
    """Archived assets are wanted back, or are on their way.

    `record_ids` are the ledger's; none means only those that are on their way already. `way` is
    `ingest`, `cog`, `export` or `virtual`; empty for the run's own.
    """

    topic: ClassVar[str] = "restore-requested"
    run_id: str
    record_ids: tuple[str, ...] = ()
    way: str = ""


TOPICS: dict[str, type[Message]] = {
    cls.topic: cls
    for cls in (ImageFound, ExportFinished, SeasonReady, QuotaReached, RestoreRequested)
}


def encode(message: Message) -> bytes:
    """Return the message as the bytes that go on the wire."""
    return json.dumps({"version": VERSION, **asdict(message)}).encode()


def decode(message_type: type[M], data: bytes) -> M:
    """Return the message in `data`, or raise InvalidMessage saying which field is wrong."""
    topic = message_type.topic
    try:
        fields = json.loads(data)
    except ValueError as error:
        raise InvalidMessage(f"{topic}: not a JSON object: {error}", data) from error
    if not isinstance(fields, dict):
        raise InvalidMessage(f"{topic}: expected a JSON object, got {fields!r:.80}", data)
    version = fields.pop("version", None)
    if not isinstance(version, int) or version < 1:
        raise InvalidMessage(f"{topic}: version is {version!r}, expected 1 to {VERSION}", data)
    if version > VERSION:
        raise InvalidMessage(
            f"{topic}: version {version} is newer than this code understands ({VERSION}): "
            "deploy the newer code, then send the message again",
            data,
        )
    try:
        return msgspec.convert(fields, message_type)
    except msgspec.ValidationError as error:
        raise InvalidMessage(f"{topic}: {error}, in {data!r:.200}", data) from error
