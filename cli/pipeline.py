"""The functions in this process: infra/pipeline.yaml as functions-framework apps."""

import base64
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flask
import functions_framework
import yaml

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Function:
    """One deployed function: a topic that triggers it, or a schedule."""

    name: str
    topic: str | None = None
    attempts: int = 1
    retry_seconds: tuple[int, int] = (0, 0)
    source: Path = ROOT / "main.py"
    roles: tuple[str, ...] = ()
    bucket_roles: tuple[str, ...] = ()
    publishes: tuple[str, ...] = ()
    drive: bool = False


def read_pipeline() -> dict[str, Function]:
    """Return the functions of infra/pipeline.yaml by name."""
    content = yaml.safe_load((ROOT / "infra" / "pipeline.yaml").read_text())
    return {
        name: Function(
            name,
            entry.get("topic"),
            entry.get("attempts", 1),
            tuple(entry.get("retry_seconds", (0, 0))),
            roles=tuple(entry.get("roles", ())),
            bucket_roles=tuple(entry.get("bucket_roles", ())),
            publishes=tuple(entry.get("publishes", ())),
            drive=entry.get("drive", False),
        )
        for name, entry in content["functions"].items()
    }


@functools.cache
def application(function: Function) -> flask.Flask:
    """Return the app that functions-framework makes of a function, as in the cloud.

    One for a process, as there.
    """
    return functions_framework.create_app(function.name, str(function.source))


def push_body(
    data: bytes, message_id: str, published_at: str, subscription: str, attempt: int = 1
) -> Mapping[str, Any]:
    """Return the JSON body with which Pub/Sub pushes a message."""
    return {
        "message": {
            "data": base64.b64encode(data).decode(),
            "messageId": message_id,
            "publishTime": published_at,
            "attributes": {},
        },
        "subscription": subscription,
        "deliveryAttempt": attempt,
    }
