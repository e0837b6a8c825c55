"""The deployed pipeline, seen from here: the ledger is read, the functions do the work."""

import time

from cli.drive import Outcome, Report
from shared.domain.exports import FINAL
from shared.domain.runs import Run, RunState
from shared.services import Services

#: Seconds between two looks at the ledger: counting costs a read for 1,000 documents.
PAUSE = 30.0


def follow(services: Services, run: Run, report: Report) -> Outcome:
    """Register a run and watch it until all masks, and maps once it is over, are final.

    Cloud Scheduler drives it. May be interrupted at any time: the run goes on without us.
    """
    services.ledger.add_run(run)
    while True:
        current = services.ledger.run(run.run_id)
        if current.state is RunState.FAILED:
            return Outcome({}, current.reason)
        counts = services.ledger.count_by_state(run.name)
        wanted = run.configuration.products is not None
        maps = services.ledger.count_by_state(run.products_queue) if wanted else {}
        report(counts, maps)
        is_due = wanted and services.now() >= run.configuration.last_instant
        if counts and (maps or not is_due) and not {*counts, *maps} - FINAL:
            return Outcome(counts, maps=maps)
        time.sleep(PAUSE)
