"""The filters of listAssets and listFeatures, in the language of https://google.aip.dev/160.

`startTime >= "2018-01-01T00:00:00Z" AND (properties.cloud < 20 OR NOT properties.sensor:*)`,
`intersects("{'type': 'Point', 'coordinates': [14, 46]}")`.
"""

import math
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import shapely
from shapely.geometry.base import BaseGeometry

from emulator.assets.store import Asset
from emulator.clock import to_milliseconds
from emulator.errors import EarthEngineError
from emulator.shapes import InvalidShape, parse_shape


class Subject(Protocol):
    """What passes a filter or not: an asset, or a feature of a table."""

    properties: Mapping[str, Any]
    footprint: Mapping[str, Any] | None  # GeoJSON


Predicate = Callable[[Any], bool]
Field = Callable[[Any], Any]

#: Parentheses within parentheses: each needs some of the stack.
MAX_DEPTH = 50
#: Characters of the place that an error shows.
SHOWN = 40

TOKEN = re.compile(
    r"""\s*(?:
        (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<symbol><=|>=|!=|[=<>:(),])
      | (?P<word>(?:[^\s()"'<>=!:,]|(?<=system):)+)   # as in system:index
    )""",
    re.VERBOSE | re.DOTALL,
)
COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "!=": operator.ne,
    "=": operator.eq,
    "<": operator.lt,
    ">": operator.gt,
}
HAS = ":"
ANYTHING = "*"


def _start(asset: Asset) -> Any:
    return asset.properties.get("system:time_start")


def _end(asset: Asset) -> Any:
    # An image without an end was taken at its start.
    return asset.properties.get("system:time_end", _start(asset))


TIMES = ("startTime", "endTime", "updateTime")
ASSET_FIELDS: dict[str, Field] = {
    "name": lambda asset: asset.name,
    "id": lambda asset: asset.name,
    "type": lambda asset: asset.type,
    "sizeBytes": lambda asset: asset.size_bytes,
    "startTime": _start,
    "endTime": _end,
    "updateTime": lambda asset: to_milliseconds(asset.update_time),
}


def parse_filter(text: str, fields: Mapping[str, Field] = ASSET_FIELDS) -> Predicate:
    """Return what decides whether an asset passes a filter; an empty one passes all.

    `fields` are those that subjects have beside `properties`.
    """
    parser = _Parser(text, fields)
    predicate = parser.conjunction(0) if parser.peek() else _everything
    parser.expect("")
    return predicate


def intersects(subject: Subject, region: BaseGeometry) -> bool:
    """Tell whether a subject's footprint meets a region; an image without one is everywhere."""
    if subject.footprint is None:
        return isinstance(subject, Asset) and subject.type == "IMAGE"
    return bool(shapely.geometry.shape(subject.footprint).intersects(region))


def parse_region(text: str) -> BaseGeometry:
    """Return a GeoJSON geometry, whose quotes the client has made single, or a WKT one."""
    try:
        shape = parse_shape(text.replace("'", '"'))
    except InvalidShape:
        shape = None
    if shape is None or not shape.is_valid:
        raise EarthEngineError(f"Invalid geometry: '{text[:SHOWN]}'.")
    return shape


def _everything(_: Subject) -> bool:
    return True


