"""restore_asset, on `restore-requested`: bring archived assets back into Earth Engine."""

from shared.handler import logger, on_message
from shared.messages import RestoreRequested
from shared.restoring import Restorer
from shared.services import Services


@on_message(RestoreRequested)
def restore_asset(message: RestoreRequested, message_id: str, services: Services) -> None:
    """Record what is wanted, and take everything that comes back one step further."""
    run = services.ledger.run(message.run_id)
    policy = run.configuration.archive
    if policy is None:
        logger.info("nothing to do: the run has no archive")
        return
    restorer = Restorer(run, policy, services)
    logger.info(
        "%s",
        {
            "requested": restorer.request(message.record_ids, message.way),
            "started": restorer.start(),
            "restored": restorer.finish(),
        },
    )
