"""Secrets as people give them: typed, in a file, in a variable or on standard input, never on the command line.

No message repeats a value.
"""

import json
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from habeas.cli.private_file import read_bytes
from habeas.client import Json
from habeas.domain.errors import InputError

KeyFile: TypeAlias = Annotated[Path | None, typer.Option("--key-file", help="File that holds the key.")]
KeyVariable: TypeAlias = Annotated[
    str | None, typer.Option("--key-env", help="Environment variable that holds the key.")
]
SecretsFile: TypeAlias = Annotated[
    Path | None, typer.Option(help="JSON file of further fields, secrets among them; - is standard input.")
]

_CONFIDENTIAL = re.compile("password|secret|token|key|^url$", re.IGNORECASE)
"""Names of fields that hold a secret, or may: a database's URL has room for a password."""


def read_key(file: Path | None, variable: str | None) -> str | None:
    """The key of a file or a variable, None when neither is named. Raises InputError."""
    if file is not None and variable is not None:
        raise InputError("the key is in two places", hint="give --key-file or --key-env")
    if file is not None:
        return read_bytes(file).decode("utf-8", "replace").removesuffix("\n").removesuffix("\r")
    if variable is not None and variable not in os.environ:
        raise InputError(f"the environment has no variable {variable}")
    return os.environ[variable] if variable is not None else None


def read_pairs(pairs: Sequence[str]) -> dict[str, str]:
    """The fields of `name=value` arguments. Raises InputError for those that must not stand there."""
    fields: dict[str, str] = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not (name and separator):
            raise InputError("a field is not written as name=value", hint="e.g. host=db.example.com")
        if _CONFIDENTIAL.search(name):
            raise InputError(
                f"{name} does not belong on a command line, where others on this machine can read it",
                hint="leave it out and type it when asked, or give --secrets-file FILE (- is standard input)",
            )
        if name in fields:
            raise InputError(f"{name} is given twice", hint="give it once")
        fields[name] = value
    return fields


def read_secrets(file: Path | None) -> dict[str, str | int | None]:
    """The fields of a JSON object; none without a file. Raises InputError."""
    if file is None:
        return {}
    try:
        fields = json.loads(read_bytes(file))
    except ValueError:
        fields = None
    if not isinstance(fields, dict) or not all(isinstance(value, str | int | None) for value in fields.values()):
        raise InputError(f"{file} is no JSON object of names and values", hint='write {"password": "…"}')
    return fields


def read_fields(pairs: Sequence[str], file: Path | None) -> dict[str, str | int | None]:
    """The fields of both, none of them given twice. Raises InputError."""
    fields, secrets = read_pairs(pairs), read_secrets(file)
    if twice := sorted(fields.keys() & secrets.keys()):
        raise InputError(f"{', '.join(twice)} is given twice", hint="give it as an argument or in the file")
    return {**fields, **secrets}


def complete(given: Mapping[str, str | int | None], schema: Json) -> dict[str, str | int | None]:
    """All fields that a JSON schema asks for; those that lack are asked for at a terminal. Raises InputError.

    Of several alternatives (`oneOf`) that one counts of which something is given, else the longest.
    """
    known: Sequence[str] = list(schema["properties"])
    for name in given:
        if name not in known:
            raise InputError(f"there is no field {name} here", hint=f"known are {', '.join(known)}")
    needed = {*schema["required"], *_choose(given, [choice["required"] for choice in schema.get("oneOf", ())])}
    lacking = [name for name in known if name in needed and name not in given]
    if lacking and not sys.stdin.isatty():
        raise InputError(
            f"{', '.join(lacking)}: required",
            hint="write name=value, and what is secret into --secrets-file FILE (- is standard input)",
        )
    return {**given, **{name: _ask(name) for name in lacking}}


def _choose(given: Iterable[str], alternatives: Sequence[Sequence[str]]) -> Sequence[str]:
    begun = [choice for choice in alternatives if set(choice) & set(given)]
    if len(begun) > 1:
        raise InputError(f"give either {' or '.join(', '.join(choice) for choice in begun)}, not several of them")
    return (begun or sorted(alternatives, key=len, reverse=True) or [()])[0]


def _ask(name: str) -> str:
    return str(typer.prompt(name, hide_input=_CONFIDENTIAL.search(name) is not None, err=True))
