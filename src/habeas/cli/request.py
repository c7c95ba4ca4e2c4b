"""`habeas request`: submit privacy requests at a running server, follow them, and fetch what they found."""

import itertools
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, TypeAlias

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from habeas.cli import deciding
from habeas.cli.conditions import (
    DuplicateOf,
    ExternalId,
    OfPolicy,
    Overdue,
    Regulation,
    Statuses,
    conditions_of,
)
from habeas.cli.printing import print_columns, print_json, printable, say_next
from habeas.cli.private_file import writing
from habeas.cli.secret_input import KeyFile, KeyVariable, read_key
from habeas.cli.server_options import LOCAL, AsJson, Url, connect
from habeas.cli.settings_option import DataDir
from habeas.client import ApiFailure, Client, Json, path_of
from habeas.delivery.opening import is_zip
from habeas.domain.errors import InputError
from habeas.domain.request import ActionType, LogStatus, RequestStatus

app = typer.Typer(help="Privacy requests.", no_args_is_help=True)

RequestId: TypeAlias = Annotated[str, typer.Argument(help="Id of the request.")]
Watch: TypeAlias = Annotated[bool, typer.Option("--watch", help="Follow it until it ends.")]
_WORDS = {True: "erased", False: "not erased", None: "nothing held"}
_MISSING = "`habeas request list` shows the latest"


@app.command()
def submit(
    context: typer.Context,
    policy: Annotated[str, typer.Argument(help="Key of the policy.")],
    identity: Annotated[
        list[str],
        typer.Option("--identity", "-i", help="kind=value, e.g. email=ann@example.com; a kind may be given again."),
    ],
    external_id: Annotated[str | None, typer.Option(help="Your own id of the request.")] = None,
    dataset: Annotated[list[str] | None, typer.Option("--dataset", "-d", help="Only these datasets.")] = None,
    verified: Annotated[bool, typer.Option("--verified", help="You know the person: no code is asked for.")] = False,
    key_file: KeyFile = None,
    key_env: KeyVariable = None,
    watch: Watch = False,
    as_json: AsJson = False,
    url: Url = LOCAL,
    data_dir: DataDir = None,
) -> None:
    """Submit a request for one person and print its id. With a key, of 16, 24 or 32 bytes, packages are encrypted."""
    given = _read_identities(identity)
    details = {"external_id": external_id, "dataset_keys": dataset, "encryption_key": read_key(key_file, key_env)}
    with connect(context, url, data_dir) as client:
        more = {name: value for name, value in details.items() if value}
        request_id = client.submit(policy, given, by_staff=verified, **more)
        if not as_json:
            typer.echo(request_id)
        _tell_on(client, request_id, watch=watch, as_json=as_json)


@app.command("list")
def list_some(
    context: typer.Context,
    status: Statuses = None,
    policy: OfPolicy = None,
    external_id: ExternalId = None,
    overdue: Overdue = False,
    regulation: Regulation = None,
    duplicate_of: DuplicateOf = None,
    csv: Annotated[Path | None, typer.Option("--csv", help="Write all of them into this file, for you alone.")] = None,
    page: Annotated[int, typer.Option(min=1, help="Page of the list.")] = 1,
    size: Annotated[int, typer.Option(min=1, max=100, help="Requests on a page.")] = 50,
    as_json: AsJson = False,
    url: Url = LOCAL,
    data_dir: DataDir = None,
) -> None:
    """List requests, the newest first."""
    params = {
        **conditions_of(status, policy, external_id, overdue, regulation, duplicate_of),
        "page": page,
        "size": size,
    }
    with connect(context, url, data_dir) as client:
        if csv is not None:
            blocks = client.stream("/privacy-request", **params, download_csv=True)
            first = next(blocks, b"")  # nothing is written when it is refused
            with writing(csv) as file:
                file.writelines(itertools.chain([first], blocks))
            return
        found = client.call("GET", "/privacy-request", params=params)
    if as_json:
        print_json(found["items"])
        return
    rows = (
        (
            *(item["id"], item["status"], item["policy"]["key"], item["requested_at"]),
            *(item["due_date"], item["external_id"]),
        )
        for item in found["items"]
    )
    print_columns(("id", "status", "policy", "requested", "due", "external id"), rows)
    if page < found["pages"]:
        say_next(f"--page {page + 1} shows more; there are {found['total']}")


