"""Emulators in processes of their own, and the real client pointed at them."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ee
import pytest

from emulator.client import connect
from emulator.scenes.synthetic import write_region

ROOT = Path(__file__).parents[2]
REGION_IMAGES, REGION_SIZE = 8, 96


@dataclass
class Running:
    """An emulator's process."""

    url: str
    data: Path
    process: subprocess.Popen[str]
    ready_line: str

    def kill(self) -> None:
        """End the process as `kill -9` does."""
        self.process.kill()
        self.process.communicate()


def start(data: Path, *arguments: str) -> Running:
    """Start an emulator on a free port and point the client at it."""
    command = [sys.executable, "-m", "emulator", "--port", "0", "--data", str(data)]
    process = subprocess.Popen(
        [*command, "--exit-with-parent", *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    line = process.stdout.readline()
    running = Running(line.partition(" at ")[2].partition(" ")[0], data, process, line)
    connect(running.url)
    return running


def end(task: ee.batch.Task, seconds: float = 30) -> dict[str, Any]:
    """Return the status of a task when it has ended."""
    deadline = time.monotonic() + seconds
    while task.active():
        assert time.monotonic() < deadline, f"not ended: {task.status()}"
        time.sleep(0.02)
    return task.status()


@pytest.fixture(scope="session")
def ee_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """An emulator of a small region that all tests share."""
    region = write_region(tmp_path_factory.mktemp("region"), images=REGION_IMAGES, size=REGION_SIZE)
    running = start(tmp_path_factory.mktemp("emulator"), "--scenes", str(region.parent))
    yield running
    running.kill()


@pytest.fixture(scope="module", autouse=True)
def _connected(ee_emulator: Running) -> None:
    """The client is connected to it; tests of other folders connect it elsewhere."""
    connect(ee_emulator.url)


@pytest.fixture
def start_emulator(ee_emulator: Running, tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """A function that starts an emulator, on the test's own data folder, with arguments."""
    started: list[Running] = []

    def start_own(*arguments: str) -> Running:
        started.append(start(tmp_path / "data", *arguments))
        return started[-1]

    yield start_own
    for running in started:
        running.kill()
    connect(ee_emulator.url)
