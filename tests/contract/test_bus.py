"""What shared.services.Bus promises, held on every stack: at least once, then a dead letter."""

import importlib
import sys
import time
from pathlib import Path

import pytest

from cli import google_emulators
from cli.pipeline import Function
from cli.stacks import Courier
from shared.adapters.embedded import Database, SqliteBus
from shared.messages import ImageFound, encode

SOURCE = Path(__file__).parent / "receiver" / "main.py"
RECEIVE = Function("receive", ImageFound.topic, 5, (0, 0), SOURCE)


def message(number):
    return ImageFound("demo-1", f"mask-{number}", f"image-{number}", 1)


class Embedded:
    def __init__(self, path, project):
        self.database = Database(path)
        self.bus = SqliteBus(self.database)
        self.courier = Courier(self.bus, [RECEIVE], project)

    def wait_for(self, condition):
        self.courier.deliver()
        assert condition()

    def dead_letters(self):
        return self.bus.dead_letters()


class Emulators:
    def __init__(self, pushes, project):
        from shared.adapters.pubsub import PubSubBus

        self.bus = PubSubBus(project)
        self.dead_letters = pushes.dead_letters

    def wait_for(self, condition):
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline, "the emulator delivered nothing in a minute"
            time.sleep(0.05)


@pytest.fixture(params=["embedded", "emulators"])
def delivering(request, tmp_path, fresh_project):
    if request.param == "embedded":
        stack = Embedded(tmp_path / "bus.sqlite", fresh_project)
        yield stack
        stack.database.close()
        return
    request.getfixturevalue("firestore_and_pubsub")
    with google_emulators.running(fresh_project, [RECEIVE]) as pushes:
        yield Emulators(pushes, fresh_project)


@pytest.fixture
def receiver(delivering):
    """The module that functions-framework loaded: it keeps what arrived, in this test."""
    module = sys.modules["main"]
    assert Path(module.__file__) == SOURCE
    module.arrived.clear()
    module.failures.clear()
    yield module
    importlib.invalidate_caches()


def test_every_message_arrives_as_it_was_sent(delivering, receiver):
    sent = [message(i) for i in range(20)]
    delivering.bus.publish(sent)
    delivering.wait_for(lambda: len({i for i, _ in receiver.arrived}) == 20)
    assert sorted({data for _, data in receiver.arrived}) == sorted(map(encode, sent))


def test_publishing_nothing_is_nothing(delivering):
    delivering.bus.publish([])


def test_a_failed_delivery_comes_again_under_the_same_id(delivering, receiver):
    data = encode(message(1))
    receiver.failures[data] = 2
    delivering.bus.publish([message(1)])
    delivering.wait_for(lambda: len(receiver.arrived) >= 3)
    assert {arrived for _, arrived in receiver.arrived} == {data}
    assert len({message_id for message_id, _ in receiver.arrived}) == 1


def test_a_message_that_keeps_failing_is_a_dead_letter_and_the_others_arrive(delivering, receiver):
    poison = encode(message(1))
    receiver.failures[poison] = 1000
    delivering.bus.publish([message(1), message(2)])
    letters = []

    def dead():
        letters.extend(delivering.dead_letters())
        return letters

    delivering.wait_for(dead)
    assert {(topic, data) for topic, data, _ in letters} == {(ImageFound.topic, poison)}
    assert encode(message(2)) in {data for _, data in receiver.arrived}
    assert sum(data == poison for _, data in receiver.arrived) >= 5

    receiver.failures.clear()
    arrived = len(receiver.arrived)
    assert delivering.bus.redrive(ImageFound.topic) == 1
    delivering.wait_for(lambda: poison in {data for _, data in receiver.arrived[arrived:]})
    assert delivering.dead_letters() == []
    assert delivering.bus.redrive(ImageFound.topic) == 0
