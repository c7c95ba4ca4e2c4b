"""JSON bodies, read strictly and once for all routes: nothing is written when a body is no JSON in Unicode.

What Python's own reader lets pass is refused here: half a surrogate pair (`"\\ud800"`), which no database can hold,
bytes that are no UTF-8, and numbers beyond all bounds.
"""

from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute

_REFUSAL = "the body is no JSON in UTF-8: it is cut off, nested too deeply, or holds half a surrogate pair or the like"


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
