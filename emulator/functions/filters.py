"""Filters: tests on an element, or on a pair of elements in a join."""

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
import shapely

from emulator.errors import EarthEngineError
from emulator.functions.dates import Date, DateRange, contains, date, ends
from emulator.functions.geometry import PREDICATES, Geometry, area, distance
from emulator.functions.values import property_of
from emulator.registry import InvalidTypeError, algorithm, coerce, coercion, type_name
from emulator.stored import StoredCollection

Test = Callable[[Any, Any], bool]
Rows = Callable[[StoredCollection], np.ndarray | None]


def _one_by_one(images: StoredCollection) -> None:
    """Say that images are to be tested one by one."""


@dataclass(frozen=True, slots=True)
class Filter:
    """A test of a left and a right element; outside joins both are the same one.

    `rows` tests many stored images at once, by a column of their properties, where it can.
    """

    test: Test
    rows: Rows = _one_by_one
    measure: Callable[[Any, Any], float | None] | None = None  # of a pair in a join

    type_name = "Filter"


@coercion("Filter")
def _filter(value: Any) -> Filter:
    if isinstance(value, Filter):
        return value
    if isinstance(value, str):
        return expression(value)
    raise InvalidTypeError


def _operand(field: str | None, value: Any) -> Callable[[Any], Any]:
    if field is None:
        return lambda element: value
    return lambda element: property_of(element, field)


def _binary(name: str, compare: Callable[[Any, Any], bool]) -> Callable[..., Filter]:
    """Make a filter of two operands; a null on either side fails it."""

    def make(
        left_field: str | None,
        right_value: Any,
        right_field: str | None,
        left_value: Any,
        error: Any = None,
    ) -> Filter:
        if (left_field is None) == (left_value is None) or (right_field is None) == (
            right_value is None
        ):
            raise EarthEngineError(
                f"Filter.{name}: Each side needs a field or a value, and not both."
            )
        left, right = _operand(left_field, left_value), _operand(right_field, right_value)

        def test(element: Any, other: Any) -> bool:
            a, b = left(element), right(other)
            return a is not None and b is not None and compare(a, b)

        if left_field is not None and right_field is None:
            return Filter(test, _column_test(FIELD_ON_THE_LEFT.get(name), left_field, right_value))
        if right_field is not None and left_field is None:
            return Filter(test, _column_test(FIELD_ON_THE_RIGHT.get(name), right_field, left_value))
        return Filter(test)

    return make


ColumnTest = Callable[[np.ndarray, Any], np.ndarray]


def _is_in(column: np.ndarray, values: Sequence[Any]) -> np.ndarray:
    wanted = set(values)
    return np.fromiter((value in wanted for value in column), bool, len(column))


def _is_within(column: np.ndarray, period: Any) -> np.ndarray:
    low, high = ends(coerce("DateRange", period))
    return (column >= low) & (column < high)


#: Comparisons of a column with a value, by the side on which the client puts the column.
FIELD_ON_THE_LEFT: dict[str, ColumnTest] = {
    "equals": operator.eq,
    "lessThan": operator.lt,
    "lessThanOrEquals": operator.le,
    "greaterThan": operator.gt,
    "greaterThanOrEquals": operator.ge,
    "inList": _is_in,
}
FIELD_ON_THE_RIGHT: dict[str, ColumnTest] = {
    "equals": operator.eq,
    "listContains": _is_in,
    "dateRangeContains": _is_within,
}


def _column_test(compare: ColumnTest | None, field: str, value: Any) -> Rows:
    if compare is None:
        return _one_by_one
    value = _plain(value)
    samples = value if isinstance(value, list) else [value]
    of_text = bool(samples) and all(isinstance(sample, str) for sample in samples)

    def test(images: StoredCollection) -> np.ndarray | None:
        column = images.column(field)
        if column is None or (column.dtype == object) != of_text:
            return None
        return compare(column, value)

    return test


def _plain(value: Any) -> Any:
    return value.millis if isinstance(value, Date) else value


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def test(a: Any, b: Any) -> bool:
        a, b = _plain(a), _plain(b)
        if isinstance(a, str) != isinstance(b, str):
            return False
        return compare(a, b)

    return test


def _date_range_contains(period: DateRange, moment: Any) -> bool:
    return contains(coerce("DateRange", period), moment)


def _geometric(test: Callable[..., Any]) -> Callable[[Any, Any], bool]:
    def compare(a: Any, b: Any) -> bool:
        left, right = coerce("Geometry", a).lonlat, coerce("Geometry", b).lonlat
        shapely.prepare(right)
        return bool(test(left, right))

    return compare


#: Names of kinds of values that take in other kinds.
SUPERTYPES = {
    "Integer": {"Number", "Long", "Float"},
    "Long": {"Number", "Float"},
    "Float": {"Number"},
    "Feature": {"Element"},
    "Image": {"Element"},
    "FeatureCollection": {"Element"},
    "ImageCollection": {"Element", "FeatureCollection"},
}


