"""Cloud Storage as a folder: the object `gs://B/N` is the file B/N below it."""

import re
from pathlib import Path

from emulator.errors import EarthEngineError

URI = re.compile(r"gs://([^/]+)/(.+)", re.DOTALL)
#: Of buckets without a domain (https://cloud.google.com/storage/docs/buckets#naming).
BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]")
#: Bytes of an object's name (https://cloud.google.com/storage/docs/objects#naming).
MAX_NAME = 1024
#: Bytes of a part of the name: the file system's limit, not Cloud Storage's.
MAX_PART = 255


def generation(path: Path) -> int:
    """Return what differs between an object and the one that replaces it."""
    status = path.stat()
    return status.st_mtime_ns + status.st_size


def check_generation(uri: str, path: Path) -> None:
    """Raise unless an object is still the one that `gs://B/N#generation` names."""
    if not path.is_file() or str(generation(path)) != uri.rpartition("#")[2]:
        raise EarthEngineError(f"Failed to load the GeoTIFF at `{uri}`")


class Buckets:
    """The buckets below a folder: each a folder that someone has made."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()

    def path(self, uri: str) -> Path:
        """Return the file of an object, which need not exist, in a bucket, which must."""
        match = URI.fullmatch(uri)
        if match is None or not BUCKET.fullmatch(match[1]) or not _is_valid_name(match[2]):
            raise EarthEngineError(f"Invalid Cloud Storage URI: '{uri}'.")
        bucket, name = match.groups()
        if not (self.folder / bucket).is_dir():
            raise EarthEngineError(f"Cloud Storage bucket '{bucket}' does not exist.", 404)
        path = self.folder / bucket / name
        if path.resolve() != path:  # a symbolic link could lead out of the folder
            raise EarthEngineError(f"Invalid Cloud Storage URI: '{uri}'.")
        return path

    def existing(self, uri: str) -> Path:
        """Return the file of an object that must exist."""
        path = self.path(uri)
        if not path.is_file():
            raise EarthEngineError(f"Cloud Storage object '{uri}' does not exist.", 404)
        return path


def _is_valid_name(name: str) -> bool:
    parts = [part.encode(errors="replace") for part in name.split("/")]
    return (
        name.isprintable()
        and len(name.encode(errors="replace")) <= MAX_NAME
        and all(part not in (b"", b".", b"..") and len(part) <= MAX_PART for part in parts)
    )
