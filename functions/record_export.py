"""record_export, on `export-finished`: look at the outputs themselves and record them."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from shared import seasons
from shared.admission import release
from shared.domain import exports, outputs, products
from shared.domain.exports import IN_FLIGHT, MASK, Export, Failure
from shared.domain.failures import classify
from shared.domain.runs import Run
from shared.errors import OutputNotVisible
from shared.handler import log_facts, logger, on_message
from shared.messages import EndedTask, ExportFinished
from shared.services import Services


@on_message(ExportFinished)
def record_export(message: ExportFinished, message_id: str, services: Services) -> None:
    """Close each export by what its output is, and only without one by what its task says."""
    run = services.ledger.run(message.run_id)
    records = services.ledger.get(task.export_id for task in message.tasks)
    still_open = [
        (task, record)
        for task in message.tasks
        if (record := records.get(task.export_id)) and record.state in IN_FLIGHT
    ]
    found = _outputs(run, [record for _, record in still_open], services)
    unseen = [
        record.image_id
        for task, record in still_open
        if not _close(run, task, record, found.get((record.kind, record.image_id)), services)
    ]
    # Also when all are closed: an earlier delivery may have ended right here.
    _offer_maps(run, records.values(), services)
    if unseen:
        raise OutputNotVisible(f"succeeded, but not listed yet: {', '.join(unseen)}")


def _outputs(
    run: Run, records: Iterable[Export], services: Services
) -> dict[tuple[str, str], dict[str, Any]]:
    """Return what there is by kind and image id: one request for each kind."""
    by_kind: dict[str, list[str]] = defaultdict(list)
    for record in records:
        by_kind[record.kind].append(record.image_id)
    return {
        (kind, image_id): output
        for kind, image_ids in by_kind.items()
        for image_id, output in services.earth_engine.describe_outputs(run, kind, image_ids).items()
    }


def _offer_maps(run: Run, records: Iterable[Export], services: Services) -> None:
    """Record the maps of tiles whose last mask this was, and offer them free slots."""
    if run.configuration.products is None:
        return
    ledger, tiles = services.ledger, sorted({record.tile for record in records})
    done = [tile for tile in tiles if not ledger.is_tile_open(run.name, tile)]
    masks = [mask for tile in done for mask in ledger.of_tile(run.name, tile)]
    if seasons.record_ready(run, masks, services):
        release(run, services)


def _close(
    run: Run, task: EndedTask, record: Export, output: dict[str, Any] | None, services: Services
) -> bool:
    """Record one ended export; return False when its output should exist and does not yet."""
    if output is not None and output["run_key"] == record.export_id:
        _record_output(run, task, record, output, services)
        return True
    if task.state == "SUCCEEDED":
        return False
    reason = task.error or f"the task is {task.state} and left no output"
    failure = classify(reason) if task.state == "FAILED" else Failure.TRANSIENT
    attempts = run.configuration.limits.attempts
    logger.warning("%s: %s: %s", record.image_id, failure, reason)
    _log_outcome(
        services.ledger.change(
            record.export_id,
            lambda x: exports.retry_or_fail(
                x, task.attempt, failure, reason, attempts, services.now()
            ),
        )
    )
    return True


def _record_output(
    run: Run, task: EndedTask, record: Export, output: dict[str, Any], services: Services
) -> None:
    is_mask = record.kind == MASK
    bands = (
        outputs.MASK_BANDS
        if is_mask
        else [band.name for band in products.bands_of(run, record.kind, products.year_of(record))]
    )
    problems = outputs.check(record, bands, output)
    now = services.now()
    if problems:
        asset_id = run.place_of(record)
        reason = f"output refused: {'; '.join(problems)}; delete {asset_id} before a new attempt"
        changed = services.ledger.change(
            record.export_id, lambda x: exports.fail(x, Failure.PERMANENT, reason, now)
        )
    else:
        item = (outputs if is_mask else products).stac_item(run, record, output, now)
        changed = services.ledger.change(
            record.export_id, lambda x: exports.succeed(x, item, task.eecu_seconds, now)
        )
    _log_outcome(changed)


def _log_outcome(record: Export | None) -> None:
    """Log how an export stands now; FOUND is one that is tried again."""
    if record is not None:
        log_facts(
            "export closed",
            image_id=record.image_id,
            outcome=record.state,
            failure=record.failure or "",
            eecu_seconds=record.eecu_seconds,
        )
