"""The project's own assets: metadata in SQLite, pixels in a folder of GeoTIFFs per image."""

import functools
import json
import os
import re
import shutil
import sqlite3
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from emulator.assets.patch import BANDS, patched_properties, renamed_bands
from emulator.clock import timestamp
from emulator.database import Database
from emulator.errors import EarthEngineError
from emulator.stored import StoredBand, StoredCollection, StoredImage

AssetType = Literal["FOLDER", "IMAGE_COLLECTION", "IMAGE", "TABLE", "CLASSIFIER"]

#: Assets that have others below them.
CONTAINERS = ("FOLDER", "IMAGE_COLLECTION")
#: Default quota of a project (https://developers.google.com/earth-engine/guides/usage).
MAX_BYTES = 250 * 10**9
MAX_ASSETS = 10_000

#: Characters of an asset's name; Earth Engine publishes no limit.
MAX_NAME = 1024

#: Rows read at once while a folder is listed.
CHUNK = 500

SCHEMA = """
CREATE TABLE IF NOT EXISTS assets (
    name TEXT PRIMARY KEY,
    parent TEXT NOT NULL,
    type TEXT NOT NULL,
    update_time TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    properties TEXT NOT NULL,
    bands TEXT NOT NULL,
    footprint TEXT,
    pixels TEXT
) WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS assets_by_parent ON assets (parent, name);

CREATE TABLE IF NOT EXISTS policies (name TEXT PRIMARY KEY, policy TEXT NOT NULL) WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS asset_forgotten AFTER DELETE ON assets BEGIN
    DELETE FROM policies WHERE name = OLD.name;
END;
CREATE TRIGGER IF NOT EXISTS asset_renamed AFTER UPDATE OF name ON assets BEGIN
    UPDATE policies SET name = NEW.name WHERE name = OLD.name;
END;

CREATE TABLE IF NOT EXISTS asset_usage (assets INTEGER NOT NULL, bytes INTEGER NOT NULL);
INSERT INTO asset_usage SELECT 0, 0 WHERE NOT EXISTS (SELECT * FROM asset_usage);
CREATE TRIGGER IF NOT EXISTS asset_added AFTER INSERT ON assets BEGIN
    UPDATE asset_usage SET assets = assets + 1, bytes = bytes + NEW.size_bytes;
END;
CREATE TRIGGER IF NOT EXISTS asset_removed AFTER DELETE ON assets BEGIN
    UPDATE asset_usage SET assets = assets - 1, bytes = bytes - OLD.size_bytes;
END;
-- Every moment at which the quota's use was another one.
CREATE TABLE IF NOT EXISTS usage_log (
    number INTEGER PRIMARY KEY, assets INTEGER NOT NULL, bytes INTEGER NOT NULL);
CREATE TRIGGER IF NOT EXISTS usage_changed AFTER UPDATE ON asset_usage BEGIN
    INSERT INTO usage_log (assets, bytes) VALUES (NEW.assets, NEW.bytes);
END;
"""


@dataclass(frozen=True)
class Asset:
    """A folder, a collection, an image, a table or a classifier, as the REST API knows it."""

    name: str  # projects/P/assets/…
    type: AssetType
    update_time: str
    properties: Mapping[str, Any] = field(default_factory=dict)
    size_bytes: int = 0
    bands: tuple[StoredBand, ...] = ()
    footprint: Mapping[str, Any] | None = None
    pixels: str | None = None  # name of the folder of files: bands, or a document

    def with_files(self, folder: Path, bands: Iterable[StoredBand] = ()) -> "Asset":
        """Return the asset with the files of a folder, an image with the bands in these."""
        size = sum(file.stat().st_size for file in folder.iterdir())
        return replace(self, bands=tuple(bands), size_bytes=size, pixels=folder.name)

    @functools.cached_property
    def image(self) -> StoredImage:
        """The image that an expression loads."""
        return StoredImage(
            id=self.name,
            bands=self.bands,
            properties={
                **self.properties,
                "system:index": self.name.rpartition("/")[2],
                "system:footprint": self.footprint,
                "system:asset_size": self.size_bytes,
            },
            footprint=self.footprint,
            update_time=self.update_time,
            size_bytes=self.size_bytes,
        )


