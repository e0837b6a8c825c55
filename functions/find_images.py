"""find_images, on a schedule: list the images of every active run, record and offer them.

What is on record and would be made in another way by now – another input has come, the model or the
parameters have changed – gives way to a new record, whose export overwrites the mask.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from shared import models
from shared.admission import release
from shared.domain import exports, ids
from shared.domain.exports import IN_FLIGHT, Export, State
from shared.domain.images import FoundImage
from shared.domain.runs import INPUTS, MASK_ALGORITHM, Run
from shared.errors import PermanentError
from shared.handler import log_context, log_facts, logger, on_schedule
from shared.services import Services

#: Records that are superseded before their successors are added: so many are without one if the
#: process ends in between, until the next call.
CHUNK = 250

History = Mapping[str, Sequence[Export]]


@on_schedule
def find_images(services: Services) -> dict[str, int]:
    """Record what is new of each run, then publish as many images as there are free slots."""
    counts = {"found": 0, "stale": 0, "released": 0, "failed_runs": 0}
    for run in services.ledger.active_runs():
        with log_context(run_id=run.run_id):
            try:
                found, stale = _record_images(run, services)
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


def _record_images(run: Run, services: Services) -> tuple[int, int]:
    """Bring the ledger to what is to be made now; return how many are new, and stale."""
    history: dict[str, list[Export]] = defaultdict(list)
    for record in services.ledger.exports(run.name):
        history[record.image_id].append(record)
    listed = services.earth_engine.find_images(run)
    wanted = [_wanted(run, image, history[image.image_id], services) for image in listed]
    missing = [x for x in wanted if _is_missing(x, history[x.image_id])]
    shared = services.ledger.get(x.export_id for x in missing)
    missing = [x for x in missing if x.export_id not in shared or shared[x.export_id].run == x.run]
    if not missing:
        return 0, 0
    # First: an image on record may be exported at any time, also when we end right here.
    services.earth_engine.create_collection(run.configuration.destination)
    replaced = [_with_predecessor(run, x, history[x.image_id], services) for x in missing]
    chunks = [replaced[i : i + CHUNK] for i in range(0, len(replaced), CHUNK)]
    found = sum(_record_chunk(chunk, history, services) for chunk in chunks)
    return found, sum(x.is_stale for x in replaced)


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
    standing = _standing(records)
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


def _standing(records: Sequence[Export]) -> Export | None:
    """Return an image's record that counts: there is one, or none after a crash."""
    return next((x for x in records if x.state is not State.SUPERSEDED), None)


def _is_missing(wanted: Export, records: Sequence[Export]) -> bool:
    """Tell whether a mask is yet to be recorded; what Earth Engine works on ends first."""
    standing = _standing(records)
    if standing is None:
        return True
    return standing.export_id != wanted.export_id and standing.state not in IN_FLIGHT


def _with_predecessor(
    run: Run, wanted: Export, records: Sequence[Export], services: Services
) -> Export:
    """Return a record that knows which of the run's exports wrote to its place, if one did."""
    done = [x for x in records if x.item]
    if not done:
        return wanted
    last = max(done, key=lambda x: x.ended_at or x.queued_at)
    before = services.ledger.run(last.run_id).configuration
    if before.destination != run.configuration.destination:
        return wanted
    return replace(wanted, replaces=last.export_id)


def _record_chunk(chunk: Sequence[Export], history: History, services: Services) -> int:
    """Supersede what stands in the way, then record; return how many are recorded."""
    free = [x for x in chunk if _supersede(x, _standing(history[x.image_id]), services)]
    added = services.ledger.add(free)
    known = {record.export_id for x in free for record in history[x.image_id]}
    return added + sum(_renew(x, services) for x in free if x.export_id in known)


def _supersede(wanted: Export, standing: Export | None, services: Services) -> bool:
    """Make room for a record; return False if a message has just claimed the standing one."""
    if standing is None:
        return True
    reason = _what_changed(standing, wanted)
    logger.info("%s is made again: %s", wanted.image_id, reason)
    done = services.ledger.change(
        standing.export_id, lambda x: exports.supersede(x, reason, services.now())
    )
    return done is not None


def _renew(wanted: Export, services: Services) -> bool:
    renewed = services.ledger.change(
        wanted.export_id, lambda x: exports.renew(x, wanted, services.now())
    )
    return renewed is not None


def _what_changed(before: Export, now: Export) -> str:
    came = [name for name in INPUTS if name in now.inputs and name not in before.inputs]
    if came:
        return f"made without {' and '.join(came)}, which is there by now"
    if before.model != now.model:
        return f"made with model {before.model or None}, to be made with {now.model or None}"
    return "made with other parameters than the run has by now"
