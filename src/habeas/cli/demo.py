"""`habeas demo`: a sample company, a server, and a privacy request carried out before your eyes."""

import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
import uvicorn
from rich.console import Console

from habeas import bootstrap
from habeas.cli.decrypt import decrypt
from habeas.cli.logs import set_up_logs
from habeas.cli.serve import Port, address_of, listening, make_server
from habeas.cli.settings_option import DataDir, read_settings
from habeas.first_secrets import ROOT_CLIENT
from habeas.settings import Settings


def demo(
    context: typer.Context,
    once: Annotated[bool, typer.Option("--once", help="Exit when the story is told.")] = False,
    port: Port = 0,
    data_dir: DataDir = None,
    company_folder: Annotated[Path | None, typer.Option(hidden=True)] = None,
) -> None:
    """Build a sample company, start a server, and watch one person's data being found, given and erased."""
    set_up_logs("WARNING")
    console = Console()
    with _place(data_dir, once, console) as folder:
        _present(read_settings(context, folder), folder, company_folder, port, once, console)


def _present(
    settings: Settings, folder: Path, company_folder: Path | None, port: int, once: bool, console: Console
) -> None:
    # Both bring DuckDB, which the other commands do without until they meet such a database.
    from habeas.demo.company import build_company, open_company
    from habeas.demo.home import Home
    from habeas.demo.story import run_story

    company = open_company(company_folder) if company_folder else build_company(folder / "company")
    with listening("127.0.0.1", port) as listener:
        application = bootstrap.build(settings)
        try:
            server = make_server(application, "127.0.0.1")
            with bootstrap.serving(application), _serving(server, listener) as thread:
                security = application.context.settings.security
                run_story(
                    address_of(listener),
                    security.oauth_root_client_id,
                    security.oauth_root_client_secret,
                    company,
                    Home(folder / "ada", decrypt),
                    console,
                )
                if not once:
                    _say(console, f"\nStill serving on {address_of(listener)}; Ctrl-C ends it.")
                    _say(console, f"Root client (id:secret): {folder / ROOT_CLIENT}")
                    _say(console, f"Databases, ledger, packages and her key stay in {folder}")
                    thread.join()
        finally:
            bootstrap.close(application)


@contextmanager
def _place(data_dir: Path | None, once: bool, console: Console) -> Iterator[Path]:
    """The demo's folder: the one given, else a temporary one, which goes when nobody stays to look into it."""
    if data_dir or not once:
        yield data_dir or Path(tempfile.mkdtemp(prefix="habeas-demo-"))
        return
    with tempfile.TemporaryDirectory(prefix="habeas-demo-") as made:
        yield Path(made)
    _say(console, f"\nThe demo's folder {made} is removed, with her packages; --data-dir keeps one.")


def _say(console: Console, line: str) -> None:
    console.print(line, highlight=False, markup=False, soft_wrap=True)


@contextmanager
def _serving(server: uvicorn.Server, listener: object) -> Iterator[threading.Thread]:
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="server", daemon=True)
    thread.start()
    try:
        yield thread
    except KeyboardInterrupt:
        pass
    finally:
        server.should_exit = True
        thread.join()
