"""The emulator's time, which may run faster than ours, as Earth Engine writes it.

Timestamps, lives of tasks and waiting all go by it. It is UTC, to the microsecond.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Milliseconds of the years 1 and 9999, beyond which RFC 3339 has no times.
EARLIEST, LATEST = -62_135_596_800_000, 253_402_300_799_999
#: What a task that has not started reports as its start.
NEVER = "1970-01-01T00:00:00Z"


def _real() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Clock:
    """A clock that shows `start` when it is made and from then on runs `speed` times as fast."""

    speed: float = 1.0
    start: datetime = field(default_factory=_real)
    made: datetime = field(default_factory=_real)

    def now(self) -> datetime:
        """Return the time this clock shows."""
        return self.start + self.speed * (_real() - self.made)


_clock: Clock | None = None


def run(speed: float, not_before: str = NEVER) -> None:
    """Let the process's time run so many times as fast, from now or from a later time on.

    After a restart it goes on from the last time that was written, so that it never goes back.
    """
    global _clock  # one time for the whole process, as the system's own clock is
    _clock = Clock(speed, max(_real(), datetime.fromisoformat(not_before)))


def now() -> datetime:
    """Return the time now."""
    return _clock.now() if _clock else _real()


def real_seconds(seconds: float) -> float:
    """Return how long some of the clock's seconds really take."""
    return seconds / _clock.speed if _clock else seconds


def timestamp(ago: timedelta = timedelta()) -> str:
    """Return the time now, or some time ago, as `YYYY-MM-DDThh:mm:ss.ffffffZ`."""
    return _format(now() - ago)


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
    return time.strftime("%Y-%m-%dT%H:%M:%S.%fZ" if time.microsecond else "%Y-%m-%dT%H:%M:%SZ")
