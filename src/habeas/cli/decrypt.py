"""`habeas decrypt`: opens an encrypted package on the machine of whoever has its key. Needs no server, no settings."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from habeas.cli.private_file import read_bytes, writing
from habeas.cli.secret_input import KeyFile, KeyVariable, read_key
from habeas.delivery.encryption import check_package_key
from habeas.delivery.opening import is_zip, open_package
from habeas.domain.errors import InputError


def decrypt(
    file: Annotated[Path, typer.Argument(help="A package (.json, .zip) or a member of a zip; - is standard input.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where to write it, for you alone; default: standard output.")
    ] = None,
    key_file: KeyFile = None,
    key_env: KeyVariable = None,
) -> None:
    """Open an encrypted package. The key is asked for, unless a file or a variable holds it.

    Nothing is written unless all of it is genuine. A zip becomes a zip whose members are in the clear.
    """
    content = read_bytes(file)
    to_terminal = output is None and sys.stdout.isatty()
    if to_terminal and is_zip(content):
        raise InputError("a zip is nothing for a terminal", hint="name a file with --output")
    key = check_package_key(_read_key(key_file, key_env, ask=str(file) != "-"))
    opened = open_package(content, key)
    if output is None:
        typer.echo(opened, nl=to_terminal)
        return
    with writing(output) as target:
        target.write(opened)


def _read_key(file: Path | None, variable: str | None, *, ask: bool) -> str:
    key = read_key(file, variable)
    if key is not None:
        return key
    if not ask:
        raise InputError("standard input is the package", hint="give the key by --key-file or --key-env")
    return str(typer.prompt("Key", hide_input=True, err=True))
