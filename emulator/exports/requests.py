"""The fields of an export request, each of the type that the REST API declares."""

import sys
from collections.abc import Mapping
from typing import Any, TypeVar

from emulator.errors import EarthEngineError

#: JSON has larger numbers than a double.
LARGEST = sys.float_info.max

T = TypeVar("T")
Json = Mapping[str, Any]


def member(content: Json, key: str, kind: type[T], default: T) -> T:
    """Return a field, or the default where it is absent."""
    value = content.get(key)
    if value is None:
        return default
    if not isinstance(value, kind):
        raise invalid(key, value)
    return value


def part(content: Json, key: str) -> Json:
    """Return a message inside a message, empty where it is absent."""
    return member(content, key, dict, {})


def texts(content: Json, key: str) -> list[str] | None:
    """Return a list of text, or None where there is none."""
    values = member(content, key, list, [])
    if not all(isinstance(value, str) for value in values):
        raise invalid(key, values)
    return values or None


def number(content: Json, key: str) -> float | None:
    """Return a number, plain or as the client wraps it: `{"floatValue": 0}`."""
    value = content.get(key)
    if isinstance(value, Mapping):
        value = next(iter(value.values()), None)
    if value is None:
        return None
    # Infinities and NaN come as text, as protocol buffers have them in JSON.
    if value in ("NaN", "Infinity", "-Infinity"):
        return float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > LARGEST:
        raise invalid(key, value)
    return float(value)


def expression(request: Json) -> Json:
    """Return the expression, which must be there."""
    if "expression" not in request:
        raise EarthEngineError("Invalid export: there is no expression.")
    return member(request, "expression", dict, {})


def invalid(key: str, value: object) -> EarthEngineError:
    """Return the error for a field that has a wrong value."""
    return EarthEngineError(f"Invalid value for '{key}': {value!r:.60}.")
