"""The system that a fleet under fire reaches into: a PostgreSQL town of people, which journals every write, slowly.

All that a test expects of it is read by SQL written by hand before the first request; the engine's planner has no
part in it. Everything personal carries MARK.
"""

import json
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import httpx
import psycopg
from psycopg.sql import SQL, Identifier

from servers.habeas import register_connection, register_dataset, register_policy, register_storage
from servers.postgres import PostgresServer

MARK = "canary-7f3a"
GONE = "gone"

Row = Mapping[str, Any]
Rows = Mapping[str, Mapping[int, Row]]
"""Collection → id → the row, its values as JSON has them."""

_SCHEMA = """
CREATE TABLE addresses (id int PRIMARY KEY, street text, city text);
CREATE TABLE customers (id int PRIMARY KEY, email text UNIQUE, name text, phone text, joined date, address_id int);
CREATE TABLE orders (id int PRIMARY KEY, customer_id int, note text, total int);
CREATE TABLE payments (id int PRIMARY KEY, order_id int, holder text, paid boolean);
CREATE TABLE subscriptions (id int PRIMARY KEY, email text, topic text);
INSERT INTO addresses SELECT n, '{mark} lane ' || n, 'City ' || n % 7 FROM generate_series(1, {people}) n;
INSERT INTO customers SELECT n, 'person' || n || '.{mark}@example.com', 'Person {mark} ' || n,
    CASE WHEN n % 5 > 0 THEN '+1555' || n END, date '2020-01-01' + n, 1 + n / 2 FROM generate_series(1, {people}) n;
INSERT INTO orders SELECT n, 1 + n % {people}, CASE WHEN n % 4 > 0 THEN 'ring {mark} ' || n END, n * 7
    FROM generate_series(1, 2 * {people}) n;
INSERT INTO payments SELECT n, 1 + n % (2 * {people}), 'Holder {mark} ' || n, n % 2 = 0
    FROM generate_series(1, 3 * {people}) n;
INSERT INTO subscriptions SELECT n, 'person' || 1 + n % {people} || '.{mark}@example.com', 'Topic ' || n
    FROM generate_series(1, {people}) n;
CREATE INDEX ON orders (customer_id);
CREATE INDEX ON payments (order_id);
CREATE INDEX ON subscriptions (email);
CREATE TABLE writes (collection text, id int, field text, before text, after text);
CREATE FUNCTION journal() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO writes
    VALUES (TG_TABLE_NAME, NEW.id, TG_ARGV[0], to_jsonb(OLD) ->> TG_ARGV[0], to_jsonb(NEW) ->> TG_ARGV[0]);
    PERFORM pg_sleep(0.004); RETURN NULL; END';
"""

_JOURNALED = {
    "addresses": ("street", "city"),
    "customers": ("email", "name", "phone", "joined", "address_id"),
    "orders": ("customer_id", "note", "total"),
    "payments": ("order_id", "holder", "paid"),
    "subscriptions": ("email", "topic"),
}
COLLECTIONS = tuple(sorted(_JOURNALED))

_OWNED = """
SELECT email, 'customers', to_jsonb(customers) - 'address_id' FROM customers
UNION ALL SELECT c.email, 'addresses', to_jsonb(a) FROM customers c JOIN addresses a ON a.id = c.address_id
UNION ALL SELECT c.email, 'orders', to_jsonb(o) - 'customer_id' FROM customers c JOIN orders o ON o.customer_id = c.id
UNION ALL SELECT c.email, 'payments', to_jsonb(p) - 'order_id'
    FROM customers c JOIN orders o ON o.customer_id = c.id JOIN payments p ON p.order_id = o.id
UNION ALL SELECT email, 'subscriptions', to_jsonb(subscriptions) FROM subscriptions
"""


def _field(name: str, category: str = "", **meta: Any) -> dict[str, Any]:
    return {"name": name, "data_categories": [category] if category else [], "fides_meta": meta}


def _link(name: str, source: str) -> dict[str, Any]:
    return _field(name, references=[{"dataset": "town", "field": source, "direction": "from"}])


_ID = _field("id", "user.unique_id", primary_key=True)
_EMAIL = _field("email", "user.contact.email", identity="email")

