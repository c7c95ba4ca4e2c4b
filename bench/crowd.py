"""A thousand requests that find very many rows: what the server takes in memory."""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from goods import Goods
from stores import Stores
from tables import IDENTITY, INT, Column, Table, dataset
from work import carry_out

from habeas.client import Client
from servers.habeas import HabeasServer, register_connection, register_dataset, register_policy, register_storage

_NOTE = Column("text", "user.content")
_TABLES = (
    Table(
        "person", {"id": INT, "email": Column("text", "user.contact.email")}, {"email": IDENTITY},
        "SELECT n, 'person' || n || '@example.com' FROM range(1, {people} + 1) r(n)", unique=("email",),
    ),
    Table(
        "purchase", {"id": INT, "person_id": INT, "note": _NOTE}, {"person_id": "person.id"},
        "SELECT n, 1 + n % {people}, 'note of purchase ' || n FROM range(1, {purchases} + 1) r(n)",
    ),
    Table(
        "item", {"id": INT, "purchase_id": INT, "note": _NOTE, "sold_at": Column("moment", "user.behavior")},
        {"purchase_id": "purchase.id"},
        "SELECT n, 1 + n % {purchases}, 'note of item ' || n, timestamp '2025-01-01' + n * interval '1 s' "
        "FROM range(1, {items} + 1) r(n)",
    ),
)  # fmt: skip


def measure(stores: Stores, folder: Path, options: argparse.Namespace, kind: str, sizes: Sequence[int]) -> str:
    """Accesses of everybody at one time, and erasures, at several sizes (times the rows of the options)."""
    people = options.crowd
    lines = ["| work | rows | seconds | peak RSS of the server, MB |", "|---|---|---|---|"]
    for rows in (size * options.rows for size in sizes):
        made = {"people": people, "purchases": rows // 10, "items": rows - rows // 10 - people}
        store = stores.fill(kind, "crowd", Goods(folder / f"goods-{rows}", _TABLES, **made))
        for policy, work in (("give", "accesses"), ("forget", "erasures")):
            with HabeasServer(folder / f"{policy}-{rows}") as server, server.client() as http:
                register_storage(http)
                register_connection(http, "crowd", store.kind, store.secrets)
                register_dataset(http, "crowd", dataset("crowd", _TABLES))
                register_policy(http, "give", access=["user"])
                register_policy(http, "forget", erasure=["user.content"])
                begun = time.monotonic()
                carry_out(Client(http), policy, [f"person{n}@example.com" for n in range(1, people + 1)])
                seconds = time.monotonic() - begun
                lines.append(f"| {people:,} {work} | {rows:,} | {seconds:.0f} | {peak_memory(server):.0f} |")
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
