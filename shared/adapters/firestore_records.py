"""Records in Firestore: a collection for each kind, a document a record."""

from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from functools import cached_property
from typing import Any, Generic

from google.api_core.exceptions import AlreadyExists
from google.cloud import firestore
from google.cloud.firestore_v1.base_query import FieldFilter

from shared.adapters import credentials
from shared.adapters.records import Kind, Record, to_document
from shared.errors import NotFound

#: Documents in one commit: 10 MiB is the limit of a request, a new record is below 20 kB.
COMMIT_SIZE = 250


class FirestoreRecords(Generic[Record]):
    """The records of one kind in a project's database of a name, or its default one."""

    def __init__(self, project: str, database: str, kind: Kind[Record]) -> None:
        self._project = project
        self._database = database or None
        self._kind: Kind[Record] = kind

    @cached_property
    def _client(self) -> firestore.Client:
        with credentials.needed():
            return firestore.Client(self._project, database=self._database)

    @property
    def _records(self) -> firestore.CollectionReference:
        return self._client.collection(self._kind.name)

    def add(self, records: Sequence[Record]) -> int:
        """Keep the records whose ids are new, and return how many were."""
        chunks = [records[i : i + COMMIT_SIZE] for i in range(0, len(records), COMMIT_SIZE)]
        return sum(self._create(chunk) for chunk in chunks)

    def _create(self, records: Sequence[Record]) -> int:
        batch = self._client.batch()
        for record in records:
            batch.create(self._reference(record), to_document(record))
        try:
            batch.commit()
        except AlreadyExists:  # some are known: then one by one
            return sum(self._create_one(record) for record in records)
        return len(records)

    def _create_one(self, record: Record) -> int:
        try:
            self._reference(record).create(to_document(record))
        except AlreadyExists:
            return 0
        return 1

    def _reference(self, record: Record) -> firestore.DocumentReference:
        return self._records.document(self._kind.key_of(record))

    def get(self, record_ids: Iterable[str]) -> dict[str, Record]:
        """Return the records of the ids that exist."""
        references = [self._records.document(record_id) for record_id in record_ids]
        snapshots = self._client.get_all(references) if references else []
        found = [self._kind.from_document(x.to_dict()) for x in snapshots if x.exists]
        return {self._kind.key_of(record): record for record in found}

    def change(
        self, record_id: str, transition: Callable[[Record], Record | None]
    ) -> Record | None:
        """Apply a transition to a record in one transaction."""
        reference = self._records.document(record_id)

        @firestore.transactional  # type: ignore[untyped-decorator]
        def apply(transaction: firestore.Transaction) -> Record | None:
            snapshot = reference.get(transaction=transaction)
            if not snapshot.exists:
                raise NotFound(f"{record_id} is not among the {self._kind.name} of the ledger")
            changed = transition(self._kind.from_document(snapshot.to_dict()))
            if changed is not None:
                transaction.set(reference, to_document(changed))
            return changed

        result: Record | None = apply(self._client.transaction())
        return result

    def count_by_state(self, run: str) -> dict[str, int]:
        """Return the number of records in each state that occurs."""
        states = self._kind.states
        counts = {str(x): self._count(self._in_states(run, x)) for x in states}
        return {state: count for state, count in counts.items() if count}

    def _of_run(self, run: str) -> Any:
        return self._records.where(filter=FieldFilter("run", "==", run))

    def _in_states(self, run: str, *states: StrEnum) -> Any:
        wanted = [str(state) for state in states]
        return self._of_run(run).where(filter=FieldFilter("state", "in", wanted))

    def _found(self, query: Any) -> list[Record]:
        return [self._kind.from_document(x.to_dict()) for x in query.stream()]

    def _count(self, query: Any) -> int:
        ((result,),) = query.count().get()
        return int(result.value)
