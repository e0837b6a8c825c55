"""The two local stacks: everything the cloud would run, started here and stopped again.

Both put the same functions-framework apps behind the same push bodies; they differ in who
delivers. The functions cannot tell them from the cloud.
"""

import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

from cli import google_emulators
from cli.pipeline import Function, application, push_body, read_pipeline
from emulator import client, launch
from model.publish import publish
from shared import bootstrap, models
from shared.adapters.embedded import Delivery, SqliteBus, SqliteLedger
from shared.config import Settings
from shared.services import Services


class Stack(Protocol):
    """A running pipeline, as the `verdure` command drives it."""

    services: Services
    earth_engine_url: str

    def tick(self, function: str) -> dict[str, int]:
        """Do what Cloud Scheduler does, and return the function's counts."""

    def deliver(self) -> None:
        """Let the messages that are due be delivered."""

    def next_delivery(self) -> float | None:
        """Return when a message waits to be delivered again (seconds since 1970), if known."""

    def dead_letters(self) -> list[tuple[str, bytes, str]]:
        """Return (topic, data, reason) of the messages given up, as far as known."""

    def ledger_writes(self) -> dict[str, int] | None:
        """Return the ledger's own count of writes by kind of record, where it keeps one."""


class FunctionFailed(RuntimeError):
    """A scheduled function raised; the log has the reason."""


class Scheduler:
    """Calls the functions that have a schedule."""

    def __init__(self, functions: Iterable[Function]) -> None:
        self._clients = {x.name: application(x).test_client() for x in functions if not x.topic}

    def tick(self, function: str) -> dict[str, int]:
        """Call a function and return its counts."""
        answer = self._clients[function].post("/")
        if answer.status_code != 200:
            raise FunctionFailed(f"{function} failed: {answer.get_data(as_text=True)}")
        counts: dict[str, int] = answer.get_json()
        return counts


class Courier:
    """Takes messages from the embedded bus to the functions, with Pub/Sub's manners."""

    def __init__(self, bus: SqliteBus, functions: Iterable[Function], project: str) -> None:
        self._bus = bus
        self._functions = {x.topic: x for x in functions if x.topic}
        self._clients = {
            x.name: application(x).test_client(use_cookies=False) for x in self._functions.values()
        }
        self._project = project

    def deliver(self) -> None:
        """Deliver until no message is due."""
        while due := self._bus.due(time.time(), limit=100):
            for delivery in due:
                self.push(delivery)

    def push(self, delivery: Delivery) -> None:
        """Push one message to its function: acknowledged, delivered again, or a dead letter."""
        function = self._functions[delivery.topic]
        body = push_body(
            delivery.data,
            delivery.message_id,
            delivery.published_at,
            f"projects/{self._project}/subscriptions/{function.name}",
            delivery.number,
        )
        status, text = self.post(function, body)
        if status < 300:
            self._bus.acknowledge(delivery)
        elif delivery.number >= function.attempts:
            self._bus.bury(delivery, text)
        else:
            wait = _backoff(function, delivery.number)
            self._bus.deliver_again(delivery, time.time() + wait)

    def post(self, function: Function, body: Mapping[str, Any]) -> tuple[int, str]:
        """Post a push body to a function; return the status and the text of its answer."""
        answer = self._clients[function.name].post("/", json=body)
        return answer.status_code, answer.get_data(as_text=True)


class EmbeddedStack:
    """Ledger and bus in one SQLite file, functions in this process."""

    def __init__(self, settings: Settings) -> None:
        assert settings.earth_engine_url is not None
        self.earth_engine_url = settings.earth_engine_url
        self.services = bootstrap.build(settings)
        bootstrap.use(self.services)
        functions = read_pipeline().values()
        self._courier = Courier(self.bus, functions, settings.project)
        self._scheduler = Scheduler(functions)

    @property
    def bus(self) -> SqliteBus:
        """The bus, with the side that delivers."""
        assert isinstance(self.services.bus, SqliteBus)
        return self.services.bus

    def close(self) -> None:
        """Close connections, and the file behind the ledger and the bus."""
        self.services.close()
        self.bus.close()

    def tick(self, function: str) -> dict[str, int]:
        """Do what Cloud Scheduler does."""
        return self._scheduler.tick(function)

    def deliver(self) -> None:
        """Deliver until no message is due."""
        self._courier.deliver()

    def next_delivery(self) -> float | None:
        """Return when a message waits to be delivered again."""
        return self.bus.next_due()

    def dead_letters(self) -> list[tuple[str, bytes, str]]:
        """Return the messages given up."""
        return self.bus.dead_letters()

    def ledger_writes(self) -> dict[str, int] | None:
        """Return the ledger's own count of writes."""
        assert isinstance(self.services.ledger, SqliteLedger)
        return self.services.ledger.writes()


