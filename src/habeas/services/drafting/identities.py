"""Which columns people are found by. Reads no value.

Only e-mail addresses and phone numbers are proposed, where a row is a person or the store keeps the column unique:
an identity in the wrong place finds other people's rows. What else might do is a candidate for a person to judge.
"""

from dataclasses import dataclass, replace

from habeas.domain.identity import EMAIL, PHONE
from habeas.domain.ports import ColumnSketch, TableSketch
from habeas.services.drafting import categories
from habeas.services.drafting.categories import Proposal, Surroundings
from habeas.services.drafting.names import is_of_people, listed

_KINDS = {categories.EMAIL: EMAIL, categories.PHONE: PHONE}

_OWN = listed("""
    1 2 3 4 account alternate alternative backup cell contact day evening home login main mobile my office personal
    primary private recovery secondary user work
""")
"""Words beside an address or number that leave it the person's own, unlike `emergency`, `manager` or `hash`."""


@dataclass(frozen=True, slots=True)
class IdentityProposal:
    """An identity kind and why. `weak`: only as long as no key finds the row. `candidate`: not proposed, only shown."""

    kind: str
    reason: str
    weak: bool = False
    candidate: bool = False

    def withdraw(self, reason: str) -> "IdentityProposal":
        """The same as a candidate."""
        return replace(self, reason=reason, candidate=True)


def propose_identity(
    column: ColumnSketch, proposal: Proposal | None, table: TableSketch, around: Surroundings
) -> IdentityProposal | None:
    """What the column could find people by; None when nothing speaks for it."""
    if proposal is None or not column.text or column.array:
        return None
    unique = is_unique(table, column.name)
    kind = _KINDS.get(proposal.category)
    if kind is None:
        known_by = around.people and unique and proposal.category.startswith("user")
        return IdentityProposal(column.name, "unique here", candidate=True) if known_by else None
    if not _OWN.union(around.subject).issuperset((*proposal.before, *proposal.after)):
        return IdentityProposal(kind, "may be another person's", candidate=True)
    if is_of_people(around.subject):
        return IdentityProposal(kind, "a row is a person here")
    if unique:
        return IdentityProposal(kind, "unique here")
    if around.people:
        return IdentityProposal(kind, "it stands beside a person's name or birth date", weak=True)
    return IdentityProposal(kind, "not unique, and a row may be no person here", candidate=True)


def propose_identity_inside(member: ColumnSketch, proposal: Proposal | None) -> IdentityProposal | None:
    """The same for a member of a nested column, which is never more than a candidate."""
    kind = _KINDS.get(proposal.category) if proposal is not None and member.text else None
    return IdentityProposal(kind, "inside a nested column", candidate=True) if kind is not None else None


def is_unique(table: TableSketch, column: str) -> bool:
    """Whether the store lets no two rows hold the same in this column."""
    return (column,) in (table.primary_key, *table.unique)
