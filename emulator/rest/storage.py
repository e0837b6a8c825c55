"""Cloud Storage's JSON API over the emulator's own buckets: what its real client needs of it.

An emulator of Cloud Storage alone would keep objects in a place of its own, where neither exports
put theirs nor ingestion finds any. Names, paths and answers follow
https://cloud.google.com/storage/docs/json_api/v1. Not there: permissions, versions, uploads in
several requests.
"""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import google_crc32c
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from emulator.assets.buckets import Buckets, generation
from emulator.errors import EarthEngineError
from emulator.faults import Faults
from emulator.rest.breaking import with_faults

PREFIXES = ("/storage/v1/", "/upload/storage/v1/", "/download/storage/v1/")
MULTIPART, MEDIA = "multipart", "media"
#: The methods that there are, for faults.
METHODS = (
    "storage.buckets.get",
    *(f"storage.objects.{name}" for name in ("delete", "get", "insert", "list")),
)


class Storage:
    """Answers requests for buckets and objects."""

    def __init__(self, buckets: Buckets, faults: Faults) -> None:
        self._buckets = buckets
        self._faults = faults
        bucket = "/storage/v1/b/{bucket}"
        objects = [
            f"{where}/storage/v1/b/{{bucket}}/o/{{name:path}}" for where in ("", "/download")
        ]
        self.app = Starlette(
            routes=[
                Route(bucket, self._told("buckets.get", self._bucket), methods=["GET"]),
                Route(f"{bucket}/o", self._told("objects.list", self._list), methods=["GET"]),
                *(
                    Route(path, self._told("objects.get", self._get), methods=["GET"])
                    for path in objects
                ),
                Route(objects[0], self._told("objects.delete", self._delete), methods=["DELETE"]),
                Route(
                    f"/upload{bucket}/o",
                    self._told("objects.insert", self._insert),
                    methods=["POST"],
                ),
            ]
        )

    def _told(self, method: str, answer: Callable[[Request, bytes], Response]) -> Any:
        async def endpoint(request: Request) -> Response:
            try:
                return await run_in_threadpool(answer, request, await request.body())
            except EarthEngineError as error:
                return _error(error.code, error.message)

        return with_faults(self._faults, f"storage.{method}", endpoint, _refusal)

    def _bucket(self, request: Request, _: bytes) -> Response:
        name = request.path_params["bucket"]
        self._buckets.path(f"gs://{name}/x")  # raises for a bucket that there is not
        return JSONResponse({"kind": "storage#bucket", "id": name, "name": name, "location": "US"})

    def _list(self, request: Request, _: bytes) -> Response:
        bucket = request.path_params["bucket"]
        root = self._buckets.path(f"gs://{bucket}/x").parent
        prefix = request.query_params.get("prefix", "")
        names = sorted(str(x.relative_to(root)) for x in root.rglob("*") if x.is_file())
        items = [_resource(bucket, x, root / x) for x in names if x.startswith(prefix)]
        return JSONResponse({"kind": "storage#objects", "items": items})

    def _get(self, request: Request, _: bytes) -> Response:
        bucket, name = request.path_params["bucket"], request.path_params["name"]
        path = self._buckets.existing(f"gs://{bucket}/{name}")
        wanted = request.query_params.get("generation")
        if wanted and wanted != str(generation(path)):
            return _error(404, f"No such object: {bucket}/{name}#{wanted}")
        resource = _resource(bucket, name, path)
        if request.query_params.get("alt") != MEDIA:
            return JSONResponse(resource)
        headers = {
            "x-goog-hash": f"crc32c={resource['crc32c']}",
            "x-goog-generation": resource["generation"],
        }
        return Response(path.read_bytes(), headers=headers)

    def _delete(self, request: Request, _: bytes) -> Response:
        bucket, name = request.path_params["bucket"], request.path_params["name"]
        self._buckets.existing(f"gs://{bucket}/{name}").unlink()
        return Response(status_code=204)

    def _insert(self, request: Request, body: bytes) -> Response:
        bucket = request.path_params["bucket"]
        name, content, checksum = _upload(request, body)
        path = self._buckets.path(f"gs://{bucket}/{name}")
        if checksum and checksum != _crc32c(content):
            return _error(400, "Provided CRC32C does not match the uploaded content.")
        if request.query_params.get("ifGenerationMatch") == "0" and path.exists():
            return _error(412, f"{bucket}/{name} exists.")
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.draft")
        draft.write_bytes(content)
        draft.replace(path)
        return JSONResponse(_resource(bucket, name, path))


def beside(app: ASGIApp, other: ASGIApp, prefixes: tuple[str, ...]) -> ASGIApp:
    """Give an app's requests for paths with some prefixes to another."""

    async def either(scope: Scope, receive: Receive, send: Send) -> None:
        is_other = scope["type"] == "http" and scope["path"].startswith(prefixes)
        await (other if is_other else app)(scope, receive, send)

    return either


def _upload(request: Request, body: bytes) -> tuple[str, bytes, str]:
    """Return an upload's name, content and checksum (base64; may be empty)."""
    kind = request.query_params.get("uploadType")
    if kind == MEDIA:
        return request.query_params.get("name", ""), body, ""
    if kind != MULTIPART:
        raise EarthEngineError(f"Uploads of type {kind!r:.40} are not implemented by the emulator.")
    delimiter = (
        b"--" + request.headers["content-type"].partition("boundary=")[2].strip('"').encode()
    )
    try:
        _, first, rest = body.split(delimiter, 2)
    except ValueError:
        raise EarthEngineError("A multipart upload needs metadata and content.") from None
    second = rest.rpartition(b"\r\n" + delimiter)[0]
    metadata: dict[str, Any] = json.loads(first.partition(b"\r\n\r\n")[2])
    return metadata["name"], second.partition(b"\r\n\r\n")[2], metadata.get("crc32c", "")


def _resource(bucket: str, name: str, path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    return {
        "kind": "storage#object",
        "id": f"{bucket}/{name}/{generation(path)}",
        "name": name,
        "bucket": bucket,
        "generation": str(generation(path)),
        "metageneration": "1",
        "size": str(len(content)),
        "crc32c": _crc32c(content),
        "storageClass": "STANDARD",
    }


def _crc32c(content: bytes) -> str:
    return base64.b64encode(google_crc32c.value(content).to_bytes(4, "big")).decode()


def _refusal(error: EarthEngineError, reason: str) -> Response:
    return _error(error.code, error.message, reason)


def _error(status: int, message: str, reason: str = "invalid") -> Response:
    errors = [{"message": message, "domain": "global", "reason": reason}]
    content = {"code": status, "message": message, "errors": errors}
    return JSONResponse({"error": content}, status)
