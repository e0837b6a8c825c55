"""What a run costs in requests and writes, and how fast images go through the functions."""

import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import requests

from benchmarks.result import Result
from cli import stacks
from cli.drive import drive
from cli.google_emulators import free_port
from cli.pipeline import Function
from emulator.scenes.synthetic import write_metadata_only, write_region
from functions.watch_exports import BATCH
from shared.adapters.embedded import Database, SqliteBus
from shared.domain.runs import RunConfiguration, register
from shared.messages import ImageFound

IMAGES = 1000
#: Messages for so many images: one each, the batches of what ended, and two ticks.
MESSAGES = IMAGES + math.ceil(IMAGES / BATCH) + 2
ROUNDS = 5
WORLD = {
    "type": "Polygon",
    "coordinates": [[[-20, 30], [40, 30], [40, 70], [-20, 70], [-20, 30]]],
}
RUN = register(
    RunConfiguration(
        name="bench",
        region=WORLD,
        start=date(2018, 3, 1),
        end=date(2018, 11, 1),
        destination="projects/demo-project/assets/bench/masks",
    )
)
EMPTY_FUNCTION = """
import functions_framework

@functions_framework.cloud_event
def empty(event):
    pass
"""


def costs() -> dict[str, Result]:
    """Count requests and ledger writes an image: synthetic region, and 1,000 without pixels."""
    with tempfile.TemporaryDirectory() as folder:
        region = _costs_of(Path(folder), write_region(Path(folder) / "region"), [])
    with tempfile.TemporaryDirectory() as folder:
        scenes = write_metadata_only(Path(folder) / "region", IMAGES)
        many = _costs_of(Path(folder), scenes, ["--metadata-only"])
    return {
        "ee_requests_per_image": Result(region[0], "requests", 1.5, "at most"),
        "ee_requests_per_image_1000": Result(many[0], "requests", 1.1, "at most"),
        "ledger_writes_per_image": Result(max(region[1], many[1]), "writes", 4, "at most"),
    }


def _costs_of(out: Path, scenes: Path, options: list[str]) -> tuple[float, float]:
    with stacks.start("embedded", out / "run", [scenes], options) as stack:
        outcome = drive(stack, RUN, lambda *counts: None)
        images = sum(outcome.counts.values())
        counted = stacks.run_statistics(stack.earth_engine_url)
        writes = stack.ledger_writes()
        assert writes is not None
        return counted["requests"] / images, writes["exports"] / images


def throughput() -> dict[str, Result]:
    """Measure images a second through all four functions, to an empty one's in their place.

    The embedded stack and the real client, on exports without pixels. Neither figure has
    the running of the tasks in it: the emulator is started again to do that in between. The
    first leaves out all of Earth Engine's own work, so also what the emulator's log says it
    took to answer; the second does not. The baseline is an empty function on
    a functions-framework server, to which the same bus pushes as many messages as the four
    functions got for these images.
    """
    rounds = [(*_images_per_second(), _empty_images_per_second()) for _ in range(ROUNDS)]
    ours, with_answers, empty = sorted(rounds, key=lambda x: x[0] / x[2])[ROUNDS // 2]
    baseline = "images/s, empty function"
    return {
        "orchestration_throughput": Result(ours, "images/s", 0.3, "at least", empty, baseline),
        "orchestration_throughput_with_answers": Result(
            with_answers, "images/s", None, "at least", empty, baseline
        ),
    }


def _images_per_second() -> tuple[float, float]:
    """Return the rate without, and with, the emulator's time to answer."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scenes = write_metadata_only(folder / "region", IMAGES)
        with _pipeline(folder, scenes, concurrency=0) as stack:
            stack.services.ledger.add_run(RUN)
            first = _timed(folder, lambda: (stack.tick("find_images"), stack.deliver()))
        with _pipeline(folder, scenes, concurrency=2) as stack:
            earth_engine = stack.services.earth_engine
            while any(x.ended is None for page in earth_engine.tasks() for x in page):
                time.sleep(0.2)
            second = _timed(folder, lambda: (stack.tick("watch_exports"), stack.deliver()))
            assert stack.services.ledger.count_by_state(RUN.name) == {"SUCCEEDED": IMAGES}
    seconds, answering = (a + b for a, b in zip(first, second, strict=True))
    return IMAGES / (seconds - answering), IMAGES / seconds


@contextmanager
def _pipeline(folder: Path, scenes: Path, concurrency: int) -> Iterator[stacks.Stack]:
    options = ["--metadata-only", "--concurrency", str(concurrency)]
    with stacks.start("embedded", folder, [scenes], options) as stack:
        # Also connects the client, which a function does once in its life.
        stack.services.earth_engine.create_collection(RUN.configuration.destination)
        yield stack


def _timed(folder: Path, work: Callable[[], object]) -> tuple[float, float]:
    """Return the seconds that work took, and those of them in which the emulator answered."""
    log = folder / "earth-engine" / "requests.jsonl"
    before, start = _answering(log), time.perf_counter()
    work()
    return time.perf_counter() - start, _answering(log) - before


def _answering(log: Path) -> float:
    lines = log.read_text().splitlines()
    return sum(json.loads(line)["milliseconds"] for line in lines) / 1000


def _empty_images_per_second() -> float:
    """Return the rate at which an empty function takes the messages of a run."""
    message = ImageFound("bench", "mask-0", "image", 1)
    with tempfile.TemporaryDirectory() as name, _empty_function(Path(name)) as url:
        database = Database(Path(name) / "verdure.sqlite")
        bus = SqliteBus(database)
        with requests.Session() as session:
            courier = HttpCourier(bus, session, url)
            start = time.perf_counter()
            bus.publish([message] * MESSAGES)
            courier.deliver()
            seconds = time.perf_counter() - start
        assert bus.next_due() is None
        database.close()
    return IMAGES / seconds


class HttpCourier(stacks.Courier):
    """Takes messages to one function's server over HTTP."""

    def __init__(self, bus: SqliteBus, session: requests.Session, url: str) -> None:
        super().__init__(bus, [], "bench")
        self._functions = {ImageFound.topic: Function("empty", ImageFound.topic)}
        self._session, self._url = session, url

    def post(self, function: Function, body: Mapping[str, Any]) -> tuple[int, str]:
        """Post a push body to the server."""
        answer = self._session.post(self._url, json=body)
        return answer.status_code, answer.text


@contextmanager
def _empty_function(folder: Path) -> Iterator[str]:
    """Serve a function that does nothing with functions-framework's own server."""
    (folder / "main.py").write_text(EMPTY_FUNCTION)
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "functions_framework", "--target=empty", f"--port={port}"],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        url = f"http://127.0.0.1:{port}/"
        _wait_for(url)
        yield url
    finally:
        server.terminate()
        server.wait()


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            requests.get(url, timeout=5)
        except requests.ConnectionError:
            assert time.monotonic() < deadline, "functions-framework did not start"
            time.sleep(0.1)
        else:
            return
