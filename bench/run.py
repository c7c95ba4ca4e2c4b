"""Measures Habeas against the same SQL written by hand, in one run, interleaved; prints medians and ratios.

The engine is a `habeas serve` process of its own, asked over HTTP from the POST until the request is complete.
Packages are compared row by row and erasures are checked in the database, outside the time that is measured.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import by_hand
import psycopg
from target import dataset, email_of, fill, left_unmasked, policies

from habeas import __version__
from habeas.client import Client
from servers.habeas import HabeasServer, register_connection, register_dataset, register_storage
from servers.postgres import PostgresServer

MARK = ("<!-- figures -->\n", "<!-- end of figures -->")
Result = TypeVar("Result")

_PER_POST = 50
_PATIENCE = 600.0


@dataclass(slots=True)
class Series:
    """Times of one kind of work, in milliseconds."""

    name: str
    by_hand: list[float] = field(default_factory=list)
    engine: list[float] = field(default_factory=list)

    def row(self) -> str:
        hand, engine = statistics.median(self.by_hand), statistics.median(self.engine)
        spread = f"{min(self.engine):,.0f}–{max(self.engine):,.0f}"
        return f"| {self.name} | {len(self.engine)} | {hand:,.1f} | {engine:,.1f} | {spread} | {engine / hand:.1f} |"


class Bench:
    """A filled target, a server connected to it, and people nobody has asked for yet."""

    def __init__(self, client: Client, target: psycopg.Connection[Any], people: int, folder: Path) -> None:
        self._client = client
        self._target = target
        self._people = people
        self._folder = folder
        self._next = count(1)
        self._batch = count(1)

    def people(self, size: int) -> list[int]:
        numbers = [next(self._next) for _ in range(size)]
        assert numbers[-1] <= self._people, "too few customers for so many repetitions: raise --customers"
        return numbers

    def give(self, series: Series, size: int) -> None:
        """The same people by hand and by the engine, taking turns in who begins; both give the same rows."""
        emails = [email_of(number) for number in self.people(size)]

        def write_files() -> list[Path]:
            return _timed(series.by_hand, lambda: by_hand.give(self._target, emails, self._folder))

        if len(series.engine) % 2:
            files = write_files()
        ids = _timed(series.engine, lambda: self._carry_out("give", emails))
        if len(series.by_hand) < len(series.engine):
            files = write_files()
        for file, request in zip(files, ids, strict=True):
            links = self._client.call("GET", f"/privacy-request/{request}/access-results")["access_result_urls"]
            assert _rows(file) == _rows(Path(links[0])), "the engine and the script disagree"

    def forget(self, series: Series, size: int) -> None:
        """Different people by hand and by the engine, since nobody is erased twice."""
        mine, theirs = self.people(size), self.people(size)
        _timed(series.by_hand, lambda: by_hand.forget(self._target, [email_of(n) for n in mine]))
        _timed(series.engine, lambda: self._carry_out("forget", [email_of(n) for n in theirs]))
        assert left_unmasked(self._target, mine + theirs) == 0, "somebody is not masked"
        self._target.commit()

    def _carry_out(self, policy: str, emails: Sequence[str]) -> list[str]:
        """Submit, 50 in one POST, and wait until all are complete; the ids in the order of the people."""
        batch, ids = f"batch-{next(self._batch)}.", []
        for start in range(0, len(emails), _PER_POST):
            people = [{"email": email} for email in emails[start : start + _PER_POST]]
            item = {"policy_key": policy, "external_id": batch, "identities": people}
            ids += [made["id"] for made in self._client.call("POST", "/privacy-request", json=[item])["succeeded"]]
        pause, deadline = (0.005, 0.1)[len(emails) > 1], time.monotonic() + _PATIENCE
        while self._total(batch, "complete") < len(ids):
            assert time.monotonic() < deadline and not self._total(batch, "error"), "a request did not complete"
            time.sleep(pause)
        return ids

    def _total(self, batch: str, status: str) -> int:
        question = {"external_id": batch, "status": status, "size": 1}
        return int(self._client.call("GET", "/privacy-request", params=question)["total"])


def main() -> None:
    options = _read_options()
    options.load = os.getloadavg()[0]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="habeas-bench-")))
        postgres = PostgresServer(durable=True)
        stack.callback(postgres.remove)
        url = postgres.create_database("shop")
        rows = fill(url, options.customers)
        ledger = {"HABEAS__DATABASE__URL": postgres.create_database("ledger")} if options.ledger == "postgres" else {}
        server = stack.enter_context(HabeasServer(folder / "data", environment=ledger))
        http = stack.enter_context(server.client())
        _register(http, postgres)
        target = stack.enter_context(psycopg.connect(url))
        (folder / "packages").mkdir()
        bench = Bench(Client(http), target, options.customers, folder / "packages")
        text = _describe(options, rows, target) + "\n" + _measure(bench, options)
    print(text)
    if options.write:
        _write(options.write, text)


def _measure(bench: Bench, options: argparse.Namespace) -> str:
    size, repeat = options.requests, options.repeat
    one_access, one_erasure = Series("one access"), Series("one erasure")
    many_access, many_erasure = Series(f"{size} accesses"), Series(f"{size} erasures")
    for warm in (bench.give, bench.forget):
        warm(Series("not counted"), 1)
    for _ in range(repeat):
        for _ in range(5):
            bench.give(one_access, 1)
            bench.forget(one_erasure, 1)
        bench.give(many_access, size)
        bench.forget(many_erasure, size)
    head = "| work | times | by hand, ms | Habeas, ms | from–to | ratio |\n|---|---|---|---|---|---|"
    return "\n".join([head, *(series.row() for series in (one_access, one_erasure, many_access, many_erasure))])


def _timed(times: list[float], work: Callable[[], Result]) -> Result:
    """Do it and note how many milliseconds it took."""
    begun = time.perf_counter()
    result = work()
    times.append((time.perf_counter() - begun) * 1000)
    return result


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


def _describe(options: argparse.Namespace, rows: int, target: psycopg.Connection[Any]) -> str:
    version = target.info.parameter_status("server_version")
    load = options.load
    quiet = "quiet" if load < 0.5 else "NOT quiet: others were at work, so read the ratios, not the milliseconds"
    return (
        f"Habeas {__version__}, Python {platform.python_version()}, PostgreSQL {version}, {os.cpu_count()} cores, "
        f"{platform.system()}. Target: 11 tables, {options.customers:,} customers, {rows:,} rows. "
        f"Ledger: {options.ledger}, `execution` settings as they come. "
        f"The machine was {quiet} (load {load:.1f} at the start).\n"
    )


def _write(file: Path, text: str) -> None:
    """Put the figures between the marks of a document."""
    before, _, rest = file.read_text().partition(MARK[0])
    _, _, after = rest.partition(MARK[1])
    file.write_text(f"{before}{MARK[0]}\n{text}\n\n{MARK[1]}{after}")


def _read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=20_000, help="size of the target (100000 for the full one)")
    parser.add_argument("--requests", type=int, default=500, help="requests submitted together")
    parser.add_argument("--repeat", type=int, default=3, help="rounds; a round has five single requests of each kind")
    parser.add_argument("--ledger", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--write", type=Path, help="also put the figures into this document")
    return parser.parse_args()


if __name__ == "__main__":
    main()
