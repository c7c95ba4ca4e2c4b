"""A thousand requests that find very many rows: what the server takes in memory."""

import argparse
import time
from pathlib import Path
from typing import Any

import psycopg
from work import carry_out

from habeas.client import Client
from servers.habeas import HabeasServer, register_connection, register_dataset, register_policy, register_storage
from servers.postgres import PostgresServer

_PEOPLE = 1000
_FILL = """
CREATE TABLE person (id int PRIMARY KEY, email text UNIQUE);
CREATE TABLE purchase (id int PRIMARY KEY, person_id int, note text);
CREATE TABLE item (id int PRIMARY KEY, purchase_id int, note text, at timestamptz);
INSERT INTO person SELECT n, 'person' || n || '@example.com' FROM generate_series(1, {people}) n;
INSERT INTO purchase SELECT n, 1 + n % {people}, 'note of purchase ' || n FROM generate_series(1, {rows} / 10) n;
INSERT INTO item SELECT n, 1 + n % ({rows} / 10), 'note of item ' || n, timestamptz '2025-01-01' + n * interval '1 s'
  FROM generate_series(1, {rows} - {rows} / 10 - {people}) n;
CREATE INDEX ON purchase (person_id);
CREATE INDEX ON item (purchase_id);
"""


def measure(postgres: PostgresServer, folder: Path, options: argparse.Namespace) -> str:
    """Accesses of everybody at one time, at two sizes; the same with an erasure."""
    lines = ["| work | rows | seconds | peak RSS of the server, MB |", "|---|---|---|---|"]
    for rows in (options.rows, 2 * options.rows):
        postgres.create_database("crowd")
        with psycopg.connect(postgres.url("crowd"), autocommit=True) as connection:
            connection.execute(_FILL.format(people=_PEOPLE, rows=rows).encode())
            connection.execute("VACUUM ANALYZE")
        for policy, work in (("give", "accesses"), ("forget", "erasures")):
            with HabeasServer(folder / f"{policy}-{rows}") as server, server.client() as http:
                register_storage(http)
                register_connection(http, "crowd", "postgres", postgres.secrets("crowd"))
                register_dataset(http, "crowd", _dataset())
                register_policy(http, "give", access=["user"])
                register_policy(http, "forget", erasure=["user.content"])
                begun = time.monotonic()
                carry_out(Client(http), policy, [f"person{n}@example.com" for n in range(1, _PEOPLE + 1)])
                seconds = time.monotonic() - begun
                lines.append(f"| {_PEOPLE:,} {work} | {rows:,} | {seconds:.0f} | {peak_memory(server):.0f} |")
    return "\n".join(lines)


def peak_memory(server: HabeasServer) -> float:
    """The most a server has had resident, in MB (10⁶ bytes)."""
    return _read_memory(server, "VmHWM")


def memory(server: HabeasServer) -> float:
    """What a server has resident, in MB (10⁶ bytes)."""
    return _read_memory(server, "VmRSS")


def _read_memory(server: HabeasServer, name: str) -> float:
    lines = Path(f"/proc/{server.pid}/status").read_text().splitlines()
    [kibibytes] = [line.split()[1] for line in lines if line.startswith(f"{name}:")]
    return int(kibibytes) * 1024 / 1e6


def _dataset() -> dict[str, Any]:
    def collection(name: str, *fields: dict[str, Any]) -> dict[str, Any]:
        return {"name": name, "fields": [{"name": "id", "fides_meta": {"primary_key": True}}, *fields]}

    def link(name: str, target: str) -> dict[str, Any]:
        references = [{"dataset": "crowd", "field": target, "direction": "from"}]
        return {"name": name, "fides_meta": {"references": references}}

    email = {"name": "email", "data_categories": ["user.contact.email"], "fides_meta": {"identity": "email"}}
    note = {"name": "note", "data_categories": ["user.content"]}
    at = {"name": "at", "data_categories": ["user.behavior"]}
    return {
        "fides_key": "crowd",
        "name": "Crowd",
        "collections": [
            collection("person", email),
            collection("purchase", link("person_id", "person.id"), note),
            collection("item", link("purchase_id", "purchase.id"), note, at),
        ],
    }
