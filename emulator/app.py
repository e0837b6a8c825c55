"""The parts of an emulator put together over one data folder."""

import fcntl
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from starlette.types import ASGIApp

from emulator import PROJECT, clock, faults, tasks
from emulator.assets.buckets import Buckets
from emulator.assets.store import MAX_ASSETS, MAX_BYTES, AssetStore
from emulator.assets.store import SCHEMA as ASSETS_SCHEMA
from emulator.catalogue import Catalogue
from emulator.database import Database
from emulator.exports import Exporter
from emulator.exports.destinations import DRIVE_BYTES, Destinations
from emulator.faults import Faults
from emulator.ingest.ingestion import Ingestion
from emulator.rest import drive, storage
from emulator.rest.api import Api
from emulator.rest.breaking import knowing_its_cycle
from emulator.rest.request_log import RequestLog
from emulator.rest.server import Call, Method, Server
from emulator.rest.storage import beside
from emulator.scenes.catalogued import catalogued
from emulator.scenes.load import load_scenes
from emulator.stored import StoredImage
from emulator.tasks import TaskQueue, Workers

#: Everything in the data folder's database.
SCHEMA = ASSETS_SCHEMA + tasks.SCHEMA
#: Seconds a new emulator waits for one that is being killed to let go of the data folder.
LOCK_PATIENCE = 10.0
LOCK_STEP = 0.1


class DataFolderInUse(Exception):
    """Another emulator runs on the same data folder."""


@dataclass(frozen=True)
class Options:
    """What can be chosen on the command line."""

    data: Path
    scenes: Sequence[Path] = ()
    project: str = PROJECT
    metadata_only: bool = False
    size_factor: int = 1
    max_queued: int = tasks.MAX_QUEUED
    ceiling_per_user: bool = False
    concurrency: int = tasks.CONCURRENCY
    max_assets: int = MAX_ASSETS
    max_bytes: int = MAX_BYTES
    history: float = tasks.HISTORY_DAYS  # days
    speed: float | None = None  # None: real time, and exports without pixels take none
    buckets: Path | None = None  # None: in the data folder
    drive_bytes: int = DRIVE_BYTES
    faults: Path | None = None


@dataclass
class Scenes:
    """The images of all scene folders by collection, and why others are left out.

    `cache` is for what is computed from them.
    """

    cache: Path
    collections: dict[str, list[StoredImage]] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)

    def add(self, path: Path) -> None:
        """Load a folder; several may belong to one collection."""
        for folder in load_scenes(path):
            for name, images in catalogued(folder, self.cache):
                self.collections.setdefault(name, []).extend(images)
            self.unreadable.extend(folder.unreadable)


class Emulator:
    """One project's Earth Engine; owns its data folder until the process ends."""

    def __init__(self, options: Options) -> None:
        options.data.mkdir(parents=True, exist_ok=True)
        self._lock = _lock(options.data / "lock")
        self.scenes = Scenes(options.data / "derived")
        for path in options.scenes:
            self.scenes.add(path)
        database = Database(options.data / "emulator.sqlite", SCHEMA)
        clock.run(options.speed or 1.0, _last_written(database))
        store = AssetStore(
            database,
            options.data / "assets",
            options.project,
            options.max_bytes,
            options.max_assets,
        )
        buckets = Buckets(options.buckets or options.data / "buckets")
        self._catalogue = Catalogue(self.scenes.collections, store, buckets)
        self._queue = TaskQueue(
            database,
            options.project,
            options.max_queued,
            options.ceiling_per_user,
            options.history,
        )
        destinations = Destinations(store, buckets, options.data / "drive", options.drive_bytes)
        simulated = options.speed is not None
        exporter = Exporter(
            self._catalogue, destinations, options.metadata_only, simulated, options.size_factor
        )
        ingestion = Ingestion(store, buckets)
        # Imports and exports are scheduled apart (guides/processing_environments).
        self._workers = Workers(self._queue, exporter.runners(), options.concurrency)
        self._importers = Workers(self._queue, ingestion.runners(), options.concurrency)
        self._store = store
        api = Api(self._catalogue, store, self._queue, exporter, ingestion, self._workers)
        stats = Method("emulator.stats", "GET", "/emulator/stats", self._statistics, counted=False)
        self._faults = _faults(options.faults, api)
        self._log = RequestLog(options.data / "requests.jsonl")
        server = Server([*api.methods(), stats], self._log, options.project, self._faults)
        files = drive.Drive(options.data, options.drive_bytes, self._faults)
        objects = storage.Storage(buckets, self._faults)
        app = beside(server.app, objects.app, storage.PREFIXES)
        self.app: ASGIApp = knowing_its_cycle(beside(app, files.app, drive.PREFIXES))

    def start(self) -> str:
        """Start the workers; return what is served, in a few words."""
        self._workers.start(self._faults)
        self._importers.start(self._faults)
        sizes = self._catalogue.images_by_collection()
        return f"{sum(sizes.values())} images in {len(sizes)} collections"

    def _statistics(self, call: Call) -> dict[str, Any]:
        requests = self._log.counts()
        return {
            "requests": sum(requests.values()),
            "requests_by_method": requests,
            **self._queue.statistics(),
            **self._store.statistics(),
            "images_by_collection": self._catalogue.images_by_collection(),
            "unreadable_scenes": self.scenes.unreadable,
        }


def _faults(path: Path | None, api: Api) -> Faults:
    methods = [*(method.id for method in api.methods()), *storage.METHODS, *drive.METHODS]
    return faults.load(path, methods) if path else Faults()


def _last_written(database: Database) -> str:
    """Return the latest time in the data folder: a fast clock was ahead of ours."""
    [row] = database.read(
        "SELECT max(update_time) AS latest FROM"
        " (SELECT update_time FROM tasks UNION ALL SELECT update_time FROM assets)"
    )
    return row["latest"] or clock.NEVER


def _lock(path: Path) -> TextIO:
    """Lock a file for as long as the process lives, however it ends."""
    file = path.open("w")
    deadline = time.monotonic() + LOCK_PATIENCE
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return file
        except BlockingIOError:
            if time.monotonic() > deadline:
                file.close()
                raise DataFolderInUse(
                    f"Another emulator uses {path.parent}: stop it or choose another --data."
                ) from None
            time.sleep(LOCK_STEP)
