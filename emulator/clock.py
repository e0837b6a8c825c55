"""Time as Earth Engine writes it: UTC, to the microsecond."""

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Milliseconds of the years 1 and 9999, beyond which RFC 3339 has no times.
EARLIEST, LATEST = -62_135_596_800_000, 253_402_300_799_999
#: What a task that has not started reports as its start.
NEVER = "1970-01-01T00:00:00Z"


def timestamp() -> str:
    """Return the time now as `YYYY-MM-DDThh:mm:ss.ffffffZ`."""
    return _format(datetime.now(UTC))


def from_milliseconds(milliseconds: float) -> str:
    """Return a time in ms since 1970 as `YYYY-MM-DDThh:mm:ss.ffffffZ`."""
    return _format(EPOCH + timedelta(milliseconds=milliseconds))


def is_time(milliseconds: object) -> bool:
    """Tell whether a value is a time in ms since 1970 that can be written."""
    return (
        isinstance(milliseconds, int | float)
        and not isinstance(milliseconds, bool)
        and EARLIEST <= milliseconds <= LATEST
    )


def to_milliseconds(text: str) -> int:
    """Return an ISO 8601 time (UTC unless it says otherwise) in ms since 1970."""
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        time = time.replace(tzinfo=UTC)
    return (time - EPOCH) // timedelta(milliseconds=1)


def _format(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
