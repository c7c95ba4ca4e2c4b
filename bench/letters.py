"""Nested data: letters, whose writer is an object and whose readers are an array of objects.

People are found by what stands inside, where nothing is indexed; a reader gets only the own element of the array.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import by_hand
from goods import Goods
from stores import Store, Stores
from tables import IDENTITY, INT, TEXT, Column, Table, dataset
from work import Series, compare, table

from habeas.client import Client
from servers.habeas import HabeasServer, register_connection, register_dataset, register_policy, register_storage

_MEMBERS = {"email": Column("text", "user.contact.email"), "name": Column("text", "user.name")}
_WRITER, *_READERS = (
    f"struct_pack(email := 'person' || {place} || '@example.com', name := 'Person ' || {place})"
    for place in ("1 + n % {people}", *(f"1 + (n + {step}) % {{people}}" for step in (1, 2, 3)))
)
_LETTERS = Table(
    "letters",
    {
        "id": INT,
        "writer": Column("object", members=_MEMBERS),
        "readers": Column("object", members=_MEMBERS, array=True),
    },
    {"writer.email": IDENTITY, "readers.email": IDENTITY},
    f"SELECT n, {_WRITER}, [{', '.join(_READERS)}] FROM range(1, 4 * {{people}} + 1) r(n)",
)

_FOUND = {
    "postgres": (
        "SELECT k.person, t.writer, t.readers FROM {people} JOIN letters t ON t.writer ->> 'email' = k.v UNION ALL "
        "SELECT k.person, t.writer, jsonb_agg(e.one) FROM letters t CROSS JOIN jsonb_array_elements(t.readers) e(one) "
        "JOIN {people} ON e.one ->> 'email' = k.v GROUP BY k.person, t.id"
    ),
    "duckdb": (
        "SELECT k.person, t.writer, t.readers FROM {people} JOIN letters t ON t.writer.email = k.v UNION ALL "
        "SELECT k.person, any_value(e.writer), list(e.one) "
        "FROM (SELECT id, writer, unnest(readers) AS one FROM letters) e "
        "JOIN {people} ON e.one.email = k.v GROUP BY k.person, e.id"
    ),
}
"""By hand: (person, writer, readers); nobody is a writer and a reader of one letter."""


def measure(stores: Stores, folder: Path, options: argparse.Namespace) -> str:
    """One access and many in each store with nested data, beside the same work by hand."""
    people = options.customers // 20
    goods = Goods(folder / "goods", [_LETTERS], people=people)
    series: list[Series] = []
    for kind, name in (("postgres", "jsonb of PostgreSQL"), ("duckdb", "lists of DuckDB")):
        store = stores.fill(kind, "letters", goods)
        series += _against_hand(store, folder / kind, options, name, people)
    return f"{goods.rows:,} letters of {people:,} people, no index inside of them.\n\n{table(*series)}"


def _against_hand(
    store: Store, folder: Path, options: argparse.Namespace, name: str, people: int
) -> tuple[Series, Series]:
    size = min(options.requests, people)
    one, many = Series(f"one access, {name}"), Series(f"{size} accesses, {name}")
    folder.mkdir()
    with HabeasServer(folder / "data") as server, server.client() as http:
        register_storage(http)
        register_connection(http, "letters", store.kind, store.secrets)
        register_dataset(http, "letters", dataset("letters", [_LETTERS]))
        register_policy(http, "give", access=["user"])
        emails = [f"person{number}@example.com" for number in range(1, size + 1)]
        _compare(Series("not counted"), Client(http), store, emails[:1], folder)
        for _ in range(options.repeat):
            for _ in range(5):
                _compare(one, Client(http), store, emails[:1], folder)
            _compare(many, Client(http), store, emails, folder)
    return one, many


def _compare(series: Series, client: Client, store: Store, emails: Sequence[str], folder: Path) -> None:
    compare(series, client, emails, lambda: _give(store, emails, folder), store.rest)


def _give(store: Store, emails: Sequence[str], folder: Path) -> list[Path]:
    source, values = store.relation({"person": INT, "v": TEXT}, list(enumerate(emails)))
    with store.session() as execute:
        rows = execute(_FOUND[store.kind].replace("{people}", source), [*values, *values])
    packages: list[dict[str, list[Any]]] = [{"letters:letters": []} for _ in emails]
    for person, writer, readers in rows:
        packages[person]["letters:letters"].append({"writer": writer, "readers": readers})
    return by_hand.write(packages, folder)
