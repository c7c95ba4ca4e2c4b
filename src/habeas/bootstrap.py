"""Wires everything: the only module that knows concrete connectors, strategies and destinations.

One bootstrap for the server, workers, the command line and tests.
"""

import logging
import os
import secrets
import socket
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import quote

from habeas.connectors import connection_types
from habeas.connectors.https import https_type
from habeas.delivery.destinations import storage_types
from habeas.domain.clock import Clock, SystemClock
from habeas.domain.errors import InputError, SystemUnavailable
from habeas.domain.ports import ConnectionType, Limits
from habeas.domain.regulation import Regulation, parse_regulation, shipped_regulations
from habeas.execution.connector_pool import ConnectorPool
from habeas.execution.context import Context
from habeas.execution.dispatcher import Dispatcher
from habeas.execution.executors import ClusterExecutor, Executor, ThreadExecutor
from habeas.execution.planning_input import Planner
from habeas.execution.postman import Postman
from habeas.execution.presence import present
from habeas.execution.status_telling import tell_due
from habeas.first_secrets import DEVELOPMENT_KEY, ROOT_CLIENT, keep_secret, read_secret, split_client
from habeas.masking.registry import strategies
from habeas.messaging.providers import provider_types
from habeas.outgoing import OutgoingClient
from habeas.own_files import own_files
from habeas.services.onetrust import poll_due
from habeas.services.tokens import find_holder
from habeas.settings import Settings
from habeas.store.backup import back_up
from habeas.store.checking import Finding, check_ledger
from habeas.store.onetrust import find_queue
from habeas.store.opening import open_ledger, upgrade_ledger
from habeas.store.sealing import KeyRing, make_ring_entry

_log = logging.getLogger(__name__)

LEDGER = "habeas.db"


def _name_process() -> str:
    return f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"


@dataclass(frozen=True, slots=True)
class Application:
    """The wired application; `notices` are lines a person should read at start (paths of fresh secrets).

    `name` is this process's own, in runs that it carries and in the ledger's list of processes.
    """

    context: Context
    awake: threading.Event
    notices: tuple[str, ...] = ()
    name: str = field(default_factory=_name_process)


def ledger_url(settings: Settings) -> str:
    """The ledger's URL: the setting, or SQLite in the data folder."""
    return settings.database.url or f"sqlite:///{quote(str(settings.data_dir.absolute() / LEDGER))}"


def prepare(settings: Settings) -> tuple[Settings, tuple[str, ...]]:
    """Make the data folder, and the key and root client that the settings lack; what a person should know of it.

    Raises SystemUnavailable when the folder cannot be written, InputError when the root client in it is malformed.
    """
    notices: list[str] = []
    security = settings.security
    try:
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        changes: dict[str, str] = {}
        if not security.encryption_keys:
            path = settings.data_dir / DEVELOPMENT_KEY
            changes["encryption_keys"] = keep_secret(path, make_ring_entry("development"))
            notices.append(f"development encryption key: {path}")
        if not (security.oauth_root_client_id and security.oauth_root_client_secret):
            path = settings.data_dir / ROOT_CLIENT
            client_id, secret = split_client(path, keep_secret(path, f"root:{secrets.token_urlsafe(32)}"))
            changes |= {"oauth_root_client_id": client_id, "oauth_root_client_secret": secret}
            notices.append(f"root client (id:secret): {path}")
    except OSError as error:
        raise SystemUnavailable(
            f"the data folder {settings.data_dir} cannot be used: {error.strerror}", hint="choose another --data-dir"
        ) from None
    return _secured(settings, changes), tuple(notices)


def with_key(settings: Settings) -> Settings:
    """The settings with the encryption key that there is; nothing is made.

    Raises InputError when there is no embedded ledger though it is meant, or no key.
    """
    _check_embedded(settings)
    if settings.security.encryption_keys:
        return settings
    path = settings.data_dir / DEVELOPMENT_KEY
    try:
        return _secured(settings, {"encryption_keys": read_secret(path)})
    except OSError:
        raise InputError(
            f"no encryption key is set, and there is none in {path}",
            hint="set HABEAS__SECURITY__ENCRYPTION_KEYS, or give the server's --data-dir",
        ) from None


def _check_embedded(settings: Settings) -> None:
    embedded = settings.data_dir / LEDGER
    if not settings.database.url and not embedded.exists():
        raise InputError(f"there is no ledger at {embedded}", hint="check --data-dir, or run `habeas db upgrade`")


def _secured(settings: Settings, changes: Mapping[str, str]) -> Settings:
    return settings.model_copy(update={"security": settings.security.model_copy(update=changes)})


def upgrade(settings: Settings) -> None:
    """Bring the ledger up to this version, making it where there is none. Raises what `build` does."""
    settings, _ = prepare(settings)
    upgrade_ledger(ledger_url(settings), _ring(settings), SystemClock())