@app.command()
def show(
    context: typer.Context, request_id: RequestId, as_json: AsJson = False, url: Url = LOCAL, data_dir: DataDir = None
) -> None:
    """Show a request's status, its packages and its report."""
    with connect(context, url, data_dir, missing=_MISSING) as client:
        path = path_of("privacy-request", request_id)
        request = client.call("GET", path)
        packages = client.call("GET", f"{path}/access-results")["access_result_urls"]
        try:
            report = client.call("GET", f"{path}/report")
        except ApiFailure:
            report = None  # not planned yet
    if as_json:
        print_json({**request, "packages": packages, "report": report})
        return
    _print_request(request, packages)
    if report is not None:
        _print_report(report)
    if request["status"] == RequestStatus.REQUIRES_INPUT:
        say_next(f"save its forms, then: POST /api/v1{request['resume_endpoint']}")
    if request["status"] == RequestStatus.ERROR:
        say_next(f"mend what stopped it, then: habeas request retry {request_id} --watch")


@app.command()
def report(
    context: typer.Context, request_id: RequestId, as_json: AsJson = False, url: Url = LOCAL, data_dir: DataDir = None
) -> None:
    """Show what a request found, changed and verified in each collection, and what it left alone and why."""
    with connect(context, url, data_dir, missing=_MISSING) as client:
        found = client.call("GET", path_of("privacy-request", request_id, "report"))
    if as_json:
        print_json(found)
    else:
        _print_report(found)


@app.command()
def watch(
    context: typer.Context, request_id: RequestId, as_json: AsJson = False, url: Url = LOCAL, data_dir: DataDir = None
) -> None:
    """Follow a request until it ends; exit code 1 when it ends in error."""
    with connect(context, url, data_dir, missing=_MISSING) as client:
        _tell_on(client, request_id, watch=True, as_json=as_json)


@app.command()
def retry(
    context: typer.Context,
    request_id: RequestId,
    watch: Watch = False,
    as_json: AsJson = False,
    url: Url = LOCAL,
    data_dir: DataDir = None,
) -> None:
    """Let a request in `error` go on from where it stopped; send the failed messages of one that is over."""
    with connect(context, url, data_dir, missing=_MISSING) as client:
        status = client.call("POST", path_of("privacy-request", request_id, "retry"))["status"]
        if not as_json:
            typer.echo(status)
        _tell_on(client, request_id, watch=watch, as_json=as_json)


@app.command()
def verify(
    context: typer.Context,
    request_id: RequestId,
    code: Annotated[str, typer.Argument(help="The six digits that the person was sent.")],
    url: Url = LOCAL,
    data_dir: DataDir = None,
) -> None:
    """Prove who sent a request, by the code that was sent to the person."""
    with connect(context, url, data_dir, missing=_MISSING) as client:
        path = path_of("privacy-request", request_id, "verify")
        typer.echo(client.call("POST", path, json={"code": code})["status"])


@app.command("resend-code")
def resend_code(context: typer.Context, request_id: RequestId, url: Url = LOCAL, data_dir: DataDir = None) -> None:
    """Send the person another code, instead of the one before."""
    with connect(context, url, data_dir, missing=_MISSING) as client:
        sent = client.call("POST", path_of("privacy-request", request_id, "resend-code"))
    typer.echo(f"sent; it counts until {sent['expires_at']}")


app.command("approve")(deciding.approve)
app.command("deny")(deciding.deny)
app.command("cancel")(deciding.cancel)


@app.command()
def extend(
    context: typer.Context,
    request_id: RequestId,
    reason: Annotated[str, typer.Option(help="Why, in general words: it is kept in the audit log.")],
    as_json: AsJson = False,
    url: Url = LOCAL,
    data_dir: DataDir = None,
) -> None:
    """Extend a deadline, once, as its regulation allows; tell the person."""
    with connect(context, url, data_dir, missing=_MISSING) as client:
        _move_deadline(client, request_id, "extend", {"reason": reason}, as_json=as_json)


