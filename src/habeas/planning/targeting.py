"""Targeting: what each rule of the policy returns or masks, and what must stay and why.

Category matching at the dot (data-plane §1.10), precedence of maskings (§3.3, §4.5), and the columns that a
store would refuse to change (design §3). Knows nothing of the walk.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from habeas.domain.category import covers
from habeas.domain.dataset import Address, DataType, Field
from habeas.domain.errors import InputError
from habeas.domain.policy import Masking, Policy, Rule
from habeas.domain.request import ActionType
from habeas.planning.columns import NO_FACTS, ColumnFacts, SketchFacts, TableFacts
from habeas.planning.graph import Place
from habeas.planning.plan import (
    DISTINCT_LENGTH,
    AccessRule,
    Affected,
    AffectedField,
    FieldMasking,
    NodeErasure,
    OmitReason,
    Omitted,
    Selection,
    Substitute,
)
from habeas.planning.plan_input import AccessLevel, StrategyFacts


@dataclass(frozen=True, slots=True)
class Target:
    """A rule and those categories, of all that occur, which it covers."""

    rule: Rule
    covered: frozenset[str]

    def hits(self, item: Field) -> bool:
        return not self.covered.isdisjoint(item.categories)


class Targeting:
    """One policy over the collections of one plan, in walk order."""

    def __init__(self, policy: Policy, places: Sequence[Place], strategies: Mapping[str, StrategyFacts]) -> None:
        """Raises InputError when a rule names a strategy that `strategies` does not hold."""
        occurring = {category for place in places for item in place.collection.fields for category in item.categories}
        self._places = places
        self._strategies = strategies
        self._access = [_target(rule, occurring) for rule in policy.rules_for(ActionType.ACCESS)]
        self._erasure = [
            (_target(rule, occurring), self._masking_of(rule)) for rule in policy.rules_for(ActionType.ERASURE)
        ]

    def select(self) -> tuple[AccessRule, ...]:
        """What each access rule returns; collections without a covered field are left out."""
        return tuple(
            AccessRule(target.rule.key, target.rule.storage_key, tuple(self._selections(target)))
            for target in self._access
        )

    def plan_erasure(self, facts: Mapping[Address, TableFacts]) -> tuple[NodeErasure, ...]:
        """What erasure does per collection with a covered field, in reverse of the walk."""
        found = (self._erase(place, facts.get(place.address, NO_FACTS)) for place in reversed(self._places))
        return tuple(erasure for erasure in found if erasure is not None)

    def list_affected(self) -> tuple[Affected, ...]:
        """Per collection the fields that the access rules and the erasure rules cover, each once."""
        erasure = [target for target, _ in self._erasure]
        return tuple(
            Affected(place.address, _affected(place, self._access), _affected(place, erasure)) for place in self._places
        )

    def _selections(self, target: Target) -> Iterable[Selection]:
        for place in self._places:
            fields = tuple(name for name, item in place.fields.items() if target.hits(item))
            if fields:
                yield Selection(place.address, fields)

    def _erase(self, place: Place, table: TableFacts) -> NodeErasure | None:
        maskings, omitted = [], []
        for item in place.fields.values():
            masking = self._mask(item)
            if masking is None:
                continue
            settled = self._keep(masking) or _protect(place, item) or self._fit(item, masking, table.column(item.name))
            if isinstance(settled, OmitReason):
                omitted.append(Omitted(item.name, settled))
            else:
                maskings.append(settled)
        if not maskings and not omitted:
            return None
        return NodeErasure(place.address, tuple(maskings), tuple(omitted))

    def _mask(self, item: Field) -> FieldMasking | None:
        """The masking of one field: its own before the rule's, the last rule that covers it before earlier ones."""
        chosen = None
        for target, masking in self._erasure:
            if target.hits(item):
                chosen = target.rule, masking
        if chosen is None:
            return None
        rule, masking = chosen
        if item.masking is not None:
            masking = Masking(item.masking.strategy, item.masking.configuration)
            self._facts_of(masking.strategy, f"field {item.name!r}")
        return FieldMasking(item.name, rule.key, masking.strategy, dict(masking.configuration))

    def _keep(self, masking: FieldMasking) -> OmitReason | None:
        return OmitReason.PRESERVED if self._strategies[masking.strategy].keeps else None

    def _fit(self, item: Field, masking: FieldMasking, column: ColumnFacts) -> FieldMasking | OmitReason:
        """Adapt a masking to what its column can hold."""
        strategy = self._strategies[masking.strategy]
        text = column.text and item.data_type in (None, DataType.STRING)
        to_null = strategy.null or (strategy.text_only and not text)
        if column.primary:
            return OmitReason.PRIMARY_KEY
        if column.generated:
            return OmitReason.GENERATED
        if column.parent or (column.child and not (to_null and column.nullable)):
            return OmitReason.FOREIGN_KEY
        if to_null and not column.nullable and not (strategy.null and text):
            return OmitReason.NOT_NULL
        length = min((length for length in (item.length, column.length) if length is not None), default=None)
        fitted = replace(masking, length=length)
        return replace(fitted, substitute=_substitute(fitted, strategy, column, to_null=to_null))

    def _masking_of(self, rule: Rule) -> Masking:
        if rule.masking is None:
            raise InputError(f"erasure rule {rule.key!r} has no masking strategy", hint="give it a masking_strategy")
        self._facts_of(rule.masking.strategy, f"erasure rule {rule.key!r}")
        return rule.masking

    def _facts_of(self, strategy: str, where: str) -> StrategyFacts:
        if strategy not in self._strategies:
            known = ", ".join(sorted(self._strategies))
            raise InputError(f"{where} uses the unknown masking strategy {strategy!r}", hint=f"use one of {known}")
        return self._strategies[strategy]


