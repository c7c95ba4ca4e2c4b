"""`habeas sweep`: housekeeping now, and what it did. Needs no server; may run beside one."""

import json
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy.exc import SQLAlchemyError

from habeas import bootstrap
from habeas.cli.settings_option import DataDir, read_settings
from habeas.domain.errors import InputError, SystemUnavailable
from habeas.execution.housekeeping import Round, jobs_of
from habeas.execution.housekeeping import sweep as sweep_job
from habeas.store.ledger import name_failure


def sweep(
    context: typer.Context,
    job: Annotated[str | None, typer.Option(help="Only this job; default: all.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Run the jobs of housekeeping now: let go of what nobody needs any more. Safe to kill and to repeat."""
    application = bootstrap.build(read_settings(context, data_dir), create=False)
    jobs = jobs_of(application.context)
    try:
        if job is not None and job not in jobs:
            raise InputError(f"there is no job {job!r}", hint=f"use {', '.join(jobs)}")
        rounds = [sweep_job(application.context, name) for name in ([job] if job else jobs)]
    except SQLAlchemyError as error:
        raise SystemUnavailable(f"the ledger failed ({name_failure(error)})", hint="try again") from None
    finally:
        bootstrap.close(application)
    if as_json:
        typer.echo(json.dumps([_show(one) for one in rounds], indent=2))
    else:
        Console().print(_table(rounds))


def _show(one: Round) -> dict[str, object]:
    before = None if one.ran_before is None else one.ran_before.isoformat(timespec="seconds")
    return {"job": one.job, "done": one.done, "seconds": round(one.seconds, 3), "ran_before": before}


def _table(rounds: Sequence[Round]) -> Table:
    table = Table("job", "done", "seconds", "ran before", box=None, pad_edge=False, header_style="")
    for one in map(_show, rounds):
        table.add_row(str(one["job"]), f"{one['done']:,}", str(one["seconds"]), str(one["ran_before"] or "never"))
    return table
