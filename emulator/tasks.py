"""The batch queue: what waits, what runs, how it ended; all of it survives the process.

States and order follow https://developers.google.com/earth-engine/guides/processing_environments:
higher priority first, then the order of submission.
"""

import base64
import json
import re
import sqlite3
import sys
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from emulator import fields
from emulator.clock import NEVER, real_seconds, timestamp
from emulator.database import Database
from emulator.errors import EarthEngineError, internal_error
from emulator.faults import Faults
from emulator.graph import on_deep_stack

#: Tasks that may wait (https://developers.google.com/earth-engine/guides/usage).
MAX_QUEUED = 3000
#: Tasks that run at once, on average, for a project without a paid plan (same page).
CONCURRENCY = 2
#: Tries of a task that fails for a transient reason (same page).
MAX_ATTEMPTS = 5
#: How long a task may take, waiting included (guides/processing_environments).
LIFE = timedelta(days=10)
#: How long an operation that has ended is remembered; Earth Engine publishes no figure.
HISTORY_DAYS = 30.0
#: Priorities are 0 to 9999 (guides/processing_environments).
DEFAULT_PRIORITY = 100
MAX_PRIORITY = 9999
#: Characters of a description (https://developers.google.com/earth-engine/apidocs/export-image-toasset).
MAX_DESCRIPTION = 100
#: Seconds between looks for the end of a task by operations.wait.
WAIT_STEP = 0.05
#: Who asks without credentials.
ANONYMOUS = "anonymous"

REQUEST_ID = re.compile(r"[a-zA-Z0-9-]{1,60}")
#: HTTP code -> code in an operation's error (https://grpc.github.io/grpc/core/md_doc_statuscodes.html).
GRPC_CODES = {400: 3, 403: 7, 404: 5, 429: 8, 500: 13, 503: 14}
CANCELLED = {"code": 1, "message": "Cancelled."}
TRANSIENT_CODES = (429, 500, 503)
#: Earth Engine publishes the limit, not its message; grpc's code is DEADLINE_EXCEEDED.
TOO_OLD = {"code": 4, "message": f"Task exceeded its maximum lifetime of {LIFE.days} days."}

SCHEMA = """
CREATE TABLE IF NOT EXISTS tasks (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    request_id TEXT UNIQUE,
    user TEXT NOT NULL,
    type TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'PENDING',
    priority INTEGER NOT NULL,
    description TEXT NOT NULL,
    create_time TEXT NOT NULL,
    update_time TEXT NOT NULL,
    start_time TEXT,
    end_time TEXT,
    attempt INTEGER NOT NULL DEFAULT 0,
    progress REAL NOT NULL DEFAULT 0,
    eecu_seconds REAL NOT NULL DEFAULT 0,
    error TEXT,
    destination_uris TEXT NOT NULL DEFAULT '[]',
    queued INTEGER NOT NULL,
    deleted INTEGER NOT NULL DEFAULT 0,
    request TEXT
);
CREATE INDEX IF NOT EXISTS waiting_tasks ON tasks (priority DESC, number, type)
    WHERE state = 'PENDING';
CREATE INDEX IF NOT EXISTS unfinished_tasks ON tasks (create_time, state, user)
    WHERE end_time IS NULL;
CREATE INDEX IF NOT EXISTS ended_tasks ON tasks (end_time) WHERE deleted = 0;
-- Without the request, which may be megabytes.
CREATE VIEW IF NOT EXISTS operations AS
    SELECT number, id, type, state, priority, description, create_time, update_time, start_time,
        end_time, attempt, progress, eecu_seconds, error, destination_uris, deleted
    FROM tasks;
"""
#: What a task does, one after the other; the first is nearly all of the work.
STAGES = (
    ("Create Local Files", "Computation and writing of temporary files."),
    ("Write Files to Destination", "Making the files visible at their destination."),
)


class TaskStopped(Exception):
    """The result of a task is no longer wanted."""


