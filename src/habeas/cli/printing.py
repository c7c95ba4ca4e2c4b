"""What commands print: JSON for scripts, plain columns for people, and what to do next."""

import json
from collections.abc import Iterable, Sequence

import typer
from rich.console import Console
from rich.text import Text

from habeas.client import ApiFailure, Json


def print_json(value: Json) -> None:
    """An answer of the API, or part of one."""
    typer.echo(json.dumps(value, indent=2))


def print_columns(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """One row a line, two blanks between columns, None as nothing: for eyes and for `grep`."""
    lines = [[_show(cell) for cell in row] for row in (headings, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def tell_test(tested: Json, *, as_json: bool, hint: str) -> None:
    """How a test of a system went, unless JSON said so. Raises ApiFailure with the reason when it does not work."""
    if tested["test_status"] == "failed":
        raise ApiFailure(f"{tested['msg']}: {tested['failure_reason']}", hint=hint)
    if not as_json:
        typer.echo(tested["msg"])


def say_next(advice: str) -> None:
    """What a person would do next, on standard error."""
    Console(stderr=True).print(Text.assemble(("next:", "dim"), " ", advice), soft_wrap=True)


def printable(text: str) -> str:
    """Text of several lines; other signs that would move a terminal's cursor are replaced."""
    return "\n".join(map(_show, text.splitlines()))


def _show(cell: object) -> str:
    """A cell's text; signs that would move a terminal's cursor are replaced."""
    text = "" if cell is None else str(cell)
    return "".join(character if character.isprintable() else "?" for character in text)
