"""`habeas dataset`: checks of dataset files, and drafts of new ones."""

from pathlib import Path
from typing import Annotated

import typer

from habeas import bootstrap
from habeas.cli.settings_option import DataDir, read_settings
from habeas.domain.errors import InputError
from habeas.planning.planner import AccessLevel, ConnectionState, PlacedDataset, check_datasets, traversability
from habeas.services.dataset_format import parse_datasets
from habeas.services.drafts import generate_dataset

app = typer.Typer(help="Dataset files.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Dataset files."""


@app.command()
def validate(
    files: Annotated[list[Path], typer.Argument(help="Dataset files, YAML or JSON, checked together.")],
) -> None:
    """Check dataset files: their form, their references, and whether every collection can be reached."""
    datasets = [dataset for file in files for dataset in parse_datasets(_read(file), source=str(file))]
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


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"{file} is not UTF-8 text") from None
