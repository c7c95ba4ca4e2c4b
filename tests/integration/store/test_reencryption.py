"""Re-encryption by a new data key while everything goes on, on both ledgers."""

import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from tests.integration.execution.memory_shop import Shop, set_up

from engine import Engine
from habeas.domain.errors import Conflict, SystemUnavailable
from habeas.services import connections, keys, notes, reencryption, requests
from habeas.services.reencryption import Reencryption, reencrypt
from habeas.store import data_keys, resealing, sealing, spool, tables, workers
from habeas.store.checking import check_ledger
from habeas.store.columns import place_of
from habeas.store.sealing import DataKeys, KeyRing, number_of
from habeas.store.workers import Process

Start = Callable[..., Engine]
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everybody learns of a new data key at once."""
    monkeypatch.setattr(sealing, "FRESH", 0.02)
    monkeypatch.setattr(reencryption, "SETTLED", 0.03)
    monkeypatch.setattr(reencryption, "_PAUSE", 0.01)


def rotate(engine: Engine) -> Reencryption:
    return reencrypt(engine.context, None, lambda table, resealed: None)


def ring(engine: Engine) -> KeyRing:
    return KeyRing.parse(engine.context.settings.security.encryption_keys)


def unwrapped(engine: Engine) -> DataKeys:
    with engine.context.ledger.read() as connection:
        return data_keys.read_data_keys(connection, ring(engine))


def stored(engine: Engine) -> Iterator[tuple[str, bytes, str]]:
    """Every sealed value of the ledger with its column and its place."""
    with engine.context.ledger.read() as connection:
        for table, columns in resealing.SEALED.items():
            for row in connection.execute(sa.select(table)).mappings():
                for column in columns:
                    if row[column.name] is not None:
                        yield f"{table.name}.{column.name}", row[column.name], place_of(column, **row)


_VALUES: Mapping[type, Callable[[int], object]] = {
    str: lambda number: f"k{number}",
    int: lambda number: number,
    float: float,
    bool: lambda number: False,
    datetime: lambda number: NOW,
    bytes: lambda number: b"%d" % number,
}


def fill(engine: Engine, table: sa.Table, number: int) -> None:
    """A row of any table, all of whose keys are made of the number."""
    sealer = engine.context.ledger.sealer
    row: dict[str, Any] = {}
    for column in table.columns:
        held = column.type.impl_instance if isinstance(column.type, sa.TypeDecorator) else column.type
        kind = list if isinstance(held, sa.JSON) else held.python_type
        row[column.name] = [] if kind is list else _VALUES[kind](number)
    for column in resealing.SEALED.get(table, ()):
        row[column.name] = sealer.seal(f"{table.name}.{column.name}".encode(), place_of(column, **row))
    with engine.context.ledger.write() as connection:
        connection.execute(table.insert().values(row))


def fill_all(engine: Engine, numbers: range) -> None:
    """Rows of every table that others refer to or that holds something sealed."""
    left_out = {tables.data_keys, tables.configuration, tables.schedules, tables.workers}
    for table in tables.metadata.sorted_tables:
        for number in numbers if table not in left_out else ():
            fill(engine, table, number)


def test_every_sealed_column_names_its_place_by_columns_of_its_own_table() -> None:
    for table, columns in resealing.SEALED.items():
        row = {column.name: f"<{column.name}>" for column in table.columns}
        for column in columns:
            assert "place" in column.info, f"{table.name}.{column.name}: make it with columns.sealed"
            assert place_of(column, **row)
    places = [column.info["place"] for columns in resealing.SEALED.values() for column in columns]
    assert len(set(places)) == len(places)


def test_all_that_is_sealed_gets_the_new_data_key_and_the_old_one_is_gone(start: Start) -> None:
    engine = start()
    fill_all(engine, range(11, 14))
    before = list(stored(engine))
    (old,) = unwrapped(engine).data
    old_key = AESGCM(unwrapped(engine).data[old])
    done = rotate(engine)
    assert (done.resealed, done.dropped) == (len(before), 1)
    fresh = start().context.ledger.sealer
    assert list(unwrapped(engine).data) == [done.number]
    assert {column for column, _, _ in before} >= {"user.sealed_profile", "chunk.sealed_rows", "form.sealed_answers"}
    for (column, earlier, place), (_, sealed, where) in zip(before, stored(engine), strict=True):
        assert (number_of(earlier), number_of(sealed), place) == (old, done.number, where)
        assert fresh.open(sealed, where).decode() == column
        assert old_key.decrypt(earlier[4:16], earlier[16:], where.encode()).decode() == column
        with pytest.raises(InvalidTag):
            old_key.decrypt(sealed[4:16], sealed[16:], where.encode())


def test_tables_are_gone_through_in_portions_and_the_log_says_what_was_done(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resealing, "_ROWS_AT_ONCE", 2)
    engine = start()
    fill(engine, tables.policies, 11)
    for number in range(11, 18):
        fill(engine, tables.connections, number)
    told: list[tuple[str, int]] = []
    done = reencrypt(engine.context, None, lambda table, resealed: told.append((table, resealed)))
    assert told == [("connection", 2), ("connection", 4), ("connection", 6), ("connection", 7)]
    with engine.context.ledger.read() as connection:
        query = sa.select(tables.audits).where(tables.audits.c.action == "keys_rotated").order_by(tables.audits.c.id)
        deeds = [(row.object_kind, row.object_id, row.message) for row in connection.execute(query)]
    assert deeds == [
        ("encryption_key", f"data key {done.number}", "made"),
        ("encryption_key", f"data key {done.number}", "7 values sealed anew; earlier data keys deleted: 1"),
    ]


@pytest.mark.parametrize("portions", [2])
def test_cut_off_everything_opens_and_a_repetition_goes_on(
    start: Start, monkeypatch: pytest.MonkeyPatch, portions: int
) -> None:
    monkeypatch.setattr(resealing, "_ROWS_AT_ONCE", 2)
    engine, other = start(), start()
    for number in range(11, 20):
        fill(engine, tables.connections, number)
    (old,) = unwrapped(engine).data
    reseal, done = resealing.reseal, []

    def die(*arguments: Any) -> resealing.Portion:
        portion = reseal(*arguments)
        done.append(portion.resealed)
        if sum(done) > portions * 2:
            raise KeyboardInterrupt
        return portion

    monkeypatch.setattr(resealing, "reseal", die)
    with pytest.raises(KeyboardInterrupt):
        rotate(engine)
    monkeypatch.setattr(resealing, "reseal", reseal)
    assert len(unwrapped(engine).data) == 2
    newest = max(unwrapped(engine).data)
    sealed_by = [number_of(sealed) for _, sealed, _ in stored(engine)]
    assert (sealed_by.count(newest), sealed_by.count(old)) == (portions * 2, 9 - portions * 2)
    found = {finding.subject: finding for finding in check(engine)}
    assert (found["sealed"].mend, "repeat" in found["sealed"].said) == ("", True)
    for application in (other, start()):
        for column, sealed, where in stored(application):
            assert application.context.ledger.sealer.open(sealed, where).decode() == column
    again = rotate(other)
    assert (again.number, again.resealed, again.dropped) == (newest, 9 - portions * 2, 1)
    assert {number_of(sealed) for _, sealed, _ in stored(engine)} == {newest}
    assert "sealed" not in {finding.subject for finding in check(engine)}


def check(engine: Engine) -> list[Any]:
    url = engine.context.ledger.engine.url.render_as_string(hide_password=False)
    return check_ledger(url, ring(engine))


def test_processes_that_run_go_on_writing_and_reading(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was started before the new data key, in the middle of many writes."""
    monkeypatch.setattr(sealing, "FRESH", 0.05)
    monkeypatch.setattr(reencryption, "SETTLED", 0.5)
    engine, other, shop = start(), start(), Shop()
    set_up(other, shop.connector())
    (request,) = other.submit("give", shop.add_person(0))
    written: list[str] = []
    over = threading.Event()

    def keep_writing() -> None:
        while not over.is_set():
            text = f"note {len(written)}"
            notes.add_note(other.context, request, text)
            connections.save_secrets(other.context, "shop", {"name": "shop"}, verify=False)
            written.append(text)

    writer = threading.Thread(target=keep_writing)
    writer.start()
    try:
        for _ in range(2):
            assert rotate(engine).dropped == 1
    finally:
        over.set()
        writer.join()
    assert len(written) > 10
    (number,) = unwrapped(engine).data
    assert {number_of(sealed) for _, sealed, _ in stored(engine)} == {number}
    for application in (other, start()):
        shown = notes.list_notes(application.context, request, 1, len(written) + 1)
        assert [note.text for note in shown.items] == written
    other.run()
    assert other.view(request).status == "complete"


