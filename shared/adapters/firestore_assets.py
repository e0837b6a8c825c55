"""Firestore's collection `assets`: a document for every asset that left, leaves or comes back.

In the cloud, `in_states` needs a composite index (infra/ledger.tf).
"""

from collections.abc import Sequence

from shared.adapters.firestore_records import FirestoreRecords
from shared.adapters.records import ASSETS
from shared.domain.archive import Asset, State


class FirestoreAssets(FirestoreRecords[Asset]):
    """The record of assets of the emulators and cloud stacks (see shared.services.AssetLedger)."""

    def __init__(self, project: str, database: str = "") -> None:
        """Use a project's database of that name, or its default one."""
        super().__init__(project, database, ASSETS)

    def in_states(self, run: str, states: Sequence[State], limit: int | None = None) -> list[Asset]:
        """Return the assets of a run in some states, those longest in them first."""
        ordered = self._in_states(run, *states).order_by("changed_at").order_by("record_id")
        return self._found(ordered if limit is None else ordered.limit(limit))

    def of_run(self, run: str) -> list[Asset]:
        """Return every asset of a run, ordered by sensing time."""
        return sorted(self._found(self._of_run(run)), key=lambda x: (x.sensed_at, x.record_id))
