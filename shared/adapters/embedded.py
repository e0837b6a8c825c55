"""The embedded stack: ledger and bus in one SQLite file, safe against `kill -9`.

Write-ahead logging keeps what a statement returned from, whatever ends the process.
"""

import json
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Generic

from shared.adapters.records import EXPORTS, Kind, Record, run_from_json, to_json
from shared.domain.exports import IN_FLIGHT, Export, State
from shared.domain.runs import Run, RunState
from shared.errors import NotFound
from shared.messages import Message, encode

# The triggers count every written row: the ledger's own log of what it costs.
_SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
PRAGMA wal_autocheckpoint = 10000;
CREATE TABLE IF NOT EXISTS runs (
    run_id TEXT PRIMARY KEY, name TEXT, state TEXT, body TEXT);
CREATE TABLE IF NOT EXISTS writes (records TEXT PRIMARY KEY, count INTEGER);
INSERT OR IGNORE INTO writes VALUES ('runs', 0);
CREATE TRIGGER IF NOT EXISTS run_added AFTER INSERT ON runs
    BEGIN UPDATE writes SET count = count + 1 WHERE records = 'runs'; END;
CREATE TRIGGER IF NOT EXISTS run_changed AFTER UPDATE ON runs
    BEGIN UPDATE writes SET count = count + 1 WHERE records = 'runs'; END;
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT);
CREATE TABLE IF NOT EXISTS messages (
    message_id INTEGER PRIMARY KEY AUTOINCREMENT, topic TEXT, data BLOB, published_at TEXT,
    deliveries INTEGER DEFAULT 0, not_before REAL DEFAULT 0);
CREATE TABLE IF NOT EXISTS dead_letters (
    message_id INTEGER PRIMARY KEY, topic TEXT, data BLOB, reason TEXT);
"""

#: A table of records; its name, key and time are those of its kind.
_RECORDS = """
CREATE TABLE IF NOT EXISTS {name} (
    {key} TEXT PRIMARY KEY, run TEXT, state TEXT, {since} TEXT, body TEXT);
CREATE INDEX IF NOT EXISTS {name}_by_state ON {name} (run, state, {since}, {key});
INSERT OR IGNORE INTO writes VALUES ('{name}', 0);
CREATE TRIGGER IF NOT EXISTS {name}_added AFTER INSERT ON {name}
    BEGIN UPDATE writes SET count = count + 1 WHERE records = '{name}'; END;
CREATE TRIGGER IF NOT EXISTS {name}_changed AFTER UPDATE ON {name}
    BEGIN UPDATE writes SET count = count + 1 WHERE records = '{name}'; END;
"""


class Database:
    """One SQLite file, shared by the threads of a process and readable by others."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.executescript(_SCHEMA)

    def define(self, schema: str) -> None:
        """Add tables, unless they are there."""
        with self._lock:
            self._connection.executescript(schema)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Commit what happens inside as a whole, or nothing of it."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def rows(self, query: str, *values: object) -> list[tuple[str, ...]]:
        """Return all rows of a query."""
        with self._lock:
            return self._connection.execute(query, values).fetchall()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


