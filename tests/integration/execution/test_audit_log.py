"""The audit log: whoever alters it without the ledger's keys is found out, and everything that is done stands in it."""

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
import sqlalchemy as sa

from engine import Engine, acting
from habeas.domain.actor import ActorKind
from habeas.domain.audit import AuditAction, ObjectKind
from habeas.domain.errors import InputError
from habeas.execution.housekeeping import link_audits
from habeas.planning.plan_input import AccessLevel
from habeas.services import audit, connections, policies
from habeas.services.audit import AuditFilter, Verification
from habeas.store import audit_log
from habeas.store.tables import audits

Start = Callable[..., Engine]
ENTRIES = 12


@pytest.fixture
def engine(start: Start) -> Engine:
    """An engine whose log holds `ENTRIES` linked entries and no others."""
    engine = start()
    with engine.context.ledger.write() as connection:
        connection.execute(audits.delete())
        for number in range(ENTRIES):
            audit.record(engine.context, connection, AuditAction.SAVED, ObjectKind.POLICY, f"policy-{number}")
    assert link_audits(engine.context) == ENTRIES
    return engine


def change(engine: Engine, statement: sa.Update | sa.Delete) -> None:
    with engine.context.ledger.write() as connection:
        assert connection.execute(statement).rowcount


def at(position: int) -> sa.ColumnElement[bool]:
    return audits.c.position == position


def test_an_untouched_log_is_whole(engine: Engine) -> None:
    head = audit.read_head(engine.context)
    assert head.position == ENTRIES
    assert audit.verify(engine.context, [audit.parse_head(str(head))]) == Verification(ENTRIES, 0, head, ())


def test_what_comes_later_leaves_an_earlier_head_valid(engine: Engine) -> None:
    earlier = audit.read_head(engine.context)
    policies.save_policies(engine.context, [policies.PolicyDraft(name="later")])
    found = audit.verify(engine.context, [earlier])
    assert (found.entries, found.unlinked, found.problems) == (ENTRIES, 1, ())
    link_audits(engine.context)
    found = audit.verify(engine.context, [earlier, audit.read_head(engine.context)])
    assert (found.entries, found.unlinked, found.problems) == (ENTRIES + 1, 0, ())


@pytest.mark.parametrize(
    "values",
    [
        {"message": "never mind"},
        {"actor": "somebody else"},
        {"actor_kind": "user"},
        {"origin": "public"},
        {"action": "deleted"},
        {"object_id": "policy-99"},
        {"object_kind": "rule"},
        {"created_at": sa.literal_column("'2020-01-01 00:00:00.000000'")},
        {"link": b"x" * 32},
    ],
    ids=lambda values: next(iter(values)),
)
def test_an_edited_entry_is_named(engine: Engine, values: dict[str, object]) -> None:
    change(engine, audits.update().where(at(5)).values(**values))
    found = audit.verify(engine.context)
    assert found.problems[0].startswith("entry 5 is not what was written")


def test_deleted_entries_are_named(engine: Engine) -> None:
    change(engine, audits.delete().where(audits.c.position.in_((4, 5))))
    assert audit.verify(engine.context).problems[0] == "entries 4 to 5 are missing"


def test_closing_the_gap_of_a_deleted_entry_does_not_hide_it(engine: Engine) -> None:
    change(engine, audits.delete().where(at(4)))
    for position in range(5, ENTRIES + 1):
        change(engine, audits.update().where(at(position)).values(position=position - 1))
    assert audit.verify(engine.context).problems[0].startswith("entry 4 is not what was written")


def test_swapped_entries_are_named(engine: Engine) -> None:
    for position, place in ((3, 1000), (8, 3), (1000, 8)):
        change(engine, audits.update().where(at(position)).values(position=place))
    problems = audit.verify(engine.context).problems
    assert {problem.split()[1] for problem in problems} >= {"3", "8"}


def test_entries_with_another_ones_content_are_named(engine: Engine) -> None:
    with engine.context.ledger.read() as connection:
        third, eighth = connection.execute(sa.select(audits).where(audits.c.position.in_((3, 8)))).mappings()
    for position, other in ((3, eighth), (8, third)):
        content = {name: value for name, value in other.items() if name not in ("id", "position")}
        change(engine, audits.update().where(at(position)).values(**content))
    assert audit.verify(engine.context).problems


