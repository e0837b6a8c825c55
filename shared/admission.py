"""Who may take a task slot: the one place that publishes `image-found`."""

from shared.domain.runs import Run
from shared.messages import ImageFound
from shared.services import Services


def release(run: Run, services: Services) -> int:
    """Publish as many waiting images of a run as it has free task slots; return how many.

    Nothing records that a message is out, and nothing need: the images published and not
    yet claimed are always the first of the queue, so counting from its head again offers
    the same ones, and a claim refuses the second message. The queue is read before the
    slots in use, so that an image claimed in between is counted twice, never not at all.
    """
    ceiling = run.configuration.limits.queued_tasks
    queue = services.ledger.waiting(run.name, services.now(), ceiling)
    in_flight = services.ledger.count_in_flight(run.name)
    free = ceiling - in_flight
    if run.configuration.archive is not None and queue:
        # What would only meet the quota waits until the archive has made room.
        free = min(free, services.earth_assets.quota(run.configuration.asset_root).room(in_flight))
    offered = queue[: max(free, 0)]
    services.bus.publish(
        [ImageFound(x.run_id, x.export_id, x.image_id, x.attempt) for x in offered]
    )
    return len(offered)
