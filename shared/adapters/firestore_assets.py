"""Firestore's collection `assets`: a document for every asset that left, leaves or comes back.

In the cloud, `in_states` needs a composite index (infra/ledger.tf).
"""

from collections.abc import Iterable, Sequence
from functools import cached_property

from google.api_core.exceptions import AlreadyExists
from google.cloud import firestore
from google.cloud.firestore_v1.base_query import FieldFilter

from shared.adapters import credentials
from shared.adapters.records import asset_from_document, to_document
from shared.domain.archive import Asset, State
from shared.errors import NotFound
from shared.services import AssetTransition


class FirestoreAssets:
    """The record of assets of the emulators and cloud stacks (see shared.services.AssetLedger)."""

    def __init__(self, project: str, database: str = "") -> None:
        """Use a project's database of that name, or its default one."""
        self._project = project
        self._database = database or None

    @cached_property
    def _client(self) -> firestore.Client:
        with credentials.needed():
            return firestore.Client(self._project, database=self._database)

    @property
    def _assets(self) -> firestore.CollectionReference:
        return self._client.collection("assets")

    def add(self, records: Sequence[Asset]) -> int:
        """Record the assets whose ids are new, and return how many were."""
        return sum(self._create(record) for record in records)

    def _create(self, record: Asset) -> int:
        try:
            self._assets.document(record.record_id).create(to_document(record))
        except AlreadyExists:
            return 0
        return 1

    def get(self, record_ids: Iterable[str]) -> dict[str, Asset]:
        """Return the records of the ids that exist."""
        references = [self._assets.document(record_id) for record_id in record_ids]
        snapshots = self._client.get_all(references) if references else []
        found = [asset_from_document(x.to_dict()) for x in snapshots if x.exists]
        return {record.record_id: record for record in found}

    def change(self, record_id: str, transition: AssetTransition) -> Asset | None:
        """Apply a transition to a record in one transaction."""
        reference = self._assets.document(record_id)

        @firestore.transactional  # type: ignore[untyped-decorator]
        def apply(transaction: firestore.Transaction) -> Asset | None:
            snapshot = reference.get(transaction=transaction)
            if not snapshot.exists:
                raise NotFound(f"asset record {record_id} is not in the ledger")
            changed = transition(asset_from_document(snapshot.to_dict()))
            if changed is not None:
                transaction.set(reference, to_document(changed))
            return changed

        result: Asset | None = apply(self._client.transaction())
        return result

    def in_states(self, run: str, states: Sequence[State], limit: int | None = None) -> list[Asset]:
        """Return the assets of a run in some states, those longest in them first."""
        query = (
            self._of_run(run)
            .where(filter=FieldFilter("state", "in", [str(x) for x in states]))
            .order_by("changed_at")
            .order_by("record_id")
        )
        stream = (query if limit is None else query.limit(limit)).stream()
        return [asset_from_document(x.to_dict()) for x in stream]

    def of_run(self, run: str) -> list[Asset]:
        """Return every asset of a run, ordered by sensing time."""
        records = [asset_from_document(x.to_dict()) for x in self._of_run(run).stream()]
        return sorted(records, key=lambda x: (x.sensed_at, x.record_id))

    def count_by_state(self, run: str) -> dict[str, int]:
        """Return the number of assets in each state that occurs."""
        of_run = self._of_run(run)
        counts = {}
        for state in State:
            query = of_run.where(filter=FieldFilter("state", "==", str(state)))
            ((result,),) = query.count().get()
            counts[str(state)] = int(result.value)
        return {state: count for state, count in counts.items() if count}

    def _of_run(self, run: str) -> firestore.Query:
        return self._assets.where(filter=FieldFilter("run", "==", run))
