"""`habeas request`: submit and follow privacy requests at a running server."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, TypeAlias

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from habeas import bootstrap
from habeas.cli.settings_option import DataDir, read_settings
from habeas.client import ApiFailure, Client, Json, log_in
from habeas.domain.errors import InputError

app = typer.Typer(help="Privacy requests at a running server.", no_args_is_help=True)

Url: TypeAlias = Annotated[str, typer.Option("--url", envvar="HABEAS_URL", help="Where the server is.")]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print the API's answer.")]
LOCAL = "http://127.0.0.1:8080"


@app.callback()
def group() -> None:
    """Privacy requests at a running server.

    The root client is read from the settings, or from the data folder of a server on this machine.
    """


@app.command()
def submit(
    context: typer.Context,
    policy: Annotated[str, typer.Argument(help="Key of the policy.")],
    identity: Annotated[
        list[str],
        typer.Option("--identity", "-i", help="kind=value, e.g. email=ann@example.com; a kind may be given again."),
    ],
    external_id: Annotated[str | None, typer.Option(help="Your own id of the request.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Follow it until it ends.")] = False,
    url: Url = LOCAL,
    data_dir: DataDir = None,
) -> None:
    """Submit a request for one person and print its id."""
    given = _read_identities(identity)
    with _client(context, url, data_dir) as client:
        request_id = client.submit(policy, given, **({"external_id": external_id} if external_id else {}))
        typer.echo(request_id)
        if watch:
            _follow(client, request_id)


@app.command()
def show(
    context: typer.Context,
    request_id: Annotated[str, typer.Argument(help="Id of the request.")],
    as_json: AsJson = False,
    url: Url = LOCAL,
    data_dir: DataDir = None,
) -> None:
    """Show a request's status, its packages and its report."""
    with _client(context, url, data_dir) as client:
        request = client.call("GET", f"/privacy-request/{request_id}")
        packages = client.call("GET", f"/privacy-request/{request_id}/access-results")["access_result_urls"]
        try:
            report = client.call("GET", f"/privacy-request/{request_id}/report")
        except ApiFailure:
            report = None  # not planned yet
    if as_json:
        typer.echo(json.dumps({**request, "packages": packages, "report": report}, indent=2))
        return
    _print_request(Console(), request, packages, report)


@app.command()
def watch(
    context: typer.Context,
    request_id: Annotated[str, typer.Argument(help="Id of the request.")],
    url: Url = LOCAL,
    data_dir: DataDir = None,
) -> None:
    """Follow a request until it ends; exit code 1 when it ends in error."""
    with _client(context, url, data_dir) as client:
        _follow(client, request_id)


@contextmanager
def _client(context: typer.Context, url: str, data_dir: DataDir) -> Iterator[Client]:
    client_id, secret = bootstrap.root_client(read_settings(context, data_dir))
    with log_in(url, client_id, secret) as client:
        yield client


def _read_identities(pairs: Sequence[str]) -> dict[str, list[str]]:
    """The values of each kind, in order."""
    given: dict[str, list[str]] = {}
    for pair in pairs:
        kind, _, value = pair.partition("=")
        if not (kind and value):
            raise InputError("an identity is not written as kind=value", hint="e.g. -i email=ann@example.com")
        given.setdefault(kind, []).append(value)
    return given


def _follow(client: Client, request_id: str) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bars = {action: progress.add_task(action, total=0, visible=False) for action in ("access", "erasure")}

        def show_progress(entries: Json) -> None:
            for action, bar in bars.items():
                begun, ended = _count(entries, action)
                progress.update(bar, total=begun, completed=ended, visible=begun > 0)

        client.follow(request_id, float("inf"), show_progress)
    typer.echo("complete")


def _count(entries: Sequence[Json], action: str) -> tuple[int, int]:
    """Collections that have begun and that have ended."""
    own = [entry for entry in entries if entry["action_type"] == action and entry["collection_name"]]
    begun = {(entry["dataset_name"], entry["collection_name"]) for entry in own}
    ended = {(e["dataset_name"], e["collection_name"]) for e in own if e["status"] in ("complete", "skipped")}
    return len(begun), len(ended)


def _print_request(console: Console, request: Json, packages: Sequence[str], report: Json) -> None:
    heading = Text.assemble((request["id"], "bold"), f"  {request['status']}  policy {request['policy']['key']}")
    console.print(heading)
    if request["failure"]:
        details = request["action_required_details"]
        console.print(f"stopped at {details['step']} {details['collection'] or ''}: {request['failure']}", markup=False)
    for package in packages:
        console.print(f"package: {package}", highlight=False, soft_wrap=True, markup=False)
    if report is None:
        return
    table = Table("collection", "found", "changed", "drifted", "already", "absent", "verified")
    for place in report["collections"]:
        counts = [str(place[name]) for name in ("found", "changed", "drifted", "already", "absent")]
        table.add_row(Text(place["address"]), *counts, {True: "yes", False: "no", None: ""}[place["verified"]])
    console.print(table)
    for exception in report["exceptions"]:
        console.print(f"- {exception}", highlight=False, markup=False)
