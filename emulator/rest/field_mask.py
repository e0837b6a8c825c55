"""Partial answers: the `fields` parameter of Google's APIs, such as `name,bands(id,grid/crsCode)`.

https://developers.google.com/custom-search/docs/performance#partial-response
"""

import re
from collections.abc import Mapping
from typing import Any

from emulator.errors import EarthEngineError

#: What is kept of a value: everything, or some fields and what is kept of each.
Mask = dict[str, Any]
EVERYTHING: Mask = {}
TOKEN = re.compile(r"\s*([A-Za-z0-9_:$*-]+|[(),/.])")
ANY = "*"
MAX_DEPTH = 50


def masked(answer: Any, fields: str) -> Any:
    """Return the parts of an answer that a mask names; an empty mask names all."""
    if not fields.strip():
        return answer
    tokens = TOKEN.findall(fields)
    if "".join(tokens) != re.sub(r"\s", "", fields):
        raise _error(fields)
    tokens.reverse()
    mask = _fields(tokens, fields, 0)
    if tokens:
        raise _error(fields)
    return _part(answer, mask)


def _fields(tokens: list[str], text: str, depth: int) -> Mask:
    """Parse `field,field`, where a field is `name`, `name/field` or `name(fields)`."""
    if depth > MAX_DEPTH:
        raise _error(text)
    mask: Mask = {}
    while True:
        path = [_name(tokens, text)]
        while tokens and tokens[-1] in "/.":
            tokens.pop()
            path.append(_name(tokens, text))
        inner = EVERYTHING
        if tokens and tokens[-1] == "(":
            tokens.pop()
            inner = _fields(tokens, text, depth + 1)
            if not tokens or tokens.pop() != ")":
                raise _error(text)
        node = mask
        for name in path[:-1]:
            node = node.setdefault(name, {})
        node[path[-1]] = inner
        if not tokens or tokens[-1] != ",":
            return mask
        tokens.pop()


def _name(tokens: list[str], text: str) -> str:
    if not tokens or tokens[-1] in "(),/.":
        raise _error(text)
    return tokens.pop()


def _part(value: Any, mask: Mask) -> Any:
    if not mask:
        return value
    if isinstance(value, list):
        return [_part(item, mask) for item in value]
    if not isinstance(value, Mapping):
        return value
    return {
        name: _part(item, mask.get(name, mask.get(ANY, EVERYTHING)))
        for name, item in value.items()
        if name in mask or ANY in mask
    }


def _error(text: str) -> EarthEngineError:
    return EarthEngineError(f"Request contains an invalid argument: invalid field mask '{text}'.")
