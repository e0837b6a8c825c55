"""archive_assets, on `quota-reached`: choose what leaves, copy it, verify the copy, delete it."""

from shared.archiving import Archiver
from shared.handler import logger, on_message
from shared.messages import QuotaReached
from shared.services import Services


@on_message(QuotaReached)
def archive_assets(message: QuotaReached, message_id: str, services: Services) -> None:
    """Take every asset that leaves one step further; those that wait for Earth Engine stay."""
    archiver = Archiver(services.ledger.run(message.run_id), services)
    counts = {
        "chosen": archiver.choose(),
        "started": archiver.start(),
        "verified": archiver.verify(),
        "deleted": archiver.delete(),
    }
    if counts["verified"] and not counts["started"]:  # the last of them for now
        counts["catalogues"] = archiver.catalogue()
    logger.info("%s", counts)
