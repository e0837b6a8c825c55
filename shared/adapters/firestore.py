"""Firestore as the ledger: collections `runs` and `exports`, a document a record.

FIRESTORE_EMULATOR_HOST, if set, is the client's own affair. In the cloud, `waiting` needs the
composite index of infra/ledger.tf.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from typing import Any

from google.api_core.exceptions import AlreadyExists
from google.cloud import firestore
from google.cloud.firestore_v1.base_query import FieldFilter

from shared.adapters import credentials
from shared.adapters.records import (
    export_from_document,
    run_from_json,
    to_document,
    to_json,
)
from shared.domain.exports import IN_FLIGHT, Export, State
from shared.domain.runs import Run, RunState
from shared.errors import NotFound
from shared.services import Transition

#: Documents in one commit: 10 MiB is the limit of a request, a record is below 20 kB.
COMMIT_SIZE = 250


class FirestoreLedger:
    """The ledger of the emulators and cloud stacks (see shared.services.Ledger)."""

    def __init__(self, project: str, database: str = "") -> None:
        """Use a project's database of that name, or its default one."""
        self._project = project
        self._database = database or None

    @cached_property
    def _client(self) -> firestore.Client:
        with credentials.needed():
            return firestore.Client(self._project, database=self._database)

    @property
    def _runs(self) -> firestore.CollectionReference:
        return self._client.collection("runs")

    @property
    def _exports(self) -> firestore.CollectionReference:
        return self._client.collection("exports")

    @property
    def _settings(self) -> firestore.CollectionReference:
        return self._client.collection("settings")

    def add_run(self, run: Run) -> None:
        """Make this version of a run the ACTIVE one, and its other versions SUPERSEDED."""
        current = [x for x in self.active_runs() if x.name == run.name]
        if [x.run_id for x in current] == [run.run_id]:
            return
        batch = self._client.batch()
        for version in current:
            self._put_run(batch, replace(version, state=RunState.SUPERSEDED))
        self._put_run(batch, run)
        batch.commit()

    def run(self, run_id: str) -> Run:
        """Return a run, or raise NotFound."""
        snapshot = self._runs.document(run_id).get()
        if not snapshot.exists:
            raise NotFound(f"run {run_id} is not in the ledger; register it with verdure run")
        return run_from_json(snapshot.get("body"))

    def active_runs(self) -> list[Run]:
        """Return the runs in state ACTIVE, ordered by id."""
        query = self._runs.where(filter=FieldFilter("state", "==", str(RunState.ACTIVE)))
        return sorted(
            (run_from_json(x.get("body")) for x in query.stream()), key=lambda run: run.run_id
        )

    def fail_run(self, run_id: str, reason: str) -> None:
        """Set a run to FAILED, with the reason."""
        batch = self._client.batch()
        self._put_run(batch, replace(self.run(run_id), state=RunState.FAILED, reason=reason))
        batch.commit()

    def add(self, records: Sequence[Export]) -> int:
        """Record the exports whose ids are new, and return how many were."""
        chunks = [records[i : i + COMMIT_SIZE] for i in range(0, len(records), COMMIT_SIZE)]
        return sum(self._create(chunk) for chunk in chunks)

    def _create(self, records: Sequence[Export]) -> int:
        batch = self._client.batch()
        for record in records:
            batch.create(self._exports.document(record.export_id), to_document(record))
        try:
            batch.commit()
        except AlreadyExists:  # some are known: then one by one
            return sum(self._create_one(record) for record in records)
        return len(records)

    def _create_one(self, record: Export) -> int:
        try:
            self._exports.document(record.export_id).create(to_document(record))
        except AlreadyExists:
            return 0
        return 1

    def get(self, export_ids: Iterable[str]) -> dict[str, Export]:
        """Return the records of the ids that exist."""
        references = [self._exports.document(export_id) for export_id in export_ids]
        snapshots = self._client.get_all(references) if references else []
        found = [export_from_document(x.to_dict()) for x in snapshots if x.exists]
        return {record.export_id: record for record in found}

    def change(self, export_id: str, transition: Transition) -> Export | None:
        """Apply a transition to a record in one transaction."""
        reference = self._exports.document(export_id)

        @firestore.transactional  # type: ignore[untyped-decorator]
        def apply(transaction: firestore.Transaction) -> Export | None:
            snapshot = reference.get(transaction=transaction)
            if not snapshot.exists:
                raise NotFound(f"export {export_id} is not in the ledger")
            changed = transition(export_from_document(snapshot.to_dict()))
            if changed is not None:
                transaction.set(reference, to_document(changed))
            return changed

        result: Export | None = apply(self._client.transaction())
        return result

    def waiting(self, run: str, now: datetime, limit: int) -> list[Export]:
        """Return FOUND exports whose time has come, oldest first."""
        query = (
            self._of_run(run)
            .where(filter=FieldFilter("state", "==", str(State.FOUND)))
            .where(filter=FieldFilter("queued_at", "<=", now))
            .order_by("queued_at")
            .order_by("export_id")
            .limit(limit)
        )
        return [export_from_document(x.to_dict()) for x in query.stream()]

    def in_flight(self, run: str) -> list[Export]:
        """Return the exports in state CLAIMED or STARTED."""
        return [export_from_document(x.to_dict()) for x in self._in_flight(run).stream()]

    def count_in_flight(self, run: str) -> int:
        """Return how many exports are in state CLAIMED or STARTED."""
        return _count(self._in_flight(run))

    def exports(self, run: str) -> list[Export]:
        """Return every export of a run, ordered by sensing time."""
        records = [export_from_document(x.to_dict()) for x in self._of_run(run).stream()]
        return sorted(records, key=lambda x: (x.sensed_at, x.image_id))

    def of_tile(self, run: str, tile: str) -> list[Export]:
        """Return every export of a run in a tile, ordered by sensing time."""
        query = self._of_run(run).where(filter=FieldFilter("tile", "==", tile))
        records = [export_from_document(x.to_dict()) for x in query.stream()]
        return sorted(records, key=lambda x: (x.sensed_at, x.image_id))

    def is_tile_open(self, run: str, tile: str) -> bool:
        """Tell whether an export of a run in a tile is in a state that is not final."""
        states = [str(state) for state in (State.FOUND, *IN_FLIGHT)]
        query = (
            self._of_run(run)
            .where(filter=FieldFilter("tile", "==", tile))
            .where(filter=FieldFilter("state", "in", states))
        )
        return bool(list(query.limit(1).stream()))

    def count_by_state(self, run: str) -> dict[str, int]:
        """Return the number of exports in each state that occurs."""
        of_run = self._of_run(run)
        counts = {
            str(state): _count(of_run.where(filter=FieldFilter("state", "==", str(state))))
            for state in State
        }
        return {state: count for state, count in counts.items() if count}

    def settings(self) -> dict[str, str]:
        """Return what was found out about the service: JSON by name."""
        return {x.id: x.get("value") for x in self._settings.stream()}

    def keep_setting(self, name: str, value: str) -> None:
        """Keep one of the settings, in place of an earlier value."""
        self._settings.document(name).set({"value": value})

    def _of_run(self, run: str) -> Any:
        return self._exports.where(filter=FieldFilter("run", "==", run))

    def _in_flight(self, run: str) -> Any:
        states = [str(state) for state in IN_FLIGHT]
        return self._of_run(run).where(filter=FieldFilter("state", "in", states))

    def _put_run(self, batch: firestore.WriteBatch, run: Run) -> None:
        document = {"name": run.name, "state": str(run.state), "body": to_json(run)}
        batch.set(self._runs.document(run.run_id), document)


def _count(query: Any) -> int:
    ((result,),) = query.count().get()
    return int(result.value)