def check(settings: Settings) -> list[Finding]:
    """What there is to say of the ledger. Raises InputError when there is none or no key, SystemUnavailable."""
    settings = with_key(settings)
    return check_ledger(ledger_url(settings), _ring(settings))


def backup(settings: Settings, file: Path) -> None:
    """Copy a SQLite ledger into a new file. Raises InputError when there is none, or the file is there already."""
    _check_embedded(settings)
    back_up(ledger_url(settings), file)


def _ring(settings: Settings) -> KeyRing:
    return KeyRing.parse(settings.security.encryption_keys)


def build(
    settings: Settings,
    *,
    create: bool = True,
    clock: Clock | None = None,
    extra_types: Mapping[str, ConnectionType] | None = None,
) -> Application:
    """Open the ledger and wire the context. `extra_types` adds connection types to those that are installed.

    With `create` a ledger, a key and a root client are made where there are none; without, InputError says so.
    """
    settings, notices = prepare(settings) if create else (with_key(settings), ())
    clock = clock or SystemClock()
    ledger = open_ledger(ledger_url(settings), _ring(settings), clock, create=create)
    outgoing = OutgoingClient(settings.security.outgoing_allow_list)
    own = own_files(ledger_url(settings), settings.data_dir.absolute())
    shipped = (*connection_types(own.check), https_type(outgoing.check))
    types = {kind.name: kind for kind in shipped} | dict(extra_types or {})
    awake = threading.Event()
    context = Context(
        settings=settings,
        ledger=ledger,
        clock=clock,
        connection_types=types,
        storage_types={
            kind.name: kind
            for kind in storage_types(settings.data_dir.absolute() / "packages", outgoing, partial(find_queue, ledger))
        },
        strategies=strategies(),
        connectors=ConnectorPool(ledger, types, _limits(settings)),
        planner=Planner(ledger, strategies(), types),
        wake=awake.set,
        provider_types={kind.name: kind for kind in provider_types(outgoing, clock)},
        outgoing=outgoing,
        regulations=shipped_regulations() | _own_regulations(settings.deadlines.regulations),
        jobs={"poll_onetrust": poll_due},
    )
    return Application(context, awake, notices)


def _own_regulations(folder: Path | None) -> dict[str, Regulation]:
    """Regulations of the TOML files in a folder; one of the key of a shipped one takes its place.

    Raises InputError when the folder cannot be read or a file is wrong.
    """
    if folder is None:
        return {}
    try:
        texts = {file.name: file.read_text("utf-8") for file in sorted(folder.iterdir()) if file.suffix == ".toml"}
    except (OSError, UnicodeError) as error:
        raise InputError(f"regulations cannot be read from {folder}: {type(error).__name__}") from None
    return {found.key: found for found in (parse_regulation(text, name) for name, text in texts.items())}


def _limits(settings: Settings) -> Limits:
    """Target sessions give up well before the lease ends (design §3)."""
    lease = settings.execution.lease_seconds
    return Limits(
        statement_timeout=lease * 0.6,
        lock_timeout=lease * 0.3,
        connect_timeout=min(10.0, max(1.0, lease * 0.3)),
        pool_size=settings.execution.visits,
        batch_rows=settings.execution.batch_rows,
        linger=0.1,
    )


def make_executor(application: Application) -> Executor:
    """Threads of this process, or the cluster that the settings name."""
    address = application.context.settings.execution.scheduler_address
    if address:
        from habeas.execution.cluster import carry_on_worker

        return ClusterExecutor(address, carry_on_worker)
    return ThreadExecutor(application.context, application.name)


@contextmanager
def serving(application: Application, *, executor: bool = True) -> Iterator[None]:
    """Show signs of life while the block lasts and, with `executor`, dispatch runs and carry them out."""
    settings = application.context.settings.execution
    threads = settings.threads if executor and not settings.scheduler_address else 0
    with (
        present(application.context, application.name, "server", threads),
        dispatching(application) if executor else nullcontext(),
    ):
        yield


@contextmanager
def working(application: Application, threads: int) -> Iterator[None]:
    """Show signs of life as a worker of a cluster while the block lasts."""
    with present(application.context, application.name, "worker", threads):
        yield


@contextmanager
def dispatching(application: Application) -> Iterator[None]:
    """Dispatch and execute runs while the block lasts; what runs at its end comes to a safe stop."""
    executor = make_executor(application)
    dispatcher = Dispatcher(application.context, executor, application.awake)
    tell = partial(tell_due, find_holder=find_holder)
    postmen = (Postman(application.context), Postman(application.context, "teller", tell))
    dispatcher.start()
    for postman in postmen:
        postman.start()
    try:
        yield
    finally:
        for postman in postmen:
            postman.stop()
        dispatcher.stop()
        executor.close()


def close(application: Application) -> None:
    """Give back every connection."""
    application.context.connectors.close()
    application.context.ledger.close()
