"""The shop: one request and many against the script by hand, over a Dask cluster, and one beside very many."""

import argparse
import json
import random
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import by_hand
import psycopg
from target import dataset, email_of, fill, left_unmasked, policies
from work import Series, carry_out, submit, table, timed, wait

from habeas.client import Client
from servers.dask import DaskScheduler, HabeasWorker
from servers.habeas import HabeasServer, register_connection, register_dataset, register_storage
from servers.postgres import PostgresServer


class Shop:
    """A filled target, and its people in an order of chance, so that nobody's rows lie side by side."""

    def __init__(self, postgres: PostgresServer, people: int) -> None:
        self._postgres = postgres
        self.url = postgres.create_database("shop")
        self.rows = fill(self.url, people)
        numbers = list(range(1, people + 1))
        random.Random(people).shuffle(numbers)
        self._numbers = iter(numbers)

    def people(self, size: int) -> list[int]:
        """Customers nobody has asked for yet."""
        numbers = [number for number, _ in zip(self._numbers, range(size), strict=False)]
        assert len(numbers) == size, "too few customers for so many repetitions: raise --customers"
        return numbers

    @contextmanager
    def served(self, folder: Path, environment: Mapping[str, str]) -> Iterator["Counter"]:
        """A server that is connected to the shop."""
        with ExitStack() as stack:
            server = stack.enter_context(HabeasServer(folder / "data", environment=environment))
            http = stack.enter_context(server.client())
            _register(http, self._postgres)
            target = stack.enter_context(psycopg.connect(self.url))
            (folder / "packages").mkdir()
            yield Counter(self, Client(http), target, folder / "packages")


class Counter:
    """Where people's requests are handed in: to the engine, and to the script for comparison."""

    def __init__(self, shop: Shop, client: Client, target: psycopg.Connection[Any], folder: Path) -> None:
        self._shop = shop
        self.client = client
        self._target = target
        self._folder = folder

    def warm_up(self) -> None:
        for work in (self.give, self.forget):
            work(Series("not counted"), 1)

    def give(self, series: Series, size: int) -> None:
        """The same people by hand and by the engine, taking turns in who begins; both give the same rows."""
        emails = [email_of(number) for number in self._shop.people(size)]

        def write_files() -> list[Path]:
            return timed(series.by_hand, lambda: by_hand.give(self._target, emails, self._folder))

        if len(series.engine) % 2:
            files = write_files()
        ids = timed(series.engine, lambda: carry_out(self.client, "give", emails))
        if len(series.by_hand) < len(series.engine):
            files = write_files()
        for file, request in zip(files, ids, strict=True):
            links = self.client.call("GET", f"/privacy-request/{request}/access-results")["access_result_urls"]
            assert _rows(file) == _rows(Path(links[0])), "the engine and the script disagree"

    def forget(self, series: Series, size: int) -> None:
        """Different people by hand and by the engine, since nobody is erased twice."""
        mine, theirs = self._shop.people(size), self._shop.people(size)
        timed(series.by_hand, lambda: by_hand.forget(self._target, [email_of(n) for n in mine]))
        timed(series.engine, lambda: carry_out(self.client, "forget", [email_of(n) for n in theirs]))
        assert left_unmasked(self._target, mine + theirs) == 0, "somebody is not masked"
        self._target.commit()


def against_hand(shop: Shop, folder: Path, options: argparse.Namespace, environment: Mapping[str, str]) -> str:
    """One request and many, each beside the same work by hand."""
    size = options.requests
    one_access, one_erasure = Series("one access"), Series("one erasure")
    many_access, many_erasure = Series(f"{size} accesses"), Series(f"{size} erasures")
    with shop.served(folder, environment) as counter:
        counter.warm_up()
        for _ in range(options.repeat):
            for _ in range(5):
                counter.give(one_access, 1)
                counter.forget(one_erasure, 1)
            counter.give(many_access, size)
            counter.forget(many_erasure, size)
    return table(one_access, one_erasure, many_access, many_erasure)


def over_dask(shop: Shop, folder: Path, options: argparse.Namespace, environment: Mapping[str, str]) -> str:
    """One request, carried by a worker of a cluster, with the ledger in PostgreSQL."""
    one_access, one_erasure = Series("one access over Dask"), Series("one erasure over Dask")
    with ExitStack() as stack:
        scheduler = stack.enter_context(DaskScheduler(folder / "scheduler"))
        environment = {**environment, "HABEAS__EXECUTION__SCHEDULER_ADDRESS": scheduler.address}
        counter = stack.enter_context(shop.served(folder, environment))
        stack.enter_context(HabeasWorker(scheduler, folder / "data", environment))
        counter.warm_up()
        for _ in range(options.repeat * 5):
            counter.give(one_access, 1)
            counter.forget(one_erasure, 1)
    return table(one_access, one_erasure)


def beside_many(shop: Shop, folder: Path, options: argparse.Namespace, environment: Mapping[str, str]) -> str:
    """Single requests that come while a large batch runs."""
    alone, size = Series(f"one access while {options.batch:,} run"), options.batch
    with shop.served(folder, environment) as counter:
        counter.warm_up()
        begun = time.monotonic()
        emails = [email_of(number) for number in shop.people(size)]
        batch, _ = submit(counter.client, "give", emails)
        open_still = size
        while open_still > 0:
            timed(alone.engine, lambda: carry_out(counter.client, "give", [email_of(shop.people(1)[0])]))
            done = counter.client.call("GET", "/privacy-request", params={"external_id": batch, "status": "complete"})
            open_still = size - done["total"]
        wait(counter.client, batch, size)
        rate = size / (time.monotonic() - begun) * 60
    return f"{table(alone)}\n\nThe batch ran at {rate:,.0f} requests a minute, submission included."


def _rows(file: Path) -> dict[str, list[str]]:
    """A package in a form that does not depend on the order of rows and the spelling of time zones."""
    package: dict[str, list[dict[str, Any]]] = json.loads(file.read_text())
    return {
        address: sorted(json.dumps(row, sort_keys=True).replace("+00:00", "Z") for row in rows)
        for address, rows in package.items()
    }


def _register(http: Any, postgres: PostgresServer) -> None:
    register_storage(http)
    register_connection(http, "shop", "postgres", postgres.secrets("shop"))
    register_dataset(http, "shop", dataset())
    client = Client(http)
    for policy, rules in policies():
        client.patch_all("/policy", [{"key": policy, "name": policy}])
        for rule, categories in rules:
            storage = {"storage_destination_key": "packages"} if rule["action_type"] == "access" else {}
            client.patch_all(f"/policy/{policy}/rule", [rule | storage])
            targets = [{"data_category": category} for category in categories]
            client.patch_all(f"/policy/{policy}/rule/{rule['key']}/target", targets)
