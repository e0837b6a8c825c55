"""find_images, on a schedule: list the images of every active run, record and offer them."""

import json
from dataclasses import asdict

from shared import models
from shared.admission import release
from shared.domain import ids
from shared.domain.exports import Export, State
from shared.domain.images import FoundImage
from shared.domain.runs import MASK_ALGORITHM, Run
from shared.errors import PermanentError
from shared.handler import log_context, log_facts, logger, on_schedule
from shared.services import Services


@on_schedule
def find_images(services: Services) -> dict[str, int]:
    """Record what is new of each run, then publish as many images as there are free slots."""
    counts = {"found": 0, "released": 0, "failed_runs": 0}
    for run in services.ledger.active_runs():
        with log_context(run_id=run.run_id):
            try:
                counts["found"] += _record_images(run, services)
            except PermanentError as error:
                logger.error("run given up: %s", error)
                services.ledger.fail_run(run.run_id, str(error))
                counts["failed_runs"] += 1
                continue
            counts["released"] += release(run, services)
            share = services.earth_engine.quota_share(run.configuration.destination)
            log_facts("asset quota in use", quota_share=round(share, 4))
    return counts


def _record_images(run: Run, services: Services) -> int:
    records = [_record(run, image, services) for image in services.earth_engine.find_images(run)]
    known = services.ledger.get(record.export_id for record in records)
    new = [record for record in records if record.export_id not in known]
    if not new:
        return 0
    # First: an image on record may be exported at any time, also when we end right here.
    services.earth_engine.create_collection(run.configuration.destination)
    return services.ledger.add(new)


def _record(run: Run, image: FoundImage, services: Services) -> Export:
    parameters = run.configuration.mask
    grid = (image.crs, parameters.scale)
    model = models.for_bands(image.bands)
    unwanted = _reason_to_skip(image, run, model)
    model_name = model.asset_name if model else ""
    return Export(
        export_id=_export_id(run, image, grid, model_name),
        run=run.name,
        run_id=run.run_id,
        image_id=image.image_id,
        acquisition=image.acquisition,
        sensed_at=image.sensed_at,
        platform=image.platform,
        tile=image.tile,
        footprint=json.dumps(image.footprint),
        grid=grid,
        model=model_name,
        queued_at=services.now(),
        state=State.SKIPPED if unwanted else State.FOUND,
        reason=unwanted,
    )


def _export_id(run: Run, image: FoundImage, grid: tuple[str, int], model: str) -> str:
    configuration = run.configuration
    what = [asdict(configuration.mask), configuration.land, configuration.destination, model]
    return ids.export_id("mask", image.image_id, MASK_ALGORITHM, what, grid)


def _reason_to_skip(image: FoundImage, run: Run, model: models.CloudModel | None) -> str:
    if not image.on_land:
        return "outside the land geometry"
    missing = set(run.configuration.mask.bands) - set(image.bands)
    if model is None:
        missing |= set(models.load(models.NAMES[-1]).bands) - set(image.bands)
    return f"bands missing: {', '.join(sorted(missing))}" if missing else ""