class AssetStore:
    """The assets of one project, within its quota."""

    def __init__(
        self,
        database: Database,
        folder: Path,
        project: str,
        max_bytes: int,
        max_assets: int,
    ) -> None:
        self.root = f"projects/{project}/assets"
        self._database = database
        self._folder = folder
        self._max_bytes = max_bytes
        self._max_assets = max_assets
        # Earth Engine's own rule for the parts of an id.
        self._valid_name = re.compile(rf"{re.escape(self.root)}(/[A-Za-z0-9_-]+)+")
        folder.mkdir(exist_ok=True)
        self._sweep()

    # What expressions load.

    def image(self, asset_id: str) -> StoredImage | None:
        """Return an image asset, or None where there is none."""
        asset = self.find(asset_id)
        return asset.image if asset and asset.type == "IMAGE" else None

    def collection(self, asset_id: str) -> StoredCollection | None:
        """Return the images of a collection asset by name, or None where there is none."""
        asset = self.find(asset_id)
        if asset is None or asset.type != "IMAGE_COLLECTION":
            return None
        return StoredCollection([child.image for child in self.children(asset_id)])

    def folder(self, asset_id: str, kind: AssetType) -> Path | None:
        """Return the folder of a table's or classifier's document, or None where there is none."""
        asset = self.find(asset_id)
        return self._folder / asset.pixels if asset and asset.type == kind else None

    # What the REST API reads.

    def find(self, name: str) -> Asset | None:
        """Return an asset, or None where there is none."""
        rows = self._database.read("SELECT * FROM assets WHERE name = ?", [name])
        return _decode(self._folder, rows[0]) if rows else None

    def get(self, name: str) -> Asset:
        """Return an asset that must exist."""
        asset = self.find(name)
        if asset is None:
            raise not_found(name)
        return asset

    def children(self, parent: str, after: str = "") -> Iterator[Asset]:
        """Yield a folder's direct children whose names sort after `after`."""
        sql = "SELECT * FROM assets WHERE parent = ? AND name > ? ORDER BY name LIMIT ?"
        while rows := self._database.read(sql, [parent, after, CHUNK]):
            yield from (_decode(self._folder, row) for row in rows)
            after = rows[-1]["name"]

    def quota(self) -> dict[str, str]:
        """Return the project's usage and limits (REST FolderQuota: int64 as strings)."""
        [usage] = self._database.read("SELECT assets, bytes FROM asset_usage")
        return {
            "sizeBytes": str(usage["bytes"]),
            "maxSizeBytes": str(self._max_bytes),
            "assetCount": str(usage["assets"]),
            "maxAssets": str(self._max_assets),
        }

    def statistics(self) -> dict[str, int]:
        """Return the most assets and bytes that there were at any moment, and their changes."""
        [row] = self._database.read(
            "SELECT MAX(assets) AS assets, MAX(bytes) AS bytes, COUNT(*) AS n FROM usage_log"
        )
        return {
            "most_assets": row["assets"] or 0,
            "most_bytes": row["bytes"] or 0,
            "usage_changes": row["n"],
        }

    # What the REST API and the tasks change.

    def check_name(self, name: str) -> None:
        """Raise unless the name could be an asset of this project."""
        if len(name) > MAX_NAME or not self._valid_name.fullmatch(name):
            raise EarthEngineError(
                f"Invalid asset name '{name[:MAX_NAME]}'. It must start with '{self.root}/', and "
                "its parts may contain only letters, digits, hyphens and underscores."
            )

    def check_insertable(self, asset: Asset, overwrite: bool) -> str | None:
        """Raise unless the asset has a place and fits the quota; return the pixels it replaces."""
        existing = self.find(asset.name) if overwrite else None
        if existing is None:
            self._check_place(asset)
            self._check_quota(1, asset.size_bytes)
            return None
        if existing.type != asset.type or asset.type in CONTAINERS:
            raise _cannot_overwrite(asset)
        self._check_quota(0, asset.size_bytes - existing.size_bytes)
        return existing.pixels

    def create(self, name: str, kind: AssetType, properties: Mapping[str, Any]) -> Asset:
        """Create an empty folder or collection."""
        return self.put(Asset(name, kind, timestamp(), properties), overwrite=False)

    def insert(self, connection: sqlite3.Connection, asset: Asset, overwrite: bool) -> str | None:
        """Insert an asset, or replace an image; return the folder to `discard` after."""
        replaced = self.check_insertable(asset, overwrite)
        connection.execute("DELETE FROM assets WHERE name = ?", [asset.name])
        connection.execute("INSERT INTO assets VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", _encode(asset))
        return replaced

    def put(self, asset: Asset, overwrite: bool) -> Asset:
        """Insert an asset, or replace another one with its files."""
        with self._database.write() as connection:
            replaced = self.insert(connection, asset, overwrite)
        self.discard(replaced)
        return asset

    def update(self, name: str, changes: Mapping[str, Any], paths: Sequence[str]) -> Asset:
        """Change the fields of an asset that an update mask's paths name."""
        others = [path for path in paths if path != BANDS]
        with self._database.write() as connection:
            asset = replace(self.get(name), update_time=timestamp())
            if BANDS in paths:
                asset = replace(asset, bands=renamed_bands(asset.bands, changes))
            if others or not paths:
                properties = patched_properties(asset.properties, changes, others)
                asset = replace(asset, properties=properties)
            connection.execute(
                "UPDATE assets SET properties = ?, bands = ?, update_time = ? WHERE name = ?",
                [json.dumps(asset.properties), _encode_bands(asset.bands), asset.update_time, name],
            )
        return asset

    def policy(self, name: str) -> dict[str, Any]:
        """Return who may do what with an asset, as it was last set (IAM Policy)."""
        self.get(name)
        rows = self._database.read("SELECT policy FROM policies WHERE name = ?", [name])
        policy: dict[str, Any] = json.loads(rows[0]["policy"]) if rows else {}
        return policy

    def set_policy(self, name: str, policy: Mapping[str, Any]) -> None:
        """Remember who may do what with an asset; nothing is ever denied."""
        with self._database.write() as connection:
            self.get(name)
            connection.execute(
                "INSERT OR REPLACE INTO policies VALUES (?, ?)", [name, json.dumps(dict(policy))]
            )

    def delete(self, name: str) -> None:
        """Delete an image, or a folder or collection that is empty."""
        with self._database.write() as connection:
            asset = self.get(name)
            if next(self.children(name), None):
                raise EarthEngineError(f"Asset '{name}' cannot be deleted: it is not empty.")
            connection.execute("DELETE FROM assets WHERE name = ?", [name])
        self.discard(asset.pixels)

    def copy(self, source: str, destination: str, overwrite: bool) -> Asset:
        """Copy one asset, without children; files that never change are linked, not copied."""
        original = self.get(source)
        asset = replace(original, name=destination, update_time=timestamp())
        if original.pixels is None:
            return self.put(asset, overwrite)
        with self.new_folder() as folder:
            shutil.copytree(
                self._folder / original.pixels, folder, copy_function=os.link, dirs_exist_ok=True
            )
            self.put(replace(asset, pixels=folder.name), overwrite)
        return self.get(destination)

    def move(self, source: str, destination: str) -> Asset:
        """Rename an asset and all that is below it."""
        with self._database.write() as connection:
            asset = replace(self.get(source), name=destination)
            if f"{destination}/".startswith(f"{source}/"):
                raise EarthEngineError(f"Asset '{source}' cannot be moved into itself.")
            self._check_place(asset)
            below = [f"{source}/", f"{source}0"]  # "0" is the character after "/"
            connection.execute(
                "UPDATE assets SET name = ?1 || substr(name, ?2), parent = ?1 || substr(parent, ?2)"
                " WHERE name > ?3 AND name < ?4",
                [destination, len(source) + 1, *below],
            )
            connection.execute(
                "UPDATE assets SET name = ?, parent = ? WHERE name = ?",
                [destination, _parent(destination), source],
            )
        return self.get(destination)

    @contextmanager
    def new_folder(self) -> Iterator[Path]:
        """Give a folder for an asset's files; it is removed if writing them fails.

        If the process is killed before an asset has it, the next one sweeps it.
        """
        folder = self._folder / uuid.uuid4().hex
        folder.mkdir()
        try:
            yield folder
        except BaseException:
            shutil.rmtree(folder)
            raise

    def discard(self, pixels: str | None) -> None:
        """Remove a folder of files that no asset has any more."""
        if pixels:
            shutil.rmtree(self._folder / pixels)

    def _sweep(self) -> None:
        rows = self._database.read("SELECT pixels FROM assets WHERE pixels IS NOT NULL")
        used = {row["pixels"] for row in rows}
        for folder in self._folder.iterdir():
            if folder.name not in used:
                shutil.rmtree(folder)

    def _check_place(self, asset: Asset) -> None:
        self.check_name(asset.name)
        parent = _parent(asset.name)
        kind = "FOLDER" if parent == self.root else self.get(parent).type
        if kind not in CONTAINERS or (kind == "IMAGE_COLLECTION" and asset.type != "IMAGE"):
            raise EarthEngineError(f"Asset '{parent}' cannot contain a {asset.type}.")
        if self.find(asset.name):
            raise _cannot_overwrite(asset)

    def _check_quota(self, more_assets: int, more_bytes: int) -> None:
        # Earth Engine publishes the limits, not its messages; these are the emulator's words.
        [usage] = self._database.read("SELECT assets, bytes FROM asset_usage")
        if usage["assets"] + more_assets > self._max_assets:
            raise EarthEngineError(
                f"Asset quota exceeded: the project may have {self._max_assets} assets."
            )
        if more_bytes > 0 and usage["bytes"] + more_bytes > self._max_bytes:
            raise EarthEngineError(
                f"Asset quota exceeded: the project may have {self._max_bytes} bytes, "
                f"has {usage['bytes']} and would need {more_bytes} more."
            )


