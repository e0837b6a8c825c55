"""The one SQLite file behind assets and tasks, so that both change in one transaction."""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# Write-ahead logging with synchronous=NORMAL loses nothing when the process is killed, and at most
# the last commits when the machine is (https://www.sqlite.org/pragma.html#pragma_synchronous).
PRAGMAS = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL"


class Database:
    """A SQLite file: one connection per thread, one writer at a time."""

    def __init__(self, path: Path, schema: str) -> None:
        self._path = path
        self._local = threading.local()
        # Waiting here is fair and prompt; SQLite's own busy handler sleeps and retries.
        self._writer = threading.Lock()
        self._connection().executescript(schema)

    def read(self, sql: str, parameters: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """Return the rows of a query."""
        return self._connection().execute(sql, parameters).fetchall()

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Give a connection inside a transaction: committed at the end, undone by an exception."""
        with self._writer, self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection

    def _connection(self) -> sqlite3.Connection:
        if not hasattr(self._local, "connection"):
            connection = sqlite3.connect(self._path, isolation_level=None)
            connection.row_factory = sqlite3.Row
            connection.executescript(PRAGMAS)
            self._local.connection = connection
        connection_: sqlite3.Connection = self._local.connection
        return connection_
