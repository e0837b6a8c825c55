"""The way back: archived assets come into Earth Engine again, as many as there is room for."""

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from shared import second_copies
from shared.archiving import BATCH, compared, copy_problem, policy_of
from shared.domain import archive, copies
from shared.domain.archive import LEAVING, Asset, State, Way
from shared.domain.copies import WITH_MASKS
from shared.domain.exports import Failure
from shared.domain.failures import classify
from shared.domain.runs import Run
from shared.errors import PermanentError, TransientError
from shared.handler import log_context, logger
from shared.messages import QuotaReached
from shared.services import Copy, Services

#: A restore that is not there after so long has its task asked for, which is a request.
LOOK_AFTER = timedelta(minutes=15)
TELL = "mend the cause that the reason names, then verdure restore again"


class Restorer:
    """One pass over the assets of a run that are wanted back."""

    def __init__(self, run: Run, services: Services) -> None:
        """Raise PermanentError for a run without an archive."""
        self._run = run
        self._policy = policy_of(run)
        self._services = services

    def request(self, record_ids: Sequence[str], way: str) -> int:
        """Record which assets are wanted back, and return how many are.

        What is to be read from its file needs nothing: it can be, since it was archived.
        """
        wanted = way or self._policy.restore
        if wanted == Way.VIRTUAL:
            return 0
        records = self._services.assets.get(record_ids)
        for record_id in record_ids:
            record = records.get(record_id)
            if record is None or record.state is not State.ARCHIVED:
                state = record.state if record else "not in the ledger"
                logger.info("nothing to restore: %s is %s", record_id, state)
                continue
            with log_context(asset_id=record.asset_id):
                self._request(record, wanted)
        return len(records)

    def _request(self, record: Asset, way: str) -> None:
        if problem := self._problem(record):
            logger.error("not restored: %s", problem)
            self._services.assets.change(
                record.record_id, lambda x: archive.deplore(x, problem, TELL)
            )
            return
        # Manifests have one mask for all bands, and external images none.
        lossless = Way.EXPORT if record.layout == WITH_MASKS else way
        self._services.assets.change(
            record.record_id, lambda x: archive.request(x, lossless, self._services.now())
        )

    def _problem(self, record: Asset) -> str:
        """Return what is wrong with a copy that its second copy cannot mend."""
        problem = copy_problem(record, self._services)
        if not problem or not record.second:
            return problem
        if hopeless := second_copies.mended(record, self._services):
            return f"{problem}; {hopeless}"
        logger.warning("brought back from Drive: %s", problem)
        return ""

    def start(self) -> int:
        """Start restores while there is room; have others leave where there is none."""
        services, run = self._services, self._run
        restoring = services.assets.in_states(run.name, [State.RESTORING])
        waiting = [x for x in restoring if not x.operation][: self._policy.per_call]
        if not waiting:
            return 0
        coming = [x for x in restoring if x.operation]
        quota = services.earth_assets.quota(run.configuration.asset_root)
        quota = quota.less(-len(coming), -sum(x.size_bytes for x in coming))
        started = 0
        for record in waiting:
            after = quota.less(-1, -record.size_bytes)
            if after.is_above(self._policy.high):
                self._make_room(waiting[started:], quota)
                break
            with log_context(asset_id=record.asset_id):
                self._start(record)
            quota, started = after, started + 1
        return started

    def _start(self, record: Asset) -> None:
        description = json.loads(record.description)
        uris = [file.uri for file in record.files[:-1]]
        try:
            if problem := copy_problem(record, self._services):
                raise PermanentError(problem)
            operation = self._services.earth_assets.start_restore(record, description, uris)
        except PermanentError as error:
            self._give_up(record, str(error))
            return
        except TransientError as error:
            logger.warning("later: %s", error)
            return
        self._services.assets.change(
            record.record_id,
            lambda x: archive.begin_restore(x, record.attempt, operation, self._services.now()),
        )

    def _make_room(self, waiting: Sequence[Asset], quota: archive.Quota) -> None:
        """Have assets leave that came back before, those longest not used first."""
        ledger = self._services.assets
        leaving = ledger.in_states(self._run.name, LEAVING)
        left = quota.less(len(leaving), sum(x.size_bytes for x in leaving))
        live = ledger.in_states(self._run.name, [State.LIVE])
        chosen = archive.to_make_room(live, left, self._policy, waiting)
        for record in chosen:
            ledger.change(record.record_id, lambda x: archive.choose(x, self._services.now()))
        if chosen or leaving:
            self._services.bus.publish([QuotaReached(self._run.run_id)])
        else:
            logger.error("no room for %s assets, and none that came back can leave", len(waiting))

    def finish(self) -> int:
        """Verify what has come back, and return how many have."""
        services, run = self._services, self._run
        coming = [x for x in services.assets.in_states(run.name, [State.RESTORING]) if x.operation]
        if not coming:
            return 0
        folders = {x.asset_id.rpartition("/")[0] for x in coming}
        listed = (x for folder in sorted(folders) for x in services.earth_assets.describe(folder))
        stock = {description["name"]: description for description in listed}
        back = [x for x in coming if x.asset_id in stock]
        alike = [x for x in back if self._is_alike(x, stock[x.asset_id])]
        for i in range(0, len(alike), BATCH):
            self._verify(alike[i : i + BATCH], stock)
        for record in coming:
            since = services.now() - (record.changed_at or services.now())
            if record.asset_id not in stock and since > LOOK_AFTER:
                self._look_for_task(record)
        return len(back)

    def _verify(self, batch: Sequence[Asset], stock: Mapping[str, Mapping[str, Any]]) -> None:
        wanted = [
            Copy(
                x.record_id,
                x.asset_id,
                json.loads(x.description),
                x.layout,
                tuple(file.uri for file in x.files[:-1]),
            )
            for x in batch
        ]
        facts, errors = compared(wanted, self._services)
        for record in batch:
            with log_context(asset_id=record.asset_id):
                if error := errors.get(record.record_id):
                    self._give_up(record, f"what came back cannot be compared: {error}")
                    continue
                self._judge(record, facts[record.record_id], stock[record.asset_id])

    def _is_alike(self, record: Asset, description: Mapping[str, Any]) -> bool:
        """Tell whether an asset has the bands and properties of the original; else give it up."""
        problems = copies.differences(json.loads(record.description), description)
        if problems:
            self._give_up(
                record, f"{record.asset_id} is not what was archived: {'; '.join(problems)}"
            )
        return not problems

    def _judge(
        self, record: Asset, facts: Mapping[str, Any], description: Mapping[str, Any]
    ) -> None:
        different = {name: int(n) for name, n in facts["different"].items() if n}
        if different:
            reason = f"{record.asset_id} has pixels that differ, by band: {different}"
            self._give_up(record, reason)
            return
        self._services.assets.change(
            record.record_id,
            lambda x: archive.restored(
                x,
                record.attempt,
                description["updateTime"],
                int(description["sizeBytes"]),
                self._services.now(),
            ),
        )

    def _look_for_task(self, record: Asset) -> None:
        ended = self._services.earth_assets.ended_operation(record.operation)
        if ended is None or ended.state == "SUCCEEDED":
            return
        reason = ended.error or f"the task is {ended.state} and left no asset"
        last = record.failures + 1 >= self._policy.attempts
        if classify(reason) is Failure.PERMANENT or last:
            self._give_up(record, reason)
            return
        self._services.assets.change(
            record.record_id,
            lambda x: archive.restore_again(x, record.attempt, reason, self._services.now()),
        )

    def _give_up(self, record: Asset, reason: str) -> None:
        logger.error("not restored: %s", reason)
        self._services.assets.change(
            record.record_id,
            lambda x: archive.leave_archived(x, record.attempt, reason, TELL, self._services.now()),
        )
