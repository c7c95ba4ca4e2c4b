"""Options that say which requests a command is about."""

from collections.abc import Sequence
from typing import Annotated, TypeAlias

import typer

from habeas.client import Json
from habeas.domain.request import RequestStatus

Statuses: TypeAlias = Annotated[
    list[RequestStatus] | None, typer.Option("--status", help="Only of this status; may be repeated.")
]
OfPolicy: TypeAlias = Annotated[str | None, typer.Option("--policy", help="Only of this policy.")]
ExternalId: TypeAlias = Annotated[str | None, typer.Option(help="Only external ids that begin so.")]
Overdue: TypeAlias = Annotated[bool, typer.Option("--overdue", help="Only those not ended that were due before today.")]
Regulation: TypeAlias = Annotated[str | None, typer.Option(help="Only of this regulation.")]
DuplicateOf: TypeAlias = Annotated[str | None, typer.Option(help="Only duplicates of the request of this id.")]


def conditions_of(
    status: Sequence[RequestStatus] | None,
    policy: str | None,
    external_id: str | None,
    overdue: bool,
    regulation: str | None,
    duplicate_of: str | None,
) -> dict[str, Json]:
    """What requests are looked for, as the API spells it."""
    wanted = {
        "status": status,
        "policy_key": policy,
        "external_id": external_id,
        "is_overdue": overdue,
        "regulation": regulation,
        "duplicate_of": duplicate_of,
    }
    return {name: value for name, value in wanted.items() if value}
