"""watch_exports, on a schedule: compare Earth Engine's tasks with the ledger.

Publishes which exports ended, takes up tasks whose starter crashed, and fills free slots.
"""

from collections import defaultdict
from collections.abc import Mapping
from datetime import timedelta

from shared.admission import release
from shared.domain import exports
from shared.domain.exports import Export, State
from shared.domain.runs import Run
from shared.handler import log_context, log_facts, on_schedule
from shared.messages import EndedTask, ExportFinished
from shared.services import Services, Task

#: Exports in one message: one request checks that many outputs with a small reduction each,
#: well within Earth Engine's five minutes and 100 MiB for an interactive answer.
BATCH = 50

#: A claim or a task this old without a trace in Earth Engine's listing is lost: longer than
#: a delivery can last (600 s), and than listings have been seen to lag behind.
LOST_AFTER = timedelta(hours=1)

Attempts = Mapping[tuple[str, int], Task]


@on_schedule
def watch_exports(services: Services) -> dict[str, int]:
    """Publish what ended, adopt or put back what a crash left, release more images."""
    counts = {"ended": 0, "released": 0}
    runs = services.ledger.active_runs()
    in_flight = {
        run.name: [x for name in run.queues for x in services.ledger.in_flight(name)]
        for run in runs
    }
    tasks = _tasks_of([x for records in in_flight.values() for x in records], services)
    for run in runs:
        with log_context(run=run.name):
            counts["ended"] += _settle(in_flight[run.name], tasks, services)
            _log_oldest(run, in_flight[run.name], services)
            counts["released"] += release(run, services)
    return counts


def _tasks_of(records: list[Export], services: Services) -> Attempts:
    """List tasks until those of the records are among them, so not those of long ago.

    A claim may have none: its starter is at work, or crashed. If there is one it is on the first
    page, being new; before a claim is given up as lost, all pages are read. Newest first is how
    Earth Engine lists, not what it promises: in another order it takes more pages, and no less is
    found.
    """
    tasks: dict[tuple[str, int], Task] = {}
    if not records:
        return tasks
    awaited = {
        (x.export_id, x.attempt)
        for x in records
        if x.state is State.STARTED or _is_lost(x, services)
    }
    for page in services.earth_engine.tasks():
        # Newest first: of two tasks with one name, the older one stays in the dictionary.
        tasks.update({(x.export_id, x.attempt): x for x in page})
        if awaited <= tasks.keys():
            break
    return tasks


def _settle(records: list[Export], tasks: Attempts, services: Services) -> int:
    ended = defaultdict(list)
    for record in records:
        task = tasks.get((record.export_id, record.attempt))
        if task is None:
            if _is_lost(record, services):
                ended[record.run_id].append(_vanished(record))
        elif task.ended is not None:
            ended[record.run_id].append(task.ended)
        elif record.state is State.CLAIMED:
            _adopt(record, task, services)
    services.bus.publish(
        [
            ExportFinished(run_id, tuple(tasks_of_run[i : i + BATCH]))
            for run_id, tasks_of_run in ended.items()
            for i in range(0, len(tasks_of_run), BATCH)
        ]
    )
    return sum(map(len, ended.values()))


def _log_oldest(run: Run, in_flight: list[Export], services: Services) -> None:
    """Log how long the slowest unfinished image has been in its state, for an alert."""
    now = services.now()
    since = [x.queued_at for x in services.ledger.waiting(run.name, now, 1)]
    since += [x.claimed_at for x in in_flight if x.claimed_at is not None]
    if since:
        hours = (now - min(since)) / timedelta(hours=1)
        log_facts("oldest unfinished image", oldest_hours=round(hours, 2))


def _is_lost(record: Export, services: Services) -> bool:
    return record.claimed_at is not None and services.now() - record.claimed_at > LOST_AFTER


def _vanished(record: Export) -> EndedTask:
    """Have the output looked for; without one, the export is put back."""
    return EndedTask(record.export_id, record.attempt, "VANISHED", record.operation)


def _adopt(record: Export, task: Task, services: Services) -> None:
    """Note the task of an export whose starter crashed before it could."""
    services.ledger.change(record.export_id, lambda x: exports.start(x, record.attempt, task.name))
