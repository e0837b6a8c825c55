"""Google Pub/Sub as the bus. PUBSUB_EMULATOR_HOST, if set, is the client's own affair."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from google.api_core.exceptions import DeadlineExceeded
from google.cloud import pubsub_v1

from shared.adapters import credentials
from shared.messages import Message, encode

#: Messages in one pull (Pub/Sub: at most 1,000).
PULL = 100
#: Seconds to wait for a dead letter before there is taken to be none.
PATIENCE = 5.0


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

    def redrive(self, topic: str) -> int:
        """Publish every dead letter of a topic again; it is removed once Pub/Sub has the copy."""
        letters = f"projects/{self._project}/subscriptions/{self._prefix}{topic}-dead"
        count = 0
        with credentials.needed(), pubsub_v1.SubscriberClient() as subscriber:
            while pulled := _pull(subscriber, letters):
                sent = [self._publisher.publish(self._path(topic), x.message.data) for x in pulled]
                for future in sent:
                    future.result()
                subscriber.acknowledge(subscription=letters, ack_ids=[x.ack_id for x in pulled])
                count += len(pulled)
        return count

    def _path(self, topic: str) -> str:
        return f"projects/{self._project}/topics/{self._prefix}{topic}"


def _pull(subscriber: pubsub_v1.SubscriberClient, subscription: str) -> Sequence[Any]:
    """Return some messages that wait in a subscription; none, when none comes for a while."""
    try:
        pulled: Sequence[Any] = subscriber.pull(
            subscription=subscription, max_messages=PULL, timeout=PATIENCE, retry=None
        ).received_messages
    except DeadlineExceeded:
        return ()
    return pulled
