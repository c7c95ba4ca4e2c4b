"""Names of tables and columns as words, and what the words for people, staff and things say of a table.

English only: a name in another language says nothing here, and nothing is then proposed.
"""

import re
from collections.abc import Iterator
from typing import TypeAlias

Words: TypeAlias = tuple[str, ...]
"""Lower-case words of a name, in order."""

_PART = re.compile(r"[^\W_]+")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")


def listed(words: str) -> frozenset[str]:
    """The words of a text as a set."""
    return frozenset(words.split())


PEOPLE = listed("""
    applicant attendee beneficiary buyer candidate cardholder child citizen claimant client consumer
    contact customer donor guest holder insured lead member participant passenger patient payer people person player
    profile prospect purchaser recipient requester resident sender shopper student subscriber supporter tenant
    traveler traveller user visitor volunteer voter
""")
"""Words, in the singular, for those who send privacy requests."""

STAFF = listed("""
    admin administrator agent clerk coach consultant doctor driver employee instructor lawyer manager nurse officer
    operator physician practitioner rep representative salesman salesperson seller staff teacher technician
    therapist tutor worker
""")
"""Words for those who work for the company. They are people too, but seldom the ones whom a row is about."""

THINGS = listed("""
    agency airport app article bank batch branch brand bucket campaign carrier category channel city class clinic
    column company config configuration country course currency database department dictionary event facility
    feature field file film gateway hospital host hotel integration inventory job language library manufacturer
    market menu merchant migration module movie organisation organization page parameter permission plan plant
    plugin product property province publisher queue region restaurant role room route school scheduler server
    service setting shipper shop site smtp state station stock store supplier system tag team template theme
    translation vendor venue version warehouse website widget
""")
"""Words for what is no person: an address or a name there is the thing's own."""

ACTORS = listed("""
    approver assigned assignee create creator delete deleter editor handler moderator modifier modify reviewer
    update updater verifier write
""")
"""Words of columns that say who worked on a row, beside those that end in `by`."""

_KEY_WORDS = listed("code fk guid id key no nr num number ref uid uuid")
_WRAPPERS = listed("""
    archive backup bak data detail entity info information master old table tbl tmp
""")
_IRREGULAR = {"people": "person", "children": "child", "men": "man", "women": "woman"}
_SHORTEST = 3
"""Letters of an abbreviation: `cust` for a customer."""

_NOT_PLURAL = ("ss", "us", "is")


def split_words(name: str) -> Words:
    """`customerID`, `customer_id` and `Customer Id` alike are `customer`, `id`; digits are words of their own."""
    parts = _PART.findall(name)
    return tuple(word.lower() for part in parts for word in (_WORD.findall(part) if part.isascii() else (part,)))


def singular(word: str) -> str:
    """The word for one of them, near enough to compare names with."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) < 4 or word.endswith(_NOT_PLURAL) or not word.endswith("s"):
        return word
    if word.endswith("ies"):
        return f"{word[:-3]}y"
    return word[:-2] if word.endswith(("sses", "xes", "ches", "shes")) else word[:-1]


def subject_of(table: str) -> Words:
    """What one row of a table is, in the singular: `auth_users` holds `auth`, `user`; `order_details` an `order`."""
    words = tuple(singular(word) for word in split_words(table))
    while len(words) > 1 and words[-1] in _WRAPPERS:
        words = words[:-1]
    return words


def is_of_people(subject: Words) -> bool:
    """Whether one row of such a table is a person, staff included."""
    return subject[-1:] != () and subject[-1] in PEOPLE | STAFF


def is_of_staff(subject: Words) -> bool:
    """Whether one row is someone who works here: `employees`, but also `admin_users`."""
    return is_of_people(subject) and not STAFF.isdisjoint(subject)


def is_of_things(subject: Words) -> bool:
    """Whether one row is a thing, whose name or address is its own."""
    return subject[-1:] != () and subject[-1] in THINGS


def names_an_actor(column: str) -> bool:
    """Whether a column says who worked on the row: `created_by`, `assignee_id`."""
    words = target_of(column)
    return words[-1:] == ("by",) or not ACTORS.isdisjoint(words)


def names_staff(column: str) -> bool:
    """Whether a key column speaks of someone who works for the company: `sales_rep_id`."""
    return not STAFF.isdisjoint(target_of(column))


def target_of(column: str) -> Words:
    """What a key column points to, in the singular: `customer_id` to `customer`; empty for `id` alone."""
    words = split_words(column)
    while words and words[-1] in _KEY_WORDS:
        words = words[:-1]
    return tuple(map(singular, words))


def is_key_name(column: str) -> bool:
    """Whether a name is made like that of a key to something: `customer_id`."""
    return 0 < len(target_of(column)) < len(split_words(column))


def names_of_keys(subject: Words) -> Iterator[Words]:
    """What columns that point to such a table are called, without words like `id`: `user`, `use` for `auth_users`."""
    yield from (subject[start:] for start in range(len(subject)))
    last = subject[-1] if subject else ""
    yield from ((last[:length],) for length in range(_SHORTEST, len(last)))


def names_its_target(column: str, subject: Words) -> bool:
    """Whether a key column is called after its table: `user_id` after `auth_users`, `cust_no` after `customers`."""
    target = target_of(column)
    return not target or target in names_of_keys(subject)