def test_rows_kept_for_a_retry_are_sealed_anew(start: Start) -> None:
    engine, shop = start(task_retry_count=0), Shop()
    set_up(engine, shop.connector())
    (request,) = engine.submit("give", shop.add_person(0), encryption_key="0123456789abcdef")
    items = shop.store.tables.pop("items")
    engine.run()
    assert engine.view(request).status == "error"
    kept = {column for column, _, _ in stored(engine)}
    assert {"chunk.sealed_rows", "request.sealed_encryption_key", "identity.sealed_value"} <= kept
    rotate(start())
    shop.store.tables["items"] = items
    requests.retry(engine.context, request)
    engine.run()
    assert engine.view(request).status == "complete"


def test_rows_held_since_before_are_sealed_anew_when_they_are_written(start: Start) -> None:
    engine, other = start(), start()
    source = spool.Source(11, 1, 0)
    held = spool.seal_chunk(engine.context.ledger.sealer, source, [])
    done = rotate(other)
    for table in (tables.plans, tables.runs, tables.tasks):
        fill(engine, table, 11)
    with engine.context.ledger.write() as connection:
        spool.write_chunks(connection, engine.context.ledger.sealer, [held])
    assert [number_of(sealed) for column, sealed, _ in stored(engine) if column == "chunk.sealed_rows"] == [done.number]
    assert list(spool.read_chunks(start().context.ledger, [source])) == [(source, [])]


