"""Bringing the ledger to what is to be made now: each output has one record that stands."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from shared.domain import exports
from shared.domain.exports import IN_FLIGHT, Export, State
from shared.domain.runs import Run
from shared.handler import logger
from shared.services import Services

#: Records that are superseded before their successors are added: so many are without one if the
#: process ends in between, until the next call.
CHUNK = 250

#: Records by what they are of: all that there ever were.
History = Mapping[str, Sequence[Export]]
#: What changed between the record that stands and the one that is wanted.
Difference = Callable[[Export, Export], str]


def missing(wanted: Sequence[Export], history: History, services: Services) -> list[Export]:
    """Return the outputs that are yet to be recorded; what Earth Engine works on ends first."""
    lacking = [x for x in wanted if _is_missing(x, history.get(x.image_id, ()))]
    known = services.ledger.get(x.export_id for x in lacking)
    return [x for x in lacking if x.export_id not in known or known[x.export_id].run == x.run]


def record(
    run: Run,
    lacking: Sequence[Export],
    history: History,
    difference: Difference,
    services: Services,
) -> tuple[int, int]:
    """Record what is missing in the place of what stands; return how many are new, and stale."""
    replaced = [_with_predecessor(run, x, history.get(x.image_id, ()), services) for x in lacking]
    chunks = [replaced[i : i + CHUNK] for i in range(0, len(replaced), CHUNK)]
    found = sum(_record_chunk(chunk, history, difference, services) for chunk in chunks)
    return found, sum(x.is_stale for x in replaced)


def standing(records: Sequence[Export]) -> Export | None:
    """Return the record that counts: there is one, or none after a crash."""
    return next((x for x in records if x.state is not State.SUPERSEDED), None)


def _is_missing(wanted: Export, records: Sequence[Export]) -> bool:
    current = standing(records)
    if current is None:
        return True
    return current.export_id != wanted.export_id and current.state not in IN_FLIGHT


def _with_predecessor(
    run: Run, wanted: Export, records: Sequence[Export], services: Services
) -> Export:
    """Return a record that knows which of the run's exports wrote to its place, if one did."""
    done = [x for x in records if x.item]
    if not done:
        return wanted
    last = max(done, key=lambda x: x.ended_at or x.queued_at)
    before = services.ledger.run(last.run_id).configuration
    if before.destination != run.configuration.destination:
        return wanted
    return replace(wanted, replaces=last.export_id)


def _record_chunk(
    chunk: Sequence[Export], history: History, difference: Difference, services: Services
) -> int:
    """Supersede what stands in the way, then record; return how many are recorded."""
    free = [x for x in chunk if _supersede(x, history, difference, services)]
    added = services.ledger.add(free)
    known = {old.export_id for x in free for old in history.get(x.image_id, ())}
    return added + sum(_renew(x, services) for x in free if x.export_id in known)


def _supersede(
    wanted: Export, history: History, difference: Difference, services: Services
) -> bool:
    """Make room for a record; return False if a message has just claimed the standing one."""
    current = standing(history.get(wanted.image_id, ()))
    if current is None:
        return True
    reason = difference(current, wanted)
    logger.info("%s is made again: %s", wanted.image_id, reason)
    done = services.ledger.change(
        current.export_id, lambda x: exports.supersede(x, reason, services.now())
    )
    return done is not None


def _renew(wanted: Export, services: Services) -> bool:
    renewed = services.ledger.change(
        wanted.export_id, lambda x: exports.renew(x, wanted, services.now())
    )
    return renewed is not None