_FIELDS: Mapping[str, list[dict[str, Any]]] = {
    "customers": [
        _ID,
        _EMAIL,
        _field("name", "user.name"),
        _field("phone", "user.contact.phone_number"),
        _field("joined", "user.behavior"),
        _field("address_id"),
    ],
    "addresses": [
        {**_ID, "fides_meta": {**_ID["fides_meta"], **_link("id", "customers.address_id")["fides_meta"]}},
        _field("street", "user.contact.address"),
        _field("city", "user.demographic"),
    ],
    "orders": [
        _ID,
        _link("customer_id", "customers.id"),
        _field("note", "user.content"),
        _field("total", "user.behavior"),
    ],
    "payments": [
        _ID,
        _link("order_id", "orders.id"),
        _field("holder", "user.name"),
        _field("paid", "user.financial"),
    ],
    "subscriptions": [_ID, _EMAIL, _field("topic", "user.behavior")],
}
_DATASET: Mapping[str, Any] = {
    "fides_key": "town",
    "name": "Town",
    "collections": [{"name": name, "fields": fields} for name, fields in _FIELDS.items()],
}

_FORGOTTEN = {"addresses": ["street"], "customers": ["email", "phone"], "orders": ["note"], "subscriptions": ["email"]}
MASKED: Mapping[str, Mapping[str, list[str]]] = {
    "give": {},
    "forget": _FORGOTTEN,
    "both": _FORGOTTEN,
    "rename": {"customers": ["name"], "payments": ["holder"]},
    "hide": {"customers": ["email", "name"], "payments": ["holder"], "subscriptions": ["email"]},
}
"""Policy → collection → the fields that it masks: null, `GONE` for `rename`, a keyed hash for `hide`."""

GIVING = frozenset({"give", "both"})
"""Policies that make a package of everything."""


class Town:
    """A fresh town of `people`; they live two at an address."""

    def __init__(self, server: PostgresServer, people: int) -> None:
        self.people = people
        self._secrets = server.secrets("town")
        self._url = server.create_database("town")
        with self._connect() as connection:
            connection.execute(_SCHEMA.replace("{mark}", MARK).replace("{people}", str(people)).encode())
            for collection, fields in _JOURNALED.items():
                for field in fields:
                    journal = "CREATE TRIGGER {} AFTER UPDATE OF {} ON {} FOR EACH ROW EXECUTE FUNCTION journal({})"
                    names = Identifier(f"journal_{field}"), Identifier(field), Identifier(collection), field
                    connection.execute(SQL(journal).format(*names))
            connection.execute("ANALYZE")
        self.before = self.rows()
        self.owned = self._owned()

    def register(self, http: httpx.Client) -> None:
        """Tell a server about the town and the five policies."""
        register_storage(http)
        register_connection(http, "town_db", "postgres", self._secrets)
        register_dataset(http, "town_db", _DATASET)
        contact, name, email = ["user.contact", "user.content"], ["user.name"], ["user.contact.email"]
        register_policy(http, "give", access=["user"])
        register_policy(http, "forget", erasure=contact)
        register_policy(http, "both", access=["user"], erasure=contact)
        rewrite = {"strategy": "string_rewrite", "configuration": {"rewrite_value": GONE}}
        register_policy(http, "rename", erasure=name, masking=rewrite)
        register_policy(http, "hide", erasure=[*name, *email], masking={"strategy": "hmac", "configuration": {}})

    def email(self, number: int) -> str:
        """The address of a person; above `people` it is nobody's."""
        return f"person{number}.{MARK}@example.com"

    def rows(self) -> Rows:
        """Every row as it is now."""
        with self._connect() as connection:
            asked = {name: SQL("SELECT id, to_jsonb(t) FROM {} t").format(Identifier(name)) for name in COLLECTIONS}
            return {name: dict(connection.execute(query).fetchall()) for name, query in asked.items()}

    def writes(self) -> list[tuple[str, int, str, str | None, str | None]]:
        """Each field that a committed statement set: (collection, id, field, before, after)."""
        with self._connect() as connection:
            return connection.execute("SELECT collection, id, field, before, after FROM writes").fetchall()

    def _owned(self) -> Mapping[str, Rows]:
        found: dict[str, dict[str, dict[int, Row]]] = defaultdict(lambda: {name: {} for name in COLLECTIONS})
        with self._connect() as connection:
            for email, collection, row in connection.execute(_OWNED):
                found[email][collection][row["id"]] = row
        return found

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(self._url, autocommit=True)


def read_rows(package: bytes) -> Rows:
    """The rows of a package in the same form; AssertionError when one stands twice."""
    found: dict[str, dict[int, Row]] = {name: {} for name in COLLECTIONS}
    for address, rows in json.loads(package).items():
        own = found[address.removeprefix("town:")]
        for row in rows:
            assert row["id"] not in own, f"row {row['id']} of {address} is there twice"
            own[row["id"]] = row
    return found
