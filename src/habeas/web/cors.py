"""Pages of other origins: only those that `security.cors_origins` names may call the API and read its answers.

Never with a browser's own credentials: such a page brings its token itself.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from habeas.domain.clock import Clock

_KEPT = timedelta(seconds=2)
_PERMITTED = {
    "Access-Control-Allow-Methods": "GET, POST, PUT, PATCH, DELETE",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, X-Request-ID",
    "Access-Control-Max-Age": "600",
}
_READABLE = "X-Request-ID, Retry-After, WWW-Authenticate, Content-Disposition"

ReadOrigins = Callable[[], tuple[str, ...]]
"""Asks the ledger which origins may call."""


class Cors:
    """ASGI middleware. What the ledger says is kept for two seconds; calls that name no origin do not ask for it."""

    def __init__(self, app: ASGIApp, read_origins: ReadOrigins, clock: Clock) -> None:
        self._app = app
        self._read_origins = read_origins
        self._clock = clock
        self._known: tuple[datetime, tuple[str, ...]] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope) if scope["type"] == "http" else Headers()
        origin = headers.get("Origin", "")
        if not origin or origin not in await self._origins():
            await self._app(scope, receive, send)
            return

        async def send_readably(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                answer["Access-Control-Allow-Origin"] = origin
                answer["Access-Control-Expose-Headers"] = _READABLE
                answer.add_vary_header("Origin")
            await send(message)

        is_question = scope["method"] == "OPTIONS" and "Access-Control-Request-Method" in headers
        answer = Response(status_code=204, headers=_PERMITTED) if is_question else self._app
        await answer(scope, receive, send_readably)

    async def _origins(self) -> tuple[str, ...]:
        now = self._clock.now()
        if self._known is None or abs(now - self._known[0]) > _KEPT:
            self._known = now, await run_in_threadpool(self._read_origins)
        return self._known[1]
