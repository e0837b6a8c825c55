"""What faults do to requests of any service: refusals, and connections that break."""

import asyncio
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from emulator.errors import EarthEngineError
from emulator.faults import Faults

#: What nginx logs when it closes a connection without an answer.
NO_RESPONSE = 444
#: Where a request's scope keeps what the connection's end takes.
CYCLE = "emulator.cycle"

Endpoint = Callable[[Request], Awaitable[Response]]


def knowing_its_cycle(app: ASGIApp) -> ASGIApp:
    """Return an application whose requests `drop` can leave without an answer."""

    async def outermost(scope: Scope, receive: Receive, send: Send) -> None:
        scope[CYCLE] = getattr(send, "__self__", None)
        await app(scope, receive, send)

    return outermost


async def drop(request: Request) -> Response:
    """Close the connection, which ASGI has no word for but uvicorn's cycle can."""
    request.scope[CYCLE].transport.close()
    await asyncio.sleep(0)  # the cycle learns of it, and writes no answer
    return Response(status_code=NO_RESPONSE)


def with_faults(
    faults: Faults,
    method: str,
    answer: Endpoint,
    refusal: Callable[[EarthEngineError, str], Response],
) -> Endpoint:
    """Return an endpoint with a method's faults; `refusal` is of an error and the fault's kind."""

    async def endpoint(request: Request) -> Response:
        found = faults.of_request(method)
        kinds = {fault.kind for fault in found}
        if "drop_before" in kinds:
            return await drop(request)
        for fault in found:
            if fault.error:
                return refusal(fault.error, fault.kind)
        response = await answer(request)
        return await drop(request) if "drop_after" in kinds else response

    return endpoint
