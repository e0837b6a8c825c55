"""restore_asset, on `restore-requested`: bring archived assets back into Earth Engine."""

from shared.handler import logger, on_message
from shared.messages import RestoreRequested
from shared.restoring import Restorer
from shared.services import Services


@on_message(RestoreRequested)
def restore_asset(message: RestoreRequested, message_id: str, services: Services) -> None:
    """Record what is wanted, and take everything that comes back one step further."""
    restorer = Restorer(services.ledger.run(message.run_id), services)
    logger.info(
        "%s",
        {
            "requested": restorer.request(message.record_ids, message.way),
            "started": restorer.start(),
            "restored": restorer.finish(),
        },
    )
