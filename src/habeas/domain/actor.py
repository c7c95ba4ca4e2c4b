"""Who acts, and from where: what the audit log says of every deed.

Must not know how a caller proves who it is (`services.clients`, `services.users`).
"""

from dataclasses import dataclass
from enum import StrEnum


class ActorKind(StrEnum):
    """What acts."""

    CLIENT = "client"
    USER = "user"
    ANONYMOUS = "anonymous"  # whoever calls an open route, e.g. the person concerned
    SYSTEM = "system"


class Origin(StrEnum):
    """The class of the address that a call came from; the address itself is personal data and kept nowhere."""

    PROCESS = "process"  # no call: a run, a job, a command
    LOOPBACK = "loopback"
    PRIVATE = "private"
    PUBLIC = "public"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: `id` is a client's or a user's, `anonymous` or `system`. `scopes` are what it may do by the API."""

    id: str
    kind: ActorKind
    origin: Origin = Origin.PROCESS
    scopes: frozenset[str] = frozenset()


SYSTEM = Actor("system", ActorKind.SYSTEM)
"""Habeas itself: runs, jobs, and commands that work on the ledger."""


def anonymous(origin: Origin) -> Actor:
    """Somebody who has shown no token."""
    return Actor("anonymous", ActorKind.ANONYMOUS, origin)
