"""Opening a ledger: migrations, and the keys that seal it. The one place that knows Alembic."""

import os
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import ProgrammingError

from habeas.domain.clock import Clock
from habeas.domain.errors import InputError
from habeas.store.ledger import Ledger, check_answers, make_engine
from habeas.store.sealing import KeyRing, Sealer
from habeas.store.tables import configuration, data_keys


def open_ledger(url: str, ring: KeyRing, clock: Clock, *, migrate: bool) -> Ledger:
    """Open the ledger at `url`; with `migrate`, first bring it up to date.

    Raises InputError when the schema is behind (naming the command that mends it), ahead, or the ring
    lacks its key, or the role lacks a privilege; SystemUnavailable when the database does not answer.
    """
    engine = make_engine(url)
    try:
        check_answers(engine)
        if migrate:
            upgrade(engine)
        check_revision(engine)
        return Ledger(engine, _open_sealer(engine, ring, clock), clock)
    except BaseException as error:
        engine.dispose()
        if isinstance(error, ProgrammingError) and getattr(error.orig, "sqlstate", None) == "42501":
            raise InputError(
                "the role of database.url may not do in the ledger what it has to",
                hint="make it the owner of the ledger's database, e.g. ALTER DATABASE … OWNER TO …",
            ) from None
        raise


def upgrade(engine: sa.Engine) -> None:
    """Apply every migration that is missing. Safe to run twice and from several processes at once."""
    with engine.connect().execution_options(habeas_write=True) as connection, connection.begin():
        if engine.dialect.name == "postgresql":
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(7226732)"))
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def check_revision(engine: sa.Engine) -> None:
    """Raises InputError unless the schema is at this version's revision."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    with engine.connect() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
    if current != head:
        raise InputError(
            f"the ledger's schema is at revision {current or 'none'}, this version needs {head}",
            hint="run `habeas db upgrade`",
        )


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def _open_sealer(engine: sa.Engine, ring: KeyRing, clock: Clock) -> Sealer:
    with engine.connect().execution_options(habeas_write=True) as connection, connection.begin():
        if engine.dialect.name == "postgresql":
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(7226732)"))
        found = connection.execute(sa.select(data_keys)).all()
        if not found:
            for purpose in ("data", "index"):
                wrapped_by, wrapped = ring.wrap(os.urandom(32))
                connection.execute(
                    data_keys.insert().values(
                        purpose=purpose, wrapped_by=wrapped_by, wrapped=wrapped, created_at=clock.now()
                    )
                )
            connection.execute(configuration.insert().values(id=1, version=1))
            found = connection.execute(sa.select(data_keys)).all()
    opened = {row.id: (row.purpose, ring.unwrap(row.wrapped_by, row.wrapped)) for row in found}
    index_key = next(key for purpose, key in opened.values() if purpose == "index")
    return Sealer({number: key for number, (purpose, key) in opened.items() if purpose == "data"}, index_key)
