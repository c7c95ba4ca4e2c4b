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
from habeas.store.tables import audit_heads, audits

Start = Callable[..., Engine]
ENTRIES = 12


@pytest.fixture
def engine(start: Start) -> Engine:
    """An engine whose log holds `ENTRIES` linked entries and no others."""
    engine = start()
    with engine.context.ledger.write() as connection:
        connection.execute(audits.delete())
        connection.execute(audit_heads.delete())
        audit_log.begin(connection, engine.context.ledger.sealer)
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


@pytest.mark.parametrize("made_ledger", ["sqlite"], indirect=True, ids=["sqlite"])
@pytest.mark.parametrize("column", ["created_at", "action", "position", "link", "seal"])
@pytest.mark.parametrize("nonsense", ["'never'", "x'ff'", "1.5"])
def test_what_is_no_value_of_a_column_is_named(engine: Engine, column: str, nonsense: str) -> None:
    """SQLite takes anything."""
    change(engine, audits.update().where(at(5)).values({column: sa.literal_column(nonsense)}))
    problems = audit.verify(engine.context).problems
    assert problems[0].startswith(("entry 5 is not what was written", "entry 5 is missing", "entry 1.5 stands"))


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


def test_an_entry_with_another_ones_content_is_named(engine: Engine) -> None:
    with engine.context.ledger.read() as connection:
        eighth = connection.execute(sa.select(audits).where(at(8))).mappings().one()
    change(engine, audits.delete().where(at(8)))
    content = {name: value for name, value in eighth.items() if name not in ("id", "position")}
    change(engine, audits.update().where(at(3)).values(**content))
    assert audit.verify(engine.context).problems[0].startswith("entry 3 is not what was written")


CUT_OFF = "the log does not end where it was left"


def test_a_cut_off_end_is_noticed_and_nothing_is_linked_to_what_is_left(engine: Engine) -> None:
    head = audit.read_head(engine.context)
    change(engine, audits.delete().where(audits.c.position > ENTRIES - 2))
    assert audit.verify(engine.context).problems == (CUT_OFF,)
    assert audit.verify(engine.context, [head]).problems == (f"entries 11 to {ENTRIES} are missing at the end", CUT_OFF)
    policies.save_policies(engine.context, [policies.PolicyDraft(name=name) for name in ("one", "two")])
    assert link_audits(engine.context) == 0
    found = audit.verify(engine.context)
    assert (found.entries, found.unlinked, found.problems) == (ENTRIES - 2, 2, (CUT_OFF,))


def test_a_log_that_is_to_be_linked_anew_is_not(engine: Engine) -> None:
    """Whoever takes the whole chain apart, and an entry away, cannot have it put together again."""
    change(engine, audits.delete().where(at(5)))
    change(engine, audits.update().values(position=None, link=None))
    assert link_audits(engine.context) == 0
    found = audit.verify(engine.context)
    assert (found.entries, found.unlinked, found.problems) == (0, ENTRIES - 1, (CUT_OFF,))


def test_only_a_head_that_was_written_down_shows_that_an_earlier_state_was_put_back(engine: Engine) -> None:
    with engine.context.ledger.read() as connection:
        end = audit_log.read_end(connection)
    policies.save_policies(engine.context, [policies.PolicyDraft(name="later")])
    link_audits(engine.context)
    head = audit.read_head(engine.context)
    change(engine, audits.delete().where(audits.c.position > ENTRIES))
    change(engine, audit_heads.update().values(seal=end))
    assert not audit.verify(engine.context).problems
    assert audit.verify(engine.context, [head]).problems == (f"entry {ENTRIES + 1} is missing at the end",)


def test_every_head_that_was_written_down_counts_also_two_of_one_position(engine: Engine) -> None:
    """Of a log that was put back to an earlier state and grew again there are two heads of one position."""
    head = audit.read_head(engine.context)
    other = replace(head, digest="0" * 24)
    for written in ([other, head], [head, other]):
        assert audit.verify(engine.context, written).problems == (
            f"entry {ENTRIES} has another digest than a head that was written down",
        )


def test_an_entry_without_the_seal_of_who_writes_it_is_never_linked(engine: Engine) -> None:
    with engine.context.ledger.write() as connection:
        audit.record(engine.context, connection, AuditAction.SAVED, ObjectKind.POLICY, "true")
        [true] = connection.execute(sa.select(audits).where(audits.c.object_id == "true")).mappings()
        forged = {name: value for name, value in true.items() if name != "id"}
        connection.execute(audits.insert().values({**forged, "object_id": "forged", "seal": None}))
        connection.execute(audits.insert().values({**forged, "actor": "somebody", "seal": true.seal[::-1]}))
    assert link_audits(engine.context) == 1
    found = audit.verify(engine.context)
    assert (found.entries, found.unlinked) == (ENTRIES + 1, 2)
    assert found.problems == ("unlinked entries that are not what was written: 2",)


def test_an_entry_changed_before_it_is_linked_is_found(engine: Engine) -> None:
    policies.save_policies(engine.context, [policies.PolicyDraft(name="later")])
    change(engine, audits.update().where(audits.c.object_id == "later").values(actor="innocent"))
    assert link_audits(engine.context) == 0
    assert audit.verify(engine.context).problems == ("unlinked entries that are not what was written: 1",)


@pytest.mark.parametrize(
    "place", [{"position": -1}, {"position": -7, "link": b"x" * 32}, {"id": -1}], ids=["position", "linked", "id"]
)
def test_no_place_hides_a_forged_entry(engine: Engine, place: dict[str, object]) -> None:
    """Whatever is listed is looked at, also where no entry of ours stands."""
    with engine.context.ledger.write() as connection:
        [true] = connection.execute(sa.select(audits).where(at(5))).mappings()
        forged = {**true, "actor": "somebody", "seal": b"x" * 40, "position": None, "link": None}
        del forged["id"]
        connection.execute(audits.insert().values({**forged, **place}))
    link_audits(engine.context)
    assert audit.verify(engine.context).problems


def test_an_entry_that_is_there_twice_is_found(engine: Engine) -> None:
    """A true entry may be copied, with its seal; the seal of the first is spoiled since two cannot have the same."""
    with engine.context.ledger.write() as connection:
        [true] = connection.execute(sa.select(audits).where(at(5))).mappings()
        connection.execute(audits.update().where(at(5)).values(seal=b"x" * 40))
        again = {name: value for name, value in true.items() if name not in ("id", "position", "link")}
        connection.execute(audits.insert().values(again))
    link_audits(engine.context)
    assert audit.verify(engine.context).problems[0].startswith("entry 5 is not what was written")


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
