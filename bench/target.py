"""The shop that is measured: 11 related tables in PostgreSQL (data-plane §9.1), its dataset and its policies.

A table is described once, in `TABLES`; the engine's dataset and the hand-written statements both come from there.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg

IDENTITY = "identity"


@dataclass(frozen=True, slots=True)
class Table:
    """`ways`: column → where its values come from, `identity` or `table.column`. `given` and `masked` by a policy.

    `masked`: column → True when the masked value is computed (HMAC), False for null.
    """

    name: str
    columns: Mapping[str, str]
    ways: Mapping[str, str]
    key: str | None = "id"
    given: tuple[str, ...] = ()
    masked: Mapping[str, bool] = field(default_factory=dict)


MAIL, NAME, PHONE = "user.contact.email", "user.name", "user.contact.phone_number"
STREET, CARD = "user.contact.address.street", "user.financial.credit_card"
HISTORY, WATCHED = "user.behavior.purchase_history", "user.behavior.browsing_history"

TABLES = (
    Table(
        "customers", {"id": "", "address_id": "", "email": MAIL, "name": NAME, "phone": PHONE}, {"email": IDENTITY},
        given=("email", "name", "phone"), masked={"email": True, "name": False, "phone": False},
    ),
    Table(
        "employees", {"id": "", "address_id": "", "email": MAIL, "name": NAME}, {"email": IDENTITY},
        given=("email", "name"), masked={"email": True, "name": False},
    ),
    Table(
        "visits", {"id": "", "email": MAIL, "page": WATCHED}, {"email": IDENTITY},
        given=("email", "page"), masked={"email": True},
    ),
    Table("reports", {"id": "", "email": MAIL, "name": ""}, {"email": IDENTITY}, given=("email",),
          masked={"email": True}),
    Table(
        "orders", {"id": "", "customer_id": "", "shipping_address_id": "", "placed_at": HISTORY},
        {"customer_id": "customers.id"}, given=("placed_at",),
    ),
    Table(
        "payment_cards", {"id": "", "billing_address_id": "", "ccn": CARD, "customer_id": "", "name": NAME},
        {"customer_id": "customers.id"}, given=("ccn", "name"), masked={"ccn": False, "name": False},
    ),
    Table("logins", {"id": "", "customer_id": "", "time": WATCHED}, {"customer_id": "customers.id"}, given=("time",)),
    Table(
        "service_requests", {"id": "", "alt_email": MAIL, "email": MAIL, "employee_id": ""},
        {"alt_email": IDENTITY, "email": IDENTITY, "employee_id": "employees.id"},
        given=("alt_email", "email"), masked={"alt_email": True, "email": True},
    ),
    Table(
        "addresses", {"id": "", "city": "", "street": STREET, "zip": "user.contact.address.postal_code"},
        {"id": "customers.address_id employees.address_id orders.shipping_address_id payment_cards.billing_address_id"},
        given=("street", "zip"), masked={"street": False, "zip": False},
    ),
    Table(
        "order_items", {"order_id": "", "product_id": HISTORY, "quantity": HISTORY}, {"order_id": "orders.id"},
        key=None, given=("product_id", "quantity"),
    ),
    Table("products", {"id": "", "name": "", "price": ""}, {"id": "order_items.product_id"}),
)  # fmt: skip
"""In an order in which each table stands after those whose values it needs."""

_FILL = """
CREATE TABLE customers (id int PRIMARY KEY, email text UNIQUE, name text, phone text, address_id int);
CREATE TABLE employees (id int PRIMARY KEY, email text UNIQUE, name text, address_id int);
CREATE TABLE addresses (id int PRIMARY KEY, street text, city text, zip text);
CREATE TABLE orders (id int PRIMARY KEY, customer_id int, shipping_address_id int, placed_at timestamptz);
CREATE TABLE order_items (order_id int, product_id int, quantity int);
CREATE TABLE products (id int PRIMARY KEY, name text, price int);
CREATE TABLE payment_cards (id int PRIMARY KEY, customer_id int, billing_address_id int, name text, ccn text);
CREATE TABLE logins (id int PRIMARY KEY, customer_id int, time timestamptz);
CREATE TABLE service_requests (id int PRIMARY KEY, email text, alt_email text, employee_id int);
CREATE TABLE visits (id int PRIMARY KEY, email text, page text);
CREATE TABLE reports (id int PRIMARY KEY, email text, name text);
INSERT INTO customers SELECT n, 'person' || n || '@example.com', 'Person ' || n, '+1555' || n, n
  FROM generate_series(1, {people}) n;
INSERT INTO employees SELECT n, 'staff' || n || '@example.com', 'Staff ' || n, 2 * {people} + n
  FROM generate_series(1, 50) n;
INSERT INTO addresses SELECT n, 'Street ' || n, 'City ' || n % 97, lpad(n::text, 7, '0')
  FROM generate_series(1, 2 * {people} + 50) n;
