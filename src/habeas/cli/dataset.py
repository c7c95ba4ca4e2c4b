"""`habeas dataset`: checks of dataset files."""

from pathlib import Path
from typing import Annotated

import typer

from habeas.domain.errors import InputError
from habeas.planning.planner import AccessLevel, ConnectionState, PlacedDataset, check_datasets, traversability
from habeas.services.dataset_format import parse_datasets

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


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"{file} is not UTF-8 text") from None
