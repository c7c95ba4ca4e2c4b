"""`habeas`: the commands, and the one place where an error becomes a line and an exit code."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from habeas import __version__
from habeas.cli import (
    connection,
    dataset,
    db,
    decrypt,
    demo,
    key,
    messaging,
    plan,
    policy,
    request,
    serve,
    statistics,
    storage,
    sweep,
    user,
    worker,
)
from habeas.domain.errors import HabeasError

EXIT_CODES = (
    ("0", "Done."),
    ("1", "Refused, or ended in error: one line says what is wrong (`error:`), one how to mend it (`hint:`)."),
    ("2", "The command line is wrong: an unknown command or option, a missing argument, a value out of range."),
    ("130", "Interrupted by Ctrl-C."),
)

app = typer.Typer(
    name="habeas",
    help="Carries privacy requests out: finds, packages and erases a person's data, and proves it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
)
app.command("serve")(serve.serve)
app.command("worker")(worker.worker)
app.command("demo")(demo.demo)
app.command("plan")(plan.plan)
app.command("sweep")(sweep.sweep)
app.command("decrypt")(decrypt.decrypt)
app.command("statistics")(statistics.statistics)
app.add_typer(connection.app, name="connection")
app.add_typer(dataset.app, name="dataset")
app.add_typer(policy.app, name="policy")
app.add_typer(request.app, name="request")
app.add_typer(storage.app, name="storage")
app.add_typer(messaging.app, name="messaging")
app.add_typer(user.app, name="user")
app.add_typer(db.app, name="db")
app.add_typer(key.app, name="key")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    config: Annotated[Path | None, typer.Option(help="Settings file; default: habeas.toml when there is one.")] = None,
    version: Annotated[bool, typer.Option("--version", callback=_show_version, is_eager=True)] = False,
) -> None:
    context.obj = config


def main() -> None:
    """Run a command; errors of ours are one line with a hint, exit code 1 (2: the command line is wrong)."""
    errors = Console(stderr=True)
    try:
        app()
    except HabeasError as error:
        errors.print(Text.assemble(("error:", "bold red"), " ", error.message), soft_wrap=True)
        if error.hint:
            errors.print(Text.assemble(("hint:", "dim"), " ", error.hint), soft_wrap=True)
        sys.exit(1)
