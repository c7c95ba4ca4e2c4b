"""`habeas audit`: whether the log of what was done is whole. Needs no server; may run beside one."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from habeas import bootstrap
from habeas.cli.settings_option import DataDir, read_settings
from habeas.domain.errors import InputError
from habeas.execution.context import Context
from habeas.services import audit

app = typer.Typer(help="The log of what was done: is it whole?", no_args_is_help=True)


@app.command()
def head(context: typer.Context, data_dir: DataDir = None) -> None:
    """Print the head of the log, position:digest. Keep it where nobody who writes into the ledger can."""
    with _opened(context, data_dir) as wired:
        typer.echo(str(audit.read_head(wired)))


@app.command()
def verify(
    context: typer.Context,
    heads: Annotated[
        list[str] | None, typer.Option("--head", help="A head that was written down before; may be repeated.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Walk the log from its first entry and say whether one was changed, removed, added or moved; then exit code 1.

    That its end was cut off shows only against a head that was written down.
    """
    published = [audit.parse_head(text) for text in heads or ()]
    with _opened(context, data_dir) as wired:
        found = audit.verify(wired, published)
    for problem in found.problems:
        typer.echo(problem)
    if found.problems:
        raise InputError("the audit log is not as it was written", hint="compare it with a backup of the ledger")
    waiting = f"; {found.unlinked} not linked yet" if found.unlinked else ""
    typer.echo(f"{found.entries} entries are as they were written{waiting}; head {found.head or 'none yet'}")


@contextmanager
def _opened(context: typer.Context, data_dir: DataDir) -> Iterator[Context]:
    application = bootstrap.build(read_settings(context, data_dir), create=False)
    try:
        yield application.context
    finally:
        bootstrap.close(application)
