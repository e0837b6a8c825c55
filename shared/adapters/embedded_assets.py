"""The embedded stack's record of assets, beside the ledger in its SQLite file."""

import json
from collections.abc import Sequence

from shared.adapters.embedded import Database, SqliteRecords
from shared.adapters.records import ASSETS
from shared.domain.archive import Asset, State


class SqliteAssets(SqliteRecords[Asset]):
    """The record of assets of the embedded stack (see shared.services.AssetLedger)."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, ASSETS)

    def in_states(self, run: str, states: Sequence[State], limit: int | None = None) -> list[Asset]:
        """Return the assets of a run in some states, those longest in them first."""
        return self._select(
            "WHERE run = ? AND state IN (SELECT value FROM json_each(?)) "
            "ORDER BY changed_at, record_id LIMIT ?",
            *(run, json.dumps([str(x) for x in states]), -1 if limit is None else limit),
        )

    def of_run(self, run: str) -> list[Asset]:
        """Return every asset of a run, ordered by sensing time."""
        records = self._select("WHERE run = ?", run)
        return sorted(records, key=lambda x: (x.sensed_at, x.record_id))
