"""Who may take a task slot: the one place that publishes `image-found` and `season-ready`."""

from shared.domain.exports import MASK, Export
from shared.domain.runs import Run
from shared.messages import ImageFound, Message, SeasonReady
from shared.services import Services


def release(run: Run, services: Services) -> int:
    """Publish as many waiting exports of a run as it has free task slots; return how many.

    Maps come after all masks that wait. Nothing records that a message is out, and nothing need:
    the exports published and not yet claimed are always the first of the queue, so counting from
    its head again offers the same ones, and a claim refuses the second message. The queue is read
    before the slots in use, so that one claimed in between is counted twice, never not at all.
    """
    ceiling = run.configuration.limits.queued_tasks
    queue = [
        record
        for name in run.queues
        for record in services.ledger.waiting(name, services.now(), ceiling)
    ]
    in_flight = sum(services.ledger.count_in_flight(name) for name in run.queues)
    free = ceiling - in_flight
    if run.configuration.archive is not None and queue:
        # What would only meet the quota waits until the archive has made room.
        free = min(free, services.earth_assets.quota(run.configuration.asset_root).room(in_flight))
    offered = queue[: max(free, 0)]
    services.bus.publish([_offer(record) for record in offered])
    return len(offered)


def _offer(record: Export) -> Message:
    if record.kind == MASK:
        return ImageFound(record.run_id, record.export_id, record.image_id, record.attempt)
    return SeasonReady(record.run_id, record.export_id, record.image_id, record.attempt)
