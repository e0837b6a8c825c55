"""Dates and date ranges; times are milliseconds since 1970, UTC.

Formats are Joda-Time's (https://www.joda.org/joda-time/key_format.html).
"""

import math
import re
from calendar import monthrange
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from emulator.errors import EarthEngineError
from emulator.registry import InvalidTypeError, algorithm, coercion

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIXED_UNITS = {"week": 604_800_000, "day": 86_400_000, "hour": 3_600_000, "minute": 60_000}
FIXED_UNITS["second"] = 1000
YEAR_MS = 365.2425 * FIXED_UNITS["day"]  # the Gregorian calendar's mean
UNIT_MS = FIXED_UNITS | {"year": YEAR_MS, "month": YEAR_MS / 12}


@dataclass(frozen=True, slots=True)
class Date:
    """A moment, in milliseconds since 1970."""

    millis: int

    type_name = "Date"

    def at(self, zone: str | None = None) -> datetime:
        """Return the moment as a calendar date in a time zone (UTC unless given)."""
        try:
            return (EPOCH + timedelta(milliseconds=self.millis)).astimezone(_zone(zone))
        except OverflowError:
            raise EarthEngineError(f"Date out of range: {self.millis}.") from None


@dataclass(frozen=True, slots=True)
class DateRange:
    """A half-open range of time, in milliseconds; None: without that end."""

    start: int | None
    end: int | None

    type_name = "DateRange"

    def contains(self, millis: int) -> bool:
        """Tell whether a moment is inside; the end is not."""
        return (self.start is None or self.start <= millis) and (
            self.end is None or millis < self.end
        )


def _zone(name: str | None) -> tzinfo:
    try:
        return ZoneInfo(name) if name else UTC
    except (ZoneInfoNotFoundError, ValueError):
        raise EarthEngineError(f"Unknown time zone '{name}'.") from None


def from_datetime(moment: datetime) -> Date:
    """Return the date of a calendar moment."""
    return Date(round((moment - EPOCH) / timedelta(milliseconds=1)))


ISO = re.compile(
    r"(\d{4})(?:-(\d{1,2}))?(?:-(\d{1,2}))?"
    r"(?:[T ](\d{1,2}):?(\d{2})?(?::?(\d{2})(?:\.(\d{1,9}))?)?)?(Z|[+-]\d{2}:?\d{2})?"
)


def parse_iso(text: str, zone: str | None = None) -> Date:
    """Read an ISO date whose later parts may be missing."""
    found = ISO.fullmatch(text.strip())
    if not found:
        raise EarthEngineError(f"Date: Bad date/time '{text}'.")
    *parts, fraction, offset = found.groups()
    year, month, day, hour, minute, second = (
        int(p) if p else start for p, start in zip(parts, (0, 1, 1, 0, 0, 0), strict=True)
    )
    micro = int((fraction or "0").ljust(6, "0")[:6])
    where = datetime.strptime(offset.replace("Z", "+0000"), "%z").tzinfo if offset else _zone(zone)
    try:
        return from_datetime(datetime(year, month, day, hour, minute, second, micro, where))
    except ValueError as error:
        raise EarthEngineError(f"Date: Bad date/time '{text}': {error}.") from error


@coercion("Date")
def date(value: Any) -> Date:
    """Read a date from milliseconds or ISO text; a range gives its start."""
    match value:
        case Date():
            return value
        case bool():
            raise InvalidTypeError
        case int() | float():
            return Date(int(value))
        case str():
            return parse_iso(value)
    raise InvalidTypeError


@coercion("DateRange")
def _date_range(value: Any) -> DateRange:
    if isinstance(value, DateRange):
        return value
    start = date(value).millis
    return DateRange(start, start + 1)


@algorithm("Date")
def new_date(value: Any, zone: str | None) -> Date:
    return parse_iso(value, zone) if isinstance(value, str) else date(value)


def _unit(name: str) -> str:
    unit = name.lower().removesuffix("s")
    if unit not in UNIT_MS:
        raise EarthEngineError(f"Date: Unknown time unit '{name}'.")
    return unit