INSERT INTO orders SELECT n, 1 + n % {people}, {people} + 1 + n % {people}, '2024-01-01'::date + n * interval '1 s'
  FROM generate_series(1, 5 * {people}) n;
INSERT INTO order_items SELECT 1 + n % (5 * {people}), 1 + n % 1000, 1 + n % 4 FROM generate_series(1, 10 * {people}) n;
INSERT INTO products SELECT n, 'Product ' || n, n * 7 FROM generate_series(1, 1000) n;
INSERT INTO payment_cards SELECT n, n, n, 'Person ' || n, (4000000000000000 + n)::text
  FROM generate_series(1, {people}) n;
INSERT INTO logins SELECT n, 1 + n % {people}, timestamptz '2025-01-01' + n * interval '1 s'
  FROM generate_series(1, 6 * {people}) n;
INSERT INTO service_requests SELECT n, 'person' || n || '@example.com', 'alias' || n || '@example.com', 1 + n % 50
  FROM generate_series(1, {people}) n;
INSERT INTO visits SELECT n, 'person' || 1 + n % {people} || '@example.com', '/page' || n % 500
  FROM generate_series(1, 2 * {people}) n;
INSERT INTO reports SELECT n, 'staff' || 1 + n % 50 || '@example.com', 'Report ' || n FROM generate_series(1, 500) n;
CREATE INDEX ON orders (customer_id);
CREATE INDEX ON order_items (order_id);
CREATE INDEX ON payment_cards (customer_id);
CREATE INDEX ON logins (customer_id);
CREATE INDEX ON service_requests (email);
CREATE INDEX ON service_requests (alt_email);
CREATE INDEX ON service_requests (employee_id);
CREATE INDEX ON visits (email);
CREATE INDEX ON reports (email);
"""


def email_of(number: int) -> str:
    """The e-mail address of the customer with this number, from 1."""
    return f"person{number}@example.com"


def fill(url: str, people: int) -> int:
    """Make and fill the tables (about 28 rows for each person); how many rows there are."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_FILL.format(people=people).encode())
        connection.execute("VACUUM ANALYZE")
        counts = [connection.execute(f"SELECT count(*) FROM {table.name}".encode()).fetchone() for table in TABLES]
    return sum(count[0] for count in counts if count)


def dataset() -> dict[str, Any]:
    """The dataset `shop` as the API takes it."""
    return {"fides_key": "shop", "name": "Shop", "collections": [_collection(table) for table in TABLES]}


def _collection(table: Table) -> dict[str, Any]:
    fields = []
    for column, category in table.columns.items():
        meta: dict[str, Any] = {"primary_key": True} if column == table.key else {}
        sources = table.ways.get(column, "").split()
        if IDENTITY in sources:
            meta["identity"] = "email"
        references = [{"dataset": "shop", "field": source, "direction": "from"} for source in sources if "." in source]
        if references:
            meta["references"] = references
        fields.append({"name": column, "fides_meta": meta, "data_categories": [category] if category else []})
    return {"name": table.name, "fields": fields}


def policies() -> Iterator[tuple[str, list[tuple[dict[str, Any], list[str]]]]]:
    """(policy key, rules with their categories)."""
    yield "give", [({"key": "give", "name": "give", "action_type": "access"}, ["user"])]
    hashed = {"strategy": "hmac", "configuration": {"algorithm": "SHA-256"}}
    emptied = {"strategy": "null_rewrite", "configuration": {}}
    yield (
        "forget",
        [
            ({"key": "hash", "name": "hash", "action_type": "erasure", "masking_strategy": hashed}, [MAIL]),
            (
                {"key": "empty", "name": "empty", "action_type": "erasure", "masking_strategy": emptied},
                [NAME, PHONE, CARD, "user.contact.address"],
            ),
        ],
    )


def left_unmasked(connection: psycopg.Connection[Any], numbers: list[int]) -> int:
    """How many of these customers can still be found by an e-mail address, a name or a street."""
    emails = [email_of(number) for number in numbers]
    checks = {
        "customers WHERE id = ANY(%(n)s) AND (email = ANY(%(e)s) OR name IS NOT NULL OR phone IS NOT NULL)",
        "payment_cards WHERE customer_id = ANY(%(n)s) AND (ccn IS NOT NULL OR name IS NOT NULL)",
        "service_requests WHERE email = ANY(%(e)s)",
        "visits WHERE email = ANY(%(e)s)",
        "addresses WHERE id = ANY(%(n)s) AND (street IS NOT NULL OR zip IS NOT NULL)",
    }
    found = [
        connection.execute(f"SELECT count(*) FROM {check}".encode(), {"n": numbers, "e": emails}).fetchone()
        for check in checks
    ]
    return sum(row[0] for row in found if row)
