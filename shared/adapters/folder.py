"""Objects in a folder, for the embedded stack: `gs://B/N` is the file B/N, as for the emulator."""

import base64
from pathlib import Path

import google_crc32c

from shared.domain.archive import File
from shared.errors import AccessDenied, NotFound, Unavailable


class FolderObjects:
    """Cloud Storage's manners on a folder (see shared.services.Objects)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def stat(self, uri: str) -> File | None:
        """Return what an object is now, or None where there is none."""
        path = self._path(uri)
        try:
            content, status = path.read_bytes(), path.stat()
        except (FileNotFoundError, IsADirectoryError):
            return None
        except PermissionError as error:
            raise AccessDenied(f"{uri}: no permission to read it") from error
        # A file has no generation: what the emulator takes for one.
        return File(uri, len(content), _crc32c(content), status.st_mtime_ns + len(content))

    def read(self, uri: str) -> bytes:
        """Return an object's content, or raise NotFound."""
        try:
            return self._path(uri).read_bytes()
        except (FileNotFoundError, IsADirectoryError) as error:
            raise NotFound(f"{uri} does not exist") from error

    def write(self, uri: str, content: bytes, content_type: str) -> File:
        """Make or replace an object; who reads it sees all of it or nothing."""
        path = self._path(uri)
        draft = path.with_name(f".{path.name}.draft")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            draft.write_bytes(content)
            draft.replace(path)
        except PermissionError as error:
            raise AccessDenied(f"{uri}: no permission to write it") from error
        except OSError as error:
            raise Unavailable(f"{uri} cannot be written: {error.strerror}") from error
        written = self.stat(uri)
        assert written is not None
        return written

    def delete(self, uri: str) -> None:
        """Delete an object; that there is none is as good."""
        self._path(uri).unlink(missing_ok=True)

    def close(self) -> None:
        """Do nothing: a folder has no connections."""

    def _path(self, uri: str) -> Path:
        bucket, _, name = uri.removeprefix("gs://").partition("/")
        if not (self._folder / bucket).is_dir():
            raise NotFound(f"bucket {bucket} does not exist: create it first, in {self._folder}")
        return self._folder / bucket / name


def _crc32c(content: bytes) -> str:
    return base64.b64encode(google_crc32c.value(content).to_bytes(4, "big")).decode()
