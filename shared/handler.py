"""The edge between functions-framework and the functions: decode, log, acknowledge or raise.

A message function returns to acknowledge, and raises to have the message delivered again;
after the attempts that infra/pipeline.yaml gives its topic, it becomes a dead letter.
"""

import base64
import binascii
import functools
import json
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any

import flask
import functions_framework
from cloudevents.http import CloudEvent
from werkzeug.exceptions import BadRequest

from shared import bootstrap
from shared.errors import InvalidMessage, PermanentError
from shared.messages import M, decode
from shared.services import Services

logger = logging.getLogger("verdure")

_context: ContextVar[Mapping[str, Any]] = ContextVar("log_context", default=MappingProxyType({}))


class JsonLines(logging.Formatter):
    """One JSON object a line, as Cloud Logging reads it from standard output."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record with the ids of the message at hand, and its facts."""
        entry = {"severity": record.levelname, "message": record.getMessage(), **_context.get()}
        entry.update(getattr(record, "facts", {}))
        if record.exc_info:
            entry["stack_trace"] = self.formatException(record.exc_info)
        return json.dumps(entry)


@contextmanager
def log_context(**fields: Any) -> Iterator[None]:
    """Add fields to every line logged inside."""
    token = _context.set({**_context.get(), **fields})
    try:
        yield
    finally:
        _context.reset(token)


def log_facts(message: str, **facts: Any) -> None:
    """Log values as fields of their own: infra/monitoring.tf makes metrics of some by name."""
    logger.info("%s: %s", message, facts, extra={"facts": facts})


def _log_to_standard_output() -> None:
    if not logger.handlers:
        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(JsonLines())
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False


def on_message(
    message_type: type[M],
) -> Callable[[Callable[[M, str, Services], None]], Callable[[CloudEvent], None]]:
    """Make a function of (message, message id, services) a Pub/Sub push entry point."""

    def register(function: Callable[[M, str, Services], None]) -> Callable[[CloudEvent], None]:
        @functools.wraps(function)
        def entry_point(event: CloudEvent) -> None:
            _log_to_standard_output()
            message_id = str(event["id"])
            with log_context(function=function.__name__, message_id=message_id):
                try:
                    message = _decode(message_type, event)
                except InvalidMessage as error:
                    logger.error("%s", error)
                    raise BadRequest(str(error)) from error  # not acknowledged, and why
                services = bootstrap.services()
                with log_context(**_ids(message)):
                    try:
                        function(message, message_id, services)
                    except PermanentError:
                        logger.exception("given up: the next attempt would fail in the same way")

        # functions-framework finds the entry point, and its kind, by this very name.
        decorated: Callable[[CloudEvent], None] = functions_framework.cloud_event(entry_point)
        return decorated

    return register


def on_schedule(
    function: Callable[[Services], dict[str, int]],
) -> Callable[[flask.Request], dict[str, int]]:
    """Make a function of (services) an entry point for Cloud Scheduler, answering counts."""

    @functools.wraps(function)
    def entry_point(request: flask.Request) -> dict[str, int]:
        _log_to_standard_output()
        with log_context(function=function.__name__):
            counts = function(bootstrap.services())
            logger.info("%s", counts)
            return counts

    decorated: Callable[[flask.Request], dict[str, int]] = functions_framework.http(entry_point)
    return decorated


def _decode(message_type: type[M], event: CloudEvent) -> M:
    try:
        data = base64.b64decode(event.data["message"]["data"], validate=True)
    except (KeyError, TypeError, binascii.Error) as error:
        raw = json.dumps(event.data, default=str).encode()
        raise InvalidMessage(f"{message_type.topic}: no base64 data: {error}", raw) from error
    return decode(message_type, data)


def _ids(message: Any) -> dict[str, Any]:
    return {name: value for name, value in vars(message).items() if name.endswith("_id")}
