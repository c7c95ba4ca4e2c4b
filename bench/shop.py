"""The shop that is measured: 11 related tables (data-plane §9.1), its policies, and what an erasure must leave."""

from collections.abc import Iterator
from typing import Any

from stores import Store
from tables import IDENTITY, INT, TEXT, Column, Table

MAIL, NAME = Column("text", "user.contact.email"), Column("text", "user.name")
PHONE, CARD = Column("text", "user.contact.phone_number"), Column("text", "user.financial.credit_card")
STREET, ZIP = Column("text", "user.contact.address.street"), Column("text", "user.contact.address.postal_code")
BOUGHT, PLACED = Column("int", "user.behavior.purchase_history"), Column("moment", "user.behavior.purchase_history")
PAGE, TIME = Column("text", "user.behavior.browsing_history"), Column("moment", "user.behavior.browsing_history")

TABLES = (
    Table(
        "customers", {"id": INT, "address_id": INT, "email": MAIL, "name": NAME, "phone": PHONE}, {"email": IDENTITY},
        "SELECT n, n, 'person' || n || '@example.com', 'Person ' || n, '+1555' || n FROM range(1, {people} + 1) r(n)",
        unique=("email",), given=("email", "name", "phone"), masked={"email": True, "name": False, "phone": False},
    ),
    Table(
        "employees", {"id": INT, "address_id": INT, "email": MAIL, "name": NAME}, {"email": IDENTITY},
        "SELECT n, 2 * {people} + n, 'staff' || n || '@example.com', 'Staff ' || n FROM range(1, 51) r(n)",
        unique=("email",), given=("email", "name"), masked={"email": True, "name": False},
    ),
    Table(
        "visits", {"id": INT, "email": MAIL, "page": PAGE}, {"email": IDENTITY},
        "SELECT n, 'person' || 1 + n % {people} || '@example.com', '/page' || n % 500 "
        "FROM range(1, 2 * {people} + 1) r(n)",
        given=("email", "page"), masked={"email": True},
    ),
    Table(
        "reports", {"id": INT, "email": MAIL, "name": TEXT}, {"email": IDENTITY},
        "SELECT n, 'staff' || 1 + n % 50 || '@example.com', 'Report ' || n FROM range(1, 501) r(n)",
        given=("email",), masked={"email": True},
    ),
    Table(
        "orders", {"id": INT, "customer_id": INT, "shipping_address_id": INT, "placed_at": PLACED},
        {"customer_id": "customers.id"},
        "SELECT n, 1 + n % {people}, {people} + 1 + n % {people}, timestamp '2024-01-01' + n * interval '1 s' "
        "FROM range(1, 5 * {people} + 1) r(n)",
        given=("placed_at",),
    ),
    Table(
        "payment_cards", {"id": INT, "billing_address_id": INT, "ccn": CARD, "customer_id": INT, "name": NAME},
        {"customer_id": "customers.id"},
        "SELECT n, n, 4000000000000000 + n, n, 'Person ' || n FROM range(1, {people} + 1) r(n)",
        given=("ccn", "name"), masked={"ccn": False, "name": False},
    ),
    Table(
        "logins", {"id": INT, "customer_id": INT, "time": TIME}, {"customer_id": "customers.id"},
        "SELECT n, 1 + n % {people}, timestamp '2025-01-01' + n * interval '1 s' FROM range(1, 6 * {people} + 1) r(n)",
        given=("time",),
    ),
    Table(
        "service_requests", {"id": INT, "alt_email": MAIL, "email": MAIL, "employee_id": INT},
        {"alt_email": IDENTITY, "email": IDENTITY, "employee_id": "employees.id"},
        "SELECT n, 'alias' || n || '@example.com', 'person' || n || '@example.com', 1 + n % 50 "
        "FROM range(1, {people} + 1) r(n)",
        given=("alt_email", "email"), masked={"alt_email": True, "email": True},
    ),
    Table(
        "addresses", {"id": INT, "city": TEXT, "street": STREET, "zip": ZIP},
        {"id": "customers.address_id employees.address_id orders.shipping_address_id payment_cards.billing_address_id"},
        "SELECT n, 'City ' || n % 97, 'Street ' || n, lpad(n::text, 7, '0') FROM range(1, 2 * {people} + 51) r(n)",
        given=("street", "zip"), masked={"street": False, "zip": False},
    ),
    Table(
        "order_items", {"order_id": INT, "product_id": BOUGHT, "quantity": BOUGHT}, {"order_id": "orders.id"},
        "SELECT 1 + n % (5 * {people}), 1 + n % 1000, 1 + n % 4 FROM range(1, 10 * {people} + 1) r(n)",
        key=None, given=("product_id", "quantity"),
    ),
    Table(
        "products", {"id": INT, "name": TEXT, "price": INT}, {"id": "order_items.product_id"},
        "SELECT n, 'Product ' || n, n * 7 FROM range(1, 1001) r(n)",
    ),
)  # fmt: skip
"""In an order in which each table stands after those whose values it needs; about 28 rows for each person."""

_LEFT = {
    "customers": ("id", "t.email = k.email OR t.name IS NOT NULL OR t.phone IS NOT NULL"),
    "payment_cards": ("customer_id", "t.ccn IS NOT NULL OR t.name IS NOT NULL"),
    "service_requests": ("email", "true"),
    "visits": ("email", "true"),
    "addresses": ("id", "t.street IS NOT NULL OR t.zip IS NOT NULL"),
}
"""Table → the column that leads to customers, and what must not hold for their rows."""


def email_of(number: int) -> str:
    """The e-mail address of the customer with this number, from 1."""
    return f"person{number}@example.com"


def policies() -> Iterator[tuple[str, list[tuple[dict[str, Any], list[str]]]]]:
    """(policy key, rules with their categories)."""
    yield "give", [({"key": "give", "name": "give", "action_type": "access"}, ["user"])]
    hashed = {"strategy": "hmac", "configuration": {"algorithm": "SHA-256"}}
    emptied = {"strategy": "null_rewrite", "configuration": {}}
    yield (
        "forget",
        [
            ({"key": "hash", "name": "hash", "action_type": "erasure", "masking_strategy": hashed}, [MAIL.category]),
            (
                {"key": "empty", "name": "empty", "action_type": "erasure", "masking_strategy": emptied},
                [NAME.category, PHONE.category, CARD.category, "user.contact.address"],
            ),
        ],
    )


def left_unmasked(store: Store, numbers: list[int]) -> int:
    """How many of these customers can still be found by an e-mail address, a name or a street."""
    people = [(number, email_of(number)) for number in numbers]
    source, values = store.relation({"number": INT, "email": TEXT}, people)
    found = 0
    with store.session() as execute:
        for table, (column, left) in _LEFT.items():
            key = "email" if column == "email" else "number"
            join = f"{source} {store.join} {table} t ON t.{column} = k.{key}"
            found += execute(f"SELECT count(*) FROM {join} WHERE {left}", values)[0][0]
    return found
