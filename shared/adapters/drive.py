"""Drive through its own client: a second copy of what is archived."""

import hashlib
import io
import json
from collections.abc import Callable
from functools import cached_property, wraps
from pathlib import Path
from typing import Any, TypeVar

import google.auth
import google.oauth2.credentials
import google_auth_httplib2
import httplib2
from google.auth.exceptions import GoogleAuthError, RefreshError
from googleapiclient import discovery, http
from googleapiclient.discovery_cache import get_static_doc
from googleapiclient.errors import HttpError

from shared.adapters import credentials
from shared.domain.archive import DriveFile
from shared.errors import AccessDenied, NotFound, Unavailable, VerdureError

T = TypeVar("T")

SCOPE = "https://www.googleapis.com/auth/drive"
#: What is asked of a file.
FIELDS = "id,name,size,sha256Checksum"
#: Bytes of a request of an upload; Drive wants multiples of 256 KiB.
CHUNK = 32 * 2**20
#: How often the client repeats a request that failed for a passing reason.
RETRIES = 3
#: Reasons of a 403 that pass (https://developers.google.com/workspace/drive/api/guides/handle-errors).
PASSING = {"rateLimitExceeded", "userRateLimitExceeded", "sharingRateLimitExceeded"}
FULL = "storageQuotaExceeded"
#: A service account has no storage of its own in Drive.
WITHOUT_STORAGE = (
    "this account has no storage of its own in Drive, as no service account has: let "
    "archive.drive name a folder of a Shared Drive of which it is a content manager, or set "
    "VERDURE_DRIVE_CREDENTIALS to a user's (docs/archive.md)"
)


def _translated(call: Callable[..., T]) -> Callable[..., T]:
    """Raise what a client's exception means for the work at hand."""

    @wraps(call)
    def wrapper(self: "GoogleDrive", name: str, *args: Any) -> T:
        try:
            return call(self, name, *args)
        except HttpError as error:
            raise self.meaning_of(name, error) from error
        except GoogleAuthError as error:
            is_refused = isinstance(error, RefreshError) and not error.retryable
            kind = AccessDenied if is_refused else Unavailable
            raise kind(f"{name}: Drive: the account's credentials: {error}") from error
        except (OSError, httplib2.HttpLib2Error) as error:
            raise Unavailable(f"{name}: Drive did not answer: {error}") from error

    return wrapper


class _Pieces(http.MediaIoBaseUpload):  # type: ignore[misc]
    """Content in pieces of bytes: a stream is at its end when the client sends a piece again."""

    def has_stream(self) -> bool:
        """Have the client ask for bytes."""
        return False


class GoogleDrive:
    """Drive (see shared.services.Drive); `url` is an emulator's, `user` a file with a user's OAuth.

    Without `user` the credentials are the process's own: a service account's in the cloud.
    """

    def __init__(self, url: str | None = None, user: Path | None = None) -> None:
        self._url = url
        self._user = user

    @cached_property
    def _client(self) -> Any:
        transport: Any = http.build_http()
        if self._url is None:
            transport = google_auth_httplib2.AuthorizedHttp(self._credentials(), transport)
            return discovery.build("drive", "v3", http=transport)
        # An endpoint alone would leave uploads on https, which no emulator speaks.
        description = json.loads(get_static_doc("drive", "v3"))
        description["rootUrl"] = f"{self._url}/"
        return discovery.build_from_document(description, http=transport)

    def _credentials(self) -> Any:
        if self._user is not None:
            load = google.oauth2.credentials.Credentials.from_authorized_user_file
            return load(str(self._user), [SCOPE])
        with credentials.needed():
            found, _ = google.auth.default(scopes=[SCOPE])
        return found

    @_translated
    def write(self, name: str, folder: str, content: bytes) -> DriveFile:
        """Make a file, unless there is one of the name with the same content."""
        checksum = hashlib.sha256(content).hexdigest()
        for file in self._of_name(name, folder):
            if file.sha256 == checksum:
                return file
        media = _Pieces(io.BytesIO(content), "application/octet-stream", CHUNK, resumable=True)
        request = self._client.files().create(
            body={"name": name, "parents": [folder]},
            media_body=media,
            fields=FIELDS,
            supportsAllDrives=True,
        )
        written = _file(request.execute(num_retries=RETRIES))
        if written.sha256 != checksum:
            raise Unavailable(f"{name}: what arrived in Drive is not what was sent")
        return written

    @_translated
    def stat(self, file_id: str) -> DriveFile | None:
        """Return what a file is now, or None where there is none."""
        request = self._client.files().get(fileId=file_id, fields=FIELDS, supportsAllDrives=True)
        try:
            return _file(request.execute(num_retries=RETRIES))
        except HttpError as error:
            if error.status_code != 404:
                raise
            return None

    @_translated
    def read(self, file_id: str) -> bytes:
        """Return a file's content, or raise NotFound."""
        request = self._client.files().get_media(fileId=file_id, supportsAllDrives=True)
        content: bytes = request.execute(num_retries=RETRIES)
        return content

    def close(self) -> None:
        """Close connections, if there are any."""
        if "_client" in vars(self):
            self._client.close()
            del self._client

    def meaning_of(self, name: str, error: HttpError) -> VerdureError:
        """Return what an answer means for the work at hand."""
        reasons = {x.get("reason") for x in error.error_details if isinstance(x, dict)}
        words = f"{name}: Drive: {error.reason}"
        if FULL in reasons:
            return AccessDenied(f"{words}: {self._fullness()}")
        if error.status_code >= 500 or error.status_code == 429 or reasons & PASSING:
            return Unavailable(words)
        if error.status_code == 404:
            return NotFound(f"{words}: share the folder with the account that archives")
        return AccessDenied(words)

    def _fullness(self) -> str:
        """Say why there is no room, and what to do."""
        try:
            about = self._client.about().get(fields="storageQuota,user").execute()
        except HttpError:
            return "free or buy storage"
        quota = about["storageQuota"]
        if quota.get("limit") == "0":
            return WITHOUT_STORAGE
        used = f"{quota.get('usage')} of {quota.get('limit', 'unlimited')} bytes"
        return f"{about['user'].get('emailAddress')} uses {used}: free or buy storage"

    def _of_name(self, name: str, folder: str) -> list[DriveFile]:
        escaped = name.replace("\\", "\\\\").replace("'", "\\'")
        request = self._client.files().list(
            q=f"'{folder}' in parents and name = '{escaped}' and trashed = false",
            fields=f"files({FIELDS})",
            supportsAllDrives=True,
            includeItemsFromAllDrives=True,
        )
        return [_file(x) for x in request.execute(num_retries=RETRIES)["files"]]


def _file(resource: dict[str, Any]) -> DriveFile:
    return DriveFile(
        resource["id"], resource["name"], int(resource["size"]), resource["sha256Checksum"]
    )
