"""Google Pub/Sub as the bus. PUBSUB_EMULATOR_HOST, if set, is the client's own affair."""

from collections.abc import Sequence
from functools import cached_property

from google.cloud import pubsub_v1

from shared.adapters import credentials
from shared.messages import Message, encode


class PubSubBus:
    """The bus of the emulators and cloud stacks (see shared.services.Bus)."""

    def __init__(self, project: str, deployment: str = "") -> None:
        """Use the topics of a project whose names begin with the deployment's, if it has one."""
        self._project = project
        self._prefix = f"{deployment}-" if deployment else ""

    @cached_property
    def _publisher(self) -> pubsub_v1.PublisherClient:
        with credentials.needed():
            return pubsub_v1.PublisherClient()

    def publish(self, messages: Sequence[Message]) -> None:
        """Publish messages, and return when Pub/Sub has them all."""
        publisher = self._publisher
        sent = [publisher.publish(self._path(x.topic), encode(x)) for x in messages]
        for future in sent:
            future.result()

    def _path(self, topic: str) -> str:
        return f"projects/{self._project}/topics/{self._prefix}{topic}"
