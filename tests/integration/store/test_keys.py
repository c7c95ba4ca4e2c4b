"""Rotation of the keys that open the ledger, on both ledgers."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine.default import DefaultDialect

from habeas import bootstrap
from habeas.bootstrap import Application
from habeas.domain.errors import Conflict, InputError
from habeas.services import keys
from habeas.settings import Settings
from habeas.store import tables
from habeas.store.sealing import KeyRing, make_ring_entry

OLD, NEW, OTHER = (make_ring_entry(name) for name in ("old", "new", "other"))

Start = Callable[..., Application]


@pytest.fixture
def start(tmp_path: Path, ledger_url: str) -> Iterator[Start]:
    """Opens the test's ledger with a ring of these entries."""
    with ExitStack() as opened:

        def build(*ring: str) -> Application:
            settings = Settings(
                data_dir=tmp_path / "data", database={"url": ledger_url}, security={"encryption_keys": ",".join(ring)}
            )
            application = bootstrap.build(settings)
            opened.callback(bootstrap.close, application)
            return application

        yield build


def wrapped_by(application: Application) -> list[str]:
    with application.context.ledger.read() as connection:
        return list(connection.scalars(sa.select(tables.data_keys.c.wrapped_by)))


def test_after_a_rotation_the_new_key_opens_everything_and_the_old_one_nothing(start: Start) -> None:
    before = start(OLD).context.ledger.sealer
    sealed, hashed = before.seal(b"secret", "here"), before.index("email", "a@b.c")
    assert keys.rotate(start(NEW, OLD).context) == keys.Rotation("new", 2, ("old",))
    assert before.open(sealed, "here") == b"secret"
    later = before.seal(b"sealed by who had it open", "here")
    after = start(NEW).context.ledger.sealer
    assert after.open(sealed, "here") == b"secret"
    assert after.open(later, "here") == b"sealed by who had it open"
    assert after.index("email", "a@b.c") == hashed
    with pytest.raises(InputError, match=r"sealed with encryption key 'new', which security\.encryption_keys lacks"):
        start(OLD)


def test_any_key_of_the_ring_can_be_named_and_a_repetition_changes_nothing(start: Start) -> None:
    context = start(OLD, OTHER, NEW).context
    assert keys.rotate(context, "new") == keys.Rotation("new", 2, ("old", "other"))
    assert keys.rotate(context, "new") == keys.Rotation("new", 0, ("old", "other"))
    assert keys.rotate(context) == keys.Rotation("old", 2, ("other", "new"))


def test_a_key_that_the_ring_lacks_is_refused(start: Start) -> None:
    application = start(OLD)
    secret = NEW.partition(":")[2]
    with pytest.raises(InputError, match=r"it has old.*habeas key new") as refused:
        keys.rotate(application.context, f"new:{secret}")
    assert secret not in str(refused.value)
    assert wrapped_by(application) == ["old", "old"]


def test_every_living_process_must_have_the_key(start: Start) -> None:
    early, late, impostor = start(OLD), start(OLD, NEW), start(OLD, make_ring_entry("new"))
    with bootstrap.serving(late, executor=False):
        refused = pytest.raises(Conflict, match=r"2 of 3 running processes do not have key new.*restart them")
        with bootstrap.serving(early, executor=False), bootstrap.working(impostor, 2), refused:
            keys.rotate(late.context, "new")
        with bootstrap.working(impostor, 2), pytest.raises(Conflict, match="1 of 2"):
            keys.rotate(late.context, "new")
        assert wrapped_by(late) == ["old", "old"]
        assert keys.rotate(late.context, "new").rewrapped == 2


def test_dead_processes_need_no_key(start: Start) -> None:
    early, late = start(OLD), start(NEW, OLD)
    ledger = early.context.ledger
    with bootstrap.serving(early, executor=False):
        with ledger.write() as connection:
            connection.execute(tables.workers.update().values(seen_at=ledger.epoch() - 61))
        assert keys.rotate(late.context).rewrapped == 2


def rotate_and_die(application: Application, committed: bool) -> None:
    """Be killed right before or after the commit of a rotation."""
    commit = DefaultDialect.do_commit

    def die(dialect: DefaultDialect, dbapi_connection: Any) -> None:
        if committed:
            commit(dialect, dbapi_connection)
        os.kill(os.getpid(), signal.SIGKILL)

    DefaultDialect.do_commit = die  # type: ignore[method-assign]
    keys.rotate(application.context)


@pytest.mark.parametrize("committed", [False, True])
def test_killed_in_between_it_has_happened_or_not(start: Start, committed: bool) -> None:
    bootstrap.close(start(OLD))
    child = os.fork()
    if child == 0:
        try:
            rotate_and_die(start(NEW, OLD), committed)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    application = start(NEW, OLD)
    assert wrapped_by(application) == ["new" if committed else "old"] * 2
    assert keys.rotate(application.context).rewrapped == (0 if committed else 2)
    start(NEW)


def test_two_rotations_at_once_leave_one_key(start: Start) -> None:
    ring = (OLD, NEW, OTHER)
    first, second = start(*ring), start(*ring)
    threads = [
        threading.Thread(target=keys.rotate, args=(application.context, name))
        for application, name in ((first, "new"), (second, "other"))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrapped_by(first) in (["new", "new"], ["other", "other"])
    start(*ring)


def test_a_ledger_that_has_lost_its_keys_gets_no_others(start: Start) -> None:
    application = start(OLD)
    with application.context.ledger.write() as connection:
        connection.execute(tables.data_keys.delete())
    with pytest.raises(InputError, match=r"lost its keys.*backup"):
        start(OLD)


def test_a_ring_that_names_a_key_twice_is_refused() -> None:
    with pytest.raises(InputError, match="twice"):
        KeyRing.parse(f"{OLD},{make_ring_entry('old')}")


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a,b", "ä", "x" * 65])
def test_a_name_that_no_ring_can_hold_is_refused(name: str) -> None:
    with pytest.raises(InputError):
        make_ring_entry(name)
    assert KeyRing.parse(make_ring_entry("x" * 64)).primary == "x" * 64
