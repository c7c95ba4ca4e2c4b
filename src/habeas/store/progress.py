"""Repository of outcomes: what has come of each request in each collection, and where its rows are kept.

An outcome belongs to a request, not to a run: what one run has done, a later one inherits (decision 0009).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from habeas.domain.request import ActionType
from habeas.store.configurations import Record
from habeas.store.tables import members, outcomes

_RUN = sa.bindparam("wanted_run", type_=sa.String)


@dataclass(frozen=True, slots=True)
class Spool:
    """Where the rows of one member in one collection are."""

    task_id: int
    attempt: int
    ordinal: int


@dataclass(frozen=True, slots=True)
class Begun:
    """An erasure of one member in one collection that has begun; `found` rows are counted so far."""

    complete: bool
    found: int


def _outcome_insert(dialect: str) -> "sqlite.Insert | postgresql.Insert":
    return sqlite.insert(outcomes) if dialect == "sqlite" else postgresql.insert(outcomes)


def _replacing(insert: "sqlite.Insert | postgresql.Insert", names: Sequence[str]) -> sa.Insert:
    """An upsert that replaces these columns."""
    fresh = {name: insert.excluded[name] for name in names}
    upsert = insert.on_conflict_do_update(index_elements=list(outcomes.primary_key), set_=fresh)
    # With RETURNING many rows are one statement in PostgreSQL too: see the ledger's engine on pipelines.
    return upsert.returning(outcomes.c.collection) if isinstance(insert, postgresql.Insert) else upsert


@cache
def _put_outcome(dialect: str) -> sa.Insert:
    insert = _outcome_insert(dialect)
    return _replacing(insert, [column.name for column in outcomes.c if not column.primary_key])


@cache
def _begin_outcomes(dialect: str) -> sa.Insert:
    begun = sa.select(
        members.c.request_id,
        sa.literal(str(ActionType.ERASURE)),
        sa.bindparam("wanted_collection", type_=sa.String),
        sa.literal(False, sa.Boolean),
    ).where(members.c.run_id == _RUN, members.c.living)
    insert = _outcome_insert(dialect).from_select(["request_id", "action", "collection", "complete"], begun)
    return insert.on_conflict_do_nothing()


def write_outcomes(connection: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Put outcomes in place of what stood there for (request, action, collection). All have the same columns."""
    if rows:
        connection.execute(_put_outcome(connection.dialect.name), list(rows))


@cache
def _skip_outcome(dialect: str) -> sa.Insert:
    insert = _outcome_insert(dialect)
    return _replacing(insert, ["complete", "skipped"])


def skip_outcomes(connection: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Say that nothing more is done here, and why; what was counted stays."""
    if rows:
        connection.execute(_skip_outcome(connection.dialect.name), list(rows))


def begin_erasure(connection: sa.Connection, run_id: str, collection: str) -> None:
    """Say of every living member that rows of it may change from now on; what is known of it stays."""
    begun = {"wanted_run": run_id, "wanted_collection": collection}
    connection.execute(_begin_outcomes(connection.dialect.name), begun)


def outcomes_of(connection: sa.Connection, request_ids: Sequence[str]) -> list[Record]:
    """Outcomes of these requests."""
    return list(connection.execute(sa.select(outcomes).where(outcomes.c.request_id.in_(request_ids))).mappings())


def erasing_among(connection: sa.Connection, request_ids: Sequence[str]) -> set[str]:
    """Those of these requests that have begun to erase."""
    query = sa.select(outcomes.c.request_id).distinct()
    begun = (outcomes.c.request_id.in_(request_ids), outcomes.c.action == str(ActionType.ERASURE))
    return set(connection.scalars(query.where(*begun)))


def passed_over(connection: sa.Connection, request_ids: Sequence[str]) -> dict[str, set[str]]:
    """Collections that access passed over, by request; requests without any are absent."""
    query = sa.select(outcomes.c.request_id, outcomes.c.collection).where(
        outcomes.c.request_id.in_(request_ids),
        outcomes.c.action == str(ActionType.ACCESS),
        outcomes.c.skipped.is_not(None),
    )
    found: dict[str, set[str]] = {}
    for request_id, collection in connection.execute(query):
        found.setdefault(request_id, set()).add(collection)
    return found


def forget_access(connection: sa.Connection, request_ids: Sequence[str], collections: Collection[str]) -> None:
    """Take back that these requests were read in these collections: what was found there counts no more."""
    read = (outcomes.c.request_id.in_(request_ids), outcomes.c.action == str(ActionType.ACCESS))
    connection.execute(outcomes.delete().where(*read, outcomes.c.collection.in_(collections)))


_SPOOLS = (
    sa.select(members.c.ordinal, outcomes.c.collection, outcomes.c.task_id, outcomes.c.attempt, outcomes.c.ordinal)
    .join(outcomes, outcomes.c.request_id == members.c.request_id)
    .where(members.c.run_id == _RUN, members.c.living, outcomes.c.action == str(ActionType.ACCESS))
)
_SPOOLS_BETWEEN = _SPOOLS.where(members.c.ordinal.between(sa.bindparam("first"), sa.bindparam("last")))


def spools_of(
    connection: sa.Connection, run_id: str, between: tuple[int, int] | None = None
) -> dict[str, dict[int, Spool | None]]:
    """Collection → living member whose access is complete there, also in an earlier run → where its rows are.

    None stands for a collection that was passed over. `between` bounds the members' ordinals.
    """
    wanted: dict[str, object] = {"wanted_run": run_id}
    query = _SPOOLS
    if between is not None:
        query = _SPOOLS_BETWEEN
        wanted |= {"first": between[0], "last": between[1]}
    found: dict[str, dict[int, Spool | None]] = {}
    for now, collection, task_id, attempt, ordinal in connection.execute(query, wanted):
        found.setdefault(collection, {})[now] = None if task_id is None else Spool(task_id, attempt, ordinal)
    return found


_ERASURES = (
    sa.select(members.c.ordinal, outcomes.c.collection, outcomes.c.complete, outcomes.c.found)
    .join(outcomes, outcomes.c.request_id == members.c.request_id)
    .where(members.c.run_id == _RUN, members.c.living, outcomes.c.action == str(ActionType.ERASURE))
)


def erasures_of(connection: sa.Connection, run_id: str) -> dict[str, dict[int, Begun]]:
    """Collection → living member whose erasure there has begun, also in an earlier run → how far it came."""
    begun: dict[str, dict[int, Begun]] = {}
    for ordinal, collection, complete, found in connection.execute(_ERASURES, {"wanted_run": run_id}):
        begun.setdefault(collection, {})[ordinal] = Begun(complete, found)
    return begun
