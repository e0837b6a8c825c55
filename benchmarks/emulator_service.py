"""How fast the emulator answers requests that need no pixels."""

import http.client
import json
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.result import Result
from emulator import launch
from emulator.app import SCHEMA
from emulator.database import Database
from emulator.fields import MAX_INT64
from emulator.tasks import TaskQueue

PROJECT = f"/v1/projects/{launch.PROJECT}"
OPERATIONS = 50_000
PAGE = 500
#: Pages at either end of the list that are compared, and how often the list is read.
COMPARED = 10
ROUNDS = 5
CLIENTS = 8
REQUESTS = 500  # of each client
#: Operations that are enough for a page.
SOME = 100
EXPORT = {
    "expression": {"result": "0", "values": {"0": {"constantValue": 1}}},
    "assetExportOptions": {
        "earthEngineDestination": {"name": f"{PROJECT.removeprefix('/v1/')}/assets/x"}
    },
}
#: So many more operations like one, which would take minutes one after the other.
COPIES = """
WITH RECURSIVE copies (copy) AS (VALUES (1) UNION ALL SELECT copy + 1 FROM copies LIMIT ?)
INSERT INTO tasks (id, user, type, state, priority, description, create_time, update_time,
    end_time, error, queued)
SELECT id || copy, user, type, state, priority, description, create_time, update_time,
    end_time, error, queued
FROM copies, tasks WHERE id = ?
"""


class Client:
    """One connection to an emulator that is kept open."""

    def __init__(self, url: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc)

    def get(self, path: str) -> bytes:
        """Return the body of an answer that must be a good one."""
        self._connection.request("GET", path)
        answer = self._connection.getresponse()
        body = answer.read()
        assert answer.status == http.HTTPStatus.OK, body
        return body


def operation_pages() -> dict[str, Result]:
    """List 50,000 operations in pages: the time of the last pages to that of the first."""
    with tempfile.TemporaryDirectory() as name:
        _queue(Path(name), OPERATIONS)
        with launch.running(Path(name), [], "--concurrency", "0") as url:
            client = Client(url)
            rounds = [_page_times(client) for _ in range(ROUNDS)]
    fastest = [min(times) for times in zip(*rounds, strict=True)]
    assert len(fastest) == OPERATIONS // PAGE
    first, last = (1000 * statistics.median(x) for x in (fastest[:COMPARED], fastest[-COMPARED:]))
    pages = Result(last, "ms, last pages", 1.5, "at most", first, "ms, first pages")
    return {"emulator_operation_pages": pages}


def requests_per_second() -> dict[str, Result]:
    """Ask for assets, listings, quotas and operations from several clients at once."""
    with tempfile.TemporaryDirectory() as name:
        operations = _queue(Path(name), SOME)
        with launch.running(Path(name), [], "--concurrency", "0") as url:
            paths = [
                f"{PROJECT}/assets/",
                f"{PROJECT}:listAssets",
                f"{PROJECT}/operations?pageSize=10",
                *(f"/v1/{operation}" for operation in operations),
            ]
            start = time.perf_counter()
            with ThreadPoolExecutor(CLIENTS) as pool:
                list(pool.map(lambda _: _ask(Client(url), paths), range(CLIENTS)))
            seconds = time.perf_counter() - start
    rate = CLIENTS * REQUESTS / seconds
    return {"emulator_requests_per_second": Result(rate, "requests/s", 300, "at least")}


def _queue(data: Path, count: int) -> list[str]:
    """Write the history of an emulator that does not run yet; return some operations' names."""
    database = Database(data / "emulator.sqlite", SCHEMA)
    queue = TaskQueue(database, launch.PROJECT)
    first = queue.submit("EXPORT_IMAGE", EXPORT)["name"].rpartition("/")[2]
    queue.cancel(first)
    with database.write() as connection:
        connection.execute(COPIES, [count - 1, first])
    return [operation["name"] for operation in queue.list(CLIENTS, MAX_INT64)["operations"]]


def _page_times(client: Client) -> list[float]:
    times, token = [], ""
    while not times or token:
        start = time.perf_counter()
        page = json.loads(client.get(f"{PROJECT}/operations?pageSize={PAGE}{token}"))
        times.append(time.perf_counter() - start)
        token = f"&pageToken={page['nextPageToken']}" if "nextPageToken" in page else ""
    return times


def _ask(client: Client, paths: list[str]) -> None:
    for path in islice(cycle(paths), REQUESTS):
        client.get(path)
