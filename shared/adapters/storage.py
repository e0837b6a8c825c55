"""Cloud Storage through its own client."""

from collections.abc import Callable
from functools import cached_property, wraps
from typing import Any, TypeVar

from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from shared.adapters import credentials
from shared.domain.archive import File
from shared.errors import AccessDenied, NotFound, Unavailable

T = TypeVar("T")

#: Reasons of a 403 that are no missing permission (https://cloud.google.com/storage/docs/json_api/v1/status-codes).
PASSING = {"quotaExceeded", "rateLimitExceeded", "userRateLimitExceeded"}


def _translated(call: Callable[..., T]) -> Callable[..., T]:
    """Raise what a client's exception means for the work at hand."""

    @wraps(call)
    def wrapper(self: "CloudObjects", uri: str, *args: Any) -> T:
        try:
            return call(self, uri, *args)
        except (exceptions.Forbidden, exceptions.Unauthorized) as error:
            words, reasons = _said(error)
            kind = Unavailable if reasons & PASSING else AccessDenied
            raise kind(f"{uri}: Cloud Storage: {words}") from error
        except exceptions.NotFound as error:
            raise NotFound(f"{uri}: {error.message}") from error
        except (exceptions.GoogleAPICallError, exceptions.RetryError, ConnectionError) as error:
            raise Unavailable(f"{uri}: Cloud Storage did not do it: {error}") from error

    return wrapper


class CloudObjects:
    """Cloud Storage (see shared.services.Objects); `url` is an emulator's."""

    def __init__(self, project: str, url: str | None = None) -> None:
        self._project = project
        self._url = url

    @cached_property
    def _client(self) -> storage.Client:
        if self._url is not None:
            return storage.Client(
                self._project, AnonymousCredentials(), client_options={"api_endpoint": self._url}
            )
        with credentials.needed():
            return storage.Client(self._project)

    @_translated
    def stat(self, uri: str) -> File | None:
        """Return what an object is now, or None where there is none."""
        blob = self._blob(uri)
        try:
            blob.reload()
        except exceptions.NotFound:
            # Of an object that is not, and of a bucket that is not, the answers are alike.
            self._client.get_bucket(blob.bucket.name)
            return None
        return _file(uri, blob)

    @_translated
    def read(self, uri: str) -> bytes:
        """Return an object's content, which the client checks, or raise NotFound."""
        content: bytes = self._blob(uri).download_as_bytes(checksum="crc32c")
        return content

    @_translated
    def write(self, uri: str, content: bytes, content_type: str) -> File:
        """Make or replace an object; Cloud Storage refuses it if it arrives changed."""
        blob = self._blob(uri)
        blob.upload_from_string(content, content_type=content_type, checksum="crc32c")
        return _file(uri, blob)

    @_translated
    def delete(self, uri: str) -> None:
        """Delete an object; that there is none is as good."""
        try:
            self._blob(uri).delete()
        except exceptions.NotFound:
            return

    def close(self) -> None:
        """Close connections, if there are any."""
        if "_client" in vars(self):
            self._client.close()
            del self._client

    def _blob(self, uri: str) -> storage.Blob:
        return storage.Blob.from_uri(uri, client=self._client)


def _said(error: exceptions.GoogleAPICallError) -> tuple[str, set[str]]:
    """Return an answer's message and reasons: the client has them in two forms of its own."""
    try:
        content = error.response.json()["error"]
        return content["message"], {x.get("reason", "") for x in content["errors"]}
    except (AttributeError, KeyError, TypeError, ValueError):  # a proxy's answer, perhaps
        return error.message, set()


def _file(uri: str, blob: storage.Blob) -> File:
    return File(uri, int(blob.size), str(blob.crc32c), int(blob.generation))
