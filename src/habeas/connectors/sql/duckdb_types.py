"""DuckDB's types, read from the text its catalog gives: `STRUCT(a VARCHAR, b INTEGER[])[]`.

Pure. Owns what a type is to a dataset (its sketch) and as which type it can be read without loss.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from habeas.domain.ports import ColumnSketch

_WORD = re.compile(r"""\s*("(?:[^"]|"")*"|'(?:[^']|'')*'|[(),\[\]]|[^\s(),\[\]"']+)""")

_READ_AS_TEXT = frozenset(
    {
        *("DATE", "TIME", "TIME_NS", "TIME WITH TIME ZONE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE"),
        *("TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "INTERVAL"),
    }
)
"""The driver cuts nanoseconds, takes a month for 30 days and infinity for the year 9999."""

_READ_AS_THEY_ARE = frozenset(
    {
        *("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"),
        *("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"),
        *("DECIMAL", "FLOAT", "DOUBLE", "BOOLEAN", "VARCHAR", "ENUM", "UUID", "BLOB", "JSON"),
    }
)


@dataclass(frozen=True, slots=True)
class Type:
    """A type: its name, and what it is made of.

    `element` of lists and arrays (`size` of the latter), `members` of objects; `details` are the words in the
    brackets of any other type, e.g. precision and scale.
    """

    name: str
    details: tuple[str, ...] = ()
    element: "Type | None" = None
    size: int | None = None
    members: tuple[tuple[str, "Type"], ...] = ()

    def __str__(self) -> str:
        if self.element is not None:
            return f"{self.element}[{'' if self.size is None else self.size}]"
        if self.members:
            return f"STRUCT({', '.join(f'{_quote(name)} {kind}' for name, kind in self.members)})"
        return f"{self.name}({', '.join(self.details)})" if self.details else self.name

    @property
    def leaf(self) -> "Type":
        """The type of an element that is no list itself, at any depth."""
        return self.element.leaf if self.element is not None else self

    @property
    def levels(self) -> int:
        """How many lists lead to such an element."""
        return 0 if self.element is None else 1 + self.element.levels

    @property
    def nested(self) -> bool:
        return bool(self.element or self.members)

    @property
    def opaque(self) -> bool:
        """Whether its values are compared and kept as the text the store gives for them."""
        return not self.nested and self.name not in _READ_AS_THEY_ARE | _READ_AS_TEXT

    @property
    def faithful(self) -> bool:
        """Whether its values come out of their text as they went in."""
        if self.element is not None:
            return self.element.faithful
        if self.name == "MAP":
            return all(parse_type(part).faithful for part in self.details)
        parts = (kind.faithful for _, kind in self.members)
        return all(parts) if self.members else not self.opaque or self.name in ("BIT", "BIGNUM")

    def readable(self) -> "Type":
        """The type as which the driver gives its values without loss: the same, with text in place of some parts."""
        return self._with_leaves(lambda leaf: leaf if leaf.name in _READ_AS_THEY_ARE else VARCHAR)

    def textual(self) -> "Type":
        """The same nesting of nothing but text."""
        return self._with_leaves(lambda _: VARCHAR)

    def _with_leaves(self, change: "Callable[[Type], Type]") -> "Type":
        if self.element is not None:
            return Type(self.name, element=self.element._with_leaves(change), size=self.size)
        if self.members:
            return Type(self.name, members=tuple((name, kind._with_leaves(change)) for name, kind in self.members))
        return change(self)


VARCHAR = Type("VARCHAR")


@lru_cache(maxsize=4096)
def parse_type(text: str) -> Type:
    """The type of this text.

    A text not understood, or nesting that could not be written back, is the name of a type nothing else is known of.
    """
    try:
        kind, rest = _parse(list(_words(text)))
    except (ValueError, IndexError):
        return Type(text)
    return Type(text) if rest or (kind.nested and not kind.faithful) else kind


def sketch_column(
    name: str,
    kind: Type,
    *,
    nullable: bool = True,
    length: int | None = None,
    generated: bool = False,
    pinned: bool = False,
) -> ColumnSketch:
    """The column or member as planning sees it: `text`, `document` and `fields` speak of an element."""
    leaf = kind.leaf
    return ColumnSketch(
        name=name,
        type=str(kind),
        text=leaf.name == "VARCHAR",
        nullable=nullable,
        length=length,
        generated=generated,
        pinned=pinned,
        document=leaf.name == "JSON",
        array=kind.element is not None,
        levels=max(1, kind.levels),
        fields=tuple(sketch_column(member, inner) for member, inner in leaf.members),
    )


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _words(text: str) -> Iterator[str]:
    place = 0
    while place < len(text):
        found = _WORD.match(text, place)
        if found is None:
            raise ValueError("no type")
        yield found.group(1)
        place = found.end()


def _parse(words: list[str]) -> tuple[Type, list[str]]:
    """A type and the words after it."""
    name, words = _name(words)
    if name == "STRUCT":
        members, words = _members(words)
        kind = Type(name, members=members)
    elif words[:1] == ["("]:
        details, words = _details(words[1:])
        kind = Type(name, details)
    else:
        kind = Type(name)
    while words[:1] == ["["]:
        size = None if words[1] == "]" else int(words[1])
        words = words[2:] if size is None else words[3:]
        kind = Type("LIST" if size is None else "ARRAY", element=kind, size=size)
    return kind, words


def _name(words: list[str]) -> tuple[str, list[str]]:
    """The words of a type's name: TIMESTAMP WITH TIME ZONE."""
    count = next((place for place, word in enumerate(words) if word in "(),[]"), len(words))
    if not count:
        raise ValueError("no type")
    name = " ".join(words[:count]).upper()
    return "VARCHAR" if name == "TEXT" else name, words[count:]


def _members(words: list[str]) -> tuple[tuple[tuple[str, Type], ...], list[str]]:
    members = []
    while words[0] != ")":
        name = words[1]
        kind, words = _parse(words[2:])
        members.append((name[1:-1].replace('""', '"') if name.startswith('"') else name, kind))
    return tuple(members), words[1:]


def _details(words: list[str]) -> tuple[tuple[str, ...], list[str]]:
    """What stands between a type's brackets, split at the outermost commas, and the words after them."""
    details, part, depth = [], list[str](), 1
    for place, word in enumerate(words):
        depth -= word in (")", "]")
        if not depth:
            details.append(" ".join(part))
            return tuple(details), words[place + 1 :]
        if depth == 1 and word == ",":
            details.append(" ".join(part))
            part = []
        else:
            part.append(word)
        depth += word in ("(", "[")
    raise ValueError("no type")
