"""Wires everything: the only module that knows concrete connectors, strategies and destinations.

One bootstrap for the server, workers, the command line and tests.
"""

import base64
import logging
import os
import secrets
import socket
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from urllib.parse import quote

from habeas.connectors.sql import connection_types
from habeas.delivery.destinations import storage_types
from habeas.domain.clock import Clock, SystemClock
from habeas.domain.errors import InputError, SystemUnavailable
from habeas.domain.ports import ConnectionType, Limits
from habeas.execution.connector_pool import ConnectorPool
from habeas.execution.context import Context
from habeas.execution.dispatcher import Dispatcher
from habeas.execution.executors import ClusterExecutor, Executor, ThreadExecutor
from habeas.execution.planning_input import Planner
from habeas.masking.registry import strategies
from habeas.settings import Settings
from habeas.store.opening import open_ledger
from habeas.store.sealing import KeyRing

_log = logging.getLogger(__name__)

DEVELOPMENT_KEY = "development-key"
ROOT_CLIENT = "root-client"
LEDGER = "habeas.db"


@dataclass(frozen=True, slots=True)
class Application:
    """The wired application; `notices` are lines a person should read at start (paths of fresh secrets)."""

    context: Context
    awake: threading.Event
    notices: tuple[str, ...] = ()


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
            fresh = f"development:{base64.b64encode(os.urandom(32)).decode()}"
            changes["encryption_keys"] = _keep(path, fresh)
            notices.append(f"development encryption key: {path}")
        if not (security.oauth_root_client_id and security.oauth_root_client_secret):
            path = settings.data_dir / ROOT_CLIENT
            client_id, secret = _split_client(path, _keep(path, f"root:{secrets.token_urlsafe(32)}"))
            changes |= {"oauth_root_client_id": client_id, "oauth_root_client_secret": secret}
            notices.append(f"root client (id:secret): {path}")
    except OSError as error:
        raise SystemUnavailable(
            f"the data folder {settings.data_dir} cannot be used: {error.strerror}", hint="choose another --data-dir"
        ) from None
    return settings.model_copy(update={"security": security.model_copy(update=changes)}), tuple(notices)


def root_client(settings: Settings) -> tuple[str, str]:
    """Id and secret of the root client, from the settings or from the data folder of a server on this machine.

    Raises InputError when there is neither, or the file is malformed.
    """
    security = settings.security
    if security.oauth_root_client_id and security.oauth_root_client_secret:
        return security.oauth_root_client_id, security.oauth_root_client_secret
    path = settings.data_dir / ROOT_CLIENT
    try:
        kept = _read(path)
    except OSError:
        raise InputError(
            f"no root client is set, and there is none in {path}",
            hint="give the server's --data-dir, or set HABEAS__SECURITY__OAUTH_ROOT_CLIENT_ID and _SECRET",
        ) from None
    return _split_client(path, kept)


def _split_client(path: Path, kept: str) -> tuple[str, str]:
    client_id, _, secret = kept.partition(":")
    if not (client_id and secret and kept.isascii()):
        raise InputError(f"{path} does not hold id:secret", hint="delete it, and the server makes a new root client")
    return client_id, secret


def build(
    settings: Settings,
    *,
    migrate: bool = True,
    clock: Clock | None = None,
    extra_types: Mapping[str, ConnectionType] | None = None,
) -> Application:
    """Open the ledger and wire the context. `extra_types` adds connection types, e.g. in tests.

    Without `migrate` nothing is made that is not there: InputError when there is no ledger yet.
    """
    embedded = settings.data_dir / LEDGER
    if not migrate and not settings.database.url and not embedded.exists():
        raise InputError(f"there is no ledger at {embedded}", hint="check --data-dir, or run `habeas db upgrade`")
    settings, notices = prepare(settings)
    clock = clock or SystemClock()
    ring = KeyRing.parse(settings.security.encryption_keys)
    ledger = open_ledger(ledger_url(settings), ring, clock, migrate=migrate)
    types = {kind.name: kind for kind in connection_types()} | dict(extra_types or {})
    awake = threading.Event()
    context = Context(
        settings=settings,
        ledger=ledger,
        clock=clock,
        connection_types=types,
        storage_types={kind.name: kind for kind in storage_types(settings.data_dir.absolute() / "packages")},
        strategies=strategies(),
        connectors=ConnectorPool(ledger, types, _limits(settings)),
        planner=Planner(ledger, strategies(), types),
        wake=awake.set,
    )
    return Application(context, awake, notices)


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


def make_executor(context: Context) -> Executor:
    """Threads of this process, or the cluster that the settings name."""
    address = context.settings.execution.scheduler_address
    if address:
        from habeas.execution.cluster import carry_on_worker

        return ClusterExecutor(address, carry_on_worker)
    return ThreadExecutor(context, f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}")


@contextmanager
def dispatching(application: Application) -> Iterator[None]:
    """Dispatch and execute runs while the block lasts; what runs at its end comes to a safe stop."""
    executor = make_executor(application.context)
    dispatcher = Dispatcher(application.context, executor, application.awake)
    dispatcher.start()
    try:
        yield
    finally:
        dispatcher.stop()
        executor.close()


def close(application: Application) -> None:
    """Give back every connection."""
    application.context.connectors.close()
    application.context.ledger.close()


def worker_context(settings: Settings) -> Callable[[], Context]:
    """Makes the context of a worker process, which shares the ledger of its server."""
    return lambda: build(settings, migrate=False).context


def _keep(path: Path, fresh: str) -> str:
    """The content of a private file, made with `fresh` when it is not there; it appears whole or not at all."""
    if path.exists():
        return _read(path)
    with NamedTemporaryFile("w", dir=path.parent, prefix=f"{path.name}.", encoding="utf-8") as file:
        file.write(fresh + "\n")
        file.flush()
        os.fsync(file.fileno())
        try:
            path.hardlink_to(file.name)
        except FileExistsError:  # another process was quicker
            return _read(path)
    return fresh


def _read(path: Path) -> str:
    """The text of a private file; bytes that are no UTF-8 become signs that whoever parses it refuses."""
    return path.read_text(encoding="utf-8", errors="replace").strip()
