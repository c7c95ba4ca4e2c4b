"""The ledger itself: its schema, its keys, and what it refuses to open."""

import base64
import os
import sqlite3
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from hypothesis import example, given
from hypothesis import strategies as st

from habeas.domain.clock import SystemClock
from habeas.domain.errors import Fault, InputError, SystemUnavailable
from habeas.domain.ports import Row
from habeas.store import tables
from habeas.store.ledger import Ledger
from habeas.store.opening import open_ledger
from habeas.store.sealing import KeyRing
from habeas.store.spool import decode_rows, encode_rows


def make_ring(name: str = "k1") -> KeyRing:
    return KeyRing.parse(f"{name}:{base64.b64encode(os.urandom(32)).decode()}")


@pytest.fixture(scope="module")
def ring() -> KeyRing:
    return make_ring()


def open_here(url: str, ring: KeyRing, *, create: bool = True) -> Ledger:
    return open_ledger(url, ring, SystemClock(), create=create)


def test_migrations_lead_to_the_schema_the_code_knows(ledger_url: str, ring: KeyRing) -> None:
    ledger = open_here(ledger_url, ring)
    with ledger.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), tables.metadata) == []
    ledger.close()


def test_a_ledger_that_is_behind_names_the_command_that_mends_it(ledger_url: str, ring: KeyRing) -> None:
    with pytest.raises(InputError, match="habeas db upgrade"):
        open_here(ledger_url, ring, create=False)


def test_several_processes_may_upgrade_at_once(ledger_url: str, ring: KeyRing) -> None:
    errors: list[BaseException] = []

    def upgrade() -> None:
        try:
            open_here(ledger_url, ring).close()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=upgrade) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_a_first_start_waits_for_who_else_writes_the_file(tmp_path: Path, ring: KeyRing) -> None:
    """SQLite itself answers at once that the file is locked: the change to WAL does not wait."""
    opened: list[Ledger] = []
    opening = threading.Thread(target=lambda: opened.append(open_here(f"sqlite:///{tmp_path}/ledger.db", ring)))
    with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        opening.start()
        opening.join(timeout=0.5)
        assert opening.is_alive()
        other.execute("COMMIT")
    opening.join()
    [ledger] = opened
    ledger.close()


def test_what_is_sealed_opens_again_only_with_its_ring_and_in_its_place(ledger_url: str, ring: KeyRing) -> None:
    first = open_here(ledger_url, ring)
    sealed = first.sealer.seal(b"secret", "here")
    first.close()
    second = open_here(ledger_url, ring, create=False)
    assert second.sealer.open(sealed, "here") == b"secret"
    for moved in ((sealed, "there"), (sealed[:-1] + bytes([sealed[-1] ^ 1]), "here")):
        with pytest.raises(Fault):
            second.sealer.open(*moved)
    second.close()
    for other in (make_ring(), make_ring("k2")):
        with pytest.raises(InputError, match="encryption key"):
            open_here(ledger_url, other, create=False)


def test_identities_are_found_by_a_keyed_hash_that_outlives_the_process(ledger_url: str, ring: KeyRing) -> None:
    first, second = open_here(ledger_url, ring), open_here(ledger_url, ring)
    assert first.sealer.index("email", "a@b.c") == second.sealer.index("email", "a@b.c")
    assert first.sealer.index("email", "a@b.c") != first.sealer.index("phone_number", "a@b.c")
    first.close()
    second.close()


def test_a_transaction_that_raises_leaves_nothing(ledger_url: str, ring: KeyRing) -> None:
    ledger = open_here(ledger_url, ring)
    with pytest.raises(ZeroDivisionError), ledger.write() as connection:
        connection.execute(tables.configuration.update().values(version=99))
        raise ZeroDivisionError
    with ledger.read() as connection:
        assert connection.scalar(sa.select(tables.configuration.c.version)) == 1
    ledger.close()


def test_instants_come_back_in_utc(ledger_url: str, ring: KeyRing) -> None:
    ledger = open_here(ledger_url, ring)
    moment = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC).astimezone()
    with ledger.write() as connection:
        connection.execute(tables.schedules.insert().values(job="j", due_at=0.0, ran_at=moment))
    with ledger.read() as connection:
        found = connection.scalar(sa.select(tables.schedules.c.ran_at))
    assert found == moment and found is not None and found.utcoffset() == timedelta(0)
    ledger.close()


@pytest.mark.parametrize("url", ["mysql://host/db", "nonsense", "sqlite://", ""])
def test_a_url_that_is_no_ledger_is_refused(url: str, ring: KeyRing) -> None:
    with pytest.raises(InputError, match=r"database\.url"):
        open_here(url, ring)


def test_a_database_that_does_not_answer_is_named(ring: KeyRing) -> None:
    with pytest.raises(SystemUnavailable, match="does not answer") as caught:
        open_here("postgresql://nobody:secret-word@127.0.0.1:9/none", ring)
    assert "secret-word" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "k", "k:", "k:AAAA", ":" + base64.b64encode(bytes(32)).decode()])
def test_a_malformed_key_ring_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(InputError, match="encryption_keys"):
        KeyRing.parse(text)


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(),
    st.binary(),
    st.decimals(allow_nan=False),
    st.uuids(),
    st.datetimes(),
    st.datetimes(timezones=st.timezones()),
    st.dates(),
    st.times(),
    st.timedeltas(),
)


def spell(value: object) -> object:
    """A time of a zone as its local time and offset: Python says that those of a gap or overlap of summer time equal
    none of another zone, be it the same offset."""
    is_zoned = isinstance(value, datetime) and value.tzinfo is not None
    return (value.replace(tzinfo=None), value.utcoffset()) if is_zoned else value  # type: ignore[attr-defined]


@given(st.lists(st.tuples(SCALARS, SCALARS), max_size=5))
@example([(None, datetime(2000, 3, 26, 2, 0, tzinfo=ZoneInfo("Europe/Belgrade")))])
@example([(None, datetime(2000, 10, 29, 2, 30, tzinfo=ZoneInfo("Europe/Belgrade"), fold=1))])
def test_spooled_values_come_back_as_they_were(values: list[tuple[object, object]]) -> None:
    rows = [Row((first,), (first, second), (0, 3)) for first, second in values]
    came_back = decode_rows(encode_rows(rows))
    assert [row.ordinals for row in came_back] == [row.ordinals for row in rows]
    for back, row in zip(came_back, rows, strict=True):
        assert [*map(spell, back.key), *map(spell, back.values)] == [*map(spell, row.key), *map(spell, row.values)]


def test_a_number_beyond_64_bits_spoils_no_other_row() -> None:
    values = (Decimal("1.50"), UUID(int=7), [{"deep": 2**90}])
    rows = decode_rows(encode_rows([Row((1,), values, (0,)), Row((2,), (2**80, 1, -(2**70)), (1,))]))
    assert [row.values for row in rows] == [values, (2**80, 1, -(2**70))]


def test_spooled_values_keep_their_types() -> None:
    values = (True, 1, 1.0, "1", b"1", Decimal("1.0"), UUID(int=1), 2**70, [1, {"a": Decimal(1)}])
    (row,) = decode_rows(encode_rows([Row((1,), values, (0,))]))
    assert [type(value) for value in row.values] == [type(value) for value in values]
    assert row.values == values
