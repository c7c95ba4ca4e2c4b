"""What the sample company holds of a person, asked by SQL written by hand.

The story measures the engine against these facts, so this module must not know datasets, plans or policies.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from habeas.demo.databases import Ask, Cells, open_databases

Snapshot = dict[tuple[str, int], Cells]
"""Every row of every table, by table address and the row's number."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table, which of its rows are a person's (in terms of `_ME`), and what a request does to them.

    `given` are the columns an access package shows; the other three are the columns an erasure changes.
    """

    dataset: str
    name: str
    belongs: str
    given: tuple[str, ...] = ()
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
        overwritten=("delivery_note",),
    ),
    Table("shop", "order_items", "order_id IN (SELECT id FROM my_orders)", given=("product_id", "quantity")),
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
    Table("shop", "reviews", "customer_id IN (SELECT id FROM me)", given=("body", "stars"), overwritten=("body",)),
    Table("shop", "visits", "email IN (SELECT email FROM me)", given=("email", "page"), pseudonymised=("email",)),
    Table(
        "support",
        "tickets",
        "id IN (SELECT id FROM my_tickets)",
        given=("customer_ref", "subject"),
        overwritten=("subject",),
    ),
    Table(
        "support",
        "messages",
        "ticket_id IN (SELECT id FROM my_tickets)",
        given=("author", "body"),
        overwritten=("body",),
        pseudonymised=("author",),
    ),
    Table("support", "agents", "id IN (SELECT agent_id FROM my_tickets)"),
)


@dataclass(frozen=True, slots=True)
class Holding:
    """A person's rows of one table, by number."""

    table: Table
    rows: Mapping[int, Cells]

    def given(self) -> list[Cells]:
        """The rows as an access package must show them."""
        return [{column: row[column] for column in self.table.given} for row in self.rows.values()]


def find_holdings(folder: Path, email: str) -> tuple[Holding, ...]:
    """What the company in `folder` holds of the person with this mail address; no rows when there is none."""
    with open_databases(folder) as databases:
        known = databases["shop"]("SELECT support_id FROM customers WHERE email = $email", {"email": email})
        names = [row["support_id"] for row in known]
        person: dict[str, Mapping[str, object]] = {"shop": {"email": email}, "support": {"names": names}}
        return tuple(
            Holding(table, _select(databases[table.dataset], table, person[table.dataset])) for table in TABLES
        )


def take_snapshot(folder: Path) -> Snapshot:
    """Everything the company in `folder` holds, for comparing before and after."""
    with open_databases(folder) as databases:
        return {
            (table.address, row): cells
            for table in TABLES
            for row, cells in _select(databases[table.dataset], table).items()
        }


def _select(ask: Ask, table: Table, person: Mapping[str, object] | None = None) -> dict[int, Cells]:
    """Rows of one person, or of everybody."""
    statement = f"SELECT {ROW[table.dataset]} AS _row, * FROM {table.name}"  # noqa: S608 (names are ours)
    if person is not None:
        statement = f"{_ME[table.dataset]} {statement} WHERE {table.belongs}"
    return {row.pop("_row"): row for row in ask(statement, person)}
