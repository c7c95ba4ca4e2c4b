"""`habeas connection`: the systems that requests are carried out in."""

from typing import Annotated, TypeAlias

import typer

from habeas.cli.printing import print_columns, print_json, say_next, tell_test
from habeas.cli.secret_input import SecretsFile, complete, read_fields
from habeas.cli.server_options import LOCAL, AsJson, Url, connect
from habeas.cli.settings_option import DataDir
from habeas.client import Json, path_of
from habeas.domain.errors import InputError
from habeas.planning.plan_input import AccessLevel

app = typer.Typer(help="Connections: the systems that requests are carried out in.", no_args_is_help=True)

Key: TypeAlias = Annotated[str, typer.Argument(help="Key of the connection.")]
_MISSING = "`habeas connection list` shows what there is"


_WITHOUT_TABLES = frozenset({"https", "email"})
"""Types of connections that nothing can be drafted from."""


@app.command()
def add(
    context: typer.Context,
    key: Annotated[str, typer.Argument(help="Key of the connection; one of that key is changed.")],
    connection_type: Annotated[str, typer.Argument(metavar="TYPE", help="E.g. postgres, mariadb, sqlite, duckdb.")],
    fields: Annotated[
        list[str] | None, typer.Argument(metavar="NAME=VALUE", help="Where it is, e.g. host=db.example.com.")
    ] = None,
    access: Annotated[AccessLevel, typer.Option(help="write where erasure is wanted.")] = AccessLevel.READ,
    secrets_file: SecretsFile = None,
    name: Annotated[str | None, typer.Option(help="Name for people; default: the key.")] = None,
    description: Annotated[str | None, typer.Option(help="A note for people.")] = None,
    test: Annotated[bool, typer.Option("--test/--no-test", help="Try it at once.")] = True,
    as_json: AsJson = False,
    url: Url = LOCAL,
    data_dir: DataDir = None,
) -> None:
    """Connect a system: save where it is and its secrets, and test it. Needed fields that lack are asked for."""
    given = read_fields(fields or (), secrets_file)
    item = {"key": key, "name": name or key, "connection_type": connection_type, "access": access}
    with connect(context, url, data_dir) as client:
        secrets = complete(given, client.call("GET", path_of("connection_type", connection_type, "secret")))
        client.patch_all("/connection", [{**item, "description": description}])
        tested = client.call("PUT", path_of("connection", key, "secret"), json=secrets, params={"verify": test})
        saved = client.call("GET", path_of("connection", key))
    if as_json:
        print_json(saved)
    tell_test(tested, as_json=as_json, hint="it is saved: mend it, then add it again or `habeas connection test` it")
    if secrets and connection_type not in _WITHOUT_TABLES and not as_json:
        say_next(f"habeas dataset generate {key} --output {key}.yml")


@app.command("list")
def list_all(context: typer.Context, as_json: AsJson = False, url: Url = LOCAL, data_dir: DataDir = None) -> None:
    """List connections."""
    with connect(context, url, data_dir) as client:
        found = client.list_all("/connection")
    if as_json:
        print_json(found)
        return
    rows = ((item["key"], item["connection_type"], item["access"], _describe(item)) for item in found)
    print_columns(("key", "type", "access", "state"), rows)


@app.command()
def show(context: typer.Context, key: Key, as_json: AsJson = False, url: Url = LOCAL, data_dir: DataDir = None) -> None:
    """Show a connection and the datasets that describe it; never its secrets."""
    with connect(context, url, data_dir, missing=_MISSING) as client:
        found = client.call("GET", path_of("connection", key))
        datasets = client.list_all(path_of("connection", key, "dataset"))
    if as_json:
        print_json({**found, "datasets": [item["fides_key"] for item in datasets]})
        return
    typer.echo(f"{found['key']}  {found['connection_type']}  {found['access']}  {_describe(found)}")
    for label in ("name", "description", "paused_at", "last_test_timestamp"):
        if found[label]:
            typer.echo(f"{label.replace('_', ' ')}: {found[label]}")
    typer.echo(f"datasets: {', '.join(item['fides_key'] for item in datasets) or 'none'}")


@app.command()
def test(context: typer.Context, key: Key, as_json: AsJson = False, url: Url = LOCAL, data_dir: DataDir = None) -> None:
    """Ask a system whether it answers; exit code 1 when it does not."""
    with connect(context, url, data_dir, missing=_MISSING) as client:
        tested = client.call("GET", path_of("connection", key, "test"))
    if as_json:
        print_json(tested)
    if tested["test_status"] == "skipped":
        raise InputError(tested["msg"], hint="`habeas connection add` it again, with its fields")
    tell_test(tested, as_json=as_json, hint="mend it, then test it again")


@app.command()
def pause(
    context: typer.Context, key: Key, as_json: AsJson = False, url: Url = LOCAL, data_dir: DataDir = None
) -> None:
    """Ask nothing more of a system for now; requests that need it wait, and none counts that as a try."""
    _switch(context, "pause", key, as_json, url, data_dir)
    if not as_json:
        say_next(f"habeas connection resume {key}, when it may be asked again")


@app.command()
def resume(
    context: typer.Context, key: Key, as_json: AsJson = False, url: Url = LOCAL, data_dir: DataDir = None
) -> None:
    """Let the requests that wait for a paused connection go on."""
    _switch(context, "resume", key, as_json, url, data_dir)


def _switch(context: typer.Context, action: str, key: str, as_json: bool, url: str, data_dir: DataDir) -> None:
    with connect(context, url, data_dir, missing=_MISSING) as client:
        found = client.call("POST", path_of("connection", key, action))
    if as_json:
        print_json(found)
    else:
        typer.echo(f"{key} is paused since {found['paused_at']}" if found["paused_at"] else f"{key} goes on")


def _describe(connection: Json) -> str:
    """Whether requests can use it now, as far as is known."""
    if connection["disabled"]:
        return "disabled"
    if connection["paused_at"]:
        return "paused"
    return {True: "works", False: "failed its last test", None: "untested"}[connection["last_test_succeeded"]]
