"""`habeas db`: the ledger's schema, its state, and copies of it."""

from pathlib import Path
from typing import Annotated

import typer

from habeas import bootstrap
from habeas.cli.settings_option import DataDir, read_settings
from habeas.domain.errors import InputError

app = typer.Typer(help="The ledger: its schema, its state, and copies of it.", no_args_is_help=True)


@app.command()
def upgrade(context: typer.Context, data_dir: DataDir = None) -> None:
    """Bring the ledger's schema up to this version, or make a ledger; safe to repeat. Stop older processes before."""
    bootstrap.upgrade(read_settings(context, data_dir))
    typer.echo("the ledger is up to date")


@app.command()
def check(context: typer.Context, data_dir: DataDir = None) -> None:
    """Say whether schema and tables are as this version needs them and the keys open the ledger; else exit code 1."""
    findings = bootstrap.check(read_settings(context, data_dir))
    for finding in findings:
        typer.echo(f"{finding.subject:<8}{finding.said}")
    if wrong := [finding for finding in findings if finding.mend]:
        subjects = ", ".join(finding.subject for finding in wrong)
        raise InputError(f"the ledger is not as this version needs it: {subjects}", hint=wrong[0].mend)


@app.command()
def backup(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="File to write; must not exist.")],
    data_dir: DataDir = None,
) -> None:
    """Copy a SQLite ledger into a file, as it is at this moment, without stopping anything."""
    bootstrap.backup(read_settings(context, data_dir), file)
    typer.echo(f"the ledger is in {file}; keep its keys elsewhere")
