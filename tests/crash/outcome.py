"""What users and the shop see when requests are over: the thing that a crash must not change."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import httpx
from shop import RULE

from servers.habeas import read_log, read_package, read_report, wait_until_over

TAKEN_OVER = "was taken over by another worker"
"""What a worker logs when it sees that it lost its run."""


Log = list[tuple[str, str, str]]
"""(collection, action, status), oldest first."""


class AnyShop(Protocol):
    """What crash tests have people in."""

    def rows(self) -> Mapping[str, list[tuple[Any, ...]]]: ...
    def writes(self) -> list[tuple[str, int]]: ...
    def settle(self, log: Log) -> Log: ...
    def open(self, package: bytes) -> Any: ...


@dataclass(frozen=True)
class Outcome:
    """Per person: final status, package, log shape and report; and the shop's rows and the writes made to them."""

    statuses: list[str]
    packages: list[Any]
    logs: list[Log]
    reports: list[dict[str, Any]]
    rows: Mapping[str, list[tuple[Any, ...]]]
    writes: list[tuple[str, int]]


def observe(http: httpx.Client, requests: Sequence[str], shop: AnyShop, deadline: float = 30.0) -> Outcome:
    """Wait until the requests are over and look."""
    statuses = [wait_until_over(http, request, deadline) for request in requests]
    reports = [read_report(http, request) for request in requests]
    for report in reports:
        del report["request_id"]
    return Outcome(
        statuses,
        [shop.open(read_package(http, request, RULE)) for request in requests],
        [shop.settle(read_log(http, request)) for request in requests],
        reports,
        shop.rows(),
        shop.writes(),
    )
