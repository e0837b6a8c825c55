"""Dates and ranges of them, against Python's datetime."""

import datetime

import ee

from conformance.cases import Raises, case, described, library, sample

DAY = 86_400_000
UTC = datetime.UTC


def ms(*parts: int, tz: datetime.tzinfo = UTC) -> int:
    return round(datetime.datetime(*parts, tzinfo=tz).timestamp() * 1000)


def formatted(date: ee.Date) -> ee.String:
    return date.format("YYYY-MM-dd HH:mm:ss")


def dates(millis: int | None) -> dict:
    return {"type": "Date", "value": millis}


def date_range(start: int, end: int) -> dict:
    return {"type": "DateRange", "dates": [start, end]}


T = "1975-07-23T21:13:59"
FORMATS = [
    ("xxxx ww", "1975 30"),
    ("YY 'yada' MM", "75 yada 07"),
    ("e EEEEEEEE", "3 Wednesday"),
    ("YYYY GG", "1975 AD"),
    ("z zzzz", "UTC Coordinated Universal Time"),
]
PARSED = [
    ("YYYY MM dd", "2021 4 30", (2021, 4, 30)),
    ("YYYY-MM-dd", "2021-4-30", (2021, 4, 30)),
    ("MM/dd/YY", "4/30/21", (2021, 4, 30)),
    ("MMM. dd, YYYY", "Apr. 30, 2021", (2021, 4, 30)),
    ("YYYY-MM-dd HH:mm:ss", "2021-4-30 00:00:00", (2021, 4, 30)),
    ("yyyyMMdd'T'HHmmss", "20150711T100008", (2015, 7, 11, 10, 0, 8)),
    ("yyyyDDD", "2020366", (2020, 12, 31)),
    ("dd MMMM yyyy hh:mm a", "02 March 2019 01:05 PM", (2019, 3, 2, 13, 5)),
]
GET = {"year": 2021, "month": 4, "week": 17, "day": 30, "hour": 7, "minute": 15, "second": 31}
MOMENT = "2021-04-30T07:15:31.240"
DENVER = datetime.timezone(datetime.timedelta(hours=-7))
CASES = [
    case(
        "of milliseconds",
        lambda: formatted(ee.Date(60000)),
        "1970-01-01 00:01:00",
        sample("ee_date"),
    ),
    case(
        "in a time zone",
        lambda: ee.Date("2020", "US/Mountain").millis(),
        ms(2020, 1, 1, tz=DENVER),
        sample("ee_date"),
    ),
    case(
        "as the client prints it",
        lambda: ee.Date("2020-01-01"),
        dates(ms(2020, 1, 1)),
        sample("ee_date"),
    ),
    case("no date", lambda: ee.Date("yesterday"), Raises("Date"), described("Date")),
    *(
        case(f"format {f}", lambda f=f: ee.Date(T).format(f), text, sample("ee_date_format"))
        for f, text in FORMATS
    ),
    *(
        case(
            f"format of second {s}",
            lambda s=s: ee.Date(s * 1000).format("YYYY-MM-dd HH:mm:ss DDD ww e"),
            datetime.datetime.fromtimestamp(s, UTC).strftime("%Y-%m-%d %H:%M:%S %j %V %u"),
            library("datetime.strftime"),
        )
        for s in (0, 1_514_764_800, 951_825_599, 1_900_000_000, -1)
    ),
    case(
        "format in a zone",
        lambda: ee.Date(0).format("HH:mm ZZ", "Asia/Kolkata"),
        "05:30 +05:30",
        library("zoneinfo"),
    ),
    *(
        case(
            f"parse {p}",
            lambda p=p, t=t: ee.Date.parse(p, t),
            dates(ms(*e)),
            sample("ee_date_parse"),
        )
        for p, t, e in PARSED
    ),
    case(
        "parse in a zone",
        lambda: ee.Date.parse("yyyy-MM-dd", "2020-01-01", "US/Mountain").millis(),
        ms(2020, 1, 1, tz=DENVER),
        described("Date.parse"),
    ),
    case(
        "parse what does not match",
        lambda: ee.Date.parse("yyyy", "abc"),
        Raises("Date.parse"),
        described("Date.parse"),
    ),
    case(
        "the hour after the last",
        lambda: ee.Date.parse("yyyy-MM-dd HH", "2020-01-01 24"),
        Raises("Date.parse"),
        "https://www.joda.org/joda-time/key_format.html",
    ),
    *(
        case(f"get {u}", lambda u=u: ee.Date(MOMENT).get(u), v, library("datetime"))
        for u, v in GET.items()
    ),
    case("millis", lambda: ee.Date("2021-04-30").millis(), ms(2021, 4, 30), library("datetime")),
    case(
        "fromYMD", lambda: ee.Date.fromYMD(2020, 2, 29), dates(ms(2020, 2, 29)), library("datetime")
    ),
    case(
        "advance months to the last day",
        lambda: formatted(ee.Date("2020-01-31").advance(1, "month")),
        "2020-02-29 00:00:00",
        library("calendar.monthrange"),
    ),
    case(
        "advance years",
        lambda: formatted(ee.Date("2020-01-01").advance(2, "years")),
        "2022-01-01 00:00:00",
        sample("ee_date_advance"),
    ),
    case(
        "advance weeks back",
        lambda: ee.Date(0).advance(-2, "week").millis(),
        -14 * DAY,
        library("datetime.timedelta"),
    ),
    case(
        "advance a local day over a change of time",
        lambda: (
            ee.Date("2021-03-28T00:00", "Europe/Paris")
            .advance(1, "day", "Europe/Paris")
            .difference(ee.Date("2021-03-28T00:00", "Europe/Paris"), "hour")
        ),
        23,
        library("zoneinfo"),
    ),
    case(
        "difference in days",
        lambda: ee.Date("2020-03-01").difference("2020-02-01", "day"),
        29,
        library("datetime"),
    ),
    case(
        "difference in mean years",
        lambda: ee.Date("2021-01-01").difference("2020-01-01", "year"),
        366 / 365.2425,
        described("Date.difference"),
    ),
    case("unit ratio", lambda: ee.Date.unitRatio("day", "hour"), 24, described("Date.unitRatio")),
    case(
        "fraction of the day",
        lambda: ee.Date("2021-4-30T07:15:31.24").getFraction("day"),
        (7 * 3600 + 15 * 60 + 31.24) / 86400,
        sample("ee_date_getfraction"),
    ),
    case(
        "day of the year from 0",
        lambda: ee.Date("2021-4-30").getRelative("day", "year"),
        119,
        sample("ee_date_getrelative"),
    ),
    case(
        "month of the year from 0",
        lambda: ee.Date("2021-4-30").getRelative("month", "year"),
        3,
        described("Date.getRelative"),
    ),
    case(
        "update",
        lambda: formatted(ee.Date("2021-4-30T07:15:31.24").update(year=2010, minute=59)),
        "2010-04-30 07:59:31",
        sample("ee_date_update"),
    ),
    case(
        "range of a month",
        lambda: ee.Date("2020-02-10").getRange("month"),
        date_range(ms(2020, 2, 1), ms(2020, 3, 1)),
        described("Date.getRange"),
    ),
    case(
        "range",
        lambda: ee.DateRange("2017-06-24", "2017-07-24"),
        date_range(ms(2017, 6, 24), ms(2017, 7, 24)),
        sample("ee_daterange"),
    ),
    case(
        "range of a millisecond",
        lambda: ee.DateRange("2017-06-24"),
        date_range(ms(2017, 6, 24), ms(2017, 6, 24) + 1),
        sample("ee_daterange"),
    ),
    case(
        "start",
        lambda: ee.DateRange("2017-06-24", "2017-07-24").start(),
        dates(ms(2017, 6, 24)),
        described("DateRange.start"),
    ),
    case(
        "end",
        lambda: ee.DateRange("2017-06-24", "2017-07-24").end(),
        dates(ms(2017, 7, 24)),
        described("DateRange.end"),
    ),
    case(
        "contains a date",
        lambda: ee.DateRange("2017-06-24", "2017-07-24").contains("2017-07-24"),
        False,
        described("DateRange.contains"),
    ),
    case(
        "contains a range",
        lambda: ee.DateRange("2017-06-24", "2017-07-24").contains(
            ee.DateRange("2010-06-24", "2020-07-24")
        ),
        False,
        sample("ee_daterange_contains"),
    ),
    case(
        "intersects",
        lambda: ee.DateRange("2017-06-24", "2017-07-24").intersects(
            ee.DateRange("2017-07-24", "2018-01-01")
        ),
        False,
        described("DateRange.intersects"),
    ),
    case(
        "intersection",
        lambda: ee.DateRange("2017-06-24", "2017-07-24").intersection(
            ee.DateRange("2017-07-01", "2018-08-24")
        ),
        date_range(ms(2017, 7, 1), ms(2017, 7, 24)),
        sample("ee_daterange_intersection"),
    ),
    case(
        "no intersection",
        lambda: (
            ee.DateRange("2017-06-24", "2017-07-24")
            .intersection(ee.DateRange("2018-07-01", "2018-08-24"))
            .isEmpty()
        ),
        True,
        described("DateRange.intersection"),
    ),
    case(
        "union",
        lambda: ee.DateRange("2017-06-24", "2017-07-24").union(
            ee.DateRange("2017-06-30", "2018-07-10")
        ),
        date_range(ms(2017, 6, 24), ms(2018, 7, 10)),
        sample("ee_daterange_union"),
    ),
    case(
        "is empty",
        lambda: ee.DateRange("2017-06-24", "2017-06-24").isEmpty(),
        True,
        described("DateRange.isEmpty"),
    ),
    case(
        "is unbounded",
        lambda: ee.DateRange.unbounded().isUnbounded(),
        True,
        described("DateRange.isUnbounded"),
    ),
    case(
        "the long name of a time zone",
        lambda: ee.Date(T).format("zzzz", "PST8PDT"),
        "Pacific Daylight Time",
        sample("ee_date_format"),
    ),
    case(
        "a day of the year",
        lambda: ee.Date("1996-060").format("YYYY-MM-dd"),
        "1996-02-29",
        described("Date"),
    ),
    case(
        "a range of a range",
        lambda: ee.DateRange(ee.DateRange("2017-06-24", "2017-07-24")),
        date_range(ms(2017, 6, 24), ms(2017, 7, 24)),
        sample("ee_filter_date"),
    ),
    case(
        "units of time are long integers",
        lambda: ee.List(
            [
                ee.Algorithms.ObjectType(value)
                for value in (
                    ee.Date(T).millis(),
                    ee.Date(T).get("month"),
                    ee.Date(T).getRelative("day", "year"),
                )
            ]
        ),
        ["Long"] * 3,
        described("Date.get"),
    ),
]
