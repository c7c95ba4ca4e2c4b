"""How often a password may be guessed (control-plane §7): five times, then a pause that doubles, for every name alike.

A name that nobody has is counted as one that somebody has, so that no answer tells which it is. A try counts before it
is made: a thousand at once are no more than five.
"""

import math
from datetime import timedelta

from habeas.domain.errors import TooSoon
from habeas.execution.context import Context
from habeas.store import users

FREE_TRIES = 5
FIRST_PAUSE, LONGEST_PAUSE = 60, 3600
"""Seconds."""


def pause_after(failed: int) -> int:
    """Seconds for which nobody may try after so many failures in a row."""
    if failed < FREE_TRIES:
        return 0
    return int(min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(failed - FREE_TRIES, 10)))


def take_try(context: Context, name: str) -> None:
    """Count a try with this name. Raises TooSoon while the name is locked: nothing is counted then."""
    key, now = name_key(context, name), context.clock.now()
    with context.ledger.write() as connection:
        failed = users.take_try(connection, key, now)
        until = users.locked_until(connection, key)
        if failed is not None and (pause := pause_after(failed)):
            users.lock_name(connection, key, now + timedelta(seconds=pause))
    if failed is None:
        rest = math.ceil((until - now).total_seconds()) if until is not None else 1  # None: unlocked this very moment
        raise TooSoon("too many logins with this name have failed", rest, hint="wait, or ask for a new password")


def name_key(context: Context, name: str) -> bytes:
    """What is kept of a name that was tried: a keyed hash."""
    return context.ledger.sealer.index("login", name)
