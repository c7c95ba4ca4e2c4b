"""`habeas plan`: what a request would do, before anything is queried."""

from typing import Annotated

import typer

from habeas import bootstrap
from habeas.cli.printing import print_json
from habeas.cli.server_options import AsJson
from habeas.cli.settings_option import DataDir, read_settings
from habeas.planning.preview import preview_plan, render_plan
from habeas.services.requests import make_preview


def plan(
    context: typer.Context,
    policy: Annotated[str, typer.Argument(help="Key of the policy.")],
    identity: Annotated[
        list[str], typer.Option("--identity", "-i", help="Identity kind that would be given; a value is not needed.")
    ],
    dataset: Annotated[list[str] | None, typer.Option("--dataset", "-d", help="Only these datasets.")] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Print the plan of a request: order, statements, what each rule returns or masks, what is skipped and why."""
    kinds = [kind.partition("=")[0] for kind in identity]
    application = bootstrap.build(read_settings(context, data_dir), create=False)
    try:
        previewed = make_preview(application.context, policy, kinds, dataset)
    finally:
        bootstrap.close(application)
    if as_json:
        print_json(preview_plan(*previewed))
    else:
        typer.echo(render_plan(*previewed))
