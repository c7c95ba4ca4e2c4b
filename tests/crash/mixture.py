"""Two thousand mixed privacy requests: what is asked, for whom, and in which order. Drawn from a seed.

A person's erasing requests are of one kind, so that what its rows hold in the end does not depend on who came first;
whoever is hidden is hidden once, since every request hides with secrets of its own.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from town import Town

_LIVES = (
    (40, ("give",), 3),
    (20, ("forget", "both"), 1),
    (15, ("forget", "both", "give"), 3),
    (10, ("rename", "give"), 3),
    (10, ("hide",), 1),
)
"""Weight, policies a person of this kind may be named under, most requests."""

BATCH = 50
_STRANGERS = 0.05
_APART = 60.0
"""Requests of one person stand at most so far apart, so that several of them are under way at once."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request to be submitted; `name` is its external id."""

    name: str
    email: str
    policy: str


def draw_requests(chance: random.Random, town: Town, count: int) -> list[list[Asked]]:
    """`count` requests in batches of 50, each batch for one POST."""
    drawn: list[tuple[float, str, str]] = []
    for number in chance.sample(range(1, town.people + 1), town.people):
        if len(drawn) >= count:
            break
        place = float(len(drawn))
        [(_, policies, most)] = chance.choices(_LIVES, [weight for weight, *_ in _LIVES])
        stranger = chance.random() < _STRANGERS
        email = town.email(number + town.people if stranger else number)
        drawn += [
            (place + chance.uniform(0, _APART), email, chance.choice(policies)) for _ in range(chance.randint(1, most))
        ]
    assert len(drawn) >= count, "the town is too small"
    return _batches(sorted(drawn[:count]))


def _batches(drawn: Sequence[tuple[float, str, str]]) -> list[list[Asked]]:
    return [
        [
            Asked(f"{start // BATCH:04d}-{place:02d}", email, policy)
            for place, (_, email, policy) in enumerate(drawn[start : start + BATCH])
        ]
        for start in range(0, len(drawn), BATCH)
    ]
