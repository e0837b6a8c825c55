"""Deterministic names: a retry computes the same one, so "already exists" means "done"."""

import hashlib
import json
from typing import Any

#: Digits of the hash: 160 bits, and `kind` + digits + attempt stay within Earth Engine's
#: 60 characters of [A-Za-z0-9-] for a request id (REST reference, image.export).
HASH_DIGITS = 40


def digest(content: Any) -> str:
    """Return a hash of plain JSON content that does not depend on the order of keys."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:HASH_DIGITS]


def export_id(kind: str, image_id: str, algorithm: str, parameters: Any, grid: Any) -> str:
    """Return the id of one output: ledger document, Earth Engine request and run key."""
    return f"{kind}-{digest([image_id, algorithm, parameters, grid])}"


def request_id(export_id: str, attempt: int) -> str:
    """Return the id under which Earth Engine starts at most one task.

    A later attempt needs a name of its own: for the first one's name Earth Engine would
    answer with the task that failed.
    """
    return export_id if attempt == 1 else f"{export_id}-{attempt}"


def split_request_id(name: str) -> tuple[str, int]:
    """Return the export id and the attempt that `request_id` put together."""
    kind, hashed, *attempt = name.split("-")
    return f"{kind}-{hashed}", int(attempt[0]) if attempt else 1
