"""Runs a local stack until nothing is left to do, and says how far it is."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from cli.stacks import Stack
from shared.domain.exports import FINAL, State
from shared.domain.runs import Run, RunState
from shared.services import Ledger

#: Seconds between two looks at Earth Engine: short while slots wait to be filled, longer and
#: longer while tasks merely run, since every look is a request.
SHORTEST_PAUSE = 0.8
LONGEST_PAUSE = 30.0
PAUSE_GROWTH = 1.8

#: Seconds without any change of the ledger after which a stack is taken for stuck.
PATIENCE = 900.0

#: Told the masks and the maps in each state.
Report = Callable[[Mapping[str, int], Mapping[str, int]], None]


@dataclass
class Outcome:
    """How a run ended: masks and maps in each state, and why it stopped short, if it did."""

    counts: Mapping[str, int]
    problem: str = ""
    maps: Mapping[str, int] = field(default_factory=dict)


def drive(stack: Stack, run: Run, report: Report) -> Outcome:
    """Play the scheduler until all masks and maps of a run are final, or nothing moves any more."""
    ledger = stack.services.ledger
    ledger.add_run(run)
    stack.tick("find_images")
    current = ledger.run(run.run_id)
    if current.state is RunState.FAILED:
        return Outcome({}, current.reason)
    pause, rest, changed = SHORTEST_PAUSE, 0.0, time.monotonic()
    counts, maps = {}, {}
    while True:
        stack.deliver()
        before = counts, maps
        counts, maps = _counts(ledger, run)
        report(counts, maps)
        if not counts:
            return Outcome(counts, _nothing_found(run))
        if not set(counts) - FINAL and not maps and run.configuration.products is not None:
            # No mask ended here: they were all there, or skipped.
            stack.tick("find_images")
            counts, maps = _counts(ledger, run)
            report(counts, maps)
        if not {*counts, *maps} - FINAL:
            return Outcome(counts, maps=maps)
        if (counts, maps) != before:
            changed = time.monotonic()
        if time.monotonic() - changed > PATIENCE or _is_stuck(stack, counts, maps):
            return Outcome(counts, _stuck(counts, maps), maps)
        # What a look published is delivered by now: the next look would show nothing else.
        time.sleep(min(rest, _until_next_delivery(stack)))
        released = stack.tick("watch_exports")["released"]
        if run.configuration.archive is not None:
            stack.tick("watch_assets")
        pause = SHORTEST_PAUSE if released else min(pause * PAUSE_GROWTH, LONGEST_PAUSE)
        rest = 0.0 if released else pause


def _until_next_delivery(stack: Stack) -> float:
    """Return the seconds until a message is due: none for what was just published."""
    due = stack.next_delivery()
    return math.inf if due is None else max(0.0, due - time.time())


def _counts(ledger: Ledger, run: Run) -> tuple[Mapping[str, int], Mapping[str, int]]:
    """Return how many masks, and how many maps, are in each state."""
    wanted = run.configuration.products is not None
    maps = ledger.count_by_state(run.products_queue) if wanted else {}
    return ledger.count_by_state(run.name), maps


def _is_stuck(stack: Stack, *counts: Mapping[str, int]) -> bool:
    """Tell whether exports are claimed only by messages that were given up."""
    waiting = sum(x.get(State.FOUND, 0) + x.get(State.STARTED, 0) for x in counts)
    return not waiting and stack.next_delivery() is None and bool(stack.dead_letters())


def _nothing_found(run: Run) -> str:
    wanted = run.configuration
    return (
        f"no image of {wanted.collection} touches the region between "
        f"{wanted.first_instant:%Y-%m-%d} and {wanted.last_instant:%Y-%m-%d}; "
        "widen the period or check the region and the collection"
    )


def _stuck(*counts: Mapping[str, int]) -> str:
    unfinished = sum(n for x in counts for state, n in x.items() if state not in FINAL)
    return f"{unfinished} exports are not final and nothing moves; see `verdure status`"
