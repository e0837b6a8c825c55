"""watch_assets, on a schedule: tell the archive when the quota fills, or something is under way."""

from shared.domain.archive import LEAVING, ArchivePolicy, State
from shared.domain.runs import Run
from shared.handler import log_context, on_schedule
from shared.messages import Message, QuotaReached, RestoreRequested
from shared.services import Services

#: Images grow old by the day, and to look for them reads all of a run's exports: the first tick
#: of a day (UTC) does it, and there is one every five minutes.
FIRST_MINUTES = 5


@on_schedule
def watch_assets(services: Services) -> dict[str, int]:
    """Publish which runs have something to archive or to restore."""
    counts = {"archiving": 0, "restoring": 0}
    messages: list[Message] = []
    for run in services.ledger.active_runs():
        if (policy := run.configuration.archive) is None:
            continue
        with log_context(run=run.name):
            under_way = services.assets.count_by_state(run.name)
            if _must_archive(run, policy, under_way, services):
                messages.append(QuotaReached(run.run_id))
                counts["archiving"] += 1
            if under_way.get(State.RESTORING):
                messages.append(RestoreRequested(run.run_id))
                counts["restoring"] += 1
    services.bus.publish(messages)
    return counts


def _must_archive(
    run: Run, policy: ArchivePolicy, under_way: dict[str, int], services: Services
) -> bool:
    now = services.now()
    is_first = now.hour == 0 and now.minute < FIRST_MINUTES
    looks_for_old = policy.max_age_days is not None and is_first
    if looks_for_old or any(under_way.get(state) for state in LEAVING):
        return True
    return services.earth_assets.quota(run.configuration.asset_root).is_above(policy.high)
