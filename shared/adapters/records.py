"""Exports and runs as plain documents, the same for every ledger."""

from datetime import datetime
from typing import Any

import msgspec

from shared.domain.archive import Asset
from shared.domain.exports import Export
from shared.domain.runs import Run


def to_json(record: Export | Run | Asset) -> str:
    """Return a record as JSON text; times in ISO 8601 with their offset."""
    return msgspec.json.encode(record).decode()


def export_from_json(text: str) -> Export:
    """Return the export that `to_json` wrote."""
    return msgspec.json.decode(text, type=Export)


def run_from_json(text: str) -> Run:
    """Return the run that `to_json` wrote."""
    return msgspec.json.decode(text, type=Run)


def asset_from_json(text: str) -> Asset:
    """Return the asset that `to_json` wrote."""
    return msgspec.json.decode(text, type=Asset)


def to_document(record: Export | Asset) -> dict[str, Any]:
    """Return a record as a document of a store that keeps times as times."""
    document: dict[str, Any] = msgspec.to_builtins(record, builtin_types=(datetime,))
    return document


def export_from_document(document: dict[str, Any]) -> Export:
    """Return the export that `to_document` wrote; its times may be of a store's own subclass."""
    return msgspec.convert({name: _plain(value) for name, value in document.items()}, Export)


def asset_from_document(document: dict[str, Any]) -> Asset:
    """Return the asset that `to_document` wrote."""
    return msgspec.convert({name: _plain(value) for name, value in document.items()}, Asset)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return datetime.combine(value.date(), value.time(), value.tzinfo)
    return value
