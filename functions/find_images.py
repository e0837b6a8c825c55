"""find_images, on a schedule: list the images of every active run, record and offer them.

What is on record and would be made in another way by now – another input has come, the model or the
parameters have changed – gives way to a new record, whose export overwrites the mask.
"""

import json
from collections import defaultdict
from collections.abc import Sequence

from shared import models, recording, seasons
from shared.admission import release
from shared.domain import ids
from shared.domain.exports import Export, State
from shared.domain.images import FoundImage
from shared.domain.runs import INPUTS, MASK_ALGORITHM, Run
from shared.errors import PermanentError
from shared.handler import log_context, log_facts, logger, on_schedule
from shared.recording import History
from shared.services import Services


@on_schedule
def find_images(services: Services) -> dict[str, int]:
    """Record what is new of each run, then publish as many images as there are free slots."""
    counts = {"found": 0, "stale": 0, "maps": 0, "released": 0, "failed_runs": 0}
    for run in services.ledger.active_runs():
        with log_context(run_id=run.run_id):
            try:
                history = _history(run, services)
                found, stale = _record_images(run, history, services)
                if not found:
                    records = [record for records in history.values() for record in records]
                    counts["maps"] += seasons.record_ready(run, records, services)
            except PermanentError as error:
                logger.error("run given up: %s", error)
                services.ledger.fail_run(run.run_id, str(error))
                counts["failed_runs"] += 1
                continue
            counts["found"] += found
            counts["stale"] += stale
            counts["released"] += release(run, services)
            share = services.earth_assets.quota(run.configuration.asset_root).share
            log_facts("asset quota in use", quota_share=round(share, 4))
    return counts


def _history(run: Run, services: Services) -> History:
    history: dict[str, list[Export]] = defaultdict(list)
    for record in services.ledger.exports(run.name):
        history[record.image_id].append(record)
    return history


def _record_images(run: Run, history: History, services: Services) -> tuple[int, int]:
    """Bring the ledger to what is to be made now; return how many are new, and stale."""
    listed = services.earth_engine.find_images(run)
    wanted = [_wanted(run, image, history.get(image.image_id, ()), services) for image in listed]
    lacking = recording.missing(wanted, history, services)
    if not lacking:
        return 0, 0
    # First: an image on record may be exported at any time, also when we end right here.
    services.earth_engine.create_collection(run.configuration.destination)
    return recording.record(run, lacking, history, _what_changed, services)


def _wanted(run: Run, image: FoundImage, records: Sequence[Export], services: Services) -> Export:
    """Return the record of the mask that is to be made of an image now."""
    parameters = run.configuration.mask
    grid = (image.crs, parameters.scale)
    model = models.for_preset(parameters.preset, image.bands)
    unwanted = _reason_to_skip(image, run, model)
    version = model.version if model else ""
    inputs = () if unwanted else _inputs(run, image, records)
    return Export(
        export_id=_export_id(run, image, grid, version, inputs),
        run=run.name,
        run_id=run.run_id,
        image_id=image.image_id,
        acquisition=image.acquisition,
        sensed_at=image.sensed_at,
        platform=image.platform,
        tile=image.tile,
        footprint=json.dumps(image.footprint),
        grid=grid,
        model=version,
        inputs=inputs,
        queued_at=services.now(),
        state=State.SKIPPED if unwanted else State.FOUND,
        reason=unwanted,
    )


def _inputs(run: Run, image: FoundImage, records: Sequence[Export]) -> tuple[str, ...]:
    """Return the inputs that are there, or were: one that is gone makes no mask stale."""
    standing = recording.standing(records)
    there = {*image.inputs, *(standing.inputs if standing else ())}
    return tuple(name for name in run.configuration.mask.wanted_inputs if name in there)


def _export_id(
    run: Run, image: FoundImage, grid: tuple[str, int], model: str, inputs: Sequence[str]
) -> str:
    wanted = run.configuration
    where = [wanted.collection, wanted.land, wanted.destination]
    how = [wanted.mask.deciding, model, inputs]
    return ids.export_id("mask", image.image_id, MASK_ALGORITHM, [*where, *how], grid)


def _reason_to_skip(image: FoundImage, run: Run, model: models.Model | None) -> str:
    if not image.on_land:
        return "outside the land geometry"
    if model is not None:
        return ""
    preset = run.configuration.mask.preset
    missing = set(models.needed_bands(preset)) - set(image.bands)
    return f"bands missing for preset {preset}: {', '.join(sorted(missing))}"


def _what_changed(before: Export, now: Export) -> str:
    came = [name for name in INPUTS if name in now.inputs and name not in before.inputs]
    if came:
        return f"made without {' and '.join(came)}, which is there by now"
    if before.model != now.model:
        return f"made with model {before.model or None}, to be made with {now.model or None}"
    return "made with other parameters than the run has by now"
