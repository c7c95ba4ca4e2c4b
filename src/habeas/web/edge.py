"""The outermost layer, seen by every call: trailing slashes, security headers, unknown errors, quiet access logs.

Must not know any route.
"""

from collections.abc import Callable

from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


class Edge:
    """ASGI middleware around the application."""

    def __init__(self, app: ASGIApp, answer_error: Callable[[Exception], ASGIApp]) -> None:
        self._app = app
        self._answer_error = answer_error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        inner = dict(scope)
        inner["path"] = scope["path"].rstrip("/") or "/"
        # Servers write their access log from the outer scope: queries may name identities, so they lose them.
        scope["query_string"] = b""
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        if "\x00" in inner["path"] or b"%00" in inner["query_string"]:
            refusal = JSONResponse({"detail": "the address holds a NUL character"}, 400)
            await refusal(inner, receive, send_with_headers)
            return
        try:
            await self._app(inner, receive, send_with_headers)
        except Exception as error:
            answer = self._answer_error(error)
            if not started:  # else the broken-off body tells the caller
                await answer(inner, receive, send_with_headers)