def _has_type(value: Any, wanted: str) -> bool:
    name = type_name(value)
    names = {name, "Object"} | SUPERTYPES.get(name, set())
    if isinstance(value, Geometry):
        names.add(value.shape.geom_type)
    return wanted in names


COMPARISONS: dict[tuple[str, ...], Callable[[Any, Any], bool]] = {
    ("eq", "equals"): lambda a, b: _plain(a) == _plain(b),
    ("neq", "notEquals"): lambda a, b: _plain(a) != _plain(b),
    ("lt", "lessThan"): _ordered(lambda a, b: a < b),
    ("lte", "lessThanOrEquals"): _ordered(lambda a, b: a <= b),
    ("gt", "greaterThan"): _ordered(lambda a, b: a > b),
    ("gte", "greaterThanOrEquals"): _ordered(lambda a, b: a >= b),
    ("stringContains",): lambda a, b: b in a,
    ("stringStartsWith",): lambda a, b: a.startswith(b),
    ("stringEndsWith",): lambda a, b: a.endswith(b),
    ("listContains",): lambda a, b: b in a,
    ("inList",): lambda a, b: a in b,
    ("hasType",): _has_type,
    ("dateRangeContains",): _date_range_contains,
    ("intersects",): _geometric(PREDICATES["intersects"]),
    ("disjoint",): _geometric(PREDICATES["disjoint"]),
    ("contains",): _geometric(PREDICATES["contains"]),
    ("isContained",): _geometric(PREDICATES["containedIn"]),
}
COMPARED = {names[-1]: compare for names, compare in COMPARISONS.items()}
for _names, _compare in COMPARISONS.items():
    algorithm(*(f"Filter.{name}" for name in _names))(_binary(_names[-1], _compare))


def _measured(name: str, limit: float, operands: Sequence[Any], measure: Any) -> Filter:
    """Make a filter that passes up to a limit of a measure, which joins can save."""
    make = _binary(name, lambda a, b: (between := measure(a, b)) is not None and between <= limit)
    left_field, right_value, right_field, left_value = operands
    left, right = _operand(left_field, left_value), _operand(right_field, right_value)
    condition = make(*operands)
    return replace(condition, measure=lambda a, b: measure(left(a), right(b)))


@algorithm("Filter.maxDifference")
def max_difference(limit: float, *operands: Any) -> Filter:
    return _measured("maxDifference", limit, operands, lambda a, b: abs(_plain(a) - _plain(b)))


@algorithm("Filter.withinDistance")
def within_distance(limit: float, *operands_and_error: Any) -> Filter:
    *operands, error = operands_and_error

    def measure(a: Any, b: Any) -> float | None:
        return distance(coerce("Geometry", a), coerce("Geometry", b), error, None, False)

    return _measured("withinDistance", limit, operands, measure)


@algorithm("Filter.area")
def area_within(low: float, high: float, error: Any, selector: str | None) -> Filter:
    def test(element: Any, other: Any) -> bool:
        shape = property_of(element, selector or ".geo")
        return shape is not None and low <= area(coerce("Geometry", shape), error, None) <= high

    return Filter(test)


@algorithm("Filter.and")
def both(filters: list[Filter]) -> Filter:
    tests = [f.test for f in filters]
    return Filter(lambda a, b: all(test(a, b) for test in tests), _joined(filters, np.logical_and))


@algorithm("Filter.or")
def either(filters: list[Filter]) -> Filter:
    tests = [f.test for f in filters]
    return Filter(lambda a, b: any(test(a, b) for test in tests), _joined(filters, np.logical_or))


@algorithm("Filter.not")
def negated(condition: Filter) -> Filter:
    def rows(images: StoredCollection) -> np.ndarray | None:
        found = condition.rows(images)
        return None if found is None else ~found

    return Filter(lambda a, b: not condition.test(a, b), rows)


def _joined(filters: list[Filter], join: np.ufunc) -> Rows:
    def rows(images: StoredCollection) -> np.ndarray | None:
        found = [one.rows(images) for one in filters]
        return None if any(one is None for one in found) else join.reduce(found)

    return rows if filters else _one_by_one


@algorithm("Filter.always")
def always() -> Filter:
    return Filter(lambda a, b: True)


@algorithm("Filter.never")
def never() -> Filter:
    return Filter(lambda a, b: False)


@algorithm("Filter.notNull")
def not_null(names: Sequence[str]) -> Filter:
    def rows(images: StoredCollection) -> np.ndarray | None:
        columns = [images.column(name) for name in names]
        if not columns or any(column is None for column in columns):
            return None
        return np.logical_and.reduce([column == column for column in columns])  # NaN is null

    return Filter(lambda a, b: all(property_of(a, name) is not None for name in names), rows)