class SqliteRecords(Generic[Record]):
    """The records of one kind in a table of their own."""

    def __init__(self, database: Database, kind: Kind[Record]) -> None:
        self._database = database
        self._kind: Kind[Record] = kind
        database.define(self._sql(_RECORDS))

    def add(self, records: Sequence[Record]) -> int:
        """Keep the records whose ids are new, and return how many were."""
        rows = [self._row(record) for record in records]
        with self._database.transaction() as connection:
            query = self._sql("INSERT OR IGNORE INTO {name} VALUES (?, ?, ?, ?, ?)")
            return connection.executemany(query, rows).rowcount

    def get(self, record_ids: Iterable[str]) -> dict[str, Record]:
        """Return the records of the ids that exist."""
        where = "WHERE {key} IN (SELECT value FROM json_each(?))"
        found = self._select(where, json.dumps(list(record_ids)))
        return {self._kind.key_of(record): record for record in found}

    def change(
        self, record_id: str, transition: Callable[[Record], Record | None]
    ) -> Record | None:
        """Apply a transition to a record in one transaction."""
        with self._database.transaction() as connection:
            query = self._sql("SELECT body FROM {name} WHERE {key} = ?")
            row = connection.execute(query, (record_id,)).fetchone()
            if row is None:
                raise NotFound(f"{record_id} is not among the {self._kind.name} of the ledger")
            changed = transition(self._kind.from_json(row[0]))
            if changed is not None:
                _, _, *values = self._row(changed)
                query = "UPDATE {name} SET state = ?, {since} = ?, body = ? WHERE {key} = ?"
                connection.execute(self._sql(query), (*values, record_id))
            return changed

    def count_by_state(self, run: str) -> dict[str, int]:
        """Return the number of records in each state that occurs."""
        query = self._sql("SELECT state, COUNT(*) FROM {name} WHERE run = ? GROUP BY state")
        return {state: int(count) for state, count in self._database.rows(query, run)}

    def _select(self, where: str, *values: object) -> list[Record]:
        rows = self._database.rows(self._sql("SELECT body FROM {name} {where}", where), *values)
        return [self._kind.from_json(body) for (body,) in rows]

    def _row(self, record: Record) -> tuple[str, ...]:
        kind = self._kind
        since = kind.since_of(record)
        text = _text(since) if since else ""
        return kind.key_of(record), record.run, record.state, text, to_json(record)

    def _sql(self, text: str, where: str = "") -> str:
        """Return SQL with the names of the records' table and columns."""
        kind = self._kind
        where = where.format(key=kind.key)
        return text.format(name=kind.name, key=kind.key, since=kind.since, where=where)


class SqliteLedger(SqliteRecords[Export]):
    """The ledger of the embedded stack (see shared.services.Ledger)."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, EXPORTS)

    def add_run(self, run: Run) -> None:
        """Make this version of a run the ACTIVE one, and its other versions SUPERSEDED."""
        current = [x for x in self.active_runs() if x.name == run.name]
        if [x.run_id for x in current] == [run.run_id]:
            return
        with self._database.transaction() as connection:
            for version in current:
                _put_run(connection, replace(version, state=RunState.SUPERSEDED))
            _put_run(connection, run)

    def run(self, run_id: str) -> Run:
        """Return a run, or raise NotFound."""
        rows = self._database.rows("SELECT body FROM runs WHERE run_id = ?", run_id)
        if not rows:
            raise NotFound(f"run {run_id} is not in the ledger; register it with verdure run")
        return run_from_json(rows[0][0])

    def active_runs(self) -> list[Run]:
        """Return the runs in state ACTIVE, ordered by id."""
        query = "SELECT body FROM runs WHERE state = ? ORDER BY run_id"
        return [run_from_json(body) for (body,) in self._database.rows(query, RunState.ACTIVE)]

    def fail_run(self, run_id: str, reason: str) -> None:
        """Set a run to FAILED, with the reason."""
        run = replace(self.run(run_id), state=RunState.FAILED, reason=reason)
        with self._database.transaction() as connection:
            _put_run(connection, run)

    def waiting(self, run: str, now: datetime, limit: int) -> list[Export]:
        """Return FOUND exports whose time has come, oldest first."""
        return self._select(
            "WHERE run = ? AND state = ? AND queued_at <= ? ORDER BY queued_at, export_id LIMIT ?",
            *(run, State.FOUND, _text(now), limit),
        )

    def in_flight(self, run: str) -> list[Export]:
        """Return the exports in state CLAIMED or STARTED."""
        where = "WHERE run = ? AND state IN (?, ?) ORDER BY queued_at"
        return self._select(where, run, *IN_FLIGHT)

    def count_in_flight(self, run: str) -> int:
        """Return how many exports are in state CLAIMED or STARTED."""
        counts = self.count_by_state(run)
        return sum(counts.get(state, 0) for state in IN_FLIGHT)

    def exports(self, run: str) -> list[Export]:
        """Return every export of a run, ordered by sensing time."""
        records = self._select("WHERE run = ?", run)
        return sorted(records, key=lambda x: (x.sensed_at, x.image_id))

    def of_tile(self, run: str, tile: str) -> list[Export]:
        """Return every export of a run in a tile, ordered by sensing time."""
        return [record for record in self.exports(run) if record.tile == tile]

    def is_tile_open(self, run: str, tile: str) -> bool:
        """Tell whether an export of a run in a tile is in a state that is not final."""
        query = (
            "SELECT 1 FROM exports WHERE run = ? AND state IN (?, ?, ?) "
            "AND json_extract(body, '$.tile') = ? LIMIT 1"
        )
        return bool(self._database.rows(query, run, State.FOUND, *IN_FLIGHT, tile))

    def settings(self) -> dict[str, str]:
        """Return what was found out about the service: JSON by name."""
        return dict(self._database.rows("SELECT name, value FROM settings ORDER BY name"))  # type: ignore[arg-type]

    def keep_setting(self, name: str, value: str) -> None:
        """Keep one of the settings, in place of an earlier value."""
        with self._database.transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, value))

    def writes(self) -> dict[str, int]:
        """Return how often records of each kind were written: the ledger's own log."""
        return {kind: int(n) for kind, n in self._database.rows("SELECT * FROM writes")}


