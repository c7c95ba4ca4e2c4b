"""The shop: one request and many against the script by hand, over a Dask cluster, and one beside very many."""

import argparse
import random
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import by_hand
from shop import TABLES, email_of, left_unmasked, policies
from stores import Store
from tables import dataset
from work import Series, carry_out, compare, submit, table, timed, wait

from habeas.client import Client
from servers.dask import DaskScheduler, HabeasWorker
from servers.habeas import HabeasServer, register_connection, register_dataset, register_storage


class Shop:
    """A filled store, and its people in an order of chance, so that nobody's rows lie side by side."""

    def __init__(self, store: Store, people: int, rows: int) -> None:
        self.store = store
        self.rows = rows
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
            _register(http, self.store)
            (folder / "packages").mkdir()
            yield Counter(self, Client(http), folder / "packages")


class Counter:
    """Where people's requests are handed in: to the engine, and to the script for comparison."""

    def __init__(self, shop: Shop, client: Client, folder: Path) -> None:
        self._shop = shop
        self.client = client
        self._folder = folder

    def warm_up(self) -> None:
        for work in (self.give, self.forget):
            work(Series("not counted"), 1)

    def give(self, series: Series, size: int) -> None:
        """The same people by hand and by the engine, taking turns in who begins; both give the same rows."""
        store, emails = self._shop.store, [email_of(number) for number in self._shop.people(size)]
        compare(series, self.client, emails, lambda: by_hand.give(store, emails, self._folder), store.rest)

    def forget(self, series: Series, size: int) -> None:
        """Different people by hand and by the engine, since nobody is erased twice."""
        mine, theirs = self._shop.people(size), self._shop.people(size)
        timed(series.by_hand, lambda: by_hand.forget(self._shop.store, [email_of(n) for n in mine]))
        timed(series.engine, lambda: carry_out(self.client, "forget", [email_of(n) for n in theirs]))
        self._shop.store.rest()
        assert left_unmasked(self._shop.store, mine + theirs) == 0, "somebody is not masked"


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


def _register(http: Any, store: Store) -> None:
    register_storage(http)
    register_connection(http, "shop", store.kind, store.secrets)
    register_dataset(http, "shop", dataset("shop", TABLES))
    client = Client(http)
    for policy, rules in policies():
        client.patch_all("/policy", [{"key": policy, "name": policy}])
        for rule, categories in rules:
            storage = {"storage_destination_key": "packages"} if rule["action_type"] == "access" else {}
            client.patch_all(f"/policy/{policy}/rule", [rule | storage])
            targets = [{"data_category": category} for category in categories]
            client.patch_all(f"/policy/{policy}/rule/{rule['key']}/target", targets)