def _target(rule: Rule, occurring: Iterable[str]) -> Target:
    covered = (category for category in occurring if any(covers(above, category) for above in rule.categories))
    return Target(rule, frozenset(covered))


def _protect(place: Place, item: Field) -> OmitReason | None:
    """Why a field must stay as it is, whatever its column can hold."""
    if place.connection.access is not AccessLevel.WRITE:
        return OmitReason.CONNECTION_READ_ONLY
    if not place.connection.erases:
        return OmitReason.CANNOT_ERASE
    if not place.collection.key:
        return OmitReason.NO_KEY
    if item.read_only:
        return OmitReason.READ_ONLY
    return OmitReason.PRIMARY_KEY if item.primary_key else None


def _substitute(
    masking: FieldMasking, strategy: StrategyFacts, column: ColumnFacts, *, to_null: bool
) -> Substitute | None:
    """What the column takes instead of the strategy's own text. In a unique one no two rows may become alike."""
    if strategy.null:
        return None if column.nullable else Substitute.DERIVED
    if to_null:
        return Substitute.NULL
    if not column.unique or _stays_distinct(masking, strategy):
        return None
    too_short = masking.length is not None and masking.length < DISTINCT_LENGTH
    return Substitute.NULL if too_short and column.nullable else Substitute.DERIVED


def _stays_distinct(masking: FieldMasking, strategy: StrategyFacts) -> bool:
    asked = masking.configuration.get("length")  # of random_string_rewrite
    enough = not isinstance(asked, int) or asked >= DISTINCT_LENGTH
    return masking.has_room and enough and not strategy.constant


def _affected(place: Place, targets: Sequence[Target]) -> tuple[AffectedField, ...]:
    return tuple(
        AffectedField(f"{place.address}:{name}", name, item.categories)
        for name, item in place.fields.items()
        if any(target.hits(item) for target in targets)
    )


def gather_facts(places: Iterable[Place]) -> dict[Address, TableFacts]:
    """What the stores' sketches say of each collection; nothing where there is no sketch."""
    sketches: dict[str, SketchFacts] = {}
    found = {}
    for place in places:
        sketch = place.connection.sketch
        if sketch is None:
            continue
        if place.connection.key not in sketches:
            sketches[place.connection.key] = SketchFacts(sketch)
        facts = sketches[place.connection.key]
        found[place.address] = facts.table(place.dataset.schema, place.address.collection)
    return found
