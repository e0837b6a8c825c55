"""Fields of JSON bodies, of the types they must have.

JSON is read as protocol buffers read it (https://protobuf.dev/programming-guides/json): null is
absent, whole numbers may be text.
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from emulator.clock import is_time, to_milliseconds
from emulator.errors import EarthEngineError

Json = Mapping[str, Any]

MAX_INT32 = 2**31 - 1
MAX_INT64 = 2**63 - 1
#: The fields of an AffineTransform, in the order of a crsTransform.
AFFINE_KEYS = ("scaleX", "shearX", "translateX", "shearY", "scaleY", "translateY")
#: Characters of a wrong value that an error repeats.
SHOWN = 100


def text(body: Json, name: str, default: str = "") -> str:
    """Return a string."""
    return _field(body, name, "TYPE_STRING", str, default)


def flag(body: Json, name: str) -> bool:
    """Return a truth value, False if absent."""
    return _field(body, name, "TYPE_BOOL", bool, False)


def mapping(body: Json, name: str) -> Json:
    """Return a message, empty if absent."""
    return _field(body, name, "TYPE_MESSAGE", Mapping, {})


def messages(body: Json, name: str) -> Sequence[Json]:
    """Return a list of messages."""
    values = _field(body, name, "TYPE_MESSAGE", list, [])
    return [mapping({name: value}, name) for value in values]


def texts(body: Json, name: str) -> list[str]:
    """Return a list of strings."""
    return [text({name: value}, name) for value in _field(body, name, "TYPE_STRING", list, [])]


def expression(body: Json) -> Json:
    """Return the expression that a request must have."""
    required(body, "expression")
    return mapping(body, "expression")


def number(body: Json, name: str, default: float = 0.0) -> float:
    """Return a finite number."""
    value = _unwrapped(body.get(name))
    if value is None:
        return default
    if not is_number(value):
        raise invalid(name, "TYPE_DOUBLE", value)
    return float(value)


def is_number(value: Any) -> bool:
    """Tell whether a value is a finite number."""
    try:
        return type(value) in (int, float) and math.isfinite(value)
    except OverflowError:  # a whole number that is too large for a float
        return False


def numbers(body: Json, name: str) -> list[float]:
    """Return a list of finite numbers."""
    return [number({name: value}, name) for value in _field(body, name, "TYPE_DOUBLE", list, [])]


def transform(body: Json, name: str) -> tuple[float, ...] | None:
    """Return the six numbers of an AffineTransform in the order of a crsTransform."""
    affine = mapping(body, name)
    return tuple(number(affine, key) for key in AFFINE_KEYS) if affine else None


def whole(body: Json, name: str, default: int = 0, largest: int = MAX_INT32) -> int:
    """Return a whole number, unless more is said an int32."""
    value = _unwrapped(body.get(name))
    if value is None:
        return default
    try:
        if isinstance(value, bool) or int(value) != float(value) or abs(int(value)) > largest:
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        kind = "TYPE_INT32" if largest == MAX_INT32 else "TYPE_INT64"
        raise invalid(name, kind, value) from None
    return int(value)


def _unwrapped(value: Any) -> Any:
    """Return a number that the client has wrapped: {"value": 2} or {"floatValue": 2} for 2."""
    return next(iter(value.values()), None) if isinstance(value, Mapping) else value


def milliseconds(body: Json, name: str) -> int | None:
    """Return a time in ms since 1970: RFC 3339 text, seconds, or {"seconds": 1, "nanos": 0}."""
    value = body.get(name)
    try:
        match value:
            case None:
                return None
            case str():
                time = to_milliseconds(value)
            case bool():
                raise ValueError
            case int() | float():
                time = int(1000 * value)
            case Mapping():
                time = 1000 * int(value.get("seconds", 0)) + int(value.get("nanos", 0)) // 10**6
            case _:
                raise ValueError
        if not is_time(time):
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        raise invalid(name, "type.googleapis.com/google.protobuf.Timestamp", value) from None
    return time


def required(body: Json, name: str) -> Any:
    """Return a field that may be of any type but not absent."""
    if body.get(name) is None:
        raise EarthEngineError(f"Invalid request: there is no '{name}'.")
    return body[name]


def choice(body: Json, name: str, values: Sequence[str], default: str) -> str:
    """Return one of an enumeration's values."""
    value = text(body, name, default)
    if value not in values:
        raise invalid(name, "TYPE_ENUM", value)
    return value


def known(body: Json, names: Sequence[str], where: str) -> Json:
    """Return a message in camelCase, and raise if it has fields of other names."""
    message = in_camel_case(body)
    for name in message:
        if name not in names:
            raise EarthEngineError(
                f"Invalid JSON payload received. Unknown name \"{name}\" at '{where}': "
                "Cannot find field."
            )
    return message


def in_camel_case(body: Json) -> Json:
    """Return a message whose fields may be named in either of the two ways of JSON."""
    return {camel(name): value for name, value in body.items()}


def camel(name: str) -> str:
    """Return a field's name in camelCase."""
    first, *others = name.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in others)


def invalid(name: str, kind: str, value: Any) -> EarthEngineError:
    """Return the error for a field with a value of another type than its own."""
    shown = json.dumps(value)[:SHOWN]
    return EarthEngineError(f"Invalid value at '{name}' ({kind}), {shown}")


def _field(body: Json, name: str, kind: str, types: type, default: Any) -> Any:
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, types):
        raise invalid(name, kind, value)
    return value
