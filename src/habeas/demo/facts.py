"""What the sample company holds of a person, asked by SQL written by hand.

The story measures the engine against these facts, so this module must not know datasets, plans or policies.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from habeas.demo.databases import Ask, Cells, open_databases

Snapshot = dict[tuple[str, int], Cells]
"""Every row of every table, flattened, by table address and the row's number."""

Cell = tuple[str, int, str]
"""Table address, number of the row, name of the cell."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table, which of its rows are a person's (in terms of `_ME`), and what a request does to them.

    `given` are the columns an access package shows, `history` those of the package for spreadsheets; the last three
    are the columns an erasure changes. What stands inside of a column is a column here too: `posts.body`. Elements of
    an array belong to whom the column `own` says, or to whom the row belongs.
    """

    dataset: str
    name: str
    belongs: str
    own: str | None = None
    given: tuple[str, ...] = ()
    history: tuple[str, ...] = ()
    blanked: tuple[str, ...] = ()
    overwritten: tuple[str, ...] = ()
    pseudonymised: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        return f"{self.dataset}:{self.name}"

    @property
    def erased(self) -> tuple[str, ...]:
        return self.blanked + self.overwritten + self.pseudonymised


ROW = {"shop": "rowid", "support": "id"}
"""What tells rows of a dataset apart. In DuckDB a rowid may be another one after an update."""

_ME = {
    "shop": """
WITH me AS (SELECT * FROM customers WHERE email = $email),
     my_orders AS (SELECT * FROM orders WHERE customer_id IN (SELECT id FROM me)),
     my_cards AS (SELECT * FROM payment_cards WHERE customer_id IN (SELECT id FROM me))
""",
    "support": """
WITH me AS (SELECT unnest($names) AS name),
     my_tickets AS (SELECT * FROM tickets WHERE customer_ref IN (SELECT name FROM me))
""",
}

TABLES = (
    Table(
        "shop",
        "customers",
        "id IN (SELECT id FROM me)",
        given=("birth_date", "email", "first_name", "id", "last_name", "phone", "support_id"),
        blanked=("birth_date", "phone"),
        pseudonymised=("email", "first_name", "last_name"),
    ),
    Table(
        "shop",
        "addresses",
        "id IN (SELECT address_id FROM me UNION SELECT shipping_address_id FROM my_orders"
        " UNION SELECT billing_address_id FROM my_cards)",
        given=("city", "postal_code", "street"),
        blanked=("city", "postal_code", "street"),
    ),
    Table(
        "shop",
        "orders",
        "id IN (SELECT id FROM my_orders)",
        given=("delivery_note", "invoice_name", "placed_at", "total_cents"),
        history=("placed_at", "total_cents"),
        overwritten=("delivery_note",),
    ),
    Table(
        "shop",
        "order_items",
        "order_id IN (SELECT id FROM my_orders)",
        given=("product_id", "quantity"),
        history=("product_id", "quantity"),
    ),
    Table(
        "shop",
        "products",
        "id IN (SELECT product_id FROM order_items WHERE order_id IN (SELECT id FROM my_orders))",
    ),
    Table(
        "shop",
        "payment_cards",
        "id IN (SELECT id FROM my_cards)",
        given=("expires", "holder", "number"),
        blanked=("expires", "number"),
        pseudonymised=("holder",),
    ),
    Table(
        "shop",
        "logins",
        "customer_id IN (SELECT id FROM me)",
        given=("device", "ip_address"),
        blanked=("device", "ip_address"),
    ),
    Table(
        "shop",
        "reviews",
        "customer_id IN (SELECT id FROM me)",
        given=("body", "stars"),
        history=("stars",),
        overwritten=("body",),
    ),
    Table(
        "shop",
        "visits",
        "email IN (SELECT email FROM me)",
        given=("email", "page"),
        history=("page",),
        pseudonymised=("email",),
    ),
    Table(
        "support",
        "tickets",
        "id IN (SELECT id FROM my_tickets)",
        given=("customer_ref", "messages.author", "messages.body", "subject"),
        overwritten=("messages.body", "subject"),
        pseudonymised=("messages.author",),
    ),
    Table(
        "support",
        "threads",
        "EXISTS (SELECT * FROM unnest(posts) AS one (post) WHERE post.writer IN (SELECT name FROM me))",
        own="posts.writer",
        given=("posts.author", "posts.body", "posts.writer"),
        overwritten=("posts.body",),
        pseudonymised=("posts.author",),
    ),
    Table("support", "agents", "id IN (SELECT agent_id FROM my_tickets)"),
)


