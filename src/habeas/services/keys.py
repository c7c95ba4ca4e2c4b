"""Keys: which key of the ring opens the ledger (design §5 *Keys*)."""

from dataclasses import dataclass

from habeas.domain.audit import AuditAction, ObjectKind
from habeas.domain.errors import Conflict, InputError
from habeas.execution.context import Context
from habeas.services import audit
from habeas.store import data_keys, workers
from habeas.store.ledger import take_turn
from habeas.store.sealing import KeyRing


@dataclass(frozen=True, slots=True)
class Rotation:
    """The key that opens the ledger now, how many keys were re-wrapped, and the ring's keys not needed any more."""

    key: str
    rewrapped: int
    not_needed: tuple[str, ...]


def rotate(context: Context, to: str | None = None) -> Rotation:
    """Re-wrap the ledger's keys by the ring's key of this name (default: its first) in one transaction.

    Done twice it changes nothing; cut off, nothing has happened. What is sealed stays as it is, and who has opened the
    ledger goes on. Raises InputError when the ring lacks the key, Conflict when a living process does.
    """
    ring = KeyRing.parse(context.settings.security.encryption_keys)
    key = to or ring.primary
    if key not in ring.keys:
        raise InputError(
            f"security.encryption_keys lacks that key: it has {', '.join(ring.keys)}",
            hint="make a key with `habeas key new` and put it into the ring of every process",
        )
    with context.ledger.write() as connection:
        take_turn(connection)
        alive = workers.living(connection, context.ledger)
        without = [seen for seen in alive if seen.process.keys.get(key) != ring.fingerprints()[key]]
        if without:
            raise Conflict(
                f"{len(without)} of {len(alive)} running processes do not have key {key}",
                hint="put it into their security.encryption_keys, restart them, and rotate again; "
                f"one that was killed counts for {workers.SILENT:.0f} seconds",
            )
        rewrapped = data_keys.rewrap(connection, ring, key)
        if rewrapped:
            said = f"it opens the ledger, alone; keys re-wrapped: {rewrapped}"
            audit.record(context, connection, AuditAction.KEYS_ROTATED, ObjectKind.ENCRYPTION_KEY, key, message=said)
    return Rotation(key, rewrapped, tuple(name for name in ring.keys if name != key))
