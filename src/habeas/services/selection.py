"""Many requests at once: named by their ids, or as all that match a filter. Each portion is a transaction of its own.

What is cut off half-way has decided whole portions; the same call again decides what is left.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from habeas.domain.errors import InputError
from habeas.domain.request import RequestStatus
from habeas.execution.context import Context
from habeas.services.bulk import BulkResult, Failure
from habeas.services.request_search import Order, RequestFilter, SortField, find_ids
from habeas.services.request_views import RequestView

MOST = 10_000
"""Requests that one call may choose by a filter."""

_AT_ONCE = 50
_OLDEST_FIRST = Order(SortField.CREATED_AT, ascending=True)


@dataclass(frozen=True, slots=True)
class Selection:
    """All requests that match a filter, without those named."""

    wanted: RequestFilter
    exclude_ids: Collection[str] = ()


Chosen: TypeAlias = Sequence[str] | Selection


def act_on(
    context: Context,
    chosen: Chosen,
    statuses: Collection[RequestStatus],
    act: Callable[[Sequence[str]], BulkResult[RequestView]],
) -> BulkResult[RequestView]:
    """What `act` makes of each portion of what is chosen, put together; each request is there once.

    Of a filter's matches only those of these statuses are chosen, so that none fails for being done already. Raises
    InputError, before anything has happened, when they are more than `MOST`.
    """
    ids = _find(context, chosen, statuses) if isinstance(chosen, Selection) else list(dict.fromkeys(chosen))
    succeeded: list[RequestView] = []
    failed: list[Failure] = []
    for start in range(0, len(ids), _AT_ONCE):
        part = act(ids[start : start + _AT_ONCE])
        succeeded += part.succeeded
        failed += part.failed
    return BulkResult(succeeded, failed)


def _find(context: Context, selection: Selection, statuses: Collection[RequestStatus]) -> list[str]:
    """Ids of the requests selected, the oldest first."""
    asked = selection.wanted.status or tuple(RequestStatus)
    possible = tuple(status for status in asked if status in statuses)
    if not possible:
        return []
    excluded = set(selection.exclude_ids)
    wanted = replace(selection.wanted, status=possible)
    with context.ledger.read() as connection:
        found = find_ids(context, connection, wanted, _OLDEST_FIRST, MOST + len(excluded) + 1)
    ids = [request_id for request_id in found if request_id not in excluded]
    if len(ids) > MOST:
        raise InputError(f"more than {MOST} requests match", hint="narrow the filters; nothing was decided")
    return ids