@app.command()
def clarify(
    context: typer.Context,
    request_id: RequestId,
    reason: Annotated[str | None, typer.Option(help="What the person is asked, in general words.")] = None,
    answered: Annotated[bool, typer.Option("--answered", help="The person has answered: the clock goes on.")] = False,
    as_json: AsJson = False,
    url: Url = LOCAL,
    data_dir: DataDir = None,
) -> None:
    """Stop the clock while the person is asked, or start it again with --answered."""
    if answered == (reason is not None):
        raise InputError("give either --reason or --answered", hint="--reason stops the clock, --answered starts it")
    with connect(context, url, data_dir, missing=_MISSING) as client:
        act, body = ("clarified", {}) if answered else ("clarify", {"reason": reason})
        _move_deadline(client, request_id, act, body, as_json=as_json)


@app.command()
def note(
    context: typer.Context,
    request_id: RequestId,
    text: Annotated[
        str | None, typer.Argument(help="What to note; - reads standard input. Default: show them.")
    ] = None,
    as_json: AsJson = False,
    url: Url = LOCAL,
    data_dir: DataDir = None,
) -> None:
    """Write a note about a request, for staff, or show all that were written; they are kept sealed."""
    with connect(context, url, data_dir, missing=_MISSING) as client:
        path = path_of("privacy-request", request_id, "notes")
        if text is None:
            found = client.list_all(path)
        else:
            found = [client.call("POST", path, json={"text": sys.stdin.read() if text == "-" else text})]
    if as_json:
        print_json(found)
        return
    for one in found:
        typer.echo(f"{one['created_at']}  {one['author']}")
        typer.echo(textwrap.indent(printable(one["text"]), "    "))


@app.command()
def download(
    context: typer.Context,
    request_id: RequestId,
    rule: Annotated[str | None, typer.Option(help="Access rule of the package; needed when there are several.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where to write it, for you alone; default: standard output.")
    ] = None,
    url: Url = LOCAL,
    data_dir: DataDir = None,
) -> None:
    """Fetch a package of a request, as it is: `habeas decrypt` opens one that is encrypted."""
    with connect(context, url, data_dir, missing=_MISSING) as client:
        path = path_of("privacy-request", request_id)
        chosen = rule or _choose_rule(client.call("GET", f"{path}/access-results")["packages"])
        blocks = client.stream(path + path_of("package", chosen))
        if output is None:
            _write_out(blocks)
            return
        first = next(blocks, b"")  # nothing is written when there is no package
        with writing(output) as file:
            file.writelines(itertools.chain([first], blocks))


def _move_deadline(client: Client, request_id: str, act: str, body: Json, *, as_json: bool) -> None:
    """Do it and tell when the request is due now."""
    request = client.call("POST", path_of("privacy-request", request_id, act), json=body)
    if as_json:
        print_json(request)
    elif request["clock_stopped_at"] is not None:
        typer.echo(f"the clock stands still with {request['days_left']} days left")
    else:
        typer.echo(f"due on {request['due_date']}, in {request['days_left']} days")


def _read_identities(pairs: Sequence[str]) -> dict[str, list[str]]:
    """The values of each kind, in order."""
    given: dict[str, list[str]] = {}
    for pair in pairs:
        kind, _, value = pair.partition("=")
        if not (kind and value):
            raise InputError("an identity is not written as kind=value", hint="e.g. -i email=ann@example.com")
        given.setdefault(kind, []).append(value)
    return given


def _choose_rule(packages: Sequence[Json]) -> str:
    keys = [str(package["rule_key"]) for package in packages]
    if len(keys) == 1:
        return keys[0]
    if not keys:
        raise InputError("there is no package of this request", hint="it has one when an access rule was carried out")
    raise InputError(f"there are packages of {', '.join(keys)}", hint="choose one with --rule")


def _write_out(blocks: Iterator[bytes]) -> None:
    to_terminal = sys.stdout.isatty()
    for number, block in enumerate(blocks):
        if not number and to_terminal and is_zip(block):
            raise InputError("a zip is nothing for a terminal", hint="name a file with --output")
        typer.echo(block, nl=False)
    typer.echo("", nl=to_terminal)


