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
from pools import CATEGORIES, INTEGERS, MAILS, NOTES, ODD, OVERRIDES, PHONES, REALS, TEXTS, one_in
from shapes import draw_inside, draw_nested, order_members
from worlds import (
    ANY,
    BYTES,
    FORMATS,
    INTEGER,
    JSONB,
    OBJECT,
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

KEYS = ((INTEGER,), (TEXT,), (INTEGER, TEXT), (TEXT, INTEGER), (INTEGER, INTEGER), ())
LINKED = (*(INTEGER, TEXT) * 3, REAL)
LINKABLE = ("k0", "k1", "p", "q", "mail", "tags", "list")
IDENTITIES = {"mail": "email", "phone": "phone_number", "card": "card"}
KINDS = (*(("email",),) * 4, ("email", "card"), ("phone_number",), ("card", "phone_number"))
OFTEN = (*POLICIES, *("null_report", "hash_skip") * 2)
"""Policies, those that count who else owns a row more often than others."""
PACKAGE_KEYS = ("k" * 16, "ß" * 12, "0123456789abcdef" * 2)
"""Of 16, 24 and 32 bytes."""
SEEDS = st.integers(0, 2**63 - 1)
UNSHRUNK = settings(
    deadline=None, suppress_health_check=list(HealthCheck), phases=(Phase.explicit, Phase.reuse, Phase.generate)
)
"""For seeds: another seed is no smaller world."""


def draw_world(random: Random, policies: Sequence[str] = OFTEN) -> World:
    """A world with steps under some of these policies; every third has few collections with many links inside."""
    tangled = one_in(random, 3)
    databases = tuple(_draw_database(random, nested=tangled) for _ in range(random.randint(1, 3)))
    datasets = [f"d{number}" for number in range(random.randint(len(databases), 3))]
    home = {key: number % len(databases) for number, key in enumerate(datasets)}
    ending = ODD if one_in(random, 4) else ""
    count = random.randint(2, 4) if tangled else random.choice((1, 2, 3, 3, 4, 4, 5, 6, 7, 8, 9, 10, 11, 12))
    addresses = [(random.choice(datasets), f"c{number:02}{ending.replace(':', '')}") for number in range(count)]
    collections = tuple(
        _draw_collection(random, address, ending, store=databases[home[address[0]]].kind, rooted=number == 0)
        for number, address in enumerate(addresses)
    )
    used = sorted({address[0] for address in addresses})
    return World(
        databases,
        home,
        tuple(
            replace(
                item,
                after=_draw_after(random, item.address, addresses),
                erase_after=_draw_after(random, item.address, addresses),
            )
            for item in collections
        ),
        tuple(_draw_links(random, collections, tangled=tangled)),
        {used[-1]: (used[0],)} if len(used) > 1 and one_in(random, 15) else {},
        tuple(_draw_step(random, policies) for _ in range(random.randint(1, 3))),
    )


def _draw_database(random: Random, *, nested: bool) -> Database:
    """`nested`: it is to hold documents."""
    read_only = one_in(random, 15)
    flat = ("sqlite", "sqlite", "mariadb", "mariadb")
    kind = random.choice(("postgres", "postgres", "postgres", "duckdb", *flat[4 * nested :]))
    if kind in ("sqlite", "duckdb"):
        return Database(kind, read_only=read_only)
    return Database(kind, random.randrange(2), one_in(random, 2), read_only)


def _draw_collection(random: Random, address: Address, ending: str, *, store: str, rooted: bool) -> Collection:
    """`rooted`: it is to hold an e-mail identity."""
    types = random.choice(KEYS)
    keys = [
        Column(f"k{place}{ending}", kind, nullable=False, category="user.unique_id") for place, kind in enumerate(types)
    ]
    columns = [
        _draw_column(random, name, rooted=rooted) for name in ("mail", "phone", "card", "p", "q", "note", "size")
    ]
    columns = [*keys, *(replace(column, name=column.name + ending) for column in columns)]
    columns += [*draw_nested(random, store, ending), Column(f"hidden{ending}", TEXT, declared=False)]
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
        tuple(column.name for column in keys),
        in_store,
        store != "sqlite" or not in_store or one_in(random, 2),
        tuple(columns),
        tuple(rows_given),
        skipped=one_in(random, 30),
        category=random.choice(CATEGORIES) if one_in(random, 12) else None,
        delete=one_in(random, 10),
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
    name = column.name.removesuffix(ODD)
    if name == "hidden":
        return "stays"
    if column.nullable and one_in(random, 6):
        return None
    if column.is_nested:
        held = draw_inside(random, column)
        if held is None or held is ...:
            if column.nullable:
                return None
            return [] if column.array else {inner.name: None for inner in column.fields if column.type == OBJECT}
        return order_members(held) if column.type == JSONB else held
    pools: dict[str, Sequence[Any]] = {"mail": MAILS, "phone": PHONES, "note": NOTES}
    kinds: dict[str, Sequence[Any]] = {
        INTEGER: INTEGERS,
        TEXT: TEXTS,
        REAL: REALS,
        BYTES: (b"", b"\x00\xff"),
    }
    value = random.choice(pools.get(name, kinds[column.type]))
    return f"{value}-{place}" if column.unique else value


def _draw_links(random: Random, collections: Sequence[Collection], *, tangled: bool) -> list[Link]:
    """A way to most collections, and some links anywhere: forward, back, to themselves."""
    count = len(collections)
    ends = [(random.randrange(target), target) for target in range(1, count) if not one_in(random, 10)]
    more = 2 * count if tangled else 1 + count // 2
    ends += [(random.randrange(count), random.randrange(count)) for _ in range(random.randint(0, more))]
    links: dict[tuple[Any, ...], Link] = {}
    for source, target in ends:
        here, kind = _draw_end(random, collections[source], None, tangled=tangled)
        there, _ = _draw_end(random, collections[target], None if one_in(random, 4) else kind, tangled=tangled)
        places = (collections[source].address, here), (collections[target].address, there)
        undirected = source != target and one_in(random, 3)
        declared = random.choice(((1, 0), (0, 1), (1, 1), (2, 0), (0, 2)))
        links.setdefault((*places, undirected), Link(*places, undirected, *declared))
    return list(links.values())


def _draw_end(random: Random, collection: Collection, like: str | None, *, tangled: bool) -> tuple[str, str]:
    """The path of what may be linked and its type, one like the other and inside where the collection has one."""
    able = [
        (path, column.type)
        for path, column in collection.paths().items()
        if column.name.removesuffix(ODD) in LINKABLE and column.type != BYTES
    ]
    alike = [end for end in able if like is not None and (end[1] == like or ANY in (end[1], like))] or able
    inside = [end for end in alike if collection.column(end[0].partition(".")[0]).is_nested]
    return random.choice(inside if inside and random.randrange(4 if tangled else 2) else alike)


def _draw_after(random: Random, address: Address, addresses: Sequence[Address]) -> tuple[Address, ...]:
    if not one_in(random, 15):
        return ()
    earlier = [other for other in addresses if other < address]
    return (random.choice(addresses if one_in(random, 8) or not earlier else earlier),)


def _draw_step(random: Random, policies: Sequence[str]) -> Step:
    kinds = random.choice(KINDS)
    size = random.randint(1, 50) if one_in(random, 4) else random.randint(1, 5)
    people = [{kind: _draw_identity(random, kind) for kind in kinds} for _ in range(size)]
    key = random.choice(PACKAGE_KEYS) if one_in(random, 3) else None
    return Step(random.choice(policies), tuple(people), random.choice(FORMATS), key)


def _draw_identity(random: Random, kind: str) -> tuple[Any, ...]:
    pool: tuple[Any, ...] = {"email": MAILS, "phone_number": PHONES, "card": (*INTEGERS, "1", "é", "01")}[kind]
    return tuple(dict.fromkeys(random.choice(pool) for _ in range(random.choice((1, 1, 1, 2)))))
