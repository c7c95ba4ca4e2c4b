"""Draws worlds: small pools of awkward values, so that rows meet, repeat and overlap.

From a seed, so that every example is a world of its own: Hypothesis, drawing them itself, would grow each out of
the last and rarely join rows. To shrink a failure use `given(st.randoms(use_true_random=False))` in place of it.
"""

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from worlds import (
    BYTES,
    INTEGER,
    POLICIES,
    REAL,
    TEXT,
    Address,
    Collection,
    Column,
    Database,
    Link,
    Step,
    World,
)

INTEGERS = (0, 0, 1, 1, 2, 7, -1, 2**40)
REALS = (0.0, 1.0, 1.5, -2.25, 10.0)
TEXTS = ("0", "1", "", "é", "7", "01", " 1", "1.0", "1.5", "1_0", "e\u0301", "𝔘", "o'b", "%_", "9" * 20)
MAILS = (*("u0@example.com", "u1@example.com") * 2, *(f"u{number}@example.com" for number in range(2, 7)))
MAILS += ("U1@Example.com", "Üwe@example.com", "üwe@example.com")
PHONES = ("+4930123", "+49 30 123", "+49-30-123", "+15550100", "+1 (555) 0100")
NOTES = (*TEXTS, "Müller", "long enough to be cut somewhere", "MASKED")
CATEGORIES = (
    *("user", "user.contact.email", "user.contact", "user.content", "user.content.private", "user.device.cookie"),
    *("user.device.cookie_id", "user.name", "system.operations", None),
)
OVERRIDES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("null_rewrite", {}),
    ("string_rewrite", {"rewrite_value": "own"}),
    ("preserve", {}),
)
KEYS = ((INTEGER,), (TEXT,), (INTEGER, TEXT), (TEXT, INTEGER), (INTEGER, INTEGER), ())
LINKED = (*(INTEGER, TEXT) * 3, REAL)
IDENTITIES = {"mail": "email", "phone": "phone_number", "card": "card"}
KINDS = (*(("email",),) * 4, ("email", "card"), ("phone_number",), ("card", "phone_number"))
ODD = ' ö"%s:x'
"""What is hung on names in some worlds."""

SEEDS = st.integers(0, 2**63 - 1)
UNSHRUNK = settings(
    deadline=None, suppress_health_check=list(HealthCheck), phases=(Phase.explicit, Phase.reuse, Phase.generate)
)
"""For seeds: another seed is no smaller world."""


def one_in(random: Random, count: int) -> bool:
    return random.randrange(count) == count - 1


def draw_world(random: Random, policies: Sequence[str] = tuple(POLICIES)) -> World:
    """A world with steps under some of these policies."""
    databases = tuple(_draw_database(random) for _ in range(random.randint(1, 3)))
    datasets = [f"d{number}" for number in range(random.randint(len(databases), 3))]
    home = {key: number % len(databases) for number, key in enumerate(datasets)}
    ending = ODD if one_in(random, 4) else ""
    count = random.choice((1, 2, 3, 3, 4, 4, 5, 6, 7, 8, 9, 10, 11, 12))
    addresses = [(random.choice(datasets), f"c{number:02}{ending.replace(':', '')}") for number in range(count)]
    collections = tuple(
        _draw_collection(
            random, address, ending, server=databases[home[address[0]]].kind != "sqlite", rooted=number == 0
        )
        for number, address in enumerate(addresses)
    )
    used = sorted({address[0] for address in addresses})
    return World(
        databases,
        home,
        tuple(replace(item, after=_draw_after(random, item.address, addresses)) for item in collections),
        tuple(_draw_links(random, collections)),
        {used[-1]: (used[0],)} if len(used) > 1 and one_in(random, 15) else {},
        tuple(_draw_step(random, policies) for _ in range(random.randint(1, 3))),
    )


def _draw_database(random: Random) -> Database:
    read_only = one_in(random, 15)
    kind = random.choice(("sqlite", "sqlite", "postgres", "postgres", "duckdb", "mariadb"))
    if kind in ("sqlite", "duckdb"):
        return Database(kind, read_only=read_only)
    return Database(kind, random.randrange(2), one_in(random, 2), read_only)


def _draw_collection(random: Random, address: Address, ending: str, *, server: bool, rooted: bool) -> Collection:
    """`rooted`: it is to hold an e-mail identity."""
    types = random.choice(KEYS)
    keys = [Column(f"k{place}", kind, nullable=False, category="user.unique_id") for place, kind in enumerate(types)]
    columns = [
        _draw_column(random, name, rooted=rooted) for name in ("mail", "phone", "card", "p", "q", "note", "size")
    ]
    columns = [*keys, *columns, Column("hidden", TEXT, declared=False)]
    rows: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for place in range(random.randint(2 if rooted else 0, random.choice((4, 8, 14)))):
        row = tuple(_draw_cell(random, column, place) for column in columns)
        rows.setdefault(row[: len(keys)] if keys else (place,), row)
    rows_given = list(rows.values())
    if not keys and rows_given and not any(column.unique for column in columns):
        rows_given.append(random.choice(rows_given))  # a row may come twice where nothing tells rows apart
    in_store = bool(keys) and not one_in(random, 4)
    return Collection(
        address,
        tuple(column.name + ending for column in keys),
        in_store,
        server or not in_store or one_in(random, 2),
        tuple(replace(column, name=column.name + ending) for column in columns),
        tuple(rows_given),
        skipped=one_in(random, 30),
    )