@dataclass(frozen=True, slots=True)
class Holding:
    """A person's rows of one table, by number: flattened, and without what others have in them."""

    table: Table
    rows: Mapping[int, Cells]

    def given(self) -> list[Cells]:
        """The rows as an access package must show them, flattened."""
        return [_renumber(_pick(row, self.table.given)) for row in self.rows.values()]

    def to_erase(self) -> set[Cell]:
        """The cells that an erasure changes."""
        return {
            (self.table.address, row, cell)
            for row, cells in self.rows.items()
            for cell in _pick(cells, self.table.erased)
        }

    def history(self) -> list[Cells]:
        """The rows as the package for spreadsheets must show them."""
        return [_pick(row, self.table.history) for row in self.rows.values()]


def find_holdings(folder: Path, email: str) -> tuple[Holding, ...]:
    """What the company in `folder` holds of the person with this mail address; no rows when there is none."""
    with open_databases(folder) as databases:
        known = databases["shop"]("SELECT support_id FROM customers WHERE email = $email", {"email": email})
        names = [row["support_id"] for row in known]
        person: dict[str, Mapping[str, object]] = {"shop": {"email": email}, "support": {"names": names}}
        holdings = []
        for table in TABLES:
            found = _select(databases[table.dataset], table, person[table.dataset])
            rows = {row: _without_others(cells, table.own, names) for row, cells in found.items()}
            holdings.append(Holding(table, rows))
        return tuple(holdings)


def take_snapshot(folder: Path) -> Snapshot:
    """Everything the company in `folder` holds, for comparing before and after."""
    with open_databases(folder) as databases:
        return {
            (table.address, row): cells
            for table in TABLES
            for row, cells in _select(databases[table.dataset], table).items()
        }


def count_elements(holdings: Sequence[Holding], snapshot: Snapshot) -> tuple[int, int, int]:
    """Of arrays that hold things of many people: the person's elements, all elements, and the rows they are in."""
    shared = [(held.table, row, cells) for held in holdings if held.table.own for row, cells in held.rows.items()]
    mine = sum(_count(cells, table.own) for table, _, cells in shared)
    return mine, sum(_count(snapshot[table.address, row], table.own) for table, row, _ in shared), len(shared)


def flatten(row: Mapping[str, object]) -> Cells:
    """The row with a cell for everything inside of its columns: `posts[1].body`."""
    return {name: value for column, held in row.items() for name, value in _flatten(column, held)}


def column_of(cell: str) -> str:
    """The column that a cell is in, whatever element: `posts.body` of `posts[1].body`."""
    return re.sub(r"\[\d+\]", "", cell)


def _select(ask: Ask, table: Table, person: Mapping[str, object] | None = None) -> dict[int, Cells]:
    """Rows of one person, or of everybody, flattened."""
    statement = f"SELECT {ROW[table.dataset]} AS _row, * FROM {table.name}"  # noqa: S608 (names are ours)
    if person is not None:
        statement = f"{_ME[table.dataset]} {statement} WHERE {table.belongs}"
    return {row.pop("_row"): flatten(row) for row in ask(statement, person)}


def _flatten(name: str, held: object) -> Iterator[tuple[str, object]]:
    if isinstance(held, list) and held:
        for number, element in enumerate(held):
            yield from _flatten(f"{name}[{number}]", element)
    elif isinstance(held, dict) and held:
        for member, value in held.items():
            yield from _flatten(f"{name}.{member}", value)
    else:
        yield name, held


def _without_others(cells: Cells, own: str | None, names: Collection[object]) -> Cells:
    """The cells without elements that say another name."""
    others = tuple(
        f"{cell.rpartition('.')[0]}." for cell, value in cells.items() if column_of(cell) == own and value not in names
    )
    return {cell: value for cell, value in cells.items() if not cell.startswith(others)}


def _count(cells: Cells, column: str | None) -> int:
    return sum(column_of(cell) == column for cell in cells)


def _pick(cells: Cells, columns: Collection[str]) -> Cells:
    return {cell: value for cell, value in cells.items() if column_of(cell) in columns}


def _renumber(cells: Cells) -> Cells:
    """The cells with elements counted anew from 0, now that some are gone; a row has one array."""
    left = sorted({int(number) for cell in cells for number in re.findall(r"\[(\d+)\]", cell)})
    return {
        re.sub(r"\d+(?=\])", lambda old: str(left.index(int(old[0]))), cell): value for cell, value in cells.items()
    }
