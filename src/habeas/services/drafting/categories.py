"""Which data category the name and type of a column speak for, among the other columns of its table. Reads no value.

A name speaks when it ends with a phrase of the vocabulary, word for word: `home_phone` ends with `phone`, while
`phone_verified` speaks of a check. The longest phrase counts. A name that says too little alone is read after the
name of its table: `number` in `payment_cards` as `card number`. A wrong category misleads more than none does, so
what is ambiguous stays undecided.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from habeas.domain.ports import ColumnSketch, TableSketch
from habeas.services.drafting.kinds import Kind, kind_of
from habeas.services.drafting.names import (
    THINGS,
    Words,
    is_of_people,
    is_of_things,
    listed,
    singular,
    split_words,
    subject_of,
)
from habeas.services.drafting.vocabulary import RULES, Rule, Where

EMAIL, PHONE, ID = "user.contact.email", "user.contact.phone_number", "user.unique_id"

_OF_A_PERSON = frozenset({"user.name.first", "user.name.last", "user.demographic.date_of_birth"})
"""A table with a column of these tells of people whatever it is called."""

_OF_AN_ADDRESS = frozenset(f"user.contact.address.{part}" for part in ("street", "city", "postal_code"))

_QUALIFIERS = listed("""
    1 2 3 4 alt alternate alternative business canonical cell current day enc encrypted evening home lower main
    mobile new normalised normalized office old personal primary private raw secondary txt work
""")
"""Words after a phrase that do not change what it is: `phone_work`, `email_2`."""

_BY_TYPE = {Kind.NETWORK: "user.device.ip_address", Kind.HARDWARE: "user.device.device_id"}


@dataclass(frozen=True, slots=True)
class Proposal:
    """A category, the phrase that spoke for it, and the words of the column that stand before and after the phrase."""

    category: str
    phrase: str
    before: Words = ()
    after: Words = ()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What stands around a column: what a row is, whether it tells of people, and how parts of addresses begin."""

    subject: Words
    people: bool
    addresses: frozenset[Words] = frozenset()

    def allow(self, rule: Rule, kind: Kind, before: Words) -> bool:
        if kind not in rule.kinds:
            return False
        match rule.where:
            case Where.PEOPLE:
                return self.people
            case Where.ADDRESS:
                return before in self.addresses
        return True


def survey_table(table: TableSketch) -> Surroundings:
    """What the names of a table's columns together say of it."""
    subject = subject_of(table.name)
    first = Surroundings(subject, is_of_people(subject))
    found = [proposal for column in table.columns if (proposal := propose_category(column, first)) is not None]
    return Surroundings(
        subject,
        first.people or any(proposal.category in _OF_A_PERSON for proposal in found),
        frozenset(proposal.before for proposal in found if proposal.category in _OF_AN_ADDRESS),
    )


def propose_category(column: ColumnSketch, around: Surroundings) -> Proposal | None:
    """The category that speaks out of a column; None when none does, or when it would be a thing's and no person's."""
    kind = kind_of(column)
    words = split_words(column.name)
    if column.array:
        words = (*words[:-1], *map(singular, words[-1:]))  # `phones` holds one in each element
    if words and around.subject[-len(words) :] == tuple(map(singular, words)):
        words = around.subject  # the fuller name of the same: `address` in `email_addresses`
    proposal = _find(words, kind, around)
    if proposal is None and kind in _BY_TYPE:
        proposal = Proposal(_BY_TYPE[kind], column.type)
    if proposal is None or not proposal.category:
        return None
    of_thing = is_of_things(around.subject) or not THINGS.isdisjoint(map(singular, proposal.before))
    return None if of_thing and proposal.category.startswith("user") else proposal


def inside(column: ColumnSketch, around: Surroundings) -> Surroundings:
    """What stands around the members of a nested column: its own name says what they are of."""
    subject = tuple(map(singular, split_words(column.name))) or around.subject
    members = TableSketch(column.name, None, column.fields)
    return Surroundings(subject, around.people or is_of_people(subject), survey_table(members).addresses)


def _find(words: Words, kind: Kind, around: Surroundings) -> Proposal | None:
    for before, phrase, after in _readings(words, around.subject):
        for rule in RULES.get(phrase, ()):
            if around.allow(rule, kind, before):
                return Proposal(rule.category, " ".join(dict.fromkeys(phrase)), before, after)
    return None


def _readings(words: Words, subject: Words) -> Iterator[tuple[Words, Words, Words]]:
    """Every way to part a name into what stands before a phrase, the phrase, and qualifiers; the best first."""
    parted: list[tuple[Words, Words]] = [(words, ())]
    while len(words) > 1 and words[-1] in _QUALIFIERS:
        parted.append((words[:-1], (words[-1], *parted[-1][1])))
        words = words[:-1]
    for reading, after in parted:
        for start in range(len(reading)):
            yield reading[:start], reading[start:], after
    for reading, after in parted:
        for start in range(len(subject)):
            yield (), (*subject[start:], *reading), after
            if subject[-1:] == reading[:1]:
                yield (), (*subject[start:], *reading[1:]), after
