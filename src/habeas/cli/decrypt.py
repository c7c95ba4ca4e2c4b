"""`habeas decrypt`: opens an encrypted package on the machine of whoever has its key. Needs no server, no settings."""

import os
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from habeas.delivery.encryption import check_package_key
from habeas.delivery.opening import is_zip, open_package
from habeas.domain.errors import InputError


def decrypt(
    file: Annotated[Path, typer.Argument(help="A package (.json, .zip) or a member of a zip; - is standard input.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where to write it, for you alone; default: standard output.")
    ] = None,
    key_file: Annotated[Path | None, typer.Option(help="File that holds the key.")] = None,
    key_env: Annotated[str | None, typer.Option(help="Environment variable that holds the key.")] = None,
) -> None:
    """Open an encrypted package. The key is asked for, unless a file or a variable holds it.

    Nothing is written unless all of it is genuine. A zip becomes a zip whose members are in the clear.
    """
    content = _read(file)
    to_terminal = output is None and sys.stdout.isatty()
    if to_terminal and is_zip(content):
        raise InputError("a zip is nothing for a terminal", hint="name a file with --output")
    key = check_package_key(_read_key(key_file, key_env, ask=str(file) != "-"))
    opened = open_package(content, key)
    if output is None:
        typer.echo(opened, nl=to_terminal)
    else:
        _write(output, opened)


def _read(file: Path) -> bytes:
    try:
        return sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}") from None


def _read_key(file: Path | None, variable: str | None, *, ask: bool) -> str:
    if file is not None and variable is not None:
        raise InputError("the key is in two places", hint="give --key-file or --key-env")
    if file is not None:
        return _read(file).decode("utf-8", "replace").removesuffix("\n").removesuffix("\r")
    if variable is not None:
        if variable not in os.environ:
            raise InputError(f"the environment has no variable {variable}")
        return os.environ[variable]
    if not ask:
        raise InputError("standard input is the package", hint="give the key by --key-file or --key-env")
    return str(typer.prompt("Key", hide_input=True, err=True))


def _write(output: Path, opened: bytes) -> None:
    """The file appears whole, readable by its owner alone; one of that name is replaced."""
    try:
        with tempfile.NamedTemporaryFile(dir=output.parent, prefix=f".{output.name}.", delete=False) as file:
            made = Path(file.name)
            try:
                file.write(opened)
                file.flush()
                made.replace(output)
            except BaseException:
                made.unlink()
                raise
    except OSError as error:
        raise InputError(f"{output} cannot be written: {error.strerror}") from None
