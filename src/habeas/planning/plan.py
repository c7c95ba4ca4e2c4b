"""The plan: what one run does, settled before anything is queried, and stored as JSON with the run.

A plan holds no identity and no value: only names. The same plan is shown, executed and reported. Fields are named by
their path, e.g. `home.town`; the first part is the column.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from habeas.domain.dataset import Address, DataType, Match
from habeas.domain.policy import SharedRows
from habeas.domain.ports import SystemType, Table

DISTINCT_LENGTH = 12
"""With fewer characters than these, masked texts of many rows are likely to meet."""


class SkipReason(StrEnum):
    """Why a collection is not visited."""

    DISABLED = "connection disabled"
    CUT_OFF = "reachable only through a skipped collection"
    NOT_CHOSEN = "dataset not chosen for this request"
    SKIP_PROCESSING = "skip_processing is set"
    UNREACHABLE = "not reachable with the identities given"


class OmitReason(StrEnum):
    """Why a targeted field is not masked. `PRESERVED` alone is as the policy wants it, and no exception."""

    PRESERVED = "the masking strategy keeps it"
    READ_ONLY = "the field is read-only"
    PRIMARY_KEY = "primary keys are never masked"
    NO_KEY = "its rows cannot be told apart without a primary key"
    FOREIGN_KEY = "a foreign-key constraint would refuse the change"
    GENERATED = "the store computes the column itself"
    NOT_NULL = "the column must not be null and cannot hold text"
    CONNECTION_READ_ONLY = "the connection is read-only"
    CANNOT_ERASE = "the connected system cannot erase"


class Substitute(StrEnum):
    """What is written instead of the strategy's own value, and why it is reported."""

    NULL = "null"  # a text strategy on a column that holds no text, or is unique and holds too little of it
    DERIVED = "derived"  # where the column is unique (a constant, a text cut short) or must not be null: HMAC-derived


@dataclass(frozen=True, slots=True)
class Link:
    """One way into a node: values of `source.source_field`, or identities of kind `identity`, find `field`.

    `nested`: the values stand inside the column, or are the elements of an array. `all_elements`: arrays that they are
    found in are not narrowed to what matched.
    """

    field: str
    data_type: DataType | None = None
    match: Match = Match.EXACT
    source: Address | None = None
    source_field: str | None = None
    identity: str | None = None
    nested: bool = False
    all_elements: bool = False

    @property
    def cuts(self) -> bool:
        """Whether arrays are cut to the elements that are found by it."""
        return self.nested and not self.all_elements


@dataclass(frozen=True, slots=True)
class Node:
    """A collection that is visited. `group` is its place in `Plan.groups`. `system`: who or what is asked."""

    address: Address
    connection: str
    table: Table
    links: tuple[Link, ...]
    group: int
    feeds: tuple[str, ...] = ()
    """Fields whose values later visits need."""
    system: SystemType = SystemType.DATABASE


@dataclass(frozen=True, slots=True)
class Group:
    """Nodes visited together: one node, or a cycle that runs to a fix-point.

    `upstream` are indices of the groups that must be complete before: data and `after` alike.
    """

    nodes: tuple[Address, ...]
    upstream: tuple[int, ...] = ()
    cyclic: bool = False


@dataclass(frozen=True, slots=True)
class Skipped:
    """A collection that is not visited, and why; `detail` names e.g. the identity kinds it would need."""

    address: Address
    reason: SkipReason
    detail: str = ""


@dataclass(frozen=True, slots=True)
class FieldMasking:
    """How one field is masked. `substitute` is set when the rule's strategy cannot be kept as it is.

    `nested`: it stands inside a column, or its column holds an array or an object. `array`: it holds elements, each
    of which is masked by itself; `levels` arrays lead to one.
    """

    field: str
    rule: str
    strategy: str
    configuration: dict[str, object] = dataclasses.field(default_factory=dict)
    length: int | None = None
    substitute: Substitute | None = None
    nested: bool = False
    array: bool = False
    levels: int = 1

    @property
    def suffix(self) -> str:
        """The ending that a masked text keeps (`format_preservation` of its strategy), "" for none."""
        form = self.configuration.get("format_preservation")
        return str(form.get("suffix", "")) if isinstance(form, Mapping) else ""

    @property
    def has_room(self) -> bool:
        """Whether the length leaves enough beside the suffix for masked texts to stay distinct."""
        return self.length is None or self.length - len(self.suffix) >= DISTINCT_LENGTH


@dataclass(frozen=True, slots=True)
class Omitted:
    """A targeted field that is not masked, and why."""

    field: str
    reason: OmitReason


@dataclass(frozen=True, slots=True)
class NodeErasure:
    """What erasure does in one collection. `maskings` sorted by field name; may be empty when all is omitted.

    `delete`: rows are deleted; nothing is masked then.
    """

    address: Address
    maskings: tuple[FieldMasking, ...]
    omitted: tuple[Omitted, ...] = ()
    delete: bool = False

    @property
    def request(self) -> dict[str, str]:
        """What a person is asked to do with the rows: field → strategy; the field `*` stands for whole rows."""
        if self.delete:
            return {"*": "delete"}
        return {masking.field: masking.strategy for masking in self.maskings}


@dataclass(frozen=True, slots=True)
class Selection:
    """Fields one access rule returns from one collection, sorted."""

    address: Address
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AccessRule:
    """What one access rule puts into its package, in walk order. `storage` None: the default storage."""

    rule: str
    storage: str | None
    selections: tuple[Selection, ...]


@dataclass(frozen=True, slots=True)
class AffectedField:
    """A field the policy covers for one action, as the execution log lists it (`fields_affected`)."""

    path: str
    field_name: str
    data_categories: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Affected:
    """Per collection: the covered fields for access and for erasure, each once."""

    address: Address
    access: tuple[AffectedField, ...] = ()
    erasure: tuple[AffectedField, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything a run does. `digest` is a hash of all the planner received."""

    digest: str
    policy: str
    identity_kinds: tuple[str, ...]
    nodes: tuple[Node, ...]
    """In walk order: a node stands after all it is fed by, except inside a cycle."""
    groups: tuple[Group, ...]
    """In an order in which each stands after its upstream."""
    skipped: tuple[Skipped, ...] = ()
    access: tuple[AccessRule, ...] = ()
    erases: bool = False
    """True when the policy has an erasure rule."""
    shared_rows: SharedRows = SharedRows.MASK
    """What erasure does with rows that others than the run's members own too."""
    erasure: tuple[NodeErasure, ...] = ()
    """Collections with targeted fields, in erasure order: reverse of the visits, but for `erase_after` and deletes."""
    affected: tuple[Affected, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def asks(self) -> bool:
        """Whether people are asked to look into some collection."""
        return any(node.system is SystemType.MANUAL for node in self.nodes)

    @property
    def mails(self) -> bool:
        """Whether somebody is asked by e-mail to erase."""
        acting = (erasure.address for erasure in self.erasure if erasure.maskings or erasure.delete)
        return any(self.node(address).system is SystemType.EMAIL for address in acting)

    def node(self, address: Address) -> Node:
        return next(node for node in self.nodes if node.address == address)
