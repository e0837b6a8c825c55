"""Long GET requests, which Google's client sends as POST.

Beyond 2048 characters (googleapiclient.http.MAX_URI_LENGTH) the query travels in the body, and
the header `x-http-method-override` has the verb: listImages with a detailed region comes so.
"""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER = (b"x-http-method-override", b"GET")
#: Bytes of a query: more than any filter needs.
MAX_QUERY = 2**20


def with_method_override(app: ASGIApp) -> ASGIApp:
    """Return an application that sees such a request as the GET that it stands for."""

    async def outermost(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST" and HEADER in scope["headers"]:
            query, more = b"", True
            while more and len(query) <= MAX_QUERY:
                message = await receive()
                query += message.get("body", b"")
                more = message.get("more_body", False)
            scope = {**scope, "method": "GET", "query_string": query[:MAX_QUERY]}
            receive = _nothing
        await app(scope, receive, send)

    return outermost


async def _nothing() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}
