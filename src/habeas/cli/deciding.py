"""Commands of staff who decide about requests, by their ids or by options that say which."""

from collections.abc import Callable, Sequence
from typing import Annotated, TypeAlias

import typer

from habeas.cli.conditions import (
    DuplicateOf,
    ExternalId,
    OfPolicy,
    Overdue,
    Regulation,
    Statuses,
    conditions_of,
)
from habeas.cli.printing import print_json
from habeas.cli.server_options import LOCAL, AsJson, Url, connect
from habeas.cli.settings_option import DataDir
from habeas.client import Json
from habeas.domain.errors import InputError

RequestIds: TypeAlias = Annotated[
    list[str] | None, typer.Argument(help="Ids of the requests, at most 50; or options that say which.")
]
Reason: TypeAlias = Annotated[str, typer.Option(help="Why; it is kept with the request. No personal data, please.")]
_PATIENCE = 600.0
"""Seconds that a decision about many requests may take."""
_MISSING = "`habeas request list` shows the latest"


def approve(
    context: typer.Context,
    request_ids: RequestIds = None,
    status: Statuses = None,
    policy: OfPolicy = None,
    external_id: ExternalId = None,
    overdue: Overdue = False,
    regulation: Regulation = None,
    duplicate_of: DuplicateOf = None,
    as_json: AsJson = False,
    url: Url = LOCAL,
    data_dir: DataDir = None,
) -> None:
    """Let requests that await review be carried out."""
    conditions = conditions_of(status, policy, external_id, overdue, regulation, duplicate_of)
    _decide(context, "approve", _choose(request_ids, conditions), as_json, url, data_dir)


def _ending(verb: str, said: str) -> Callable[..., None]:
    """A command that ends requests, with a reason."""

    def end(
        context: typer.Context,
        request_ids: RequestIds = None,
        reason: Reason = "",
        status: Statuses = None,
        policy: OfPolicy = None,
        external_id: ExternalId = None,
        overdue: Overdue = False,
        regulation: Regulation = None,
        duplicate_of: DuplicateOf = None,
        as_json: AsJson = False,
        url: Url = LOCAL,
        data_dir: DataDir = None,
    ) -> None:
        conditions = conditions_of(status, policy, external_id, overdue, regulation, duplicate_of)
        body = {**_choose(request_ids, conditions), **({"reason": reason} if reason else {})}
        _decide(context, verb, body, as_json, url, data_dir)

    end.__doc__ = said
    return end


deny = _ending("deny", "End requests that await review.")
cancel = _ending("cancel", "End requests that are not over yet; what was masked stays masked.")


def _choose(request_ids: Sequence[str] | None, conditions: Json) -> dict[str, Json]:
    """The requests to decide about: by ids or by conditions."""
    if bool(request_ids) == bool(conditions):
        raise InputError("say which requests: by ids, or by options, not both", hint="e.g. --status pending")
    return {"request_ids": request_ids} if request_ids else {"filters": conditions}


def _decide(context: typer.Context, verb: str, body: Json, as_json: bool, url: str, data_dir: DataDir) -> None:
    """Ask for a decision; what could not be decided ends the command with exit code 1, after what could."""
    with connect(context, url, data_dir) as client:
        decided = client.call("PATCH", f"/privacy-request/administrate/{verb}", json=body, timeout=_PATIENCE)
    if as_json:
        print_json(decided)
    else:
        for request in decided["succeeded"]:
            typer.echo(f"{request['id']}  {request['status']}")
    if decided["failed"]:
        told = (f"{_id_of(failure['data'])}: {failure['message']}" for failure in decided["failed"])
        raise InputError("; ".join(told), hint=_MISSING)


def _id_of(data: Json) -> str:
    return str(data.get("id") or data["privacy_request_id"])
