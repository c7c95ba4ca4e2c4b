"""`habeas dataset`: drafts of dataset files, checks of them, and what the server is told of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from habeas import bootstrap
from habeas.cli.printing import print_columns, print_json, say_next
from habeas.cli.private_file import read_text
from habeas.cli.server_options import LOCAL, AsJson, Url, connect
from habeas.cli.settings_option import DataDir, read_settings
from habeas.client import path_of
from habeas.domain.dataset import Dataset
from habeas.domain.errors import InputError
from habeas.planning.planner import AccessLevel, ConnectionState, PlacedDataset, check_datasets, traversability
from habeas.services.dataset_format import dataset_to_json, parse_datasets
from habeas.services.drafts import generate_dataset

app = typer.Typer(help="Datasets: what the tables and columns of a system hold.", no_args_is_help=True)


@app.command()
def validate(
    files: Annotated[list[Path], typer.Argument(help="Dataset files, YAML or JSON, checked together.")],
) -> None:
    """Check dataset files: their form, their references, and whether every collection can be reached."""
    datasets = _parse(files)
    check_datasets(datasets)
    here = ConnectionState("file", "file", AccessLevel.READ)
    reached, reason = traversability([PlacedDataset(dataset, here) for dataset in datasets])
    collections = sum(len(dataset.collections) for dataset in datasets)
    typer.echo(f"well-formed: datasets {len(datasets)}, collections {collections}")
    if not reached:
        raise InputError(reason)
    typer.echo("every collection can be reached when all declared identities are given")


@app.command()
def generate(
    context: typer.Context,
    connection: Annotated[str, typer.Argument(help="Key of the connection.")],
    key: Annotated[str | None, typer.Option(help="Key of the dataset; default: the connection's.")] = None,
    schema: Annotated[str | None, typer.Option(help="Schema to describe; default: the store's own.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write; must not exist.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Draft a dataset from a store's tables, columns and keys; no row is read.

    Categories, identities and directions of references are proposed by name and type and marked so in comments.
    What to look at is listed on standard error.
    """
    _refuse_existing(output)
    application = bootstrap.build(read_settings(context, data_dir), create=False)
    try:
        generated = generate_dataset(application.context, connection, key=key, schema=schema)
    finally:
        bootstrap.close(application)
    if output is None:
        typer.echo(generated.text, nl=False)
    else:
        _write(output, generated.text)
    typer.echo(generated.summary, nl=False, err=True)
    if output is not None:
        say_next(f"go through {output}, then: habeas dataset add {connection} {output}")


@app.command()
def add(
    context: typer.Context,
    connection: Annotated[str, typer.Argument(help="Key of the connection that they describe.")],
    files: Annotated[list[Path], typer.Argument(help="Dataset files, YAML or JSON; - is standard input.")],
    as_json: AsJson = False,
    url: Url = LOCAL,
    data_dir: DataDir = None,
) -> None:
    """Save the datasets of files below a connection, or change them to that; safe to repeat."""
    bodies = [dataset_to_json(dataset) for dataset in _parse(files)]
    with connect(context, url, data_dir, missing="`habeas connection list` shows what there is") as client:
        saved = client.patch_all(path_of("connection", connection, "dataset"), bodies)
    if as_json:
        print_json(saved)
        return
    for body in saved:
        typer.echo(f"{body['fides_key']}: collections {len(body['collections'])}")
    say_next("habeas policy add FILE, or with a policy: habeas plan POLICY --identity email")


@app.command("list")
def list_all(context: typer.Context, as_json: AsJson = False, url: Url = LOCAL, data_dir: DataDir = None) -> None:
    """List datasets, with the connection that each describes."""
    with connect(context, url, data_dir) as client:
        found = [
            {"connection": item["key"], **body}
            for item in client.list_all("/connection")
            for body in client.list_all(path_of("connection", item["key"], "dataset"))
        ]
    if as_json:
        print_json(found)
        return
    rows = ((body["fides_key"], body["connection"], len(body["collections"])) for body in found)
    print_columns(("dataset", "connection", "collections"), rows)


def _parse(files: Sequence[Path]) -> list[Dataset]:
    return [dataset for file in files for dataset in parse_datasets(read_text(file), source=str(file))]


def _refuse_existing(file: Path | None) -> None:
    if file is not None and file.exists():
        raise InputError(f"{file} exists already", hint="choose another --output; what people decided stays theirs")


def _write(file: Path, text: str) -> None:
    """Make the file; it is never overwritten."""
    try:
        with file.open("x", encoding="utf-8") as target:
            target.write(text)
    except FileExistsError:
        _refuse_existing(file)
    except OSError as error:
        raise InputError(f"{file} cannot be written: {error.strerror}") from None
