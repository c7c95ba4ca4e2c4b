"""The one place that maps errors to HTTP.

Nothing here repeats what a caller sent: 422 bodies keep place, message and type only, of a place only what can be the
name of a field, and unknown errors are answered with a reference, logged with their kind and place in the code but
without their words.
"""

import logging
import re
import secrets
import traceback

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from habeas.domain.errors import (
    Conflict,
    DatasetError,
    Fault,
    HabeasError,
    InputError,
    NeedsHuman,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    TooSoon,
    TryAgain,
)
from habeas.services.fields import InvalidFields
from habeas.store.ledger import is_full

_log = logging.getLogger(__name__)

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_\[\],-]{0,99}")
"""Of a field, or of one of several types that it may have, e.g. `list[MaskingDraft]`."""

_STATUSES: tuple[tuple[type[HabeasError], int], ...] = (
    (NotAuthenticated, 401),
    (NotAllowed, 403),
    (NotFound, 404),
    (Conflict, 409),
    (DatasetError, 422),
    (InvalidFields, 422),
    (TooSoon, 429),
    (InputError, 400),
    (TryAgain, 503),
    (NeedsHuman, 409),
)


def install_error_handlers(app: FastAPI) -> None:
    """Answer our errors and invalid bodies; all others end in `answer_error` through `edge.Edge`."""
    app.add_exception_handler(HabeasError, _answer)
    app.add_exception_handler(RequestValidationError, _answer)


def answer_error(error: Exception) -> JSONResponse:
    """The response that an error deserves."""
    match error:
        case RequestValidationError():
            return _invalid([(tuple(item["loc"]), item["msg"], item["type"]) for item in error.errors()])
        case InvalidFields():
            return _invalid([(("body", *item.place), item.message, "invalid") for item in error.problems])
        case RecursionError() | UnicodeError():
            return JSONResponse({"detail": "the body is nested too deeply or holds text that is no Unicode"}, 400)
        case OperationalError() if is_full(error):
            return JSONResponse({"detail": "the ledger's disk is full (free some space, then try again)"}, 503)
        case OperationalError() | InterfaceError() | PoolTimeout():
            return JSONResponse({"detail": "the ledger's database does not answer (try again later)"}, 503)
        case HabeasError():
            status = next((status for kind, status in _STATUSES if isinstance(error, kind)), 500)
            if status == 500:
                return _fault(error)
            return JSONResponse({"detail": str(error)}, status, _headers(error, status))
    return _fault(error)


def _headers(error: HabeasError, status: int) -> dict[str, str] | None:
    if isinstance(error, TooSoon):
        return {"Retry-After": str(error.seconds)}
    return {"WWW-Authenticate": "Bearer"} if status == 401 else None


def _answer(request: Request, error: Exception) -> Response:
    return answer_error(error)


def _invalid(problems: list[tuple[tuple[str | int, ...], str, str]]) -> JSONResponse:
    found = [{"loc": [_name(part) for part in loc], "msg": msg, "type": kind} for loc, msg, kind in problems]
    return JSONResponse({"detail": found}, 422)


def _name(part: str | int) -> str | int:
    """A part of a place; the key of an object may be anything that the caller has written."""
    return part if isinstance(part, int) or _NAME.fullmatch(part) else "…"


def _fault(error: Exception) -> JSONResponse:
    reference = secrets.token_hex(6)
    words = str(error) if isinstance(error, Fault) else ""  # ours are free of values, others may quote them
    frames = traceback.extract_tb(error.__traceback__)
    places = " < ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in reversed(frames[-12:]))
    _log.error("fault %s: %s %s at %s", reference, type(error).__name__, words, places)
    return JSONResponse({"detail": f"something went wrong here (reference {reference} in the server's log)"}, 500)
