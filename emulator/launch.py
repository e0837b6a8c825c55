"""The emulator as a process of its own, which ends with this one."""

import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from emulator import PROJECT

ROOT = Path(__file__).parent.parent


class EmulatorFailed(RuntimeError):
    """The emulator did not start; the message is what it printed."""


@contextmanager
def running(data: Path, scenes: Sequence[Path], *options: str) -> Iterator[str]:
    """Start the emulator on a free port, and yield its URL."""
    data.mkdir(parents=True, exist_ok=True)
    folders = [part for folder in scenes for part in ("--scenes", str(folder.resolve()))]
    command = [sys.executable, "-m", "emulator", "--port", "0", "--data", str(data.resolve())]
    command += ["--project", PROJECT, "--exit-with-parent", *folders, *options]
    log = data / "emulator.log"
    with log.open("a") as errors:
        process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors
        )
    try:
        yield _ready_url(process, log)
    finally:
        process.communicate()  # closes its standard input, which it takes as the sign to end


def statistics(url: str) -> dict[str, Any]:
    """Return what the emulator counted: requests, exports, the longest queue."""
    answer: dict[str, Any] = requests.get(f"{url}/emulator/stats", timeout=10).json()
    return answer


def _ready_url(process: "subprocess.Popen[bytes]", log: Path) -> str:
    assert process.stdout is not None
    line = process.stdout.readline().decode()
    if (match := re.search(r"http://\S+", line)) is None:
        raise EmulatorFailed(f"the Earth Engine emulator did not start:\n{log.read_text()[-2000:]}")
    return match[0]
