"""Graphs of many collections: a chain, where each leads to the next, and a star, where one leads to all."""

import argparse
import statistics
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg
from stores import Stores
from work import Series, carry_out, table, timed

from engine import opened
from habeas.client import Client
from habeas.execution.planning_input import Planner, PlanRequest
from servers.habeas import HabeasServer, register_connection, register_dataset, register_policy, register_storage

_PEOPLE = 1000


def measure(stores: Stores, folder: Path, options: argparse.Namespace) -> str:
    """Planning, in one process; an access over HTTP."""
    size, postgres = options.collections, stores.postgres
    accesses, plans = [], []
    for shape in ("chain", "star"):
        url = postgres.create_database(shape)
        _fill(url, shape, size)
        access = Series(f"access, {shape} of {size}")
        accesses.append(access)
        plans.append(f"plan of the {shape}: {_plan(postgres.secrets(shape), folder, shape, size):.0f} ms")
        with HabeasServer(folder / shape) as server, server.client() as http:
            register_storage(http)
            register_connection(http, shape, "postgres", postgres.secrets(shape))
            register_dataset(http, shape, _dataset(shape, size))
            register_policy(http, "give", access=["user"])
            carry_out(Client(http), "give", ["person1@example.com"])
            for number in range(2, 2 + options.repeat):
                timed(access.engine, lambda n=number: carry_out(Client(http), "give", [f"person{n}@example.com"]))
    return f"{table(*accesses)}\n\n{'; '.join(plans)}."


def _plan(secrets: Mapping[str, str], folder: Path, shape: str, size: int) -> float:
    """Milliseconds to make a plan from what the ledger holds, nothing remembered; the median of nine."""
    times = []
    with opened(folder / f"plan-{shape}", f"sqlite:///{folder}/plan-{shape}/habeas.db") as engine:
        engine.connect(shape, "postgres", secrets)
        engine.describe(shape, _dataset(shape, size))
        engine.policy("give", access=["user"])
        context = engine.context
        for _ in range(9):
            planner = Planner(context.ledger, context.strategies, context.connection_types)
            begun = time.perf_counter()
            planner.plan(PlanRequest("give", ("email",)))
            times.append((time.perf_counter() - begun) * 1000)
    return statistics.median(times)


def _fill(url: str, shape: str, size: int) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for number in range(size):
            name = f"{shape}_{number}"
            connection.execute(f"CREATE TABLE {name} (id int PRIMARY KEY, parent int, email text, note text)".encode())
            connection.execute(
                f"INSERT INTO {name} SELECT n, n, 'person' || n || '@example.com', 'note ' || n "
                f"FROM generate_series(1, {_PEOPLE}) n".encode()
            )
            connection.execute(f"CREATE INDEX ON {name} ({'parent' if number else 'email'})".encode())
        connection.execute("VACUUM ANALYZE")


def _dataset(shape: str, size: int) -> Mapping[str, Any]:
    return {
        "fides_key": shape,
        "name": shape,
        "collections": [_collection(shape, number) for number in range(size)],
    }


def _collection(shape: str, number: int) -> Mapping[str, Any]:
    if number == 0:
        entry: dict[str, Any] = {"name": "email", "fides_meta": {"identity": "email"}}
    else:
        source = f"{shape}_{number - 1 if shape == 'chain' else 0}.id"
        references = [{"dataset": shape, "field": source, "direction": "from"}]
        entry = {"name": "parent", "fides_meta": {"references": references}}
    key = {"name": "id", "fides_meta": {"primary_key": True}}
    return {
        "name": f"{shape}_{number}",
        "fields": [key, entry, {"name": "note", "data_categories": ["user.content"]}],
    }