def test_only_a_head_that_was_written_down_shows_that_the_end_is_gone(engine: Engine) -> None:
    head = audit.read_head(engine.context)
    change(engine, audits.delete().where(audits.c.position > ENTRIES - 2))
    assert not audit.verify(engine.context).problems
    assert audit.verify(engine.context, [head]).problems == (f"entries 11 to {ENTRIES} are missing at the end",)
    policies.save_policies(engine.context, [policies.PolicyDraft(name=name) for name in ("one", "two")])
    link_audits(engine.context)
    [problem] = audit.verify(engine.context, [head]).problems
    assert problem == f"entry {ENTRIES} has another digest than the head that was written down"


def test_an_entry_that_is_slipped_in_is_linked_but_shows_against_its_time(engine: Engine) -> None:
    """Who can write may write entries; they stand at the end, where what was written down does not have them."""
    head = audit.read_head(engine.context)
    change(engine, audits.update().where(at(5)).values(position=None, link=None))
    link_audits(engine.context)
    assert "entry 5 is missing" in audit.verify(engine.context, [head]).problems


@pytest.mark.parametrize("text", ["", "12", "12:xyz", "x:" + "0" * 24, "1:" + "0" * 25])
def test_what_is_no_head_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="no head"):
        audit.parse_head(text)


def test_processes_that_link_at_once_make_one_chain(engine: Engine) -> None:
    with engine.context.ledger.write() as connection:
        for number in range(200):
            audit.record(engine.context, connection, AuditAction.SAVED, ObjectKind.RULE, f"rule-{number}")
    sealer = engine.context.ledger.sealer

    def link() -> None:
        done = 1
        while done:
            with engine.context.ledger.write() as connection:
                done = audit_log.link(connection, sealer, 7)

    threads = [threading.Thread(target=link) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = audit.verify(engine.context)
    assert (found.entries, found.unlinked, found.problems) == (ENTRIES + 200, 0, ())


def test_who_did_what_can_be_looked_up(engine: Engine) -> None:
    ann = acting(engine.context, "cli_ann")
    draft = connections.ConnectionDraft(name="desk", connection_type="manual_webhook", access=AccessLevel.WRITE)
    connections.save_connections(ann, [draft])
    connections.pause_connection(ann, "desk")
    connections.delete_connection(replace(ann, actor=replace(ann.actor, id="cli_bob")), "desk")
    wanted = AuditFilter(object_kind=ObjectKind.CONNECTION, object_id="desk")
    entries = audit.list_entries(engine.context, wanted, 1, 50).items
    assert [(entry.action, entry.actor, entry.actor_kind) for entry in entries] == [
        (AuditAction.DELETED, "cli_bob", ActorKind.CLIENT),
        (AuditAction.PAUSED, "cli_ann", ActorKind.CLIENT),
        (AuditAction.SAVED, "cli_ann", ActorKind.CLIENT),
    ]
    assert audit.list_entries(engine.context, AuditFilter(actor="cli_ann"), 1, 1).total == 2
    assert not audit.list_entries(engine.context, AuditFilter(action=AuditAction.APPROVED), 1, 50).items


def test_a_refused_change_leaves_no_entry(engine: Engine) -> None:
    result = policies.save_policies(engine.context, [policies.PolicyDraft(name="x", execution_timeframe=-1)])
    assert result.failed
    assert audit.list_entries(engine.context, AuditFilter(), 1, 1).total == ENTRIES


def test_the_log_as_csv_is_whole_and_guarded(engine: Engine) -> None:
    with engine.context.ledger.write() as connection:
        audit.record(engine.context, connection, AuditAction.SAVED, ObjectKind.POLICY, "k", message="=HYPERLINK(1)")
    text = b"".join(audit.write_entries(engine.context, AuditFilter())).decode()
    lines = text.splitlines()
    assert len(lines) == ENTRIES + 2
    assert lines[1].endswith("'=HYPERLINK(1)")
