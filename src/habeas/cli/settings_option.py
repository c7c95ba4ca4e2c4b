"""How every command reads its settings: one file option, one data-folder option."""

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from habeas.cli.logs import announce
from habeas.settings import Settings, find_old_names, load_settings

DataDir: TypeAlias = Annotated[
    Path | None, typer.Option("--data-dir", help="Folder of the embedded ledger, packages and first keys.")
]


def read_settings(context: typer.Context, data_dir: Path | None = None) -> Settings:
    """The settings under the command's options. Raises InputError."""
    return load_settings(context.obj, data_dir=data_dir)


def announce_old_names(settings: Settings) -> None:
    """Say, at the start of a process, which settings it was given by old names."""
    for old, new in find_old_names().items():
        announce(f"{old} is an old name: use {new}", settings.logging.format)