class Progress:
    """How far an attempt is; its work reports here, and learns here that it is to stop."""

    def __init__(self) -> None:
        self.share = 0.0  # 0 to 1
        self.eecu_seconds = 0.0  # what was not spent but is accounted for
        self._stopped = threading.Event()

    def report(self, share: float) -> None:
        """Take note of the share that is done; raise TaskStopped if there is no use in the rest."""
        self.share = share
        if self._stopped.is_set():
            raise TaskStopped

    def wait(self, seconds: float) -> None:
        """Let some of the clock's seconds pass, unless the task is stopped."""
        if self._stopped.wait(real_seconds(seconds)):
            raise TaskStopped

    def stop(self) -> None:
        """Ask the work to end."""
        self._stopped.set()


@dataclass(frozen=True)
class Task:
    """One attempt at a task that a worker has claimed."""

    id: str
    type: str
    attempt: int
    description: str
    request: Mapping[str, Any]
    progress: Progress


class Output(Protocol):
    """What a task has made, not yet visible to anyone."""

    def commit(self, connection: sqlite3.Connection) -> list[str]:
        """Make it visible as part of a transaction; return the destination URIs."""

    def release(self, committed: bool) -> None:
        """Remove what is of no use after the transaction, or without it."""


class TaskQueue:
    """The tasks of one project."""

    def __init__(
        self,
        database: Database,
        project: str,
        max_queued: int = MAX_QUEUED,
        per_user: bool = False,
        history_days: float = HISTORY_DAYS,
    ) -> None:
        self._database = database
        self._operations = f"projects/{project}/operations"
        self._max_queued = max_queued
        self._per_user = per_user
        self._history = timedelta(days=history_days)
        self._running: dict[str, Progress] = {}  # by task
        self._submitted = threading.Condition()
        self._recover()

    def submit(
        self, kind: str, request: Mapping[str, Any], user: str = ANONYMOUS
    ) -> dict[str, Any]:
        """Queue a task and return its operation; a known requestId returns the first one's."""
        request_id = request.get("requestId") or None
        if request_id and not (isinstance(request_id, str) and REQUEST_ID.fullmatch(request_id)):
            raise EarthEngineError(f"Invalid request id {request_id!r:.{MAX_DESCRIPTION}}.")
        description = request.get("description", "")
        if not isinstance(description, str) or len(description) > MAX_DESCRIPTION:
            raise EarthEngineError(
                f"The description must be text of at most {MAX_DESCRIPTION} characters."
            )
        self._expire()
        with self._database.write() as connection:
            task_id = _find_request(connection, request_id)
            if task_id is None:
                task_id = self._insert(connection, kind, request_id, user, request)
            row = _row(connection, task_id)
        with self._submitted:
            self._submitted.notify_all()
        return self._resource(row)

    def get(self, task_id: str) -> dict[str, Any]:
        """Return an operation."""
        self._expire()
        sql = "SELECT * FROM operations WHERE id = ? AND deleted = 0"
        rows = self._database.read(sql, [task_id])
        if not rows:
            raise EarthEngineError(f"Operation '{self._operations}/{task_id}' not found.", 404)
        return self._resource(rows[0])

    def list(self, page_size: int, before: int) -> dict[str, Any]:
        """Return a page of operations, newest first, and the token of the next page.

        The token is a task's number: the page has the tasks before it.
        """
        self._expire()
        rows = self._database.read(
            "SELECT * FROM operations WHERE deleted = 0 AND number < ?"
            " ORDER BY number DESC LIMIT ?",
            [before, page_size + 1],
        )
        page: dict[str, Any] = {"operations": [self._resource(row) for row in rows[:page_size]]}
        if len(rows) > page_size:
            page["nextPageToken"] = str(rows[page_size - 1]["number"])
        return page

    def cancel(self, task_id: str) -> None:
        """Cancel a task that waits, ask one that runs to stop, leave one that has ended."""
        self.get(task_id)
        with self._database.write() as connection:
            state = _row(connection, task_id)["state"]
            if state == "PENDING":
                _end(connection, task_id, "CANCELLED", CANCELLED)
            elif state == "RUNNING":
                _change(connection, task_id, "CANCELLING")
        self._stop(task_id)

    def delete(self, task_id: str) -> None:
        """Hide an operation that has ended; its requestId stays taken."""
        if not self.get(task_id)["done"]:
            raise EarthEngineError(f"Operation '{task_id}' cannot be deleted: it has not ended.")
        self.hide(task_id)

    def hide(self, task_id: str) -> None:
        """Leave a task out of every answer, whatever becomes of it."""
        with self._database.write() as connection:
            connection.execute("UPDATE tasks SET deleted = 1 WHERE id = ?", [task_id])

    def wait(self, task_id: str, seconds: float) -> dict[str, Any]:
        """Return an operation when it has ended, or after some seconds as it is."""
        deadline = time.monotonic() + real_seconds(seconds)
        operation = self.get(task_id)
        while not operation["done"] and time.monotonic() < deadline:
            time.sleep(WAIT_STEP)
            operation = self.get(task_id)
        return operation

    def statistics(self) -> dict[str, Any]:
        """Return how many tasks were started, also by type, and how many were queued at once."""
        rows = self._database.read(
            "SELECT type, COUNT(*) AS n, MAX(queued) AS peak FROM tasks GROUP BY type"
        )
        return {
            "exports_started": sum(row["n"] for row in rows),
            "tasks_by_type": {row["type"]: row["n"] for row in rows},
            "peak_queued_tasks": max((row["peak"] for row in rows), default=0),
        }

    # What workers do.

    def claim(self, types: Sequence[str], timeout: float) -> Task | None:
        """Return the next task of some types, now running; None if none comes for some seconds."""
        self._expire()
        with self._submitted:
            task = self._claim(types)
            if task is None and self._submitted.wait(timeout):
                task = self._claim(types)
        return task

    def succeed(self, task: Task, output: Output, eecu_seconds: float) -> bool:
        """End a task and publish its output in one transaction; False if it is not wanted."""
        with self._database.write() as connection:
            if not self._is_wanted(connection, task, eecu_seconds):
                return False
            uris = output.commit(connection)
            _end(connection, task.id, "SUCCEEDED", uris=uris)
            return True

    def fail(self, task: Task, error: EarthEngineError, eecu_seconds: float) -> None:
        """End a task that failed, or queue it again if the reason may go away."""
        with self._database.write() as connection:
            if not self._is_wanted(connection, task, eecu_seconds):
                return
            if error.code in TRANSIENT_CODES and task.attempt < MAX_ATTEMPTS:
                _change(connection, task.id, "PENDING")
            else:
                _end(connection, task.id, "FAILED", _status(error))

    def give_up(self, task: Task, eecu_seconds: float) -> None:
        """End a task that was stopped while it ran."""
        with self._database.write() as connection:
            self._is_wanted(connection, task, eecu_seconds)

    def _is_wanted(self, connection: sqlite3.Connection, task: Task, eecu_seconds: float) -> bool:
        """Account for an attempt that is over; tell whether its outcome is of interest."""
        connection.execute(
            "UPDATE tasks SET eecu_seconds = eecu_seconds + ?, progress = ? WHERE id = ?",
            [eecu_seconds, task.progress.share, task.id],
        )
        self._running.pop(task.id, None)
        state = _row(connection, task.id)["state"]
        if state == "CANCELLING":
            _end(connection, task.id, "CANCELLED", CANCELLED)
        return bool(state == "RUNNING")  # it may have ended of old age

    def _stop(self, task_id: str) -> None:
        if progress := self._running.get(task_id):
            progress.stop()

    def _expire(self) -> None:
        """End the tasks that are too old, and forget those that ended long ago."""
        born, ended = timestamp(LIFE), timestamp(self._history)
        [(due,)] = self._database.read(
            "SELECT EXISTS (SELECT 1 FROM tasks WHERE end_time IS NULL AND create_time < ?)"
            " OR EXISTS (SELECT 1 FROM tasks WHERE deleted = 0 AND end_time < ?)",
            [born, ended],
        )
        if not due:
            return
        with self._database.write() as connection:
            sql = "SELECT id FROM tasks WHERE end_time IS NULL AND create_time < ?"
            for (task_id,) in connection.execute(sql, [born]).fetchall():
                _end(connection, task_id, "FAILED", TOO_OLD)
                self._stop(task_id)
            sql = "UPDATE tasks SET deleted = 1 WHERE deleted = 0 AND end_time < ?"
            connection.execute(sql, [ended])

    def _recover(self) -> None:
        """Take up the tasks of a process that was killed while they ran."""
        with self._database.write() as connection:
            interrupted = connection.execute(
                "SELECT id, state, attempt FROM tasks"
                " WHERE end_time IS NULL AND state IN ('RUNNING', 'CANCELLING')"
            ).fetchall()
            for task_id, state, attempt in interrupted:
                if state == "CANCELLING":
                    _end(connection, task_id, "CANCELLED", CANCELLED)
                elif attempt < MAX_ATTEMPTS:
                    _change(connection, task_id, "PENDING")
                else:
                    _end(connection, task_id, "FAILED", _status(internal_error()))

    def _claim(self, types: Sequence[str]) -> Task | None:
        with self._database.write() as connection:
            row = connection.execute(
                "UPDATE tasks SET state = 'RUNNING', attempt = attempt + 1, update_time = ?1,"
                " start_time = COALESCE(start_time, ?1) WHERE number = (SELECT number FROM tasks"
                " WHERE state = 'PENDING' AND type IN (SELECT value FROM json_each(?2))"
                " ORDER BY priority DESC, number LIMIT 1)"
                " RETURNING id, type, attempt, description, request",
                [timestamp(), json.dumps(types)],
            ).fetchone()
            if row is None:
                return None
            progress = self._running[row["id"]] = Progress()
        task_id, kind, attempt, description, request = row
        return Task(task_id, kind, attempt, description, json.loads(request), progress)

    def _insert(
        self,
        connection: sqlite3.Connection,
        kind: str,
        request_id: str | None,
        user: str,
        request: Mapping[str, Any],
    ) -> str:
        sql = (
            "SELECT COUNT(*), COUNT(*) FILTER (WHERE state = 'PENDING' AND ?1 IN (user, ''))"
            " FROM tasks WHERE end_time IS NULL"
        )
        owner = user if self._per_user else ""  # of the tasks that share a ceiling
        unfinished, waiting = connection.execute(sql, [owner]).fetchone()
        if waiting >= self._max_queued:
            # 400: the client would retry a 429 for half a minute, and a full queue takes longer.
            raise EarthEngineError(
                f"Too many tasks already in the queue ({self._max_queued}). "
                "Please wait for some of them to complete."
            )
        task_id = base64.b32encode(uuid.uuid4().bytes[:15]).decode()
        now = timestamp()
        connection.execute(
            "INSERT INTO tasks (id, request_id, user, type, priority, description, create_time,"
            " update_time, queued, request) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                task_id,
                request_id,
                user,
                kind,
                _priority(request),
                request.get("description", ""),
                now,
                now,
                unfinished + 1,
                json.dumps(request),
            ],
        )
        return task_id

    def _resource(self, row: sqlite3.Row) -> dict[str, Any]:
        """Return the REST Operation."""
        done = row["end_time"] is not None
        running = self._running.get(row["id"])
        progress = running.share if running else row["progress"]
        if row["state"] == "SUCCEEDED":
            progress = 1
        metadata = {
            "@type": "type.googleapis.com/google.earthengine.v1.OperationMetadata",
            "state": row["state"],
            "type": row["type"],
            "description": row["description"],
            "priority": row["priority"],
            "createTime": row["create_time"],
            "updateTime": row["update_time"],
            "startTime": row["start_time"] or NEVER,
            "attempt": row["attempt"],
            "progress": progress,
            "stages": _stages(row["start_time"] is not None, progress),
            "batchEecuUsageSeconds": round(row["eecu_seconds"], 6),
            "destinationUris": json.loads(row["destination_uris"]),
        }
        operation = {"name": f"{self._operations}/{row['id']}", "metadata": metadata, "done": done}
        if done:
            metadata["endTime"] = row["end_time"]
            if row["error"]:
                operation["error"] = json.loads(row["error"])
            else:
                operation["response"] = {"@type": "type.googleapis.com/google.protobuf.Empty"}
        return operation


