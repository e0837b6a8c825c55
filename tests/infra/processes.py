"""Functions as Cloud Functions runs them: a functions-framework process each, one thread."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import requests

from cli.google_emulators import HOST, free_port

#: Seconds until a function listens, on a machine with other work.
START_TIMEOUT = 90


class FunctionProcess:
    """One function's server process, which keeps its port when it is started again."""

    def __init__(self, name, source, settings, log, python=sys.executable, port=None):
        self.name, self.port = name, port or free_port()
        self.url = f"http://{HOST}:{self.port}/"
        # As `functions-framework` starts gunicorn, but for one thread that waits on no silent
        # connection: on Cloud Run a proxy before it keeps those, and sends one request at a time.
        self._command = [python, "-m", "gunicorn", f"--bind={HOST}:{self.port}", "--timeout=0"]
        self._command += ["--workers=1", "--worker-class=gthread", "--threads=1"]
        self._command += [f"functions_framework:create_app('{name}', '{source / 'main.py'}')"]
        inherited = {
            k: v for k, v in os.environ.items() if not k.startswith(("VERDURE_", "PYTHON"))
        }
        # First on the path, or an installed copy of our packages would be served instead.
        self._environment = {**inherited, "PYTHONPATH": str(source), **settings}
        self._environment["PYTHONDONTWRITEBYTECODE"] = "1"
        self._environment["PYTHONUNBUFFERED"] = "1"  # or what a killed process logged is lost
        self._source, self._log = source, Path(log)
        self._process = None

    def start(self):
        """Start the process; `ready` tells when it listens."""
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._source,
                env=self._environment,
                stdout=log,
                stderr=log,
                start_new_session=True,  # gunicorn's worker ends with its parent only as a group
            )
        return self

    def ready(self):
        """Wait until the process listens."""
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                requests.get(f"{self.url}robots.txt", timeout=5)
            except requests.RequestException:  # not there yet, or busy
                time.sleep(0.1)
            else:
                return self
        raise AssertionError(f"{self.name} does not start: {self._log.read_text()[-2000:]}")

    def kill(self):
        """End the process as a machine that fails does."""
        if self._process is not None:
            with suppress(ProcessLookupError):  # it ended by itself
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def post(self, body=None, timeout=120):
        """Post a body as JSON, or nothing, and return status and text."""
        answer = requests.post(self.url, json=body, timeout=timeout)
        return answer.status_code, answer.text
