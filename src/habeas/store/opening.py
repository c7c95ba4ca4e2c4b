"""Opening a ledger: its schema, and the keys that seal it. The one place that knows Alembic."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import ProgrammingError

from habeas.domain.clock import Clock
from habeas.domain.errors import InputError
from habeas.store import audit_log
from habeas.store.data_keys import make_data_keys, read_data_keys
from habeas.store.ledger import Ledger, check_answers, make_engine, take_turn
from habeas.store.sealing import DataKeys, KeyRing, Sealer
from habeas.store.tables import configuration

_FIRST_WITH_CHAIN = "0008"
"""Revision of the schema from which on the audit log is a chain."""


def open_ledger(url: str, ring: KeyRing, clock: Clock, *, create: bool) -> Ledger:
    """Open the ledger at `url`; with `create`, make it where there is none. An existing one keeps its schema.

    Raises InputError when there is none, its schema is behind (naming the command that mends it) or ahead, the ring
    lacks its key, or the role lacks a privilege; SystemUnavailable when the database does not answer.
    """
    with _answering(url) as engine:
        if create and read_revision(engine) is None:
            _bring_up_to_date(engine, ring, clock)
        check_revision(engine)
        return Ledger(engine, Sealer(partial(_read_keys, make_engine(url, pooled=False), ring)), clock)


def _read_keys(engine: sa.Engine, ring: KeyRing) -> DataKeys:
    """By a connection of its own: who asks may hold one of the ledger's already, as may all the others."""
    with engine.connect() as connection, connection.begin():
        return read_data_keys(connection, ring)


def upgrade_ledger(url: str, ring: KeyRing, clock: Clock) -> None:
    """Bring the ledger's schema up to this version, making the ledger where there is none; safe to repeat.

    Raises what `open_ledger` does.
    """
    with _answering(url) as engine:
        _check_known(read_revision(engine))
        _bring_up_to_date(engine, ring, clock)
        engine.dispose()
    open_ledger(url, ring, clock, create=False).close()


@contextmanager
def _answering(url: str) -> Iterator[sa.Engine]:
    """An engine whose database answers; when the block raises, its connections are given back."""
    engine = make_engine(url)
    try:
        check_answers(engine)
        yield engine
    except BaseException as error:
        engine.dispose()
        if isinstance(error, ProgrammingError) and getattr(error.orig, "sqlstate", None) == "42501":
            raise InputError(
                "the role of database.url may not do in the ledger what it has to",
                hint="make it the owner of the ledger's database, e.g. ALTER DATABASE … OWNER TO …",
            ) from None
        raise


def _bring_up_to_date(engine: sa.Engine, ring: KeyRing, clock: Clock) -> None:
    """Apply every migration that is missing; a new ledger gets its keys in the same transaction.

    Safe from several processes at once: they take turns.
    """
    with engine.connect().execution_options(habeas_write=True) as connection, connection.begin():
        take_turn(connection)
        revision = MigrationContext.configure(connection).get_current_revision()
        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        if revision is None:
            make_data_keys(connection, ring, clock.now())
            connection.execute(configuration.insert().values(id=1, version=1))
        if revision is None or revision < _FIRST_WITH_CHAIN:
            keys = read_data_keys(connection, ring)
            audit_log.begin(connection, Sealer(lambda: keys))


def read_revision(engine: sa.Engine) -> str | None:
    """The schema's revision; None when there is no ledger in this database."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


@cache
def needed_revision() -> str:
    """The revision of this version."""
    head = ScriptDirectory.from_config(alembic_config()).get_current_head()
    assert head is not None
    return head


def check_revision(engine: sa.Engine) -> None:
    """Raises InputError unless the schema is at this version's revision; it names the mend."""
    current = read_revision(engine)
    if current is None:
        raise InputError("the database of database.url holds no ledger", hint="run `habeas db upgrade`")
    _check_known(current)
    if current != needed_revision():
        raise InputError(
            f"the ledger's schema is at revision {current}, this version needs {needed_revision()}",
            hint="stop the processes of the earlier version, then run `habeas db upgrade`",
        )


def _check_known(current: str | None) -> None:
    """Raises InputError for the revision of a version to come."""
    scripts = ScriptDirectory.from_config(alembic_config())
    if current is not None and current not in {script.revision for script in scripts.walk_revisions()}:
        raise InputError(
            f"the ledger's schema is at revision {current}, which this version does not know",
            hint="run the newer version that upgraded it, or restore a backup from before",
        )


def alembic_config() -> Config:
    """Where the migrations are."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config