class Workers:
    """Threads that run the tasks of a queue, of the types for which there is a runner."""

    #: Seconds between looks at an empty queue.
    IDLE = 1.0

    def __init__(
        self,
        queue: TaskQueue,
        runners: Mapping[str, Callable[[Task], Output]],
        concurrency: int,
    ) -> None:
        self.concurrency = concurrency
        self._queue = queue
        self._runners = runners
        self._faults = Faults()
        self._running: set[int] = set()  # numbers of the threads
        self._lock = threading.Lock()

    def start(self, faults: Faults) -> None:
        """Start the threads; they end with the process, which no task minds."""
        self._faults = faults
        self.resize(self.concurrency)

    def resize(self, concurrency: int) -> None:
        """Run so many tasks at once from now on; those that run are not interrupted."""
        with self._lock:
            self.concurrency = concurrency
            for number in set(range(concurrency)) - self._running:
                self._running.add(number)
                name = f"task-{number}"
                threading.Thread(target=self._work, args=[number], name=name, daemon=True).start()

    def _is_needed(self, number: int) -> bool:
        with self._lock:
            if number >= self.concurrency:
                self._running.remove(number)
            return number < self.concurrency

    # One deep stack for the worker's life: a task's CPU seconds are then those of its thread.
    @on_deep_stack
    def _work(self, number: int) -> None:
        while self._is_needed(number):
            task = self._queue.claim(tuple(self._runners), self.IDLE)
            if task:
                self._execute(task)

    def _execute(self, task: Task) -> None:
        start = time.thread_time()

        def spent() -> float:
            return time.thread_time() - start + task.progress.eecu_seconds

        try:
            for fault in self._faults.of_task(task.type, task.description, task.attempt):
                if fault.error:
                    raise fault.error
                self._queue.hide(task.id)
            output = self._runners[task.type](task)
            committed = False
            try:
                committed = self._queue.succeed(task, output, spent())
            finally:
                output.release(committed)
        except TaskStopped:
            self._queue.give_up(task, spent())
        except EarthEngineError as error:
            self._queue.fail(task, error, spent())
        except Exception:  # noqa: BLE001 - the boundary: a task fails, its worker goes on
            traceback.print_exc(file=sys.stderr)
            self._queue.fail(task, internal_error(), spent())


