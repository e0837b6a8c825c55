"""Exports, assets and runs as plain documents, the same for every ledger."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar

import msgspec

from shared.domain import archive, exports
from shared.domain.archive import Asset
from shared.domain.exports import Export
from shared.domain.runs import Run

Record = TypeVar("Record", Export, Asset)


@dataclass(frozen=True)
class Kind(Generic[Record]):
    """Records that a ledger keeps by id, run and state; `key` and `since` are names of fields."""

    of: type[Record]
    name: str  # of the table or collection
    key: str  # the id
    since: str  # the time by which records in a state are ordered
    states: type[StrEnum]

    def key_of(self, record: Record) -> str:
        """Return a record's id."""
        return str(getattr(record, self.key))

    def since_of(self, record: Record) -> datetime | None:
        """Return the time by which records in a state are ordered."""
        moment: datetime | None = getattr(record, self.since)
        return moment

    def from_json(self, text: str) -> Record:
        """Return the record that `to_json` wrote."""
        return msgspec.json.decode(text, type=self.of)

    def from_document(self, document: dict[str, Any]) -> Record:
        """Return the record that `to_document` wrote; times may be of a store's own subclass."""
        return msgspec.convert({name: _plain(x) for name, x in document.items()}, self.of)


EXPORTS = Kind(Export, "exports", "export_id", "queued_at", exports.State)
ASSETS = Kind(Asset, "assets", "record_id", "changed_at", archive.State)


def to_json(record: Export | Run | Asset) -> str:
    """Return a record as JSON text; times in ISO 8601 with their offset."""
    return msgspec.json.encode(record).decode()


def run_from_json(text: str) -> Run:
    """Return the run that `to_json` wrote."""
    return msgspec.json.decode(text, type=Run)


def to_document(record: Export | Asset) -> dict[str, Any]:
    """Return a record as a document of a store that keeps times as times."""
    document: dict[str, Any] = msgspec.to_builtins(record, builtin_types=(datetime,))
    return document


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return datetime.combine(value.date(), value.time(), value.tzinfo)
    return value
