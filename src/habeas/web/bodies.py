"""Bodies: how large they may be, and JSON, read strictly and once for all routes: no JSON in Unicode, nothing written.

What Python's own reader lets pass is refused here: half a surrogate pair (`"\\ud800"`), which no database can hold,
bytes that are no UTF-8, and numbers beyond all bounds.
"""

from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
from fastapi import HTTPException, Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from habeas.web.open_routes import OTHER, find_kind

_MB = 1024 * 1024
_LIMIT, _OPEN_LIMIT = 16 * _MB, _MB
_REFUSAL = "the body is no JSON in UTF-8: it is cut off, nested too deeply, or holds half a surrogate pair or the like"


class BodyLimits:
    """ASGI middleware that answers 413 to what says that it is too large, and breaks off what turns out to be."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = _LIMIT if find_kind(scope) == OTHER else _OPEN_LIMIT
        refusal = f"the body is larger than {limit // _MB} MB"
        if _read_length(scope) > limit:
            await JSONResponse({"detail": refusal}, 413)(scope, receive, send)
            return
        taken = 0

        async def receive_some() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > limit:
                raise HTTPException(413, refusal)
            return message

        await self._app(scope, receive_some, send)


def _read_length(scope: Scope) -> int:
    """The length that a call says its body has; 0 if it says none."""
    said = Headers(scope=scope).get("Content-Length", "")
    return int(said) if said.isascii() and said.isdigit() and len(said) < 20 else 0


def form_examples(examples: dict[str, Any]) -> dict[str, Any]:
    """The part of a route's description that gives examples of a form; FastAPI takes them for JSON only."""
    return {"requestBody": {"content": {"application/x-www-form-urlencoded": {"examples": examples}}}}


class StrictRequest(Request):
    """A request whose JSON is whole and all Unicode."""

    async def json(self) -> Any:
        """The body's value. Raises HTTPException (422), whose words repeat nothing of it."""
        body = await self.body()
        try:
            return msgspec.json.decode(body)
        except (ValueError, RecursionError):
            raise HTTPException(422, [{"loc": ["body"], "msg": _REFUSAL, "type": "json_invalid"}]) from None


class StrictRoute(APIRoute):
    """A route that reads its body as a StrictRequest; every router that takes bodies is made with it."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_strictly(request: Request) -> Response:
            return await handle(StrictRequest(request.scope, request.receive))

        return handle_strictly