class EmulatorsStack:
    """Google's Firestore and Pub/Sub emulators, which push to the functions over HTTP."""

    def __init__(self, settings: Settings, pushes: google_emulators.Pushes) -> None:
        assert settings.earth_engine_url is not None
        self.earth_engine_url = settings.earth_engine_url
        self.services = bootstrap.build(settings)
        bootstrap.use(self.services)
        self._pushes = pushes
        self._scheduler = Scheduler(read_pipeline().values())

    def close(self) -> None:
        """Close connections."""
        self.services.close()

    def tick(self, function: str) -> dict[str, int]:
        """Do what Cloud Scheduler does."""
        return self._scheduler.tick(function)

    def deliver(self) -> None:
        """Leave it to Pub/Sub."""

    def next_delivery(self) -> float | None:
        """Say that it is not known: Pub/Sub does not tell."""
        return None

    def dead_letters(self) -> list[tuple[str, bytes, str]]:
        """Return the messages given up."""
        return self._pushes.dead_letters()

    def ledger_writes(self) -> dict[str, int] | None:
        """Say that it is not known: Firestore keeps no count."""
        return None


@contextmanager
def start(
    kind: str, out: Path, scenes: Sequence[Path], emulator_options: Sequence[str] = ()
) -> Iterator[Stack]:
    """Start a local stack that keeps everything below `out`, and stop it at the end."""
    out.mkdir(parents=True, exist_ok=True)
    _log_to(out / "functions.log")
    publish_models(out / "earth-engine")
    with ExitStack() as exits:
        url = exits.enter_context(launch.running(out / "earth-engine", scenes, *emulator_options))
        project = launch.PROJECT
        exits.callback(bootstrap.use, None)
        if kind == "embedded":
            yield exits.enter_context(closing(EmbeddedStack(Settings(kind, project, out, url))))
        else:
            pushes = exits.enter_context(
                google_emulators.running(project, read_pipeline().values())
            )
            stack = EmulatorsStack(Settings(kind, project, None, url), pushes)
            yield exits.enter_context(closing(stack))


def publish_models(data: Path) -> None:
    """Publish the cloud models, which masks load, unless an earlier start did.

    An Earth Engine of its own does it: the one that is asked for may have faults, or no
    workers. What it logs is no part of a run.
    """
    done = data / f"published-{'-'.join(models.load(name).sha256[:8] for name in models.NAMES)}"
    if done.exists():
        return
    with launch.running(data, []) as url:
        client.connect(url)
        for name in models.NAMES:
            publish(models.load(name), f"projects/{launch.PROJECT}/assets")
        client.disconnect()
    (data / "requests.jsonl").unlink()
    done.touch()


def run_statistics(url: str) -> dict[str, Any]:
    """Return what the emulator counted; the exports are those of images, not of models."""
    counted = launch.statistics(url)
    return {**counted, "exports_started": counted["tasks_by_type"].get("EXPORT_IMAGE", 0)}


def _backoff(function: Function, failures: int) -> float:
    shortest, longest = function.retry_seconds
    return float(min(shortest * 2 ** (failures - 1), longest))


def _log_to(path: Path) -> None:
    """Send what the functions and their framework log to a file, not to the screen."""
    handler = logging.FileHandler(path)
    for name in ("verdure", "werkzeug", *read_pipeline()):
        log = logging.getLogger(name)
        for old in log.handlers:
            log.removeHandler(old)
            old.close()
        log.addHandler(handler)
        log.setLevel(logging.INFO)
        log.propagate = False
