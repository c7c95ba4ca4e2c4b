"""The description of the API: beside what FastAPI finds out, every refusal of every route, in the shape of `errors`."""

from typing import Any

from fastapi import FastAPI

_PREFIX = "/api/"
_METHODS = ("get", "post", "put", "patch", "delete")
_ERROR = {"$ref": "#/components/schemas/Error"}
_SCHEMAS: dict[str, Any] = {
    "Error": {
        "type": "object",
        "description": "Any answer that is no success: one sentence with its hint, or one problem for each field.",
        "properties": {
            "detail": {
                "anyOf": [{"type": "string"}, {"type": "array", "items": {"$ref": "#/components/schemas/Problem"}}]
            }
        },
        "required": ["detail"],
        "additionalProperties": False,
    },
    "Problem": {
        "type": "object",
        "description": "What is wrong at one place of what was sent. It never repeats a value.",
        "properties": {
            "loc": {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]}},
            "msg": {"type": "string"},
            "type": {"type": "string"},
        },
        "required": ["loc", "msg", "type"],
        "additionalProperties": False,
    },
}
_MEANINGS = {
    "400": "It makes no sense, or not now",
    "401": "No valid token",
    "403": "The token lacks the scope, or the code is not right",
    "404": "There is no such thing",
    "409": "What is there stands against it",
    "413": "The body is larger than 16 MB, on routes that are open to all 1 MB",
    "415": "The body is of another media type",
    "422": "Parts of it are malformed",
    "429": "Too soon: `Retry-After` says in how many seconds to ask again",
    "503": "The ledger does not answer, or too many calls wait for systems outside: try again later",
}


class Api(FastAPI):
    """An application whose description names every refusal.

    Routes declare the statuses that only they answer, e.g. `responses={409: {}}`; the others follow from their form.
    """

    def openapi(self) -> dict[str, Any]:
        described = super().openapi()
        schemas = described["components"]["schemas"]
        if "Error" not in schemas:
            for path, operations in described["paths"].items():
                for method in _METHODS:
                    if path.startswith(_PREFIX) and method in operations:
                        _add_refusals(path, operations[method])
            for replaced in ("HTTPValidationError", "ValidationError"):
                schemas.pop(replaced, None)
            schemas.update(_SCHEMAS)
        return described


def _add_refusals(path: str, operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    declared = {status for status in responses if status in _MEANINGS}
    for status in sorted(declared | _find_statuses(path, operation)):
        responses[status] = {"description": _MEANINGS[status], "content": {"application/json": {"schema": _ERROR}}}


def _find_statuses(path: str, operation: dict[str, Any]) -> set[str]:
    """The refusals that follow from what a route takes and needs."""
    found = {"400", "429", "503"}
    if operation.get("security"):
        found |= {"401", "403"}
    if "{" in path:
        found |= {"404"}
    if operation.get("parameters"):
        found |= {"422"}
    if "requestBody" in operation:
        found |= {"413", "422"}
    return found
