"""Requests through the fire, and everything that must be true afterwards. The test and `make soak` share it."""

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aftermath import Aftermath
from fire import Fire, Fleet, Strike
from ledgers import PostgresLedger
from mixture import Asked, draw_requests
from submitter import Submitter
from town import Town
from verdict import Verdict

from servers.postgres import PostgresServer
from servers.process import wait_for


@dataclass(slots=True)
class Passage:
    """What was asked, what struck, and how long it took: the story of one passage through the fire."""

    seed: int
    batches: list[list[Asked]]
    strikes: list[Strike] = field(default_factory=list)
    cut_off: int = 0
    taken_over: int = 0
    seconds: float = 0.0

    def tell(self) -> str:
        """One line for the curious."""
        hit = Counter(f"{strike.role} {strike.how}" for strike in self.strikes)
        blows = ", ".join(f"{count} {what}" for what, count in sorted(hit.items()))
        return (
            f"seed {self.seed}: {sum(map(len, self.batches))} requests in {self.seconds:.0f} s, "
            f"{len(self.strikes)} strikes ({blows}), {sum(bool(strike.during) for strike in self.strikes)} of them on "
            f"a worker with a run; {self.taken_over} runs taken over, {self.cut_off} POSTs cut off"
        )


def pass_through_fire(
    folder: Path, seed: int, requests: int, *, pace: float, burning: float, deadline: float
) -> Passage:
    """Submit a batch of 50 every `pace` seconds, wait for all to end, and look at everything.

    It burns for at most `burning` seconds. AssertionError says what is wrong, with the seed and the strikes; also when
    requests are left after `deadline` seconds.
    """
    postgres = PostgresServer(connections=300)
    try:
        town = Town(postgres, people=requests)
        passage = Passage(seed, draw_requests(random.Random(seed), town, requests))
        ledger = PostgresLedger(postgres.create_database("ledger"))
        try:
            with Fleet(folder, ledger) as fleet:
                with fleet.servers[0].client() as http:
                    town.register(http)
                _pass(fleet, passage, Fire(fleet, seed, burning), pace, deadline)
                asked = [request for batch in passage.batches for request in batch]
                Aftermath(fleet, Verdict(town, asked)).check()
        except BaseException as error:
            error.add_note("\n".join([passage.tell(), *map(str, passage.strikes)]))
            raise
    finally:
        postgres.remove()
    return passage


def _pass(fleet: Fleet, passage: Passage, fire: Fire, pace: float, deadline: float) -> None:
    passage.strikes = fire.strikes
    begun = time.monotonic()
    with Submitter(fleet, passage.seed) as submitter, _burning(fire):
        for number, batch in enumerate(passage.batches):
            threading.Event().wait(max(0.0, begun + number * pace - time.monotonic()))
            submitter.submit(batch)
        left = deadline - (time.monotonic() - begun)
        wait_for("the last request to end", lambda: not fleet.open_requests(), left, fleet.describe_open)
    passage.seconds = time.monotonic() - begun
    passage.cut_off = submitter.cut_off
    [[passage.taken_over]] = fleet.ledger.rows("SELECT count(*) FROM run WHERE fence > 1")


@contextmanager
def _burning(fire: Fire) -> Iterator[None]:
    fire.start()
    try:
        yield
    finally:
        fire.quench()