def _tell_on(client: Client, request_id: str, *, watch: bool, as_json: bool) -> None:
    """What became of a request by now, or until it ended."""
    ending = _follow(client, request_id) if watch else None
    if as_json:
        print_json(client.call("GET", path_of("privacy-request", request_id)))
    if ending is not None:
        ending.hint = ending.hint or f"habeas request show {request_id}"
        raise ending
    if as_json:
        return
    if watch:
        typer.echo("complete")
    say_next(f"habeas request {'show' if watch else 'watch'} {request_id}")


def _follow(client: Client, request_id: str) -> ApiFailure | None:
    """Show a request's progress, and what it waits for, until it ends; how, if it is not complete."""
    told: set[str] = set()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        if awaited := _name_awaited(client.call("GET", path_of("privacy-request", request_id))):
            progress.console.print(f"waits for {awaited}", highlight=False, soft_wrap=True, markup=False)
        bars = {action: progress.add_task(action, total=0, visible=False) for action in ActionType}

        def show_progress(entries: Json) -> None:
            for action, bar in bars.items():
                begun, ended = _count(entries, action)
                progress.update(bar, total=begun, completed=ended, visible=begun > 0)
            for entry in itertools.takewhile(lambda entry: entry["status"] == LogStatus.PAUSED, reversed(entries)):
                if entry["message"] not in told:
                    progress.console.print(f"waits: {entry['message']}", highlight=False, soft_wrap=True, markup=False)
                told.add(entry["message"])

        try:
            client.follow(request_id, float("inf"), show_progress)
        except ApiFailure as failure:
            return failure
    return None


def _count(entries: Sequence[Json], action: str) -> tuple[int, int]:
    """Collections that have begun and that have ended."""
    own = [entry for entry in entries if entry["action_type"] == action and entry["collection_name"]]
    begun = {(entry["dataset_name"], entry["collection_name"]) for entry in own}
    ended = {(e["dataset_name"], e["collection_name"]) for e in own if e["status"] in ("complete", "skipped")}
    return len(begun), len(ended)


def _print_request(request: Json, packages: Sequence[str]) -> None:
    console = Console()
    console.print(Text.assemble((request["id"], "bold"), f"  {request['status']}  policy {request['policy']['key']}"))
    if request["failure"]:
        details = request["action_required_details"]
        place = f"{details['collection'] or ''}: "
        stopped = f"stopped at {details['step']} {place}{request['failure'].removeprefix(place)}"
        console.print(stopped, highlight=False, soft_wrap=True, markup=False)
    if awaited := _name_awaited(request):
        console.print(f"waits for {awaited}", highlight=False, soft_wrap=True, markup=False)
    for package in packages:
        console.print(f"package: {package}", highlight=False, soft_wrap=True, markup=False)


def _name_awaited(request: Json) -> str:
    """What a request waits for; empty when it waits for nothing that is known of it."""
    match request["status"]:
        case RequestStatus.PENDING:
            repeated = request["duplicate_of"]
            return f"a reviewer; it repeats {repeated}" if repeated else "a reviewer"
        case RequestStatus.IDENTITY_UNVERIFIED:
            return "the code that the person was sent"
        case RequestStatus.PAUSED:
            return "an answer; its log says whose"
        case RequestStatus.REQUIRES_INPUT:
            forms = request["action_required_details"]["forms"]
            names = [f"the {form['action_type']} form of {form['connection_key']}" for form in forms]
            return ", ".join(names) or "being resumed: all forms are saved"
    return ""


def _print_report(report: Json) -> None:
    console = Console()
    table = Table("collection", "found", "changed", "drifted", "already", "absent", "verified")
    for place in report["collections"]:
        counts = [str(place[name]) for name in ("found", "changed", "drifted", "already", "absent")]
        table.add_row(Text(place["address"]), *counts, {True: "yes", False: "no", None: ""}[place["verified"]])
    console.print(table)
    for people in report["confirmed"]:
        said = ", ".join(f"{label}: {_WORDS[erased]}" for label, erased in people["erased"].items())
        line = f"{people['connection_key']}, by hand: {said}"
        console.print(line, highlight=False, soft_wrap=True, markup=False)
    for exception in report["exceptions"]:
        console.print(f"- {exception}", highlight=False, soft_wrap=True, markup=False)
