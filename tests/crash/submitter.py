"""Submits requests to servers that may die at any moment, each of them once.

When an answer stays away, a POST has created all of its requests or none. Listing by external id tells which, once
no transaction that was open then is open any more; a client that sees the API alone would have to wait instead.
"""

import random
from collections.abc import Sequence
from typing import Self

import httpx
from fire import Fleet
from mixture import Asked

from servers.process import wait_for

_NOTHING_SENT = (httpx.ConnectError, httpx.ConnectTimeout)
_PATIENCE = 60.0


class Submitter:
    """Knows two servers of one ledger; `cut_off` counts the POSTs that had no answer."""

    def __init__(self, fleet: Fleet, seed: int) -> None:
        self.cut_off = 0
        self._servers = fleet.servers
        self._ledger = fleet.ledger
        self._chance = random.Random(seed)
        once = httpx.Limits(max_keepalive_connections=0)  # a kept connection would die with its server unnoticed
        self._http = httpx.Client(timeout=httpx.Timeout(_PATIENCE, connect=5), limits=once, headers=fleet.log_in())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def submit(self, batch: Sequence[Asked]) -> None:
        """Submit by one POST, to whichever server takes it; AssertionError after a minute without any."""
        wait_for(f"batch {batch[0].name} to be taken", lambda: self._post(batch) or self._was_taken(batch), _PATIENCE)

    def _post(self, batch: Sequence[Asked]) -> bool:
        items = [
            {"policy_key": asked.policy, "identity": {"email": asked.email}, "external_id": asked.name}
            for asked in batch
        ]
        url = self._chance.choice(self._servers).url
        try:
            answer = self._http.post(f"{url}/api/v1/privacy-request", json=items)
            answer.raise_for_status()
        except _NOTHING_SENT:
            return False
        except httpx.HTTPError:
            self.cut_off += 1
            self._ledger.settle(_PATIENCE)
            return False
        assert not answer.json()["failed"], answer.json()["failed"]
        return True

    def _was_taken(self, batch: Sequence[Asked]) -> bool:
        """Whether an earlier attempt has created these requests: all of them or none."""
        prefix = batch[0].name.partition("-")[0]

        def ask() -> int | None:
            url = self._chance.choice(self._servers).url
            try:
                found = self._http.get(f"{url}/api/v1/privacy-request", params={"external_id": f"{prefix}-"})
                return int(found.raise_for_status().json()["total"]) + 1
            except httpx.HTTPError:
                return None

        total = wait_for("a server to list requests", ask, _PATIENCE) - 1
        assert total in (0, len(batch)), f"a POST of {len(batch)} items has created {total} requests"
        return total > 0