@algorithm("Date.advance")
def advance(start: Date, delta: float, unit: str, zone: str | None) -> Date:
    """Move a date; months and years keep the day, or take the month's last one."""
    unit = _unit(unit)
    if unit in FIXED_UNITS:
        return Date(start.millis + round(delta * FIXED_UNITS[unit]))
    whole = math.floor(delta)
    moment = _add_months(start.at(zone), whole * (12 if unit == "year" else 1))
    return Date(from_datetime(moment).millis + round((delta - whole) * UNIT_MS[unit]))


def _add_months(moment: datetime, months: int) -> datetime:
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    day = min(moment.day, monthrange(year, month + 1)[1])
    return moment.replace(year=year, month=month + 1, day=day)


@algorithm("Date.difference")
def difference(end: Date, start: Date, unit: str) -> float:
    return (end.millis - start.millis) / UNIT_MS[_unit(unit)]


@algorithm("Date.unitRatio")
def unit_ratio(numerator: str, denominator: str) -> float:
    return UNIT_MS[_unit(numerator)] / UNIT_MS[_unit(denominator)]


@algorithm("Date.millis")
def millis(moment: Date) -> int:
    return moment.millis


@algorithm("Date.fromYMD")
def from_ymd(year: int, month: int, day: int, zone: str | None) -> Date:
    first = datetime(year, 1, 1, tzinfo=_zone(zone))
    return from_datetime(_add_months(first, month - 1) + timedelta(days=day - 1))


GET: dict[str, Callable[[datetime], int]] = {
    "year": lambda t: t.year,
    "month": lambda t: t.month,
    "week": lambda t: t.isocalendar().week,
    "day": lambda t: t.day,
    "hour": lambda t: t.hour,
    "minute": lambda t: t.minute,
    "second": lambda t: t.second,
}


@algorithm("Date.get")
def get(moment: Date, unit: str, zone: str | None) -> int:
    return GET[_unit(unit)](moment.at(zone))


def _floor(moment: datetime, unit: str) -> datetime:
    """Return the start of the unit of time that a moment is in."""
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    match unit:
        case "year":
            return day.replace(month=1, day=1)
        case "month":
            return day.replace(day=1)
        case "week":
            return day - timedelta(days=day.weekday())
        case "day":
            return day
        case "hour":
            return day.replace(hour=moment.hour)
        case "minute":
            return day.replace(hour=moment.hour, minute=moment.minute)
        case _:
            return moment.replace(microsecond=0)


@algorithm("Date.getRange")
def get_range(moment: Date, unit: str, zone: str | None) -> DateRange:
    unit = _unit(unit)
    start = from_datetime(_floor(moment.at(zone), unit))
    return DateRange(start.millis, advance(start, 1, unit, zone).millis)


@algorithm("Date.getFraction")
def get_fraction(moment: Date, unit: str, zone: str | None) -> float:
    around = get_range(moment, unit, zone)
    return (moment.millis - around.start) / (around.end - around.start)


@algorithm("Date.getRelative")
def get_relative(moment: Date, unit: str, in_unit: str, zone: str | None) -> int:
    unit, local = _unit(unit), moment.at(zone)
    start = _floor(local, _unit(in_unit))
    if unit in FIXED_UNITS:
        elapsed = local.replace(tzinfo=UTC) - start.replace(tzinfo=UTC)
        return int(elapsed / timedelta(milliseconds=FIXED_UNITS[unit]))
    months = (local.year - start.year) * 12 + local.month - start.month
    return months // (12 if unit == "year" else 1)


@algorithm("Date.update")
def update(
    moment: Date,
    year: int | None,
    month: int | None,
    day: int | None,
    hour: int | None,
    minute: int | None,
    second: float | None,
    zone: str | None,
) -> Date:
    fields = {"year": year, "month": month, "day": day, "hour": hour, "minute": minute}
    changed = {name: value for name, value in fields.items() if value is not None}
    if second is not None:
        whole = int(second)
        changed |= {"second": whole, "microsecond": round((second - whole) * 1e6)}
    try:
        return from_datetime(moment.at(zone).replace(**changed))
    except ValueError as error:
        raise EarthEngineError(f"Date.update: {error}.") from error


