"""`habeas onetrust`: requests that come from OneTrust."""

from typing import Annotated

import typer

from habeas.cli.printing import print_columns, print_json
from habeas.cli.server_options import LOCAL, AsJson, Url, connect
from habeas.cli.settings_option import DataDir

app = typer.Typer(help="OneTrust: requests that come from there.", no_args_is_help=True)

_PATIENCE = 600.0
"""Seconds: OneTrust is asked about each open request that is not known yet."""


@app.command()
def poll(
    context: typer.Context,
    storage: Annotated[str | None, typer.Option(help="Key of a storage; default: all of type onetrust.")] = None,
    as_json: AsJson = False,
    url: Url = LOCAL,
    data_dir: DataDir = None,
) -> None:
    """Make privacy requests of what is open in OneTrust, now; safe to repeat."""
    params = {} if storage is None else {"storage_key": storage}
    with connect(context, url, data_dir, missing="`habeas onetrust list` shows what there is") as client:
        polls = client.call("POST", "/onetrust/poll", params=params, timeout=_PATIENCE)
    if as_json:
        print_json(polls)
    else:
        names = ("storage_key", "found", "created", "known", "without_subtask", "unusable", "failure")
        headings = ("storage", "found", "created", "known", "without subtask", "unusable", "failure")
        print_columns(headings, ([one[name] for name in names] for one in polls))
    if any(one["failure"] for one in polls):
        raise typer.Exit(1)


@app.command("list")
def list_all(context: typer.Context, as_json: AsJson = False, url: Url = LOCAL, data_dir: DataDir = None) -> None:
    """Show when each storage was polled, and of how many requests OneTrust is still to be told how they ended."""
    with connect(context, url, data_dir) as client:
        states = client.call("GET", "/onetrust")
    if as_json:
        print_json(states)
        return
    names = ("storage_key", "polled_at", "due_at", "subtasks", "untold", "failure")
    headings = ("storage", "polled", "due", "requests", "untold", "failure")
    print_columns(headings, ([one[name] for name in names] for one in states))
