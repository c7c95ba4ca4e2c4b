"""Worlds: what random schemas, rows, policies and people are made of. How they are drawn is in `drawing`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Address = tuple[str, str]
"""Dataset, collection."""

Row = dict[str, Any]
"""Values by column name, as the drivers give them; numbers in documents are int or Decimal."""

Person = Mapping[str, tuple[Any, ...]]
"""Values by identity kind."""

INTEGER, TEXT, REAL, BYTES = "integer", "text", "real", "bytes"
JSON, JSONB = "json", "jsonb"
"""Documents: as text, members in the order written; and as the store's own form."""

OBJECT, ANY = "object", "any"
"""A typed object, and what stands inside of a document."""

Secrets = Mapping[str, Mapping[str, str]]
"""Strategy → kind → secret, of one request."""


@dataclass(frozen=True)
class Column:
    """`type`, `nullable`, `unique` and `length` are the store's; the rest is what the dataset says.

    `fields`: what is inside of objects; `array`: it holds elements of this type.
    """

    name: str
    type: str
    nullable: bool = True
    unique: bool = False
    length: int | None = None
    declared: bool = True
    category: str | None = None
    data_type: str | None = None
    declared_length: int | None = None
    identity: str | None = None
    match: str | None = None
    read_only: bool = False
    override: tuple[str, Mapping[str, Any]] | None = None
    fields: tuple["Column", ...] = ()
    array: bool = False
    all_elements: bool = False

    @property
    def is_document(self) -> bool:
        return self.type in (JSON, JSONB)

    @property
    def is_nested(self) -> bool:
        """Whether there are places inside of what the store keeps."""
        return self.array or self.is_document or self.type == OBJECT

    def below(self, above: str = "") -> Iterator[tuple[str, "Column"]]:
        """The column and all that is declared inside of it, by path."""
        yield above + self.name, self
        for inner in self.fields:
            if inner.declared:
                yield from inner.below(f"{above}{self.name}.")


@dataclass(frozen=True)
class Collection:
    """`key_in_store`: the store keeps the declared key; `row_ids`: SQLite gives the rows ids of its own."""

    address: Address
    key: tuple[str, ...]
    key_in_store: bool
    row_ids: bool
    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]
    after: tuple[Address, ...] = ()
    skipped: bool = False
    category: str | None = None
    erase_after: tuple[Address, ...] = ()
    delete: bool = False

    def column(self, path: str) -> Column:
        """The column, or what is inside of one, at a dotted path."""
        return self.paths()[path]

    def paths(self) -> dict[str, Column]:
        """All that is declared, at every depth."""
        return {path: inner for column in self.columns if column.declared for path, inner in column.below()}

    def narrows(self, path: str) -> bool:
        """Whether arrays are cut to the elements that were found by this path."""
        names, paths = path.split("."), self.paths()
        way = [paths[".".join(names[: depth + 1])] for depth in range(len(names))]
        return way[0].is_nested and not any(column.all_elements for column in way)


@dataclass(frozen=True)
class Link:
    """Values of `source` find rows by `target`; with `undirected` the walk decides which end is the source.

    `at_source` and `at_target`: how often the reference is declared at either end (duplicates are no new links).
    """

    source: tuple[Address, str]
    target: tuple[Address, str]
    undirected: bool
    at_source: int
    at_target: int


@dataclass(frozen=True)
class Database:
    """A SQLite or DuckDB file, a schema of one of two PostgreSQL databases, or a database of a MariaDB server.

    Schemas (of MariaDB: databases) are named by the connection or by the datasets.
    """

    kind: str
    server: int = 0
    schema_in_dataset: bool = False
    read_only: bool = False


@dataclass(frozen=True)
class Step:
    """People whose requests under one policy are submitted together; all are given by the same kinds.

    Packages come in a `format`, encrypted when there is a `key`.
    """

    policy: str
    people: tuple[Person, ...]
    format: str = "json"
    key: str | None = None

    @property
    def kinds(self) -> frozenset[str]:
        return frozenset(self.people[0])


@dataclass(frozen=True)
class World:
    databases: tuple[Database, ...]
    home: Mapping[str, int]
    """Dataset → its database."""
    collections: tuple[Collection, ...]
    links: tuple[Link, ...]
    dataset_after: Mapping[str, tuple[str, ...]]
    steps: tuple[Step, ...] = ()

    def collection(self, address: Address) -> Collection:
        return next(item for item in self.collections if item.address == address)

    def database(self, address: Address) -> Database:
        return self.databases[self.home[address[0]]]


@dataclass(frozen=True)
class PolicyFacts:
    """Categories to give (None: no access rule), strategy → categories to mask, and the strategies' configuration."""

    access: tuple[str, ...] | None = None
    erasure: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    configuration: Mapping[str, Any] = field(default_factory=dict)
    strict: bool = False
    shared: str = "mask"


FORMATS = ("json", "csv")
ALL = ("user",)
ENDING = {"format_preservation": {"suffix": "@masked.example"}}
POLICIES: Mapping[str, PolicyFacts] = {
    "give": PolicyFacts(access=ALL),
    "give_contact": PolicyFacts(access=("user.contact", "user.device.cookie")),
    "give_strict": PolicyFacts(access=("user", "system"), strict=True),
    "null": PolicyFacts(erasure={"null_rewrite": ALL}),
    "null_report": PolicyFacts(erasure={"null_rewrite": ALL}, shared="report"),
    "rewrite": PolicyFacts(erasure={"string_rewrite": ALL}, configuration={"rewrite_value": "7"}),
    "rewrite_ending": PolicyFacts(
        erasure={"string_rewrite": ("user.contact", "user.content")},
        configuration={"rewrite_value": "größer", **ENDING},
    ),
    "hash": PolicyFacts(erasure={"hash": ("user", "system")}),
    "hash_skip": PolicyFacts(erasure={"hash": ALL}, shared="skip"),
    "hash_512": PolicyFacts(erasure={"hash": ALL}, configuration={"algorithm": "SHA-512", **ENDING}),
    "random": PolicyFacts(erasure={"random_string_rewrite": ALL}, configuration={"length": 20, **ENDING}),
    "aes": PolicyFacts(erasure={"aes_encrypt": ("user", "system")}, configuration={"mode": "GCM", **ENDING}),
    "preserve": PolicyFacts(erasure={"preserve": ("user.contact",)}),
    "hmac": PolicyFacts(erasure={"hmac": ("user.content", "user.device.cookie")}),
    "mixed": PolicyFacts(
        access=ALL, erasure={"null_rewrite": ("user.contact",), "hash": ("user.content",), "hmac": ("user.device",)}
    ),
    "hash_strict": PolicyFacts(erasure={"hash": ALL}, strict=True),
}
