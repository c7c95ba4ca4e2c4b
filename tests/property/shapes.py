"""Draws nested columns and what they hold: documents, arrays and typed objects.

Documents often are not of the form that is declared: names are missing, one value stands where elements are declared
and elements where one value is, arrays stand in arrays.
"""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from random import Random
from typing import Any

from pools import CATEGORIES, INTEGERS, MAILS, NOTES, ODD, OVERRIDES, REALS, TEXTS, one_in
from worlds import ANY, INTEGER, JSON, JSONB, OBJECT, REAL, TEXT, Column

MET = (0, 0, 1, 1, 2, 7, "0", "1", "1", "", "é", "7", Decimal("1.5"), Decimal("1.0"), 2**40)
"""What stands at the ends of links inside of documents."""
NUMBERS = (Decimal("1.10"), Decimal("1.0"), Decimal("1.5"), Decimal("-2.25"), 12345678901234567890)
ANYTHING: tuple[Any, ...] = ({"kept": Decimal("1.10")}, [1, "x", None], *NUMBERS, True, None, "é", {}, [])
"""What stands in members that nobody declares."""


def draw_nested(random: Random, store: str, ending: str) -> list[Column]:
    """The nested columns of a collection in a store of this kind: none, a document, a typed array, both."""
    columns = []
    forms = {"postgres": (JSON, JSONB, JSONB), "duckdb": (JSON, OBJECT)}.get(store, ())
    if forms and random.randrange(2):
        columns.append(_draw_object(random, "doc", random.choice(forms), depth=0))
    if forms and one_in(random, 4):
        columns.append(_draw_leaf(random, "list", random.choice((INTEGER, TEXT)), array=True))
    return [replace(_call(column, ending), nullable=not one_in(random, 5)) for column in columns]


def draw_inside(random: Random, column: Column) -> Any:
    """What such a column, or a place inside of one, may hold; `...` for nothing at all."""
    typed = not (column.is_document or column.type == ANY)
    if one_in(random, 8):
        return None if typed or random.randrange(2) else ...
    if column.array != (not typed and one_in(random, 10)):
        one = replace(column, array=False)
        values = [draw_inside(random, one) for _ in range(random.choice((0, 1, 2, 2, 3, 4)))]
        kept = [value for value in values if value is not ...]
        return kept if typed or not one_in(random, 6) else [kept, kept[:1]]
    if not column.fields:
        return _draw_value(random, column)
    members = {inner.name: draw_inside(random, inner) for inner in column.fields}
    if not typed:
        members["undeclared"] = ... if one_in(random, 3) else random.choice(ANYTHING)
    return {name: value for name, value in members.items() if value is not ...}


def order_members(value: Any) -> Any:
    """As PostgreSQL keeps them."""
    if isinstance(value, list):
        return [order_members(element) for element in value]
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: (len(name.encode()), name.encode()))
        return {name: order_members(value[name]) for name in names}
    return value


def _draw_object(random: Random, name: str, kind: str, depth: int, *, array: bool = False) -> Column:
    inner = OBJECT if kind == OBJECT else ANY
    leaf = (lambda: random.choice((INTEGER, TEXT))) if kind == OBJECT else (lambda: ANY)
    fields = [_draw_leaf(random, one, TEXT if kind == OBJECT else ANY) for one in ("mail", "note")]
    fields += [_draw_leaf(random, "p", leaf()), _draw_leaf(random, "tags", leaf(), array=True)]
    if depth < 2:
        fields.append(_draw_object(random, "home", inner, 2))
        fields.append(_draw_object(random, "chats", inner, depth + 1, array=True))
    fields = [one for one in fields if not one_in(random, 3)] or fields[:1]
    described = depth == 0 or kind == OBJECT or not one_in(random, 6)
    return Column(
        name,
        kind,
        category=_draw_category(random) if one_in(random, 4) else None,
        data_type="object" if array or not described or one_in(random, 3) else None,
        read_only=one_in(random, 15),
        fields=tuple(fields) if described else (),
        array=array,
        all_elements=array and one_in(random, 6),
    )


def _draw_leaf(random: Random, name: str, kind: str, *, array: bool = False) -> Column:
    types = {INTEGER: ("integer",), TEXT: ("string",), ANY: ("integer", "string")}[kind]
    kept = random.choice(types) if array or one_in(random, 4) else None
    identity = "email" if name == "mail" and random.randrange(2) else "card" if one_in(random, 12) else None
    return Column(
        name,
        kind,
        category=_draw_category(random),
        data_type=kept,
        declared_length=random.choice((3, 12)) if name == "note" and one_in(random, 5) else None,
        identity=identity,
        match="casefold" if identity == "email" and one_in(random, 3) else None,
        read_only=one_in(random, 15),
        override=random.choice(OVERRIDES) if one_in(random, 12) else None,
        array=array,
        all_elements=array and one_in(random, 6),
    )


def _draw_category(random: Random) -> str | None:
    return random.choice(CATEGORIES)


def _draw_value(random: Random, column: Column) -> Any:
    name = column.name.removesuffix(ODD)
    pools: dict[str, Sequence[Any]] = {INTEGER: INTEGERS, TEXT: TEXTS, REAL: REALS, ANY: MET}
    if column.data_type == "object":
        return random.choice(ANYTHING)
    if column.type in (TEXT, ANY) and name in ("mail", "note"):
        return random.choice(MAILS if name == "mail" else NOTES)
    return random.choice(pools[column.type])


def _call(column: Column, ending: str) -> Column:
    return replace(column, name=column.name + ending, fields=tuple(_call(inner, ending) for inner in column.fields))
