"""`habeas db`: the ledger's schema."""

import typer

from habeas import bootstrap
from habeas.cli.settings_option import DataDir, read_settings

app = typer.Typer(help="The ledger's schema.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """The ledger's schema."""


@app.command()
def upgrade(context: typer.Context, data_dir: DataDir = None) -> None:
    """Bring the ledger's schema up to this version; safe to repeat."""
    bootstrap.close(bootstrap.build(read_settings(context, data_dir), migrate=True))
    typer.echo("the ledger is up to date")
