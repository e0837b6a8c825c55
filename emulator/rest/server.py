"""HTTP: which path is which API method, how bodies are decoded, how errors are answered."""

import asyncio
import json
import re
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from emulator import clock
from emulator.errors import EarthEngineError, NotImplementedByEmulator, internal_error
from emulator.faults import Faults
from emulator.graph import on_deep_stack
from emulator.registry import INT64_MAX, INT64_MIN
from emulator.rest.breaking import drop
from emulator.rest.field_mask import masked
from emulator.rest.method_override import with_method_override
from emulator.rest.request_log import RequestLog
from emulator.tasks import ANONYMOUS

#: Everyone may read its assets.
PUBLIC_PROJECT = "earthengine-public"
#: Bytes; the limit and its text are Earth Engine's.
MAX_BODY = 10_485_760
#: What nginx logs when the caller has gone before its request was complete.
CLIENT_CLOSED_REQUEST = 499
#: Seconds that an interactive request may compute (https://developers.google.com/earth-engine/guides/usage).
COMPUTE_SECONDS = 300.0
#: Nested values that any thread's stack can decode.
SHALLOW = 1000
#: Digits, with a sign, that an integer of 64 bits may have.
MAX_DIGITS = 20
#: Listings that may be answered again, as stale ones.
MAX_EARLIER = 1000
#: Half of a character beyond 16 bits, as JSON's escape or as bytes.
SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]|\xed[\xa0-\xbf]")
#: Evaluations at once: they are CPU-bound, more of them would only share the cores.
COMPUTE_THREADS = 4
#: Everything else at once: short reads and writes, and callers of operations.wait.
CONTROL_THREADS = 64


@dataclass(frozen=True)
class Call:
    """One API request, decoded."""

    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Mapping[str, Any]
    user: str = ANONYMOUS  # whose credentials it carries; they are not checked


@dataclass(frozen=True)
class Content:
    """An answer that is not JSON made here: ready bytes and what they are."""

    data: bytes
    media_type: str = "application/json"


Handler = Callable[[Call], Mapping[str, Any] | Content]


@dataclass(frozen=True)
class Method:
    """One API method: its id, the requests it takes and the function that answers them."""

    id: str
    verb: str
    path: str
    handle: Handler
    heavy: bool = field(default=False, kw_only=True)  # evaluates, on a deep stack
    counted: bool = field(default=True, kw_only=True)  # part of Earth Engine's surface
    reads: bool = field(default=False, kw_only=True)  # a POST that public assets allow


def custom(resource: str, name: str, handle: Handler, verb: str = "POST", **traits: bool) -> Method:
    """Return a custom method (https://google.aip.dev/136): image.export is …/image:export."""
    return Method(name, verb, f"{resource}:{name.partition('.')[2]}", handle, **traits)


