"""Drive's REST API v3 over the folders that exports to Drive write to: what its client needs of it.

Names, paths and answers follow https://developers.google.com/workspace/drive/api/reference/rest/v3.
The user's own files are `DIR/drive/<folder>/<file>`, within `--drive-bytes`; `root` is the folder
"My Drive". A shared drive is `DIR/shared-drives/<id>` (make the folder), has no limit, and is seen
by requests with `supportsAllDrives` only. A folder's id is its name, a file's its path in base64.
Not there: permissions, revisions, trash, folders in folders, uploads that are not resumable,
queries other than by parent and name.
"""

import base64
import binascii
import hashlib
import itertools
import json
import re
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from emulator.errors import EarthEngineError
from emulator.exports.destinations import DRAFTS, DRIVE_NAME
from emulator.faults import Faults
from emulator.rest.breaking import with_faults

PREFIXES = ("/drive/v3/", "/upload/drive/v3/")
#: The methods that there are, for faults.
METHODS = (
    *("drive.about.get", "drive.files.create", "drive.files.delete"),
    *("drive.files.get", "drive.files.list"),
)
#: The only query, as the archive and Google's own samples of looking for a file by name have it.
QUERY = re.compile(
    r"'(?P<parent>[^']+)' in parents and name ?= ?'(?P<name>(?:[^'\\]|\\.)*)'"
    r"(?: and trashed ?= ?false)?"
)
RESUME_INCOMPLETE = 308
NO_SERVICE_STORAGE = (
    "Service Accounts do not have storage quota. Leverage shared drives "
    "(https://developers.google.com/workspace/drive/api/guides/about-shareddrives), or use OAuth "
    "delegation (http://support.google.com/a/answer/7281227) instead."
)
NO_SPACE = "The user's Drive storage quota has been exceeded."


