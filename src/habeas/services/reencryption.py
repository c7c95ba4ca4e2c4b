"""Re-encryption: all that is sealed gets a new data key while servers and workers run (design §5 *Keys*).

A process seals with a data key that was the newest at most `FRESH` seconds before, in the transaction that writes the
value. So some time after a new one is in the ledger nobody writes what an earlier one has sealed, and when none of that
is left the earlier one can go.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa

from habeas.domain.audit import AuditAction, ObjectKind
from habeas.domain.errors import Conflict
from habeas.execution.context import Context
from habeas.services import audit
from habeas.services.keys import Rotation, rotate
from habeas.store import data_keys, resealing
from habeas.store.ledger import take_turn
from habeas.store.sealing import FRESH, KeyRing

SETTLED = FRESH + 10.0
"""Seconds after which all is committed that was sealed by somebody who did not know of a new data key."""

_PAUSE = 0.1
"""Seconds before rows are looked at again that somebody else was writing."""


@dataclass(frozen=True, slots=True)
class Reencryption:
    """Number of the data key that seals now, alone; how many values this call sealed anew, and data keys it deleted."""

    rotation: Rotation
    number: int
    resealed: int
    dropped: int


def reencrypt(context: Context, to: str | None, tell: Callable[[str, int], None]) -> Reencryption:
    """Rotate to the ring's key of this name (default: its first), and seal all values by a new data key that it wraps.

    Every portion is a transaction of its own. Cut off, everything opens; repeated, it goes on with the data key that is
    there. `tell` hears the name of a table and how many of its values are sealed anew so far. Raises what `rotate`
    does, and Conflict when values do not open (the earlier data keys stay) or another re-encryption begins.
    """
    rotation = rotate(context, to)
    number = _begin(context, rotation.key)
    settled = time.monotonic() + SETTLED
    resealed = 0
    while True:
        done, unreadable = _pass(context, number, tell)
        resealed += done
        if (left := settled - time.monotonic()) > 0:
            time.sleep(left)
            continue
        dropped = _finish(context, number, resealed)
        if dropped is not None:
            return Reencryption(rotation, number, resealed, dropped)
        if unreadable and not done:
            raise Conflict(
                f"{unreadable} sealed values cannot be opened: the earlier data keys stay",
                hint="restore a backup, or delete what they belong to, and repeat",
            )
        time.sleep(_PAUSE)


def _begin(context: Context, key: str) -> int:
    """Number of the new data key, made unless an earlier re-encryption was cut off; this process seals with it."""
    ring = KeyRing.parse(context.settings.security.encryption_keys)
    with context.ledger.write() as connection:
        take_turn(connection)
        *earlier, number = data_keys.data_key_numbers(connection)
        if not earlier:
            number = data_keys.add_data_key(connection, ring, key, context.clock.now())
            _audit(context, connection, number, "made")
    context.ledger.sealer.refresh()
    return number


def _pass(context: Context, number: int, tell: Callable[[str, int], None]) -> tuple[int, int]:
    """Go through every table once; values sealed anew, and values that do not open."""
    resealed = unreadable = 0
    for table in resealing.SEALED:
        after, of_table = None, 0
        while True:
            with context.ledger.write() as connection:
                portion = resealing.reseal(connection, context.ledger.sealer, table, number, after)
            of_table += portion.resealed
            unreadable += portion.unreadable
            if portion.last is None:
                break
            after = portion.last
            tell(table.name, of_table)
        resealed += of_table
    return resealed, unreadable


def _finish(context: Context, number: int, resealed: int) -> int | None:
    """Delete the earlier data keys; how many, or None when they are needed yet."""
    with context.ledger.write() as connection:
        take_turn(connection)
        if data_keys.data_key_numbers(connection)[-1] != number:
            raise Conflict("another re-encryption has begun", hint="let that one finish")
        if resealing.tables_sealed_by_others(connection, [number]):
            return None
        dropped = data_keys.drop_earlier(connection, number)
        _audit(context, connection, number, f"{resealed} values sealed anew; earlier data keys deleted: {dropped}")
    return dropped


def _audit(context: Context, connection: sa.Connection, number: int, message: str) -> None:
    key = f"data key {number}"
    audit.record(context, connection, AuditAction.KEYS_ROTATED, ObjectKind.ENCRYPTION_KEY, key, message=message)
