"""The draft of a dataset: every table and column of a store, with what is proposed and what a person must decide.

What is certain (names, types, keys) stands beside what is only proposed (categories, identities, directions), so that
a reader can tell them apart. `drafter` makes it, `text` writes it, `summary` lists it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from habeas.domain.dataset import Collection, Dataset, Field
from habeas.services.drafting.categories import Proposal
from habeas.services.drafting.identities import IdentityProposal
from habeas.services.drafting.keys import OtherKey
from habeas.services.drafting.links import Key, Ruling


@dataclass(frozen=True, slots=True)
class FieldDraft:
    """A column, or a member of a nested one. `path` are its names from the column down.

    `field` is what is loaded, with the references that are followed; `rulings` are those shown beside it. `withheld`:
    the proposal is only shown, because the person may be another than the one who asks. `link`: it is part of a key,
    so that it needs no category. `opaque`: it holds more than the store tells.
    """

    field: Field
    path: tuple[str, ...]
    type: str
    proposal: Proposal | None = None
    withheld: bool = False
    identity: IdentityProposal | None = None
    rulings: tuple[Ruling, ...] = ()
    link: bool = False
    opaque: bool = False
    parts: tuple["FieldDraft", ...] = ()

    @property
    def undecided(self) -> bool:
        """Whether a person must say what it is."""
        known = self.proposal is not None or self.link or self.rulings or self.parts
        return self.withheld or not known

    @property
    def candidate(self) -> bool:
        """Whether it might be an identity, which is not proposed."""
        return self.identity is not None and self.identity.candidate

    def walk(self) -> Iterator["FieldDraft"]:
        """This one and all below it."""
        yield self
        for part in self.parts:
            yield from part.walk()


@dataclass(frozen=True, slots=True)
class CollectionDraft:
    """A table. `outside` are keys that no reference can follow, `left_out` paths of columns that no field can be.

    `blind`: its rows cannot be told apart, so that it is skipped until a key is declared. `shared`: keys that look
    its rows up, when nothing else finds them. `found_by`: keys by which a person's rows are found here. `reached` is
    the planner's own answer.
    """

    name: str
    fields: tuple[FieldDraft, ...]
    keyless: bool = False
    blind: bool = False
    reached: bool = True
    shared: tuple[Key, ...] = ()
    found_by: tuple[Key, ...] = ()
    outside: tuple[OtherKey, ...] = ()
    left_out: tuple[tuple[str, ...], ...] = ()

    @property
    def ambiguous(self) -> bool:
        """Whether rows are found through several tables, each of them enough."""
        return len({key.parent for key in self.found_by}) > 1

    def walk(self) -> Iterator[FieldDraft]:
        """Fields at every depth."""
        for item in self.fields:
            yield from item.walk()


@dataclass(frozen=True, slots=True)
class Draft:
    """A proposed dataset. `left_out` names tables that no collection can; `elsewhere` counts those of other schemas."""

    key: str
    name: str
    schema: str | None
    collections: tuple[CollectionDraft, ...]
    left_out: tuple[str, ...] = ()
    elsewhere: Mapping[str, int] = field(default_factory=dict)

    def dataset(self) -> Dataset:
        """What is loaded when the draft is saved as it is."""
        collections = tuple(
            Collection(item.name, tuple(part.field for part in item.fields), skip_processing=item.blind)
            for item in self.collections
        )
        return Dataset(self.key, self.name, collections, schema=self.schema)
