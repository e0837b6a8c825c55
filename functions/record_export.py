"""record_export, on `export-finished`: look at the outputs themselves and record them."""

from typing import Any

from shared.domain import exports, outputs
from shared.domain.exports import IN_FLIGHT, Export, Failure
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
    if not still_open:
        return
    found = services.earth_engine.describe_outputs(run, [x.image_id for _, x in still_open])
    unseen = [
        record.image_id
        for task, record in still_open
        if not _close(run, task, record, found.get(record.image_id), services)
    ]
    if unseen:
        raise OutputNotVisible(f"succeeded, but not listed yet: {', '.join(unseen)}")


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
    problems = outputs.check(record, output)
    now = services.now()
    if problems:
        asset_id = f"{run.configuration.destination}/{record.image_id}"
        reason = f"output refused: {'; '.join(problems)}; delete {asset_id} before a new attempt"
        changed = services.ledger.change(
            record.export_id, lambda x: exports.fail(x, Failure.PERMANENT, reason, now)
        )
    else:
        item = outputs.stac_item(run, record, output, now)
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
