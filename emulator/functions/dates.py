"""Dates and date ranges; times are milliseconds since 1970, UTC.

Formats are Joda-Time's (https://www.joda.org/joda-time/key_format.html).
"""

import math
import re
from calendar import month_name, monthrange
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from emulator.errors import EarthEngineError
from emulator.registry import InvalidTypeError, Long, algorithm, coercion

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIXED_UNITS = {"week": 604_800_000, "day": 86_400_000, "hour": 3_600_000, "minute": 60_000}
FIXED_UNITS["second"] = 1000
YEAR_MS = 365.2425 * FIXED_UNITS["day"]  # the Gregorian calendar's mean
DAYS = {"day": 1, "week": 7}
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
    r"(?P<year>\d{4})(?:-(?P<month>\d{1,2})(?:-(?P<day>\d{1,2}))?|-(?P<day_of_year>\d{3}))?"
    r"(?:[T ](?P<hour>\d{1,2}):?(?P<minute>\d{2})?"
    r"(?::?(?P<second>\d{2})(?:\.(?P<fraction>\d{1,9}))?)?)?(?P<offset>Z|[+-]\d{2}:?\d{2})?"
)


def parse_iso(text: str, zone: str | None = None) -> Date:
    """Read an ISO date whose later parts may be missing."""
    found = ISO.fullmatch(text.strip())
    if not found:
        raise EarthEngineError(f"Date: Bad date/time '{text}'.")
    try:
        return from_datetime(_moment(found.groupdict(), zone))
    except (ValueError, OverflowError) as error:
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
    if unit in DAYS and zone and float(delta).is_integer():  # the same time of another local day
        return from_datetime(start.at(zone) + timedelta(days=delta * DAYS[unit]))
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
    return Long(moment.millis)


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
    return Long(GET[_unit(unit)](moment.at(zone)))


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
        return Long(elapsed / timedelta(milliseconds=FIXED_UNITS[unit]))
    months = (local.year - start.year) * 12 + local.month - start.month
    return Long(months // (12 if unit == "year" else 1))


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


#: Java's names of time zones, by the zones' abbreviations.
ZONE_NAMES = {"UTC": "Coordinated Universal Time", "GMT": "Greenwich Mean Time"}
ZONE_NAMES |= {
    f"{region[0]}{half[0]}T": f"{region} {half} Time"
    for region in ("Eastern", "Central", "Mountain", "Pacific")
    for half in ("Standard", "Daylight")
}
ZONE_NAMES |= {
    "WET": "Western European Time",
    "WEST": "Western European Summer Time",
    "CET": "Central European Time",
    "CEST": "Central European Summer Time",
    "EET": "Eastern European Time",
    "EEST": "Eastern European Summer Time",
}


def _zone_name(moment: datetime, width: int) -> str:
    short = moment.tzname() or ""
    return ZONE_NAMES.get(short, short) if width >= 4 else short


def _offset(moment: datetime, width: int) -> str:
    if width >= 3:
        return str(moment.tzinfo)
    offset = moment.strftime("%z")
    return offset if width == 1 else f"{offset[:3]}:{offset[3:]}"


JODA: dict[str, Callable[[datetime, int], str]] = {
    "G": lambda t, n: "AD",  # `datetime` has no years before it
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
    "z": _zone_name,
    "Z": _offset,
}
JODA["Y"] = JODA["y"]
TOKENS = re.compile(r"'((?:[^']|'')*)'|([A-Za-z])\2*|[^A-Za-z']+")


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


#: Parts of a date in text: a pattern, and what it is to `_moment`.
PARSED = {
    "y": (r"\d{1,9}", "year"),
    "Y": (r"\d{1,9}", "year"),
    "M": (r"\d{1,2}", "month"),
    "d": (r"\d{1,2}", "day"),
    "D": (r"\d{1,3}", "day_of_year"),
    "H": (r"\d{1,2}", "hour"),
    "k": (r"\d{1,2}", "clock_hour"),
    "h": (r"\d{1,2}", "half_day_hour"),
    "K": (r"\d{1,2}", "half_day_hour"),
    "a": (r"[AaPp][Mm]", "half"),
    "m": (r"\d{1,2}", "minute"),
    "s": (r"\d{1,2}", "second"),
    "S": (r"\d{1,9}", "fraction"),
    "E": (r"[A-Za-z]+", "weekday"),
    "Z": (r"Z|[+-]\d{2}:?\d{2}", "offset"),
}
MONTHS = [date_name[:3].lower() for date_name in month_name]
#: Two-digit years are within 50 years of this one, as in Joda-Time.
PIVOT_YEAR = 2000


@algorithm("Date.parse")
def parse_date(pattern: str, text: str, zone: str | None) -> Date:
    """Read a date by a pattern; the parts that it does not have are those of 1970-01-01."""

    def expression(token: re.Match[str]) -> str:
        if token[1] is not None:
            return re.escape(token[1].replace("''", "'") or "'")
        letter, width = token[2], len(token[0])
        if letter is None:
            return re.escape(token[0])
        if letter not in PARSED:
            raise EarthEngineError(f"Date.parse: Illegal pattern component: {token[0]}.")
        digits, field = PARSED[letter]
        if letter == "M" and width > 2:
            digits = "[A-Za-z]+"
        elif digits[0] == "\\" and _touches(pattern, token.end()):
            digits = rf"\d{{{width}}}"  # the next number follows at once
        return f"(?P<{field}>{digits})"

    try:
        found = re.fullmatch(TOKENS.sub(expression, pattern), text)
    except re.error as error:  # a field that is there twice
        raise EarthEngineError(f"Date.parse: Bad pattern '{pattern}': {error}.") from error
    if not found:
        raise EarthEngineError(f"Date.parse: Invalid format: '{text}' does not match '{pattern}'.")
    try:
        return from_datetime(_moment(found.groupdict(), zone))
    except (ValueError, OverflowError) as error:
        raise EarthEngineError(f"Date.parse: Cannot parse '{text}': {error}.") from error


def _touches(pattern: str, position: int) -> bool:
    return pattern[position : position + 1].isalpha()


def _moment(parts: dict[str, str | None], zone: str | None) -> datetime:
    """Return a moment from the text of its parts; missing ones are those of 1970-01-01."""
    part = {name: value for name, value in parts.items() if value is not None}
    year = int(part.get("year", EPOCH.year))
    if len(part.get("year", "")) == 2:
        year += PIVOT_YEAR if year < 50 else PIVOT_YEAR - 100
    month = part.get("month", "1")
    hour = int(part.get("hour", 0))
    if "clock_hour" in part:
        hour = int(part["clock_hour"]) % 24
    if "half_day_hour" in part:
        hour = int(part["half_day_hour"]) % 12 + 12 * (part.get("half", "am").lower() == "pm")
    offset = part.get("offset")
    where = datetime.strptime(offset.replace("Z", "+0000"), "%z").tzinfo if offset else _zone(zone)
    moment = datetime(
        year,
        int(month) if month.isdigit() else MONTHS.index(month[:3].lower()),
        int(part.get("day", 1)),
        hour,
        int(part.get("minute", 0)),
        int(part.get("second", 0)),
        int(part.get("fraction", "0").ljust(6, "0")[:6]),
        where,
    )
    return moment + timedelta(days=int(part.get("day_of_year", 1)) - 1)


@algorithm("DateRange")
def date_range(start: Any, end: Any, zone: str | None) -> DateRange:
    if isinstance(start, DateRange) and end is None:
        return start
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


@algorithm("DateRange.intersection")
def intersection(period: DateRange, other: DateRange) -> DateRange:
    (low, high), (first, last) = ends(period), ends(other)
    start = max(low, first)
    return _between(start, max(start, min(high, last)))


@algorithm("DateRange.union")
def union(period: DateRange, other: DateRange) -> DateRange:
    """Return the range from the earlier start to the later end, also over a gap."""
    (low, high), (first, last) = ends(period), ends(other)
    return _between(min(low, first), max(high, last))


def _between(low: float, high: float) -> DateRange:
    return DateRange(*(int(end) if math.isfinite(end) else None for end in (low, high)))
