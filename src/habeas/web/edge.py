"""The outermost layer, seen by every call: its id, trailing slashes, security headers, unknown errors, one log line.

Must not know any route.
"""

import logging
import re
import time
import uuid
from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from habeas.log_fields import bound

_log = logging.getLogger(__name__)

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_BY_TLS = {**_HEADERS, "Strict-Transport-Security": "max-age=31536000"}
_ID = "X-Request-ID"
_WELL_FORMED = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9._-]{8,64}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
"""In no path: a route's pattern lets a last line break pass, where limits that go by the path see another path."""
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

Observe = Callable[[str, str, int, float], None]
"""Is told method, route template, status (0: the caller left before an answer) and seconds of every call."""


class Edge:
    """ASGI middleware around the application."""

    def __init__(self, app: ASGIApp, answer_error: Callable[[Exception], ASGIApp], observe: Observe) -> None:
        self._app = app
        self._answer_error = answer_error
        self._observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        inner = dict(scope)
        inner["path"] = scope["path"].rstrip("/") or "/"
        # Servers write their access log from the outer scope: queries may name identities, so they lose them.
        scope["query_string"] = b""
        call_id = _read_id(scope)
        started, status = time.perf_counter(), 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers[_ID] = call_id
                for name, value in (_BY_TLS if scope.get("scheme") == "https" else _HEADERS).items():
                    headers.setdefault(name, value)
            await send(message)

        with bound(call=call_id):
            try:
                await self._answer(inner, receive, send_with_headers, lambda: status > 0)
            finally:
                self._record(inner, status, time.perf_counter() - started)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, has_begun: Callable[[], bool]) -> None:
        if _CONTROL.search(scope["path"]) or b"%00" in scope["query_string"]:
            refusal = JSONResponse({"detail": "the address holds a control character"}, 400)
            await refusal(scope, receive, send)
            return
        try:
            await self._app(scope, receive, send)
        except Exception as error:
            answer = self._answer_error(error)
            if not has_begun():  # else the broken-off body tells the caller
                await answer(scope, receive, send)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "other"
        route = _read_template(scope)
        self._observe(method, route, status, seconds)
        milliseconds = round(seconds * 1000, 1)
        fields = {"method": method, "route": route, "status": status, "milliseconds": milliseconds}
        _log.info("answered", extra={"fields": fields})


def _read_id(scope: Scope) -> str:
    """The id that the caller gave the call, if it is well-formed, else a fresh one."""
    given = Headers(scope=scope).get(_ID, "")
    return given if _WELL_FORMED.fullmatch(given) else uuid.uuid4().hex


def _read_template(scope: Scope) -> str:
    """The template of the route that was found: it stands for the path, which may hold whatever a caller writes."""
    found: str | None = getattr(scope.get("route"), "path", None)
    if found is None:
        return "unknown"
    if ":path}" in found:
        return found
    below = scope["path"].split("/")[: -found.count("/")]  # routers do not say under which prefix they are
    return "/".join(below) + found
