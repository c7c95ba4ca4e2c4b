"""`habeas serve`: the HTTP API, with the dispatcher and the embedded executor."""

import contextlib
import signal
import socket
from collections.abc import Iterator
from types import FrameType
from typing import Annotated, TypeAlias

import typer
import uvicorn

from habeas import bootstrap
from habeas.cli.exposure import check_exposure
from habeas.cli.logs import announce, set_up_logs
from habeas.cli.settings_option import DataDir, announce_old_names, read_settings
from habeas.domain.errors import InputError
from habeas.services import configuration

Port: TypeAlias = Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0: any free one.")]


def serve(
    context: typer.Context,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Port = 8080,
    data_dir: DataDir = None,
    executor: Annotated[bool, typer.Option("--executor/--no-executor", help="Carry runs out here too.")] = True,
    accept_open_create: Annotated[
        bool, typer.Option("--accept-open-create", help="Let others submit requests without a token.")
    ] = False,
) -> None:
    """Start the server; Ctrl-C and SIGTERM end it and lose nothing."""
    signal.signal(signal.SIGTERM, _leave)
    settings = read_settings(context, data_dir)
    set_up_logs(settings.logging.level, settings.logging.format)
    announce_old_names(settings)
    form = settings.logging.format
    with listening(host, port) as listener:
        check_exposure(listener, settings, accept_open_create=accept_open_create)
        application = bootstrap.build(settings)
        try:
            present = configuration.find_present(application.context)  # what was changed by the API counts, too
            check_exposure(listener, present, accept_open_create=accept_open_create)
            for notice in application.notices:
                announce(notice, form)
            server = make_server(application, host)
            with bootstrap.serving(application, executor=executor):
                announce(f"serving on {address_of(listener)}", form)
                server.run(sockets=[listener])
        finally:
            bootstrap.close(application)


@contextlib.contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """A bound socket. Raises InputError when the address cannot be had."""
    try:
        family, _, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.create_server((where[0], where[1]), family=family)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # asyncio does not, for sockets it is given
    except OSError as error:
        raise InputError(
            f"cannot listen on {host}:{port}: {error.strerror}", hint="choose another --host or --port"
        ) from None
    with listener:
        yield listener


def address_of(listener: socket.socket) -> str:
    """The URL of a bound socket."""
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def make_server(application: bootstrap.Application, host: str) -> uvicorn.Server:
    """A server for the application; access lines are off, since query strings may hold identities."""
    from habeas.web.app import create_app  # brings FastAPI, which the other commands do without

    config = uvicorn.Config(
        create_app(application.context), host=host, access_log=False, log_config=None, server_header=False
    )
    return uvicorn.Server(config)


def _leave(number: int, frame: FrameType | None) -> None:
    """Unwind on SIGTERM, which uvicorn raises anew when it is down: by default the process would end there,
    without giving its runs back."""
    raise typer.Exit