class DriveError(Exception):
    """An answer with an error, in Drive's form."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status, self.reason, self.message = status, reason, message

    @property
    def response(self) -> Response:
        """The answer (https://developers.google.com/workspace/drive/api/guides/handle-errors)."""
        details = {"domain": "global", "reason": self.reason, "message": self.message}
        error = {"code": self.status, "message": self.message, "errors": [details]}
        return JSONResponse({"error": error}, self.status)


class Drive:
    """Answers requests for files of one user and of shared drives."""

    def __init__(self, data: Path, max_bytes: int, faults: Faults) -> None:
        self._data = data.resolve()
        self._max_bytes = max_bytes
        self._faults = faults
        self._uploads: dict[str, tuple[Request, dict[str, Any], bytes]] = {}
        self._complete: dict[str, Path] = {}  # by upload, as their sessions know them
        file = "/drive/v3/files/{id}"
        upload = "/upload/drive/v3/files"
        self.app = Starlette(
            routes=[
                Route("/drive/v3/about", self._told("about.get", self._about), methods=["GET"]),
                Route("/drive/v3/files", self._told("files.list", self._list), methods=["GET"]),
                Route(file, self._told("files.get", self._get), methods=["GET"]),
                Route(file, self._told("files.delete", self._delete), methods=["DELETE"]),
                Route(upload, self._told("files.create", self._create), methods=["POST"]),
                Route(upload, self._told("files.create", self._continue), methods=["PUT"]),
            ]
        )

    def _told(self, method: str, answer: Callable[[Request, bytes], Response]) -> Any:
        async def endpoint(request: Request) -> Response:
            try:
                return await run_in_threadpool(answer, request, await request.body())
            except DriveError as error:
                return error.response

        return with_faults(self._faults, f"drive.{method}", endpoint, _refusal)

    def _about(self, request: Request, _: bytes) -> Response:
        if "fields" not in request.query_params:
            raise DriveError(400, "required", "The 'fields' parameter is required for this method.")
        used = str(self._used())
        quota = {"limit": str(self._max_bytes), "usage": used, "usageInDrive": used}
        user = {"emailAddress": "emulator@example.com"}
        return JSONResponse({"kind": "drive#about", "storageQuota": quota, "user": user})

    def _list(self, request: Request, _: bytes) -> Response:
        query = request.query_params.get("q", "")
        match = QUERY.fullmatch(query)
        if match is None:
            raise DriveError(
                400, "invalid", f"The query {query!r:.80} is not implemented by the emulator."
            )
        folder = self._folder(match["parent"], request)
        name = re.sub(r"\\(.)", r"\1", match["name"])
        found = [x for x in sorted(folder.glob("*")) if x.is_file() and _name(x) == name]
        return JSONResponse({"kind": "drive#fileList", "files": [self._resource(x) for x in found]})

    def _get(self, request: Request, _: bytes) -> Response:
        path = self._file(request)
        if request.query_params.get("alt") != "media":
            return JSONResponse(self._resource(path))
        return Response(path.read_bytes(), media_type="application/octet-stream")

    def _delete(self, request: Request, _: bytes) -> Response:
        self._file(request).unlink()
        return Response(status_code=204)

    def _create(self, request: Request, body: bytes) -> Response:
        kind = request.query_params.get("uploadType")
        if kind != "resumable":
            raise DriveError(
                400, "invalid", f"Uploads of type {kind!r:.40} are not implemented by the emulator."
            )
        metadata = json.loads(body)
        self._check_space(request, metadata, int(request.headers.get("x-upload-content-length", 0)))
        upload = uuid.uuid4().hex
        self._uploads[upload] = request, metadata, b""
        url = request.url.include_query_params(upload_id=upload)
        return Response(headers={"location": str(url)})

    def _continue(self, request: Request, body: bytes) -> Response:
        upload = request.query_params.get("upload_id", "")
        if upload in self._complete:  # its answer was lost
            return JSONResponse(self._resource(self._complete[upload]))
        if upload not in self._uploads:
            raise DriveError(404, "notFound", f"Upload not found: {upload}.")
        first, metadata, before = self._uploads[upload]
        content = before + body
        total = request.headers.get("content-range", "*/*").rpartition("/")[2]
        if total == "*" or len(content) < int(total):
            self._uploads[upload] = first, metadata, content
            headers = {"range": f"bytes=0-{len(content) - 1}"} if content else {}
            return Response(status_code=RESUME_INCOMPLETE, headers=headers)
        del self._uploads[upload]
        self._complete[upload] = self._insert(first, metadata, content)
        return JSONResponse(self._resource(self._complete[upload]))

    def _insert(self, request: Request, metadata: dict[str, Any], content: bytes) -> Path:
        folder = self._check_space(request, metadata, len(content))
        name = metadata.get("name", "Untitled")
        if not DRIVE_NAME.fullmatch(name):
            raise DriveError(400, "invalid", f"Invalid name in Google Drive: {name!r:.60}.")
        # Drive keeps files of one name side by side.
        paths = (folder / (f"{name} ({i})" if i else name) for i in itertools.count())
        path = next(path for path in paths if not path.exists())
        drafts = self._data / "drive" / DRAFTS
        drafts.mkdir(parents=True, exist_ok=True)
        draft = drafts / uuid.uuid4().hex
        draft.write_bytes(content)
        folder.mkdir(parents=True, exist_ok=True)
        draft.replace(path)
        return path

    def _check_space(self, request: Request, metadata: dict[str, Any], size: int) -> Path:
        folder = self._folder((metadata.get("parents") or ["root"])[0], request)
        if folder.parent.name == "drive" and self._used() + size > self._max_bytes:
            message = NO_SPACE if self._max_bytes else NO_SERVICE_STORAGE
            raise DriveError(403, "storageQuotaExceeded", message)
        return folder

    def _used(self) -> int:
        return sum(x.stat().st_size for x in (self._data / "drive").glob("[!.]*/*"))

    def _folder(self, name: str, request: Request) -> Path:
        if name == "root":
            return self._data / "drive" / "My Drive"
        for place in ("shared-drives", "drive"):
            folder = self._data / place / name
            if DRIVE_NAME.fullmatch(name) and folder.is_dir() and _sees(request, place):
                return folder
        raise _not_found(name)

    def _file(self, request: Request) -> Path:
        wanted = request.path_params["id"]
        try:
            names = base64.urlsafe_b64decode(wanted + "=" * (-len(wanted) % 4)).decode().split("/")
        except (binascii.Error, UnicodeDecodeError, ValueError):
            raise _not_found(wanted) from None
        if len(names) != 3 or not all(DRIVE_NAME.fullmatch(x) for x in names):
            raise _not_found(wanted)
        path = self._data.joinpath(*names)
        known = names[0] == "drive" or (names[0] == "shared-drives" and _sees(request, names[0]))
        if not known or not path.is_file():
            raise _not_found(wanted)
        return path

    def _resource(self, path: Path) -> dict[str, Any]:
        content = path.read_bytes()
        relative = str(path.relative_to(self._data))
        return {
            "kind": "drive#file",
            "id": base64.urlsafe_b64encode(relative.encode()).decode().rstrip("="),
            "name": _name(path),
            "mimeType": "application/octet-stream",
            "parents": [path.parent.name],
            "size": str(len(content)),
            "md5Checksum": hashlib.md5(content, usedforsecurity=False).hexdigest(),
            "sha256Checksum": hashlib.sha256(content).hexdigest(),
            "trashed": False,
        }


def _refusal(error: EarthEngineError, reason: str) -> Response:
    return DriveError(error.code, reason, error.message).response


def _name(path: Path) -> str:
    """Return a file's name without the number that tells it from others of the name."""
    return re.sub(r" \(\d+\)$", "", path.name)


def _sees(request: Request, place: str) -> bool:
    """Tell whether a request is of a client that says it knows shared drives."""
    flag = "includeItemsFromAllDrives" if "q" in request.query_params else "supportsAllDrives"
    return place == "drive" or request.query_params.get(flag) == "true"


def _not_found(name: str) -> DriveError:
    return DriveError(404, "notFound", f"File not found: {name}.")