@algorithm("Filter.hasGeometry")
def has_geometry() -> Filter:
    return Filter(lambda a, b: a.footprint is not None)


@algorithm("Filter.rangeContains")
def range_contains(field: str, low: Any, high: Any) -> Filter:
    within = _ordered(lambda value, end: value <= end)

    def test(element: Any, other: Any) -> bool:
        value = property_of(element, field)
        return value is not None and within(low, value) and within(value, high)

    return Filter(test)


CALENDAR: dict[str, Callable[[datetime], int]] = {
    "year": lambda t: t.year,
    "month": lambda t: t.month,
    "hour": lambda t: t.hour,
    "minute": lambda t: t.minute,
    "day_of_year": lambda t: t.timetuple().tm_yday,
    "day_of_month": lambda t: t.day,
    "day_of_week": lambda t: t.isoweekday(),
}


@algorithm("Filter.calendarRange")
def calendar_range(start: int, end: int | None, field: str) -> Filter:
    """Pass where a calendar field of the time is in a range, which may wrap around."""
    if field not in CALENDAR:
        raise EarthEngineError(f"Filter.calendarRange: Unknown field '{field}'.")
    part = CALENDAR[field]
    last = start if end is None else end

    def test(element: Any, other: Any) -> bool:
        time = element.properties.get("system:time_start")
        if time is None:
            return False
        value = part(date(time).at())
        if last < start:
            return value >= start or value <= last
        return start <= value <= last

    return Filter(test)


@algorithm("Filter.dayOfYear")
def day_of_year(start: int, end: int) -> Filter:
    return calendar_range(start, end, "day_of_year")


FILTER_TOKEN = re.compile(
    r"""\s*(?:(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
    |(?P<text>"[^"]*"|'[^']*')
    |(?P<name>[A-Za-z_.:][\w.:]*)
    |(?P<symbol>==|!=|<=|>=|&&|\|\||[<>!()\[\],]))""",
    re.VERBOSE,
)
OPERATORS = {
    "==": "equals",
    "!=": "notEquals",
    "<": "lessThan",
    "<=": "lessThanOrEquals",
    ">": "greaterThan",
    ">=": "greaterThanOrEquals",
}


@algorithm("Filter.expression")
def expression(text: str) -> Filter:
    """Read a filter: comparisons of a property with a value, joined and negated."""
    return _FilterText(text).read()


class _FilterText:
    """A parser by recursive descent: or, and, not, comparison."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[tuple[str, str]] = []
        position = 0
        while position < len(text.rstrip()):
            found = FILTER_TOKEN.match(text, position)
            if not found:
                raise self._error()
            self._tokens.append((found.lastgroup or "", found[found.lastgroup or 0]))
            position = found.end()

    def read(self) -> Filter:
        """Return the filter that the whole text is."""
        condition = self._any_of()
        if self._tokens:
            raise self._error()
        return condition

    def _error(self) -> EarthEngineError:
        return EarthEngineError(f"Filter.expression: Cannot parse '{self._text}'.")

    def _accept(self, *texts: str) -> str | None:
        if self._tokens and self._tokens[0][1] in texts and self._tokens[0][0] != "text":
            return self._tokens.pop(0)[1]
        return None

    def _expect(self, text: str) -> None:
        if not self._accept(text):
            raise self._error()

    def _any_of(self) -> Filter:
        parts = [self._all_of()]
        while self._accept("||", "or"):
            parts.append(self._all_of())
        return either(parts) if len(parts) > 1 else parts[0]

    def _all_of(self) -> Filter:
        parts = [self._one()]
        while self._accept("&&", "and"):
            parts.append(self._one())
        return both(parts) if len(parts) > 1 else parts[0]

    def _one(self) -> Filter:
        if self._accept("!", "not"):
            return negated(self._one())
        if self._accept("("):
            condition = self._any_of()
            self._expect(")")
            return condition
        return self._comparison()

    def _comparison(self) -> Filter:
        left = self._operand()
        if self._accept("in"):
            return _binary("inList", lambda a, b: a in b)(
                left.get("field"), self._list(), None, None
            )
        operator = self._accept(*OPERATORS)
        if operator is None:
            raise self._error()
        right = self._operand()
        name = OPERATORS[operator]
        return _binary(name, COMPARED[name])(
            left.get("field"), right.get("value"), right.get("field"), left.get("value")
        )

    def _operand(self) -> dict[str, Any]:
        if not self._tokens:
            raise self._error()
        kind, text = self._tokens.pop(0)
        match kind:
            case "number":
                return {"value": float(text)}
            case "text":
                return {"value": text[1:-1]}
            case "name":
                return {"field": text}
        raise self._error()

    def _list(self) -> list[Any]:
        opening = self._accept("[", "(")
        if opening is None:
            raise self._error()
        items = []
        while not self._accept("]", ")"):
            items.append(self._operand().get("value"))
            self._accept(",")
        return items
