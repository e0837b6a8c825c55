"""From a message to exactly one Earth Engine task: the same for masks and maps."""

from collections.abc import Callable

from shared.domain import exports
from shared.domain.exports import Export, Failure, State
from shared.domain.runs import Run
from shared.errors import PermanentError, TaskQueueFull
from shared.handler import log_facts, logger
from shared.messages import ImageFound, SeasonReady
from shared.services import Services


def start_export(
    message: ImageFound | SeasonReady,
    message_id: str,
    services: Services,
    start: Callable[[Run, Export], str],
) -> None:
    """Claim, start, note the task. A queue that is full puts the export back, unharmed."""
    ledger, attempt = services.ledger, message.attempt
    run = ledger.run(message.run_id)
    claimed = ledger.change(
        message.export_id, lambda x: exports.claim(x, attempt, message_id, services.now())
    )
    if claimed is None:
        logger.info("nothing to do: the export is taken, or done")
        return
    try:
        operation = start(run, claimed)
    except TaskQueueFull as full:
        logger.warning("put back: %s", full)
        reason = str(full)
        ledger.change(
            message.export_id, lambda x: exports.put_back(x, attempt, reason, services.now())
        )
    except PermanentError as error:
        logger.error("failed: %s", error)
        reason = str(error)
        ledger.change(
            message.export_id,
            lambda x: exports.fail(x, Failure.PERMANENT, reason, services.now()),
        )
        log_facts("export closed", outcome=State.FAILED, failure=Failure.PERMANENT)
    else:
        ledger.change(message.export_id, lambda x: exports.start(x, attempt, operation))
