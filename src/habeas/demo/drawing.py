"""Tables of the story for a terminal of any width: rows before and after, a thread post by post, the report.

Cells may hold values of the person: they are the sample company's.
"""

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table as Grid

from habeas.client import Json
from habeas.demo.facts import Holding, Snapshot, column_of


def draw_rows(before: Snapshot, after: Snapshot, holdings: Sequence[Holding], width: int) -> Grid:
    """The first erased cell of each column in the person's first row of each table, before and after."""
    grid = _grid("collection", "column", "before", "after")
    room = max(18, min(44, (width - 44) // 2))
    for holding in holdings:
        table, shown = holding.table, set[str]()
        row = min(holding.rows)
        for cell in holding.rows[row]:
            column = column_of(cell)
            if column in table.erased and column not in shown:
                old, new = (_show(state[table.address, row][cell]) for state in (before, after))
                name = "" if shown else table.address
                grid.add_row(name, escape(cell), escape(cut(old, room)), escape(_cut_inside(new, room)))
                shown.add(column)
    return grid


def draw_thread(before: Snapshot, after: Snapshot, holdings: Sequence[Holding], width: int) -> Grid:
    """The forum thread in which the person wrote most, before and after: their posts and those of others."""
    grid = _grid("post", "before", "after")
    room = max(18, min(44, (width - 24) // 2))
    threads = next(holding for holding in holdings if holding.table.own)
    row = max(threads.rows, key=lambda row: len(threads.rows[row]))
    old, new = before[threads.table.address, row], after[threads.table.address, row]
    for cell in old:
        if column_of(cell) == "posts.body":
            whose = "hers" if cell in threads.rows[row] else "another customer's"
            grid.add_row(whose, *(escape(cut(_show(cells[cell]), room)) for cells in (old, new)))
    return grid


def draw_report(report: Json) -> Grid:
    """Each collection of a request's report."""
    grid = _grid("collection", "found", "changed", "verified", "kept, and why")
    for line in report["collections"]:
        kept = "; ".join(f"{item['path']}: {item['reason']}" for item in line["skipped"])
        verified = "yes" if line["verified"] else "-"
        grid.add_row(line["address"], str(line["found"]), str(line["changed"]), verified, escape(kept))
    return grid


def _grid(*headings: str) -> Grid:
    grid = Grid(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for place, heading in enumerate(headings):
        grid.add_column(heading, justify="left", no_wrap=place < len(headings) - 1, overflow="fold")
    return grid


def _show(value: object) -> str:
    return "null" if value is None else str(value)


def cut(text: str, width: int) -> str:
    """The text, its end cut when it is wider."""
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _cut_inside(text: str, width: int) -> str:
    """Both ends stay, so that a suffix can be seen."""
    tail = len("@erased.example")
    return text if len(text) <= width else f"{text[: width - tail - 1]}…{text[-tail:]}"
