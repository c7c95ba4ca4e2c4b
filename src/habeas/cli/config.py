"""`habeas config`: the settings of running servers, and changes that hold at once in all of them."""

import json
import math
from pathlib import Path
from typing import Annotated

import typer

from habeas.cli.printing import print_columns, print_json
from habeas.cli.server_options import LOCAL, AsJson, Url, connect
from habeas.cli.settings_option import DataDir
from habeas.client import Json
from habeas.domain.errors import InputError

app = typer.Typer(no_args_is_help=True, help="The settings of running servers.")


@app.command("show")
def show(
    context: typer.Context,
    changed: Annotated[bool, typer.Option("--changed", help="Only what was changed here or by the API.")] = False,
    as_json: AsJson = False,
    url: Url = LOCAL,
    data_dir: DataDir = None,
) -> None:
    """Show settings as they are now; secrets and addresses are not among them."""
    with connect(context, url, data_dir) as client:
        _print(client.call("GET", "/config", params={"api_set": changed}), as_json)


@app.command("set")
def change(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The setting, e.g. duplicates.enabled.")],
    value: Annotated[str, typer.Argument(help="Text, or JSON: true, 30, '[\"email\"]', null.")],
    url: Url = LOCAL,
    data_dir: DataDir = None,
) -> None:
    """Change a setting in every process, at once; file and environment do not count for it any more."""
    section, dot, field = name.partition(".")
    if not dot:
        raise InputError(f"{name} is no setting", hint="give section.name")
    _change(context, url, data_dir, "PATCH", {section: {field: _read(value)}})


@app.command("reset")
def reset(context: typer.Context, url: Url = LOCAL, data_dir: DataDir = None) -> None:
    """Give up all changes: file and environment hold again."""
    _change(context, url, data_dir, "DELETE", None)


def _change(context: typer.Context, url: str, data_dir: Path | None, method: str, sections: Json) -> None:
    with connect(context, url, data_dir) as client:
        _print(client.call(method, "/config", json=sections), as_json=False)


def _read(value: str) -> Json:
    """The value as JSON has it, else as text. Raises InputError for what the server could not be sent."""
    try:
        return json.loads(value, parse_constant=str, parse_float=_read_number)
    except ValueError:
        return value
    except RecursionError:
        raise InputError("the value is nested too deeply") from None


def _read_number(written: str) -> float:
    number = float(written)
    if not math.isfinite(number):
        raise InputError("the value holds a number beyond all bounds")
    return number


def _print(sections: Json, as_json: bool) -> None:
    if as_json:
        print_json(sections)
        return
    values = {f"{section}.{name}": value for section, named in sections.items() for name, value in named.items()}
    print_columns(
        ("setting", "value"), ((name, json.dumps(value, ensure_ascii=False)) for name, value in values.items())
    )
