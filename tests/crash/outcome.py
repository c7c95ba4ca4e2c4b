"""What users and the shop see when requests are over: the thing that a crash must not change."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx
from shop import RULE, Shop

from servers.habeas import read_log, read_package, read_report, wait_until_over

TAKEN_OVER = "was taken over by another worker"
"""What a worker logs when it sees that it lost its run."""


@dataclass(frozen=True)
class Outcome:
    """Per person: final status, package, log shape and report; and the shop's rows and the writes made to them."""

    statuses: list[str]
    packages: list[bytes]
    logs: list[list[tuple[str, str, str]]]
    reports: list[dict[str, Any]]
    rows: dict[str, list[tuple[Any, ...]]]
    writes: list[tuple[str, int]]


def observe(http: httpx.Client, requests: Sequence[str], shop: Shop, deadline: float = 30.0) -> Outcome:
    """Wait until the requests are over and look."""
    statuses = [wait_until_over(http, request, deadline) for request in requests]
    reports = [read_report(http, request) for request in requests]
    for report in reports:
        del report["request_id"]
    return Outcome(
        statuses,
        [read_package(http, request, RULE) for request in requests],
        [read_log(http, request) for request in requests],
        reports,
        shop.rows(),
        shop.writes(),
    )
