"""`habeas`: the commands, and the one place where an error becomes a line and an exit code."""

import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text
from typer.core import TyperGroup

from habeas import __version__
from habeas.domain.errors import HabeasError

EXIT_CODES = (
    ("0", "Done."),
    ("1", "Refused, or ended in error: one line says what is wrong (`error:`), one how to mend it (`hint:`)."),
    ("2", "The command line is wrong: an unknown command or option, a missing argument, a value out of range."),
    ("130", "Interrupted by Ctrl-C."),
)

_COMMANDS = (
    *("serve", "worker", "demo", "plan", "sweep", "decrypt", "statistics"),
    *(
        "connection",
        "dataset",
        "policy",
        "request",
        "storage",
        "messaging",
        "onetrust",
        "user",
        "config",
        "db",
        "key",
        "audit",
    ),
)
"""Modules of this package: each has a function of its own name, or an `app` of several commands."""


class _Commands(TyperGroup):
    """Loads the module of a command when it is asked for: most need a fraction of what a server needs."""

    def __init__(self, **details: Any) -> None:
        super().__init__(**details)
        self.commands: dict[str, Any] = dict.fromkeys(_COMMANDS)  # what a mistyped one may have meant

    def list_commands(self, ctx: Any) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in _COMMANDS:
            return None
        module, parent = import_module(f"habeas.cli.{cmd_name}"), typer.Typer(add_completion=False)
        if hasattr(module, "app"):
            parent.add_typer(module.app, name=cmd_name)
        else:
            parent.command(cmd_name)(getattr(module, cmd_name))
        return typer.main.get_group(parent).commands[cmd_name]


app = typer.Typer(
    name="habeas",
    cls=_Commands,
    help="Carries privacy requests out: finds, packages and erases a person's data, and proves it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
)


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
