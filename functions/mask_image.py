"""mask_image, on `image-found`: claim the image and start exactly one Earth Engine export."""

from shared.domain import exports
from shared.domain.exports import Failure, State
from shared.errors import PermanentError, TaskQueueFull
from shared.handler import log_facts, logger, on_message
from shared.messages import ImageFound
from shared.services import Services


@on_message(ImageFound)
def mask_image(message: ImageFound, message_id: str, services: Services) -> None:
    """Claim, start, note the task. A queue that is full puts the image back, unharmed."""
    ledger, attempt = services.ledger, message.attempt
    run = ledger.run(message.run_id)
    claimed = ledger.change(
        message.export_id, lambda x: exports.claim(x, attempt, message_id, services.now())
    )
    if claimed is None:
        logger.info("nothing to do: the image is taken, or done")
        return
    try:
        operation = services.earth_engine.start_mask(run, claimed)
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
