"""`habeas key`: the keys that open the ledger."""

import secrets
from datetime import date
from typing import Annotated

import typer

from habeas import bootstrap
from habeas.cli.settings_option import DataDir, read_settings
from habeas.services import keys
from habeas.store.sealing import make_ring_entry

app = typer.Typer(help="The keys that open the ledger.", no_args_is_help=True)


@app.command()
def new(
    name: Annotated[str | None, typer.Option("--id", help="The key's id; default: made of the date.")] = None,
) -> None:
    """Print a new random key as an entry of `security.encryption_keys`, `id:base64`; it is kept nowhere."""
    typer.echo(make_ring_entry(name or f"key-{date.today():%Y%m%d}-{secrets.token_hex(2)}"))


@app.command()
def rotate(
    context: typer.Context,
    to: Annotated[str | None, typer.Option(help="Id of the key; default: the first of the ring.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Make one key of the ring open the ledger alone; refused until every running process has it. Safe to repeat."""
    application = bootstrap.build(read_settings(context, data_dir), create=False)
    try:
        done = keys.rotate(application.context, to)
    finally:
        bootstrap.close(application)
    typer.echo(f"{done.key} opens the ledger, alone; keys re-wrapped: {done.rewrapped}")
    if done.not_needed:
        typer.echo(f"not needed any more, except for backups made before: {', '.join(done.not_needed)}")