def _number(value: int, width: int) -> str:
    return str(value).zfill(width)


def _name(moment: datetime, code: str, width: int) -> str:
    return moment.strftime(f"%{code.upper()}" if width >= 4 else f"%{code.lower()}")


JODA: dict[str, Callable[[datetime, int], str]] = {
    "y": lambda t, n: _number(t.year % 100, 2) if n == 2 else _number(t.year, n),
    "x": lambda t, n: _number(t.isocalendar().year % (100 if n == 2 else 10**6), n),
    "C": lambda t, n: _number(t.year // 100, n),
    "w": lambda t, n: _number(t.isocalendar().week, n),
    "e": lambda t, n: _number(t.isoweekday(), n),
    "E": lambda t, n: _name(t, "a", n),
    "D": lambda t, n: _number(t.timetuple().tm_yday, n),
    "M": lambda t, n: _name(t, "b", n) if n >= 3 else _number(t.month, n),
    "d": lambda t, n: _number(t.day, n),
    "a": lambda t, n: t.strftime("%p"),
    "K": lambda t, n: _number(t.hour % 12, n),
    "h": lambda t, n: _number((t.hour - 1) % 12 + 1, n),
    "H": lambda t, n: _number(t.hour, n),
    "k": lambda t, n: _number((t.hour - 1) % 24 + 1, n),
    "m": lambda t, n: _number(t.minute, n),
    "s": lambda t, n: _number(t.second, n),
    "S": lambda t, n: f"{t.microsecond:06d}".ljust(n, "0")[:n],
    "z": lambda t, n: t.tzname() or "",
    "Z": lambda t, n: t.strftime("%z") if n == 1 else _colon(t.strftime("%z")),
}
JODA["Y"] = JODA["y"]
TOKENS = re.compile(r"'((?:[^']|'')*)'|([A-Za-z])\2*|[^A-Za-z']+")


def _colon(offset: str) -> str:
    return f"{offset[:3]}:{offset[3:]}"


@algorithm("Date.format")
def format_date(moment: Date, pattern: str | None, zone: str | None) -> str:
    local = moment.at(zone)

    def text(token: re.Match[str]) -> str:
        if token[1] is not None:
            return token[1].replace("''", "'") or "'"
        if token[2] is None:
            return token[0]
        if token[2] not in JODA:
            raise EarthEngineError(f"Date.format: Illegal pattern component: {token[2]}.")
        return JODA[token[2]](local, len(token[0]))

    iso = "yyyy-MM-dd'T'HH:mm:ss" + (".SSS" if moment.millis % 1000 else "")
    return TOKENS.sub(text, pattern or iso)


@algorithm("DateRange")
def date_range(start: Any, end: Any, zone: str | None) -> DateRange:
    first = new_date(start, zone).millis
    last = first + 1 if end is None else new_date(end, zone).millis
    return DateRange(first, last)


@algorithm("DateRange.unbounded")
def unbounded() -> DateRange:
    return DateRange(None, None)


@algorithm("DateRange.start")
def start(period: DateRange) -> Date | None:
    return None if period.start is None else Date(period.start)


@algorithm("DateRange.end")
def end(period: DateRange) -> Date | None:
    return None if period.end is None else Date(period.end)


@algorithm("DateRange.isUnbounded")
def is_unbounded(period: DateRange) -> bool:
    return period.start is None or period.end is None


def ends(period: DateRange) -> tuple[float, float]:
    """Return a range's ends in ms since 1970, infinite where it is open."""
    low = -math.inf if period.start is None else period.start
    return low, math.inf if period.end is None else period.end


@algorithm("DateRange.isEmpty")
def is_empty(period: DateRange) -> bool:
    low, high = ends(period)
    return low >= high


@algorithm("DateRange.contains")
def contains(period: DateRange, other: Any) -> bool:
    if not isinstance(other, DateRange):
        return period.contains(date(other).millis)
    (low, high), (first, last) = ends(period), ends(other)
    return low <= first and last <= high


@algorithm("DateRange.intersects")
def intersects(period: DateRange, other: DateRange) -> bool:
    (low, high), (first, last) = ends(period), ends(other)
    return low < last and first < high