def not_found(name: str) -> EarthEngineError:
    """Return the error for an asset that does not exist."""
    return EarthEngineError(f"Asset '{name}' does not exist or doesn't allow this operation.", 404)


def _cannot_overwrite(asset: Asset) -> EarthEngineError:
    return EarthEngineError(f"Cannot overwrite asset '{asset.name}'.")


def _parent(name: str) -> str:
    return name.rpartition("/")[0]


def _encode(asset: Asset) -> list[Any]:
    return [
        asset.name,
        _parent(asset.name),
        asset.type,
        asset.update_time,
        asset.size_bytes,
        json.dumps(dict(asset.properties)),
        _encode_bands(asset.bands),
        json.dumps(asset.footprint) if asset.footprint else None,
        asset.pixels,
    ]


def _encode_bands(bands: Sequence[StoredBand]) -> str:
    return json.dumps([asdict(band) | {"path": _stored_path(band)} for band in bands])


def _stored_path(band: StoredBand) -> str | None:
    """Return a file's name in the asset's own folder, or the path of one it does not own."""
    if band.path is None:
        return None
    return str(band.path) if band.uri else band.path.name


# Expressions load whole collections again and again, and most of that would be parsing.
@functools.lru_cache(maxsize=2 * MAX_ASSETS)
def _decode(folder: Path, row: sqlite3.Row) -> Asset:
    pixels = folder / row["pixels"] if row["pixels"] else None
    return Asset(
        row["name"],
        row["type"],
        row["update_time"],
        json.loads(row["properties"]),
        row["size_bytes"],
        tuple(_decode_band(band, pixels) for band in json.loads(row["bands"])),
        json.loads(row["footprint"]) if row["footprint"] else None,
        row["pixels"],
    )


def _decode_band(band: dict[str, Any], folder: Path | None) -> StoredBand:
    path = (folder or Path()) / band["path"] if band["path"] else None
    return StoredBand(**band | {"transform": tuple(band["transform"]), "path": path})