class Server:
    """Answers HTTP requests with API methods, off the event loop."""

    def __init__(
        self, methods: list[Method], log: RequestLog, project: str, faults: Faults
    ) -> None:
        self._log = log
        self._project = project
        self._faults = faults
        self._earlier: dict[str, tuple[datetime, Response]] = {}  # listings by URL
        self._compute = ThreadPoolExecutor(COMPUTE_THREADS, "compute")
        self._control = ThreadPoolExecutor(CONTROL_THREADS, "control")
        rest = Method("unknown", "", "/{path:path}", _not_implemented)
        verbs = ["GET", "POST", "PATCH", "PUT", "DELETE"]
        routes = [Route(m.path, self._endpoint(m), methods=[m.verb]) for m in methods]
        routes.append(Route(rest.path, self._endpoint(rest), methods=verbs))
        self.app: ASGIApp = with_method_override(Starlette(routes=routes))

    def _endpoint(self, method: Method) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            start = time.perf_counter()
            response = await self._answer_or_fault(method, request)
            if method.counted:
                elapsed = 1000 * (time.perf_counter() - start)
                self._log.record(method.id, response.status_code, elapsed)
            return response

        return endpoint

    async def _answer_or_fault(self, method: Method, request: Request) -> Response:
        found = self._faults.of_request(method.id) if method.counted else []
        faults = {fault.kind: fault for fault in found}
        if slow := faults.get("slow"):
            await asyncio.sleep(slow.seconds)  # really: it is the client that waits
        if "drop_before" in faults:
            return await drop(request)
        for fault in found:
            if fault.error:
                return _failure(fault.error)
        if (stale := faults.get("stale")) and request.method == "GET":
            response = await self._earlier_answer(method, request, stale.seconds)
        else:
            response = await self._answer(method, request)
        return await drop(request) if "drop_after" in faults else response

    async def _earlier_answer(self, method: Method, request: Request, seconds: float) -> Response:
        """Answer as the same request was answered at most so many seconds ago."""
        url, now = str(request.url), clock.now()
        known = self._earlier.get(url)
        if known is None or (now - known[0]).total_seconds() >= seconds:
            if len(self._earlier) >= MAX_EARLIER:
                self._earlier.clear()
            known = self._earlier[url] = now, await self._answer(method, request)
        return known[1]

    async def _answer(self, method: Method, request: Request) -> Response:
        try:
            self._check_project(request, method)
            user = request.headers.get("authorization", ANONYMOUS)
            call = Call(request.path_params, request.query_params, await _body(request), user)
            pool = self._compute if method.heavy else self._control
            loop = asyncio.get_running_loop()
            respond = on_deep_stack(_respond, COMPUTE_SECONDS) if method.heavy else _respond
            return await loop.run_in_executor(pool, respond, method, call)
        except ClientDisconnect:
            return Response(status_code=CLIENT_CLOSED_REQUEST)  # no one reads it but the log
        except EarthEngineError as error:
            return _failure(error)
        except Exception:  # noqa: BLE001 - the boundary: a caller never sees a stack trace
            traceback.print_exc(file=sys.stderr)
            return _failure(internal_error())

    def _check_project(self, request: Request, method: Method) -> None:
        project = request.path_params.get("project", self._project)
        owner = request.path_params.get("owner", self._project)
        if owner == PUBLIC_PROJECT and (request.method == "GET" or method.reads):
            return
        for name in (project, owner):
            if name != self._project:
                raise EarthEngineError(
                    f"Permission denied. Caller does not have required permission to use project "
                    f"{name}. This emulator serves project {self._project}.",
                    403,
                )


def _respond(method: Method, call: Call) -> Response:
    answer = method.handle(call)
    if isinstance(answer, Content):
        return Response(answer.data, media_type=answer.media_type)
    return _json(masked(answer, call.query.get("fields", "")))


def _failure(error: EarthEngineError) -> Response:
    return _json(error.payload(), error.code)


def _not_implemented(call: Call) -> Mapping[str, Any]:
    error = NotImplementedByEmulator(f"The method at /{call.path['path']}")
    error.code = 404
    raise error


async def _body(request: Request) -> Mapping[str, Any]:
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > MAX_BODY:
            raise EarthEngineError(f"Request payload size exceeds the limit: {MAX_BODY} bytes.")
    if not data:
        return {}
    deep = data.count(b"[") + data.count(b"{") > SHALLOW  # the decoder recurses in C
    body = (on_deep_stack(_decoded) if deep else _decoded)(data)
    if not isinstance(body, dict):
        raise EarthEngineError("Invalid JSON payload received. An object was expected.")
    return body


def _decoded(data: bytearray) -> Any:
    try:
        body = json.loads(data, parse_constant=_refuse_constant, parse_int=_integer)
        if SURROGATE.search(data):
            json.dumps(body, ensure_ascii=False).encode()  # fails if there is one without the other
        return body
    except ValueError as error:
        raise EarthEngineError(f"Invalid JSON payload received. {error}") from error


def _integer(digits: str) -> int | float:
    """Return an integer of 64 bits, or else the double that other integers are in JSON."""
    if len(digits) > MAX_DIGITS:
        return float(digits)
    number = int(digits)
    return number if INT64_MIN <= number <= INT64_MAX else float(number)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON value.")


def _json(content: Mapping[str, Any], status: int = 200) -> Response:
    data = json.dumps(content, separators=(",", ":"), allow_nan=False)
    return Response(data, status, media_type="application/json")
