"""The append-only log of API requests, which is also where their counts come from."""

import json
import threading
from collections import Counter
from pathlib import Path

from emulator.clock import timestamp


class RequestLog:
    """Appends one JSON line per request and counts requests by method, over all runs."""

    def __init__(self, path: Path) -> None:
        self._counts = _counts(path)
        self._lock = threading.Lock()
        self._file = path.open("ab", buffering=0)

    def record(self, method: str, status: int, milliseconds: float) -> None:
        """Append one request; a single write keeps the line whole if the process is killed."""
        line = json.dumps(
            {
                "time": timestamp(),
                "method": method,
                "status": status,
                "milliseconds": round(milliseconds, 3),
            }
        )
        with self._lock:
            self._file.write(f"{line}\n".encode())
            self._counts[method] += 1

    def counts(self) -> dict[str, int]:
        """Return how many requests each method had, since the data folder was made."""
        with self._lock:
            return dict(sorted(self._counts.items()))


def _counts(path: Path) -> Counter[str]:
    if not path.exists():
        return Counter()
    with path.open(encoding="utf-8") as lines:
        return Counter(json.loads(line)["method"] for line in lines)
