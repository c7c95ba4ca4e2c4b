"""`habeas storage`: where packages go."""

from collections.abc import Sequence
from typing import Annotated

import typer

from habeas.cli.printing import print_columns, print_json, tell_test
from habeas.cli.secret_input import SecretsFile, read_pairs, read_secrets
from habeas.cli.server_options import LOCAL, AsJson, Url, connect
from habeas.cli.settings_option import DataDir
from habeas.client import path_of

app = typer.Typer(help="Storages: where packages go.", no_args_is_help=True)

_NUMBERS = frozenset({"max_retries", "onetrust_polling_hr", "onetrust_polling_day_of_week", "onetrust_look_back_days"})


@app.command()
def add(
    context: typer.Context,
    key: Annotated[str, typer.Argument(help="Key of the storage; one of that key is changed.")],
    storage_type: Annotated[str, typer.Argument(metavar="TYPE", help="local, s3 or onetrust.")],
    details: Annotated[
        list[str] | None, typer.Argument(metavar="NAME=VALUE", help="Its details, e.g. bucket=packages.")
    ] = None,
    package_format: Annotated[str, typer.Option("--format", help="json or csv.")] = "json",
    secrets_file: SecretsFile = None,
    name: Annotated[str | None, typer.Option(help="Name for people; default: the key.")] = None,
    test: Annotated[bool, typer.Option("--test/--no-test", help="Try it when secrets are given.")] = True,
    as_json: AsJson = False,
    url: Url = LOCAL,
    data_dir: DataDir = None,
) -> None:
    """Add a place for packages; `local` is a folder of the server, its own one unless path=/… names another."""
    item = {"key": key, "name": name or key, "type": storage_type, "format": package_format}
    secrets = read_secrets(secrets_file)
    with connect(context, url, data_dir) as client:
        saved = client.patch_all("/storage/config", [{**item, "details": _read_details(details or ())}])
        tested = {"test_status": "skipped", "msg": f"storage {key} is saved"}
        if secrets_file is not None:
            path = path_of("storage", "config", key, "secret")
            tested = client.call("PUT", path, json=secrets, params={"verify": test})
    if as_json:
        print_json(saved[0])
    tell_test(tested, as_json=as_json, hint="it is saved: mend it, then add it again")


@app.command("list")
def list_all(context: typer.Context, as_json: AsJson = False, url: Url = LOCAL, data_dir: DataDir = None) -> None:
    """List storages."""
    with connect(context, url, data_dir) as client:
        found = client.list_all("/storage/config")
    if as_json:
        print_json(found)
        return
    rows = ((item["key"], item["type"], item["format"], _show_details(item["details"])) for item in found)
    print_columns(("key", "type", "format", "details"), rows)


def _read_details(pairs: Sequence[str]) -> dict[str, str | int]:
    return {
        name: int(value) if name in _NUMBERS and value.isdecimal() else value
        for name, value in read_pairs(pairs).items()
    }


def _show_details(details: dict[str, object]) -> str:
    return " ".join(f"{name}={value}" for name, value in details.items())