class _Parser:
    """A recursive descent over the grammar https://google.aip.dev/assets/misc/ebnf-filtering.txt.

    `OR` binds closer than `AND`, and terms that stand side by side are joined by `AND`.
    """

    def __init__(self, text: str, fields: Mapping[str, Field]) -> None:
        self._text = text
        self._fields = fields
        self._position = 0
        self._match: re.Match[str] | None = None
        self._advance(0)

    def peek(self) -> str:
        """Return the next token; at the end, an empty one."""
        return self._match[self._match.lastgroup or 0] if self._match else ""

    def take(self) -> str:
        """Return the next token and go on to the one after."""
        token = self.peek()
        if self._match:
            self._advance(self._match.end())
        return token

    def expect(self, token: str) -> None:
        """Take a token that must be the next one."""
        if self.peek() != token:
            raise self._error(f"'{token}' was expected" if token else "the end was expected")
        self.take()

    def conjunction(self, depth: int) -> Predicate:
        """Parse `factor [AND] factor …`."""
        if depth > MAX_DEPTH:
            raise self._error("the parentheses are nested too deeply")
        parts = [self._disjunction(depth)]
        while self.peek() not in ("", ")"):
            if self.peek() == "AND":
                self.take()
            parts.append(self._disjunction(depth))
        return parts[0] if len(parts) == 1 else lambda one: all(part(one) for part in parts)

    def _disjunction(self, depth: int) -> Predicate:
        parts = [self._term(depth)]
        while self.peek() == "OR":
            self.take()
            parts.append(self._term(depth))
        return parts[0] if len(parts) == 1 else lambda one: any(part(one) for part in parts)

    def _term(self, depth: int) -> Predicate:
        if self.peek() in ("NOT", "-"):
            self.take()
        elif self.peek().startswith("-") and self._is_word():
            # The sign belongs to the term: the word begins after it.
            self._advance(self._match.start("word") + 1)
        else:
            return self._simple(depth)
        negated = self._simple(depth)
        return lambda one: not negated(one)

    def _simple(self, depth: int) -> Predicate:
        if self.peek() == "(":
            self.take()
            inner = self.conjunction(depth + 1)
            self.expect(")")
            return inner
        return self._restriction()

    def _restriction(self) -> Predicate:
        place = self._position
        name = self._name()
        if name == "intersects" and self.peek() == "(":
            self.take()
            region = parse_region(self._argument())
            self.expect(")")
            return lambda one: intersects(one, region)
        field = self._field(name, place)
        comparison = self.peek()
        if comparison not in (*COMPARISONS, HAS):
            raise self._error("a comparison was expected")
        self.take()
        return _predicate(name, field, comparison, self._argument())

    def _name(self) -> str:
        """Take a dotted name, whose parts may be quoted."""
        if not self._is_word() or self.peek() in ("AND", "OR", "NOT"):
            raise self._error("the name of a field was expected")
        name = self.take()
        if name.endswith(".") and self._match and self._match.lastgroup == "text":
            name += _unquoted(self.take())
        return name

    def _argument(self) -> str:
        if self._match is None or self._match.lastgroup == "symbol":
            raise self._error("a value was expected")
        quoted = self._match.lastgroup == "text"
        return _unquoted(self.take()) if quoted else self.take()

    def _field(self, name: str, place: int) -> Field:
        if name in self._fields:
            return self._fields[name]
        prefix, _, key = name.partition(".")
        if not self._fields and prefix != "properties":
            prefix, key = "properties", name  # features have nothing else
        if prefix != "properties" or not key:
            raise self._error(f"there is no field '{name}'", place)
        return lambda one: one.properties.get(key)

    def _is_word(self) -> bool:
        return self._match is not None and self._match.lastgroup == "word"

    def _advance(self, position: int) -> None:
        while position < len(self._text) and self._text[position].isspace():
            position += 1
        self._position = position
        self._match = TOKEN.match(self._text, position) if position < len(self._text) else None
        if self._match is None and position < len(self._text):
            raise self._error("this is not part of a filter")

    def _error(self, problem: str, place: int | None = None) -> EarthEngineError:
        position = self._position if place is None else place
        found = self._text[position : position + SHOWN]
        return EarthEngineError(
            f"Invalid filter: {problem} at position {position}, before '{found}'."
        )


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)


def _predicate(name: str, field: Field, comparison: str, given: str) -> Predicate:
    if comparison == HAS and given == ANYTHING:
        return lambda one: field(one) is not None
    if name in TIMES:
        compare, given_ms = COMPARISONS.get(comparison, operator.eq), _milliseconds(given)
        return lambda one: _compares(field(one), compare, given_ms)
    if comparison in ("=", "!=", HAS) and ANYTHING in given:
        pattern = re.compile(".*".join(map(re.escape, given.split(ANYTHING))), re.DOTALL)
        wanted = comparison != "!="
        return lambda one: (
            isinstance(value := field(one), str) and bool(pattern.fullmatch(value)) == wanted
        )
    return lambda one: _compares(field(one), COMPARISONS.get(comparison, operator.eq), given)


def _compares(value: Any, compare: Callable[[Any, Any], bool], given: Any) -> bool:
    """Compare as numbers where the subject has one; an absent value passes no comparison."""
    if value is None:
        return False
    if isinstance(value, int | float):
        try:
            number = float(given)
        except ValueError:
            return False
        return not math.isnan(number) and compare(value, number)
    return compare(str(value), str(given))


def _milliseconds(text: str) -> int:
    try:
        return to_milliseconds(text)
    except (ValueError, OverflowError):
        raise EarthEngineError(f"Invalid filter: '{text[:SHOWN]}' is not a time.") from None
