"""`habeas plan`: what a request would do, before anything is queried."""

from typing import Annotated

import typer

from habeas import bootstrap
from habeas.cli.settings_option import DataDir, read_settings
from habeas.planning.preview import render_plan
from habeas.services.requests import make_preview


def plan(
    context: typer.Context,
    policy: Annotated[str, typer.Argument(help="Key of the policy.")],
    identity: Annotated[list[str], typer.Option("--identity", "-i", help="Identity kind that would be given.")],
    dataset: Annotated[list[str] | None, typer.Option("--dataset", "-d", help="Only these datasets.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Print the plan of a request: order, statements, what each rule returns or masks, what is skipped and why."""
    application = bootstrap.build(read_settings(context, data_dir), create=False)
    try:
        typer.echo(render_plan(*make_preview(application.context, policy, identity, dataset)))
    finally:
        bootstrap.close(application)