@dataclass(frozen=True)
class Delivery:
    """A message on its way to a function, and the delivery's number, from 1."""

    message_id: str
    topic: str
    data: bytes
    published_at: str
    number: int


class SqliteBus:
    """The bus of the embedded stack: an outbox that is emptied by acknowledgements."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def close(self) -> None:
        """Close the file, which the ledger shares."""
        self._database.close()

    def publish(self, messages: Sequence[Message]) -> None:
        """Publish messages in one transaction."""
        self.publish_raw([(message.topic, encode(message)) for message in messages])

    def publish_raw(self, messages: Sequence[tuple[str, bytes]]) -> None:
        """Publish (topic, data) pairs as they are."""
        if not messages:
            return
        with self._database.transaction() as connection:
            connection.executemany(
                "INSERT INTO messages (topic, data, published_at) "
                "VALUES (?, ?, strftime('%Y-%m-%dT%H:%M:%fZ'))",
                messages,
            )

    def due(self, now: float, limit: int) -> list[Delivery]:
        """Return messages to deliver at a time (seconds since 1970), oldest first."""
        rows = self._database.rows(
            "SELECT message_id, topic, data, published_at, deliveries + 1 FROM messages "
            "WHERE not_before <= ? ORDER BY message_id LIMIT ?",
            *(now, limit),
        )
        return [Delivery(str(i), t, d, p, int(n)) for i, t, d, p, n in rows]  # type: ignore[arg-type]

    def next_due(self) -> float | None:
        """Return when the next message is due (seconds since 1970), if there is one."""
        ((moment,),) = self._database.rows("SELECT MIN(not_before) FROM messages")
        return None if moment is None else float(moment)

    def acknowledge(self, delivery: Delivery) -> None:
        """Remove a message that was dealt with."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM messages WHERE message_id = ?", (delivery.message_id,))

    def deliver_again(self, delivery: Delivery, not_before: float) -> None:
        """Keep a message whose delivery failed."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE messages SET deliveries = ?, not_before = ? WHERE message_id = ?",
                (delivery.number, not_before, delivery.message_id),
            )

    def bury(self, delivery: Delivery, reason: str) -> None:
        """Move a message that failed too often to the dead letters."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO dead_letters VALUES (?, ?, ?, ?)",
                (delivery.message_id, delivery.topic, delivery.data, reason),
            )
            connection.execute("DELETE FROM messages WHERE message_id = ?", (delivery.message_id,))

    def redrive(self, topic: str) -> int:
        """Publish every dead letter of a topic again, in one transaction."""
        with self._database.transaction() as connection:
            cursor = connection.execute(
                "INSERT INTO messages (topic, data, published_at) SELECT topic, data, "
                "strftime('%Y-%m-%dT%H:%M:%fZ') FROM dead_letters WHERE topic = ? "
                "ORDER BY message_id",
                (topic,),
            )
            connection.execute("DELETE FROM dead_letters WHERE topic = ?", (topic,))
            return cursor.rowcount

    def dead_letters(self) -> list[tuple[str, bytes, str]]:
        """Return (topic, data, reason) of every dead letter."""
        query = "SELECT topic, data, reason FROM dead_letters ORDER BY message_id"
        return [(t, d, r) for t, d, r in self._database.rows(query)]  # type: ignore[misc]


def _put_run(connection: sqlite3.Connection, run: Run) -> None:
    connection.execute(
        "INSERT INTO runs VALUES (?, ?, ?, ?) "
        "ON CONFLICT (run_id) DO UPDATE SET state = excluded.state, body = excluded.body",
        (run.run_id, run.name, run.state, to_json(run)),
    )


def _text(moment: datetime) -> str:
    """Return a UTC time as text that sorts as the time does."""
    return moment.isoformat(timespec="microseconds")
