"""Work asked of a server over HTTP, and the times it took."""

import json
import re
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from habeas.client import Client

Result = TypeVar("Result")

_PER_POST = 50
_PATIENCE = 900.0
_batches = count(1)


@dataclass(slots=True)
class Series:
    """Times of one kind of work by the engine and, where there is a script, by hand; in milliseconds."""

    name: str
    engine: list[float] = field(default_factory=list)
    by_hand: list[float] = field(default_factory=list)

    def row(self) -> str:
        """The medians, the engine's extremes and the ratio, as a row of a table."""
        engine = statistics.median(self.engine)
        spread = f"{min(self.engine):,.0f}–{max(self.engine):,.0f}"
        hand, ratio = "", ""
        if self.by_hand:
            median = statistics.median(self.by_hand)
            hand, ratio = f"{median:,.1f}", f"{engine / median:.1f}"
        return f"| {self.name} | {len(self.engine)} | {hand} | {engine:,.1f} | {spread} | {ratio} |"


TIMES = "| work | times | by hand, ms | Habeas, ms | from–to | ratio |\n|---|---|---|---|---|---|"


def table(*series: Series) -> str:
    return "\n".join([TIMES, *(one.row() for one in series)])


def timed(times: list[float], work: Callable[[], Result]) -> Result:
    """Do it and note how many milliseconds it took."""
    begun = time.perf_counter()
    result = work()
    times.append((time.perf_counter() - begun) * 1000)
    return result


def compare(
    series: Series,
    client: Client,
    emails: Sequence[str],
    write_files: Callable[[], list[Path]],
    rest: Callable[[], None],
) -> None:
    """Accesses by hand and by the engine, taking turns in who begins; both must give the same rows.

    `rest` waits, untimed, until the engine has let go of the store.
    """
    files: list[Path] = []
    if len(series.engine) % 2:
        files = timed(series.by_hand, write_files)
    ids = timed(series.engine, lambda: carry_out(client, "give", emails))
    rest()
    if not files:
        files = timed(series.by_hand, write_files)
    for file, request in zip(files, ids, strict=True):
        links = client.call("GET", f"/privacy-request/{request}/access-results")["access_result_urls"]
        assert _rows(file) == _rows(Path(links[0])), "the engine and the script disagree"


def carry_out(client: Client, policy: str, emails: Sequence[str]) -> list[str]:
    """Submit, 50 in one POST, and wait until all are complete; the ids in the order of the people."""
    batch, ids = submit(client, policy, emails)
    wait(client, batch, len(ids), (0.005, 0.05)[len(emails) > 1])
    return ids


def submit(client: Client, policy: str, emails: Sequence[str]) -> tuple[str, list[str]]:
    """Submit, 50 in one POST; the name of the batch and the ids."""
    batch, ids = f"batch-{next(_batches)}.", []
    for start in range(0, len(emails), _PER_POST):
        people = [{"email": email} for email in emails[start : start + _PER_POST]]
        item = {"policy_key": policy, "external_id": batch, "identities": people}
        ids += [made["id"] for made in client.call("POST", "/privacy-request", json=[item])["succeeded"]]
    return batch, ids


def wait(client: Client, batch: str, size: int, pause: float = 0.05) -> None:
    """Ask until all of a batch are complete."""
    deadline = time.monotonic() + _PATIENCE
    for asked in count(1):
        if _total(client, batch, "complete") == size:
            return
        assert time.monotonic() < deadline, "the requests were not complete in time"
        # seldom: this question costs the server as much as the other
        if asked % 20 == 0 and _total(client, batch, "error"):
            raise AssertionError(_why(client, batch))
        time.sleep(pause)


def _why(client: Client, batch: str) -> str:
    """What the log says of a request that ended in an error."""
    [request] = client.call("GET", "/privacy-request", params=_question(batch, "error"))["items"]
    log = client.call("GET", f"/privacy-request/{request['id']}/log", params={"size": 100})["items"]
    said = [f"{entry['collection_name']}: {entry['message']}" for entry in log if entry["status"] == "error"]
    return f"a request ended in an error: {'; '.join(said)}"


def _rows(file: Path) -> dict[str, list[str]]:
    """A package in a form that does not depend on the order of rows, and whether times name their zone: all are UTC."""
    package: dict[str, list[dict[str, Any]]] = json.loads(file.read_text())
    return {
        address: sorted(re.sub(r"(Z|\+00:00)\"", '"', json.dumps(row, sort_keys=True)) for row in rows)
        for address, rows in package.items()
    }


def _total(client: Client, batch: str, status: str) -> int:
    return int(client.call("GET", "/privacy-request", params=_question(batch, status))["total"])


def _question(batch: str, status: str) -> dict[str, Any]:
    return {"external_id": batch, "status": status, "size": 1}
