"""A copy of a SQLite ledger, made while others write. PostgreSQL has tools of its own for that."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import NamedTemporaryFile

from habeas.domain.errors import InputError
from habeas.store.ledger import check_answers, make_engine
from habeas.store.opening import read_revision


def back_up(url: str, file: Path) -> None:
    """Write the ledger as it is at this moment into `file`, for its owner's eyes; it appears whole or not at all.

    Free pages, where deleted rows may still stand, are left out. Raises InputError when there is no ledger in SQLite,
    when the file is there already or cannot be written.
    """
    engine = make_engine(url)
    try:
        if engine.dialect.name != "sqlite":
            raise InputError("only a ledger in SQLite is copied by this command", hint="use pg_dump: docs/backup.md")
        check_answers(engine)
        if read_revision(engine) is None:
            raise InputError(f"{engine.url.database} holds no ledger", hint="check database.url")
        if file.exists():
            raise InputError(f"{file} exists already", hint="choose another name")
        _copy(Path(str(engine.url.database)), file)
    finally:
        engine.dispose()


def _copy(ledger: Path, file: Path) -> None:
    try:
        with NamedTemporaryFile(dir=file.parent, prefix=f"{file.name}.", delete=False) as copy:
            try:
                with closing(sqlite3.connect(ledger)) as connection:
                    connection.execute("VACUUM INTO ?", (copy.name,))
                os.fsync(copy.fileno())
                Path(copy.name).rename(file)
            except BaseException:
                Path(copy.name).unlink(missing_ok=True)
                raise
    except OSError as error:
        reason = error.strerror
    except sqlite3.OperationalError as error:
        reason = error.sqlite_errorname
    else:
        return
    raise InputError(f"{file} cannot be written: {reason}", hint="choose another place")