def test_values_that_do_not_open_are_left_and_so_is_the_data_key(start: Start) -> None:
    engine = start()
    for number in (11, 12, 13):
        fill(engine, tables.connections, number)
    with engine.context.ledger.write() as connection:
        torn = tables.connections.update().where(tables.connections.c.key == "k12")
        (old,) = unwrapped(engine).data
        connection.execute(torn.values(sealed_secrets=old.to_bytes(4, "big") + bytes(40)))
    with pytest.raises(Conflict, match="1 sealed values cannot be opened"):
        rotate(engine)
    assert len(unwrapped(engine).data) == 2
    assert len({number_of(sealed) for _, sealed, _ in stored(engine)}) == 2
    with engine.context.ledger.write() as connection:
        connection.execute(tables.connections.delete().where(tables.connections.c.key == "k12"))
    assert (rotate(engine).resealed, rotate(engine).resealed) == (0, 2)  # the second time by another data key


def test_a_value_whose_data_key_is_gone_is_found_by_a_check(start: Start) -> None:
    engine = start()
    fill(engine, tables.connections, 11)
    with engine.context.ledger.write() as connection:
        connection.execute(tables.connections.update().values(sealed_secrets=bytes([0, 0, 0, 99]) + bytes(40)))
    (finding,) = [finding for finding in check(engine) if finding.subject == "sealed"]
    assert (finding.said, finding.mend) == ("by a data key that is gone, in: connection", "restore a backup")


def test_without_the_key_in_every_process_nothing_begins(start: Start) -> None:
    engine = start()
    with engine.context.ledger.write() as connection:
        stranger = Process("stranger", "worker", "0", 1, {"other": "00"}, NOW)
        workers.enter(connection, engine.context.ledger, stranger)
    with pytest.raises(Conflict, match="1 of 1 running processes do not have key development"):
        rotate(engine)
    assert len(unwrapped(engine).data) == 1


def test_a_process_whose_ring_does_not_open_a_new_data_key_says_what_to_do(start: Start) -> None:
    engine = start()
    sealer = engine.context.ledger.sealer
    foreign = KeyRing.parse(sealing.make_ring_entry("elsewhere"))
    with engine.context.ledger.write() as connection:
        data_keys.add_data_key(connection, foreign, "elsewhere", NOW)
    with pytest.raises(SystemUnavailable, match=r"'elsewhere', which security\.encryption_keys lacks.*restart"):
        sealer.refresh()


def test_the_later_of_two_re_encryptions_wins(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, other = start(), start()
    finish = reencryption._finish

    def be_overtaken(*arguments: Any) -> Any:
        monkeypatch.setattr(reencryption, "_finish", finish)
        assert rotate(other).dropped == 1
        assert rotate(other).dropped == 1
        return finish(*arguments)

    monkeypatch.setattr(reencryption, "_finish", be_overtaken)
    with pytest.raises(Conflict, match="another re-encryption has begun"):
        rotate(engine)
    assert len(unwrapped(engine).data) == 1
    assert keys.rotate(engine.context).rewrapped == 0
