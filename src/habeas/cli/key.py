"""`habeas key`: the keys that open the ledger."""

import secrets
import time
from datetime import date
from typing import Annotated

import typer
from sqlalchemy.exc import SQLAlchemyError

from habeas import bootstrap
from habeas.cli.settings_option import DataDir, read_settings
from habeas.domain.errors import SystemUnavailable
from habeas.execution.context import Context
from habeas.services import keys, reencryption
from habeas.services.reencryption import SETTLED
from habeas.store.ledger import name_failure
from habeas.store.sealing import make_ring_entry

app = typer.Typer(help="The keys that open the ledger.", no_args_is_help=True)


@app.command()
def new(
    name: Annotated[str | None, typer.Option("--id", help="The key's id; default: made of the date.")] = None,
) -> None:
    """Print a new random key as an entry of `security.encryption_keys`, `id:base64`; it is kept nowhere."""
    typer.echo(make_ring_entry(f"key-{date.today():%Y%m%d}-{secrets.token_hex(2)}" if name is None else name))


@app.command()
def rotate(
    context: typer.Context,
    to: Annotated[str | None, typer.Option(help="Id of the key; default: the first of the ring.")] = None,
    reencrypt: Annotated[bool, typer.Option("--reencrypt", help="Seal everything anew, by a new data key.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Make one key of the ring open the ledger alone; refused until every running process has it. Safe to repeat."""
    application = bootstrap.build(read_settings(context, data_dir), create=False)
    try:
        if reencrypt:
            _reencrypt(application.context, to)
        else:
            _tell(keys.rotate(application.context, to))
    except SQLAlchemyError as error:
        raise SystemUnavailable(f"the ledger failed ({name_failure(error)})", hint="repeat the command") from None
    finally:
        bootstrap.close(application)


def _reencrypt(context: Context, to: str | None) -> None:
    typer.echo(f"sealing everything anew, which takes {SETTLED:.0f} seconds or more; to be repeated if it is cut off")
    done = reencryption.reencrypt(context, to, _Progress().tell)
    _tell(done.rotation)
    typer.echo(f"values sealed anew: {done.resealed}; earlier data keys deleted: {done.dropped}")


def _tell(done: keys.Rotation) -> None:
    typer.echo(f"{done.key} opens the ledger, alone; keys re-wrapped: {done.rewrapped}")
    if done.not_needed:
        typer.echo(f"not needed any more, except for backups made before: {', '.join(done.not_needed)}")


class _Progress:
    """Lines about a long re-encryption, one in some seconds."""

    _INTERVAL = 5.0

    def __init__(self) -> None:
        self._next = time.monotonic() + self._INTERVAL

    def tell(self, table: str, resealed: int) -> None:
        if time.monotonic() >= self._next:
            typer.echo(f"{table}: {resealed:,} values")
            self._next = time.monotonic() + self._INTERVAL
