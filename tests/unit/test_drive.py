import time
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

from cli.drive import drive
from shared.adapters.embedded import Database, SqliteLedger
from shared.domain.exports import State

from .test_exports import FOUND
from .test_outputs import RUN

REDELIVERY = 3.0  # seconds


class WaitingStack:
    """A stack with one claimed image, whose message comes again after some seconds."""

    def __init__(self, ledger):
        self.services = SimpleNamespace(ledger=ledger)
        self.due = time.time() + REDELIVERY
        self.ticks = Counter()

    def tick(self, function):
        self.ticks[function] += 1
        return {"released": 0}

    def deliver(self):
        if time.time() >= self.due:
            self.services.ledger.change("mask-1", lambda x: replace(x, state=State.SUCCEEDED))

    def next_delivery(self):
        return self.due

    def dead_letters(self):
        return []


def test_earth_engine_is_left_in_peace_while_a_message_waits_for_its_next_delivery(tmp_path):
    database = Database(tmp_path / "ledger.sqlite")
    ledger = SqliteLedger(database)
    ledger.add([replace(FOUND, state=State.CLAIMED)])
    stack = WaitingStack(ledger)
    outcome = drive(stack, RUN, lambda *counts: None)
    database.close()
    assert outcome.counts == {"SUCCEEDED": 1}
    assert stack.ticks["watch_exports"] <= 5
