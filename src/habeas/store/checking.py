"""What there is to say of a ledger before anybody relies on it, e.g. of one that was restored from a backup."""

from dataclasses import dataclass

import sqlalchemy as sa

from habeas.domain.errors import InputError
from habeas.store.data_keys import data_key_numbers, read_data_keys, wrapping_keys
from habeas.store.ledger import Damaged, check_answers, make_engine
from habeas.store.opening import check_revision, read_revision
from habeas.store.resealing import SEALED, tables_sealed_by_others
from habeas.store.sealing import KeyRing
from habeas.store.tables import data_keys, metadata


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at and what was found; `mend` says what to do when that is not as it should be."""

    subject: str
    said: str
    mend: str = ""


_DAMAGED = Finding("file", "damaged", "restore a backup")


def check_ledger(url: str, ring: KeyRing) -> list[Finding]:
    """Look at the file (of SQLite), the schema's revision, the tables and the keys; nothing is changed.

    Raises SystemUnavailable when the database does not answer, InputError when it is none.
    """
    engine = make_engine(url)
    try:
        try:
            check_answers(engine)
        except Damaged:
            return [_DAMAGED]
        findings = [_check_revision(engine)]
        with engine.connect() as connection, connection.begin():
            if engine.dialect.name == "sqlite":
                findings.insert(0, _check_file(connection))
            there = set(sa.inspect(connection).get_table_names())
            findings.append(_check_tables(there))
            if data_keys.name in there:
                findings.append(_check_keys(connection, ring))
                if {table.name for table in SEALED} <= there:
                    findings += _check_sealed(connection)
        return findings
    finally:
        engine.dispose()


def _check_file(connection: sa.Connection) -> Finding:
    if list(connection.scalars(sa.text("PRAGMA quick_check(1)"))) == ["ok"]:
        return Finding("file", "intact")
    return _DAMAGED


def _check_revision(engine: sa.Engine) -> Finding:
    current = read_revision(engine)
    try:
        check_revision(engine)
    except InputError as error:
        return Finding("schema", error.message, error.hint)
    return Finding("schema", f"revision {current}, as this version needs it")


def _check_tables(there: set[str]) -> Finding:
    known = set(metadata.tables)
    if missing := sorted(known - there):
        return Finding("tables", f"missing: {', '.join(missing)}", "run `habeas db upgrade`, or restore a backup")
    return Finding("tables", f"all {len(known)} are there")


def _check_keys(connection: sa.Connection, ring: KeyRing) -> Finding:
    try:
        read_data_keys(connection, ring)
    except InputError as error:
        return Finding("keys", error.message, error.hint)
    return Finding("keys", f"opened by {', '.join(wrapping_keys(connection))}")


def _check_sealed(connection: sa.Connection) -> list[Finding]:
    """What is to be said of sealed values; nothing when one data key has sealed them all."""
    numbers = data_key_numbers(connection)
    if numbers and (lost := tables_sealed_by_others(connection, numbers)):
        return [Finding("sealed", f"by a data key that is gone, in: {', '.join(lost)}", "restore a backup")]
    if len(numbers) > 1:
        return [Finding("sealed", f"by {len(numbers)} data keys: repeat `habeas key rotate --reencrypt`")]
    return []
