"""What goes wrong on purpose: `--faults FILE`, repeatable for a seed.

    seed: 7
    faults:
      - {kind: unavailable, method: image.export, probability: 0.1}
      - {kind: drop_after, method: assets.create, calls: [1, 3]}
      - {kind: slow, seconds: 20, from: 60, until: 120}
      - {kind: task_fails_transiently, calls: [1, 2], task: EXPORT_IMAGE}

`method` is an API method's id, as `/emulator/stats` lists them, `task` a task's type; either may
be `*`. `calls` counts the calls of that method, and for tasks the attempts of each. `from` and
`until` are seconds of the emulator's clock since its start.
"""

import random
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from emulator import clock
from emulator.errors import EarthEngineError, internal_error
from emulator.fields import is_number

#: Kinds that are an answer: Earth Engine's words where they are published.
ERRORS = {
    "rate_limit": EarthEngineError(
        "Quota exceeded for quota metric 'Number of read requests' and limit 'Number of read "
        "requests per minute per user' of service 'earthengine.googleapis.com'.",
        429,
    ),
    "internal": internal_error(),
    "unavailable": EarthEngineError("The service is currently unavailable.", 503),
    "asset_count": EarthEngineError("Asset quota exceeded: the project may have no more assets."),
    "asset_bytes": EarthEngineError("Asset quota exceeded: the project may have no more bytes."),
    # Of Cloud Storage and Drive, whose answers give the kind as their reason.
    "forbidden": EarthEngineError("The caller does not have permission.", 403),
    "quotaExceeded": EarthEngineError("The quota of the bucket's project is used up.", 403),
}
#: Other things that happen to a request.
REQUEST_KINDS = (*ERRORS, "drop_before", "drop_after", "slow", "stale")
#: Things that happen to an attempt at a task, and the error it ends with.
TASK_ERRORS = {
    "task_fails": EarthEngineError("Execution failed; out of memory."),
    "task_fails_transiently": ERRORS["internal"],
    "task_asset_count": ERRORS["asset_count"],
    "task_asset_bytes": ERRORS["asset_bytes"],
}
TASK_KINDS = (*TASK_ERRORS, "task_vanishes")
#: Kinds that need to know how long: an answer's delay (really), or the age of a listing.
TIMED = ("slow", "stale")


class InvalidFaults(Exception):
    """A fault file cannot be used; the message says why."""


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong, and when."""

    kind: str
    method: str = "*"
    task: str = "*"
    probability: float = 1.0
    calls: tuple[int, ...] = ()  # none: every call
    start: float = 0.0  # seconds of the clock, as is `until`
    until: float = float("inf")
    seconds: float = 0.0
    message: str = ""

    @property
    def error(self) -> EarthEngineError | None:
        """The error that the request or the task ends with, if it is one."""
        known = ERRORS.get(self.kind) or TASK_ERRORS.get(self.kind)
        return known and EarthEngineError(self.message or known.message, known.code)


@dataclass
class Faults:
    """All faults of a file; decides which of them strike."""

    faults: tuple[Fault, ...] = ()
    seed: int = 0
    _calls: dict[int, int] = field(default_factory=dict)  # by the fault's position
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._start = clock.now()
        self._random = [random.Random(f"{self.seed} {i}") for i in range(len(self.faults))]

    def of_request(self, method: str) -> list[Fault]:
        """Return what happens to the next request of a method."""
        striking = []
        for position, fault in enumerate(self.faults):
            if fault.kind in REQUEST_KINDS and fault.method in ("*", method):
                with self._lock:
                    call = self._calls[position] = self._calls.get(position, 0) + 1
                    chance = self._random[position].random()
                if self._strikes(fault, call, chance):
                    striking.append(fault)
        return striking

    def of_task(self, kind: str, description: str, attempt: int) -> list[Fault]:
        """Return what happens to an attempt at a task.

        Workers take tasks in any order, so chance goes by the task's description and attempt.
        """
        striking = []
        for position, fault in enumerate(self.faults):
            if fault.kind in TASK_KINDS and fault.task in ("*", kind):
                key = f"{self.seed} {position} {description} {attempt}"
                if self._strikes(fault, attempt, random.Random(key).random()):
                    striking.append(fault)
        return striking

    def _strikes(self, fault: Fault, call: int, chance: float) -> bool:
        age = (clock.now() - self._start).total_seconds()
        return (
            (not fault.calls or call in fault.calls)
            and fault.start <= age < fault.until
            and chance < fault.probability
        )


#: Keys of a fault in a file that are no names in Python.
ALIASES = {"from": "start"}


def load(path: Path, methods: Iterable[str]) -> Faults:
    """Read a fault file, JSON or YAML; raise InvalidFaults if it is not one."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise InvalidFaults(f"{path}: {error}") from error
    if not isinstance(content, Mapping) or not set(content) <= {"seed", "faults"}:
        raise InvalidFaults(f"{path}: expected a mapping with 'faults' and, if wanted, 'seed'.")
    seed, entries = content.get("seed", 0), content.get("faults")
    if not isinstance(seed, int) or not isinstance(entries, list):
        raise InvalidFaults(f"{path}: 'seed' must be a whole number and 'faults' a list.")
    known = {"*", *methods}
    faults = []
    for number, entry in enumerate(entries, 1):
        try:
            faults.append(_fault(entry, known))
        except ValueError as error:
            raise InvalidFaults(f"{path}: fault {number}: {error}") from error
    return Faults(tuple(faults), seed)


def _fault(entry: Any, methods: set[str]) -> Fault:
    if not isinstance(entry, Mapping) or "kind" not in entry:
        raise ValueError("expected a mapping with a 'kind'.")
    values = {ALIASES.get(key, key): value for key, value in entry.items()}
    if unknown := set(values) - {field.name for field in fields(Fault)}:
        raise ValueError(f"unknown key {', '.join(map(repr, unknown))}.")
    kinds = (*REQUEST_KINDS, *TASK_KINDS)
    if values["kind"] not in kinds:
        raise ValueError(f"unknown kind {values['kind']!r}; known: {', '.join(kinds)}.")
    _check_types(values)
    if values.get("method", "*") not in methods:
        raise ValueError(
            f"unknown method {values['method']!r}; known: {', '.join(sorted(methods))}."
        )
    if values.get("probability", 1) > 1:
        raise ValueError("'probability' must be at most 1.")
    if values["kind"] in TIMED and not values.get("seconds"):
        raise ValueError(f"'{values['kind']}' needs 'seconds'.")
    return Fault(**values | {"calls": tuple(values.get("calls", ()))})


def _check_types(values: Mapping[str, Any]) -> None:
    for key in ("method", "task", "message"):
        if not isinstance(values.get(key, ""), str):
            raise ValueError(f"'{key}' must be text.")
    for key in ("probability", "start", "until", "seconds"):
        if not is_number(values.get(key, 0)) or values.get(key, 0) < 0:
            raise ValueError(f"'{key}' must be a number of at least 0.")
    calls = values.get("calls", [])
    if not isinstance(calls, list) or not all(isinstance(c, int) and c > 0 for c in calls):
        raise ValueError("'calls' must be a list of whole numbers from 1.")
