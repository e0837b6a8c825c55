"""The embedded stack's record of assets, beside the ledger in its SQLite file."""

import json
from collections.abc import Iterable, Sequence

from shared.adapters.embedded import Database
from shared.adapters.records import asset_from_json, to_json
from shared.domain.archive import Asset, State
from shared.errors import NotFound
from shared.services import AssetTransition

_SCHEMA = """
CREATE TABLE IF NOT EXISTS assets (
    record_id TEXT PRIMARY KEY, run TEXT, state TEXT, changed_at TEXT, body TEXT);
CREATE INDEX IF NOT EXISTS assets_by_state ON assets (run, state, changed_at, record_id);
INSERT OR IGNORE INTO writes VALUES ('assets', 0);
CREATE TRIGGER IF NOT EXISTS asset_added AFTER INSERT ON assets
    BEGIN UPDATE writes SET count = count + 1 WHERE records = 'assets'; END;
CREATE TRIGGER IF NOT EXISTS asset_changed AFTER UPDATE ON assets
    BEGIN UPDATE writes SET count = count + 1 WHERE records = 'assets'; END;
"""


class SqliteAssets:
    """The record of assets of the embedded stack (see shared.services.AssetLedger)."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.define(_SCHEMA)

    def add(self, records: Sequence[Asset]) -> int:
        """Record the assets whose ids are new, and return how many were."""
        rows = [(x.record_id, x.run, x.state, _changed_at(x), to_json(x)) for x in records]
        with self._database.transaction() as connection:
            cursor = connection.executemany(
                "INSERT OR IGNORE INTO assets VALUES (?, ?, ?, ?, ?)", rows
            )
            return cursor.rowcount

    def get(self, record_ids: Iterable[str]) -> dict[str, Asset]:
        """Return the records of the ids that exist."""
        query = "SELECT body FROM assets WHERE record_id IN (SELECT value FROM json_each(?))"
        found = self._records(query, json.dumps(list(record_ids)))
        return {record.record_id: record for record in found}

    def change(self, record_id: str, transition: AssetTransition) -> Asset | None:
        """Apply a transition to a record in one transaction."""
        with self._database.transaction() as connection:
            row = connection.execute(
                "SELECT body FROM assets WHERE record_id = ?", (record_id,)
            ).fetchone()
            if row is None:
                raise NotFound(f"asset record {record_id} is not in the ledger")
            changed = transition(asset_from_json(row[0]))
            if changed is not None:
                connection.execute(
                    "UPDATE assets SET state = ?, changed_at = ?, body = ? WHERE record_id = ?",
                    (changed.state, _changed_at(changed), to_json(changed), record_id),
                )
            return changed

    def in_states(self, run: str, states: Sequence[State], limit: int | None = None) -> list[Asset]:
        """Return the assets of a run in some states, those longest in them first."""
        return self._records(
            "SELECT body FROM assets WHERE run = ? AND state IN (SELECT value FROM json_each(?)) "
            "ORDER BY changed_at, record_id LIMIT ?",
            *(run, json.dumps([str(x) for x in states]), -1 if limit is None else limit),
        )

    def of_run(self, run: str) -> list[Asset]:
        """Return every asset of a run, ordered by sensing time."""
        records = self._records("SELECT body FROM assets WHERE run = ?", run)
        return sorted(records, key=lambda x: (x.sensed_at, x.record_id))

    def count_by_state(self, run: str) -> dict[str, int]:
        """Return the number of assets in each state that occurs."""
        query = "SELECT state, COUNT(*) FROM assets WHERE run = ? GROUP BY state"
        return {state: int(count) for state, count in self._database.rows(query, run)}

    def _records(self, query: str, *values: object) -> list[Asset]:
        return [asset_from_json(body) for (body,) in self._database.rows(query, *values)]


def _changed_at(record: Asset) -> str:
    """Return a UTC time as text that sorts as the time does."""
    return record.changed_at.isoformat(timespec="microseconds") if record.changed_at else ""
