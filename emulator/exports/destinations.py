"""Where exports go: assets, Cloud Storage and Drive, the latter two folders on this machine."""

import itertools
import re
import shutil
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from emulator import fields
from emulator.assets.buckets import Buckets
from emulator.assets.store import Asset, AssetStore
from emulator.errors import EarthEngineError
from emulator.fields import Json

ASSET_URI = "https://code.earthengine.google.com/?asset="
BUCKET_URI = "https://console.developers.google.com/storage/browser/"
DRIVE_URI = "https://drive.google.com/"
#: Bytes of a free account's storage (https://support.google.com/drive/answer/9312312).
DRIVE_BYTES = 15 * 10**9
#: A folder or file of Drive, as this machine's file system can have it.
DRIVE_NAME = re.compile(r"(?!\.)[^/\\\x00-\x1f]{1,200}")
#: Where files wait to be complete: no bucket and no folder of Drive can have the name.
DRAFTS = ".drafts"
UNITS = ("B", "KB", "MB", "GB", "TB")


class Files(Protocol):
    """A place for the files of one export, whose names begin with a prefix."""

    @property
    def root(self) -> Path:
        """The folder of all such places."""

    @property
    def uri(self) -> str:
        """What shows the files to a person."""

    def target(self, shard: str, suffix: str) -> Path:
        """Return the file to make visible; `shard` is its part of the image, or empty."""

    def check_space(self, size: int) -> None:
        """Raise unless there is room for so many bytes."""


@dataclass(frozen=True)
class BucketFiles:
    """Objects of Cloud Storage."""

    buckets: Buckets
    bucket: str
    prefix: str

    @property
    def root(self) -> Path:
        """The folder of all buckets."""
        return self.buckets.folder

    @property
    def uri(self) -> str:
        """The console's page of the objects' folder."""
        folder = self.prefix.rpartition("/")[0]
        return f"{BUCKET_URI}{self.bucket}/{folder + '/' if folder else ''}"

    def target(self, shard: str, suffix: str) -> Path:
        """Return an object's file; an object of that name is replaced."""
        return self.buckets.path(f"gs://{self.bucket}/{self.prefix}{shard}{suffix}")

    def check_space(self, size: int) -> None:
        """Do nothing: a bucket has no end."""


@dataclass(frozen=True)
class DriveFiles:
    """Files in a folder of Drive."""

    root: Path
    folder: str
    prefix: str
    max_bytes: int
    uri: str = DRIVE_URI

    def target(self, shard: str, suffix: str) -> Path:
        """Return a file that does not exist yet: Drive keeps files of one name side by side."""
        name = f"{self.prefix}{shard and '-'}{shard}"
        names = itertools.chain([name], (f"{name} ({i})" for i in itertools.count(1)))
        paths = (self.root / self.folder / f"{name}{suffix}" for name in names)
        return next(path for path in paths if not path.exists())

    def check_space(self, size: int) -> None:
        """Raise unless there is room for so many bytes."""
        used = sum(path.stat().st_size for path in self.root.glob("[!.]*/*"))
        if used + size > self.max_bytes:
            raise EarthEngineError(
                f"Not enough space in Google Drive (need {_readable(size)} for this export)."
            )


@dataclass
class NewFiles:
    """Files in a folder, `draft`, where no one sees them yet."""

    files: Files
    draft: Path
    written: list[tuple[Path, str, str]] = field(default_factory=list)  # draft, shard, suffix

    def commit(self, connection: sqlite3.Connection) -> list[str]:
        """Give the files their names."""
        self.files.check_space(sum(path.stat().st_size for path, _, _ in self.written))
        for path, shard, suffix in self.written:
            target = self.files.target(shard, suffix)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)
        return [self.files.uri]

    def release(self, committed: bool) -> None:
        """Remove what has not become visible."""
        shutil.rmtree(self.draft)


@contextmanager
def new_files(files: Files) -> Iterator[NewFiles]:
    """Give a folder on the destination's file system; remove it if writing the files fails."""
    draft = files.root / DRAFTS / uuid.uuid4().hex
    draft.mkdir(parents=True)
    new = NewFiles(files, draft)
    try:
        yield new
    except BaseException:
        new.release(False)
        raise


@dataclass
class NewAsset:
    """An asset whose files are written and which no one sees yet."""

    asset: Asset
    overwrite: bool
    store: AssetStore
    replaced: str | None = field(default=None, init=False)  # files of the asset it overwrote

    def commit(self, connection: sqlite3.Connection) -> list[str]:
        """Insert the asset; return its URI."""
        self.replaced = self.store.insert(connection, self.asset, self.overwrite)
        return [ASSET_URI + self.asset.name]

    def release(self, committed: bool) -> None:
        """Remove the files that no asset has."""
        self.store.discard(self.replaced if committed else self.asset.pixels)


@dataclass(frozen=True)
class AssetName:
    """The asset that an export makes."""

    name: str
    overwrite: bool


class Destinations:
    """Every place that an export can go to."""

    def __init__(self, store: AssetStore, buckets: Buckets, drive: Path, drive_bytes: int) -> None:
        self.store = store
        self._buckets = buckets
        self._drive = drive
        self._drive_bytes = drive_bytes
        for root in (buckets.folder, drive):
            root.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(root / DRAFTS, ignore_errors=True)  # of a process that was killed

    def of(self, request: Json) -> AssetName | Files:
        """Return where a request's result goes; raise unless it names one valid place."""
        places = {
            ("assetExportOptions", "earthEngineDestination"): self._asset,
            ("fileExportOptions", "cloudStorageDestination"): self._bucket,
            ("fileExportOptions", "driveDestination"): self._folder,
        }
        given = [
            place(fields.mapping(fields.mapping(request, options), name))
            for (options, name), place in places.items()
            if name in fields.mapping(request, options)
        ]
        if len(given) != 1:
            raise EarthEngineError("Invalid export: exactly one destination must be given.")
        return given[0]

    def _asset(self, destination: Json) -> AssetName:
        name = fields.text(destination, "name")
        self.store.check_name(name)
        return AssetName(name, fields.flag(destination, "overwrite"))

    def _bucket(self, destination: Json) -> BucketFiles:
        bucket = fields.text(destination, "bucket")
        prefix = fields.text(destination, "filenamePrefix")
        files = BucketFiles(self._buckets, bucket, prefix)
        files.target("", ".tif")  # raises unless it is an object in a bucket that there is
        return files

    def _folder(self, destination: Json) -> DriveFiles:
        folder = fields.text(destination, "folder") or "My Drive"
        prefix = fields.text(destination, "filenamePrefix")
        for name in (folder, prefix):
            if not DRIVE_NAME.fullmatch(name):
                raise EarthEngineError(f"Invalid name in Google Drive: {name!r:.60}.")
        return DriveFiles(self._drive, folder, prefix, self._drive_bytes)


def _readable(size: float) -> str:
    """Return a size as Earth Engine's message has it: 3.8GB."""
    power = max(p for p in range(len(UNITS)) if p == 0 or size >= 1000**p)
    return f"{size / 1000**power:.1f}{UNITS[power]}"
