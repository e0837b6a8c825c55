"""Google's own Firestore and Pub/Sub emulators, started through gcloud."""

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import werkzeug.serving
from google.api_core.exceptions import DeadlineExceeded
from google.cloud import pubsub_v1
from google.protobuf.duration_pb2 import Duration

from cli.pipeline import Function, application

HOST = "127.0.0.1"

#: Environment variables by which Google's clients find an emulator.
VARIABLES = {"firestore": "FIRESTORE_EMULATOR_HOST", "pubsub": "PUBSUB_EMULATOR_HOST"}

#: Seconds to wait for a dead letter before there is taken to be none. Connecting is part of
#: it: on a busy machine, a second.
PATIENCE = 5.0

#: Seconds until both Java programs listen, on two slow cores.
START_TIMEOUT = 60


class EmulatorsMissing(RuntimeError):
    """gcloud, or one of its emulators, is not on this machine."""


def missing() -> str:
    """Return what this machine lacks to run the emulators, or an empty string."""
    if all(name in os.environ for name in VARIABLES.values()):
        return ""
    lacking = [command for command in ("gcloud", "java") if shutil.which(command) is None]
    if lacking:
        return (
            f"{' and '.join(lacking)} not found: install the Google Cloud CLI with the components "
            "cloud-firestore-emulator and pubsub-emulator, and Java 11 or later"
        )
    return ""


@contextmanager
def started(project: str) -> Iterator[None]:
    """Start both emulators, unless the environment names running ones, and stop them after."""
    if lack := missing():
        raise EmulatorsMissing(lack)
    with ExitStack() as exits:
        begun = [
            exits.enter_context(_process(name, variable, project))
            for name, variable in VARIABLES.items()
            if variable not in os.environ
        ]
        for wait in begun:
            wait()
        yield


@contextmanager
def _process(name: str, variable: str, project: str) -> Iterator[Callable[[], None]]:
    """Start an emulator, yield what waits for it to listen, and stop it after."""
    port = free_port()
    process = subprocess.Popen(
        ["gcloud", "beta", "emulators", name, "start", f"--host-port={HOST}:{port}"]
        + ([f"--project={project}"] if name == "pubsub" else []),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # gcloud starts Java as a grandchild: they end as a group
    )
    os.environ[variable] = f"{HOST}:{port}"
    try:
        yield lambda: _wait_until_listening(name, port, process)
    finally:
        del os.environ[variable]
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def _wait_until_listening(name: str, port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex((HOST, port)) == 0:
                return
        time.sleep(0.1)
    raise EmulatorsMissing(
        f"the {name} emulator did not start: try `gcloud beta emulators {name} start`"
    )


def free_port() -> int:
    """Return a TCP port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Pushes:
    """Topics, push subscriptions and dead letters, as Terraform makes them in the cloud."""

    project: str
    functions: tuple[Function, ...]
    #: Seconds for an answer to a push. The emulator also waits so long before it delivers again
    #: what was under way to a process that was killed.
    ack_deadline_seconds: int = 600

    def subscribe(self, function: Function, endpoint: str) -> None:
        """Have a topic's messages pushed to an endpoint."""
        publisher, subscriber = pubsub_v1.PublisherClient(), pubsub_v1.SubscriberClient()
        topic = publisher.topic_path(self.project, function.topic)
        dead = publisher.topic_path(self.project, f"{function.topic}-dead")
        shortest, longest = function.retry_seconds
        for path in (topic, dead):
            publisher.create_topic(name=path)
        with subscriber:
            subscriber.create_subscription(
                name=subscriber.subscription_path(self.project, f"{function.topic}-dead"),
                topic=dead,
            )
            subscriber.create_subscription(
                request={
                    "name": subscriber.subscription_path(self.project, function.name),
                    "topic": topic,
                    "push_config": {"push_endpoint": endpoint},
                    "ack_deadline_seconds": self.ack_deadline_seconds,
                    "retry_policy": {
                        "minimum_backoff": Duration(seconds=shortest),
                        "maximum_backoff": Duration(seconds=longest),
                    },
                    "dead_letter_policy": {
                        "dead_letter_topic": dead,
                        "max_delivery_attempts": function.attempts,
                    },
                }
            )

    def dead_letters(self) -> list[tuple[str, bytes, str]]:
        """Return (topic, data, reason) of the messages given up; they stay where they are."""
        topics = [x.topic for x in self.functions]
        # At once: each waits its time, and one after the other they would wait half a minute.
        with pubsub_v1.SubscriberClient() as subscriber, ThreadPoolExecutor() as pool:
            pulled = pool.map(lambda topic: self._pull(subscriber, topic), topics)
        return [letter for letters in pulled for letter in letters]

    def _pull(
        self, subscriber: pubsub_v1.SubscriberClient, topic: str
    ) -> list[tuple[str, bytes, str]]:
        path = subscriber.subscription_path(self.project, f"{topic}-dead")
        try:
            pulled = subscriber.pull(subscription=path, max_messages=100, timeout=PATIENCE)
        except DeadlineExceeded:
            return []
        if ids := [x.ack_id for x in pulled.received_messages]:
            # Seen, not taken: others may pull them at once.
            subscriber.modify_ack_deadline(subscription=path, ack_ids=ids, ack_deadline_seconds=0)
        return [(topic, x.message.data, "see functions.log") for x in pulled.received_messages]


@contextmanager
def running(project: str, functions: Iterable[Function]) -> Iterator[Pushes]:
    """Run both emulators, and every message function as an HTTP server that they push to."""
    pushed = tuple(function for function in functions if function.topic)
    with ExitStack() as exits:
        exits.enter_context(started(project))
        pushes = Pushes(project, pushed)
        for function in pushed:
            pushes.subscribe(function, exits.enter_context(served(function)))
        yield pushes


@contextmanager
def served(function: Function) -> Iterator[str]:
    """Serve one function on a free port, one request at a time, and yield its URL."""
    server = werkzeug.serving.make_server(HOST, 0, application(function))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://{HOST}:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