def _priority(request: Mapping[str, Any]) -> int:
    priority = fields.whole(request, "priority", DEFAULT_PRIORITY)
    if not 0 <= priority <= MAX_PRIORITY:
        raise EarthEngineError(f"Priority must be between 0 and {MAX_PRIORITY}, not {priority}.")
    return priority


def _find_request(connection: sqlite3.Connection, request_id: str | None) -> str | None:
    sql = "SELECT id FROM tasks WHERE request_id = ?"
    row = connection.execute(sql, [request_id]).fetchone()
    return row["id"] if row else None


def _row(connection: sqlite3.Connection, task_id: str) -> sqlite3.Row:
    sql = "SELECT * FROM operations WHERE id = ?"
    row: sqlite3.Row = connection.execute(sql, [task_id]).fetchone()
    return row


def _stages(started: bool, progress: float) -> list[dict[str, Any]]:
    """Return the REST OperationStages: the second is done in the moment in which all is."""
    if not started:
        return []
    return [
        {
            "displayName": name,
            "description": description,
            "completeWorkUnits": complete,
            "totalWorkUnits": "1",
        }
        for (name, description), complete in zip(STAGES, (progress, progress // 1), strict=True)
    ]


def _change(connection: sqlite3.Connection, task_id: str, state: str) -> None:
    sql = "UPDATE tasks SET state = ?, update_time = ? WHERE id = ?"
    connection.execute(sql, [state, timestamp(), task_id])


def _end(
    connection: sqlite3.Connection,
    task_id: str,
    state: str,
    error: Mapping[str, Any] | None = None,
    uris: Sequence[str] = (),
) -> None:
    """Give a task its last state; the request is not needed again."""
    _change(connection, task_id, state)
    connection.execute(
        "UPDATE tasks SET end_time = update_time, error = ?, destination_uris = ?, request = NULL"
        " WHERE id = ?",
        [json.dumps(error) if error else None, json.dumps(uris), task_id],
    )


def _status(error: EarthEngineError) -> dict[str, Any]:
    return {"code": GRPC_CODES[error.code], "message": error.message}