def _draw_column(random: Random, name: str, *, rooted: bool) -> Column:
    types = {"card": (INTEGER, TEXT), "p": LINKED, "q": LINKED, "size": (INTEGER, REAL, BYTES)}
    kind = random.choice(types.get(name, (TEXT,)))
    identity = IDENTITIES.get(name) if (rooted and name == "mail") or one_in(random, 6) else None
    widened = {"email": "casefold", "phone_number": "phone"}.get(identity or "")
    noted = name == "note"
    limited, unique = noted and one_in(random, 4), noted and one_in(random, 4)
    truthful = {INTEGER: "integer", TEXT: "string", REAL: "float"}.get(kind)
    return Column(
        name,
        kind,
        nullable=not one_in(random, 5),
        unique=unique and not limited,
        length=40 if limited else None,
        category=random.choice(CATEGORIES) if not (rooted and noted) else "user.content",
        data_type="integer" if kind == TEXT and one_in(random, 15) else truthful if one_in(random, 3) else None,
        declared_length=random.choice((3, 12, 30)) if name in ("note", "p") and one_in(random, 3) else None,
        identity=identity,
        match=widened if one_in(random, 2) else None,
        read_only=one_in(random, 12),
        override=random.choice(OVERRIDES) if one_in(random, 10) else None,
    )


def _draw_cell(random: Random, column: Column, place: int) -> Any:
    """A value of the column; one that the store keeps unique holds the place of its row."""
    if column.name == "hidden":
        return "stays"
    if column.nullable and one_in(random, 6):
        return None
    pools: dict[str, Sequence[Any]] = {"mail": MAILS, "phone": PHONES, "note": NOTES}
    kinds: dict[str, Sequence[Any]] = {
        INTEGER: INTEGERS,
        TEXT: TEXTS,
        REAL: REALS,
        BYTES: (b"", b"\x00\xff"),
    }
    value = random.choice(pools.get(column.name, kinds[column.type]))
    return f"{value}-{place}" if column.unique else value


def _draw_links(random: Random, collections: Sequence[Collection]) -> list[Link]:
    """A way to most collections, and some links anywhere: forward, back, to themselves."""
    count = len(collections)
    ends = [(random.randrange(target), target) for target in range(1, count) if not one_in(random, 10)]
    ends += [(random.randrange(count), random.randrange(count)) for _ in range(random.randint(0, 1 + count // 2))]
    links: dict[tuple[Any, ...], Link] = {}
    for source, target in ends:
        here = _draw_end(random, collections[source], None)
        there = _draw_end(random, collections[target], None if one_in(random, 4) else here)
        places = (collections[source].address, here.name), (collections[target].address, there.name)
        undirected = source != target and one_in(random, 3)
        declared = random.choice(((1, 0), (0, 1), (1, 1), (2, 0), (0, 2)))
        links.setdefault((*places, undirected), Link(*places, undirected, *declared))
    return list(links.values())


def _draw_end(random: Random, collection: Collection, like: Column | None) -> Column:
    """A column that may be linked, of the type of `like` where the collection has one."""
    able = [
        column
        for column in collection.columns
        if column.type != BYTES and column.name.removesuffix(ODD) in ("k0", "k1", "p", "q", "mail")
    ]
    return random.choice([c for c in able if like is not None and c.type == like.type] or able)


def _draw_after(random: Random, address: Address, addresses: Sequence[Address]) -> tuple[Address, ...]:
    if not one_in(random, 15):
        return ()
    earlier = [other for other in addresses if other < address]
    return (random.choice(addresses if one_in(random, 8) or not earlier else earlier),)


def _draw_step(random: Random, policies: Sequence[str]) -> Step:
    kinds = random.choice(KINDS)
    size = random.randint(1, 50) if one_in(random, 4) else random.randint(1, 5)
    people = [{kind: _draw_identity(random, kind) for kind in kinds} for _ in range(size)]
    return Step(random.choice(policies), tuple(people))


def _draw_identity(random: Random, kind: str) -> tuple[Any, ...]:
    pool: tuple[Any, ...] = {"email": MAILS, "phone_number": PHONES, "card": (*INTEGERS, "1", "é", "01")}[kind]
    return tuple(dict.fromkeys(random.choice(pool) for _ in range(random.choice((1, 1, 1, 2)))))
