"""Firestore as the ledger: collections `runs` and `exports`, a document a record.

FIRESTORE_EMULATOR_HOST, if set, is the client's own affair. In the cloud, `waiting` needs the
composite index of infra/ledger.tf.
"""

from dataclasses import replace
from datetime import datetime

from google.cloud import firestore
from google.cloud.firestore_v1.base_query import FieldFilter

from shared.adapters.firestore_records import FirestoreRecords
from shared.adapters.records import EXPORTS, run_from_json, to_json
from shared.domain.exports import IN_FLIGHT, Export, State
from shared.domain.runs import Run, RunState
from shared.errors import NotFound


class FirestoreLedger(FirestoreRecords[Export]):
    """The ledger of the emulators and cloud stacks (see shared.services.Ledger)."""

    def __init__(self, project: str, database: str = "") -> None:
        """Use a project's database of that name, or its default one."""
        super().__init__(project, database, EXPORTS)

    @property
    def _runs(self) -> firestore.CollectionReference:
        return self._client.collection("runs")

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

    def waiting(self, run: str, now: datetime, limit: int) -> list[Export]:
        """Return FOUND exports whose time has come, oldest first."""
        query = (
            self._in_states(run, State.FOUND)
            .where(filter=FieldFilter("queued_at", "<=", now))
            .order_by("queued_at")
            .order_by("export_id")
            .limit(limit)
        )
        return self._found(query)

    def in_flight(self, run: str) -> list[Export]:
        """Return the exports in state CLAIMED or STARTED."""
        return self._found(self._in_states(run, *IN_FLIGHT))

    def count_in_flight(self, run: str) -> int:
        """Return how many exports are in state CLAIMED or STARTED."""
        return self._count(self._in_states(run, *IN_FLIGHT))

    def exports(self, run: str) -> list[Export]:
        """Return every export of a run, ordered by sensing time."""
        return sorted(self._found(self._of_run(run)), key=lambda x: (x.sensed_at, x.image_id))

    def of_tile(self, run: str, tile: str) -> list[Export]:
        """Return every export of a run in a tile, ordered by sensing time."""
        query = self._of_run(run).where(filter=FieldFilter("tile", "==", tile))
        return sorted(self._found(query), key=lambda x: (x.sensed_at, x.image_id))

    def is_tile_open(self, run: str, tile: str) -> bool:
        """Tell whether an export of a run in a tile is in a state that is not final."""
        query = self._in_states(run, State.FOUND, *IN_FLIGHT)
        return bool(self._found(query.where(filter=FieldFilter("tile", "==", tile)).limit(1)))

    def settings(self) -> dict[str, str]:
        """Return what was found out about the service: JSON by name."""
        return {x.id: x.get("value") for x in self._settings.stream()}

    def keep_setting(self, name: str, value: str) -> None:
        """Keep one of the settings, in place of an earlier value."""
        self._settings.document(name).set({"value": value})

    def _put_run(self, batch: firestore.WriteBatch, run: Run) -> None:
        document = {"name": run.name, "state": str(run.state), "body": to_json(run)}
        batch.set(self._runs.document(run.run_id), document)
