"""`habeas statistics`: numbers of the requests that were received in a time."""

from datetime import datetime
from typing import Annotated, TypeAlias

import typer

from habeas.cli.printing import print_columns, print_json
from habeas.cli.server_options import LOCAL, AsJson, Url, connect
from habeas.cli.settings_option import DataDir
from habeas.client import Json

Day: TypeAlias = datetime
_DAYS = ["%Y-%m-%d"]
_NAMES = (
    *("received", "complied_in_whole", "complied_with_exceptions", "denied", "canceled", "open"),
    *("median_days", "mean_days"),
)


def statistics(
    context: typer.Context,
    begin: Annotated[Day, typer.Option("--from", formats=_DAYS, help="First day of receipt (UTC).")],
    end: Annotated[Day, typer.Option("--to", formats=_DAYS, help="The day after the last.")],
    as_json: AsJson = False,
    url: Url = LOCAL,
    data_dir: DataDir = None,
) -> None:
    """Count the requests received in a time by what became of them, and the days that took."""
    params = {"from": begin.date().isoformat(), "to": end.date().isoformat()}
    with connect(context, url, data_dir) as client:
        found = client.call("GET", "/privacy-request/statistics", params=params)
    if as_json:
        print_json(found)
        return
    groups: list[tuple[str, Json]] = [("all", found["total"]), *found["by_action"].items(), *found["by_month"].items()]
    headings = ("", *(name.replace("_", " ") for name in _NAMES))
    print_columns(headings, ((title, *(counts[name] for name in _NAMES)) for title, counts in groups))
