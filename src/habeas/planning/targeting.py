"""Targeting: what each rule of the policy returns or masks, and what must stay and why.

Category matching at the dot (data-plane §1.10), precedence of maskings (§3.3, §4.5). A covered field stands for all
that is inside of it, a covered collection for all its fields. Knows nothing of the walk.
"""

from collections.abc import Collection as Container
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from habeas.domain.category import covers
from habeas.domain.dataset import Address, Field
from habeas.domain.errors import InputError
from habeas.domain.policy import Masking, Policy, Rule
from habeas.domain.ports import SystemType
from habeas.domain.request import ActionType
from habeas.planning.columns import NO_FACTS, SketchFacts, TableFacts
from habeas.planning.fitting import fit
from habeas.planning.graph import Place
from habeas.planning.plan import (
    AccessRule,
    Affected,
    AffectedField,
    FieldMasking,
    NodeErasure,
    OmitReason,
    Omitted,
    Selection,
)
from habeas.planning.plan_input import AccessLevel, StrategyFacts


@dataclass(frozen=True, slots=True)
class Target:
    """A rule and those categories, of all that occur, which it covers."""

    rule: Rule
    covered: frozenset[str]

    def hits(self, categories: Iterable[str]) -> bool:
        return not self.covered.isdisjoint(categories)


class Targeting:
    """One policy over the collections of one plan, in walk order."""

    def __init__(self, policy: Policy, places: Sequence[Place], strategies: Mapping[str, StrategyFacts]) -> None:
        """Raises InputError when a rule names a strategy that `strategies` does not hold."""
        occurring = {category for place in places for category in _categories(place)}
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

    def plan_erasure(
        self, facts: Mapping[Address, TableFacts], narrowed: Container[Address] = ()
    ) -> dict[Address, NodeErasure]:
        """What erasure does per collection with a covered field, in walk order.

        `narrowed`: collections whose rows may be read in part.
        """
        found = {}
        for place in self._places:
            table = facts.get(place.address, NO_FACTS)
            erasure = self._erase(place, table, findable=table.locatable and place.address not in narrowed)
            if erasure is not None:
                found[place.address] = erasure
        return found

    def list_affected(self) -> tuple[Affected, ...]:
        """Per collection the fields that the access rules and the erasure rules cover, each once."""
        erasure = [target for target, _ in self._erasure]
        return tuple(
            Affected(place.address, _affected(place, self._access), _affected(place, erasure)) for place in self._places
        )

    def _selections(self, target: Target) -> Iterable[Selection]:
        for place in self._places:
            paths = sorted(path for path, _ in _covered(place, [target]))
            if paths:
                yield Selection(place.address, tuple(paths))

    def _erase(self, place: Place, table: TableFacts, *, findable: bool) -> NodeErasure | None:
        """`findable`: rows can be told apart by all that was read of them."""
        whole = self._last(place.collection.categories)
        settled = [
            outcome
            for item in place.collection.fields
            for outcome in self._settle(item.name, item, whole, table, protected=False)
        ]
        if not settled:
            return None
        settled.sort(key=lambda outcome: outcome.field)
        hindrance = _find_hindrance(place, settled, findable=findable)
        if hindrance is not None:
            return NodeErasure(place.address, (), tuple(_hinder(outcome, hindrance) for outcome in settled))
        if place.collection.delete:
            return NodeErasure(place.address, (), delete=True)
        return NodeErasure(
            place.address,
            tuple(outcome for outcome in settled if isinstance(outcome, FieldMasking)),
            tuple(outcome for outcome in settled if isinstance(outcome, Omitted)),
        )

    def _settle(
        self, path: str, item: Field, above: int | None, table: TableFacts, *, protected: bool
    ) -> Iterator[FieldMasking | Omitted]:
        """What becomes of a field and what is inside. `above`: the rule that covers what it is part of."""
        chosen = self._last(item.categories, above)
        protected = protected or item.read_only
        # An object is masked as one, unless something inside must stay or the column must not become null.
        apart = chosen is None or (not protected and (self._keeps(item, chosen) or self._holds_kept(item)))
        inside = item.fields if apart else ()
        if chosen is not None and not inside:
            outcome = self._mask(path, item, chosen, table, protected=protected)
            yield outcome
            inside = item.fields if isinstance(outcome, Omitted) and outcome.reason is OmitReason.NOT_NULL else ()
        for inner in inside:
            yield from self._settle(f"{path}.{inner.name}", inner, chosen, table, protected=protected)

    def _mask(
        self, path: str, item: Field, chosen: int, table: TableFacts, *, protected: bool
    ) -> FieldMasking | Omitted:
        """The masking of one field: its own before the rule's."""
        target, masking = self._erasure[chosen]
        if item.masking is not None:
            masking = Masking(item.masking.strategy, item.masking.configuration)
        strategy = self._facts_of(masking.strategy, f"field {path!r}")
        if strategy.keeps:
            return Omitted(path, OmitReason.PRESERVED)
        if protected or item.primary_key:
            return Omitted(path, OmitReason.READ_ONLY if protected else OmitReason.PRIMARY_KEY)
        wanted = FieldMasking(path, target.rule.key, masking.strategy, dict(masking.configuration))
        fitted = fit(wanted, item, strategy, table.column(path.partition(".")[0]))
        return Omitted(path, fitted) if isinstance(fitted, OmitReason) else fitted

    def _keeps(self, item: Field, chosen: int | None = None) -> bool:
        """Whether a field's own masking, or else that of the rule that covers it, is to leave it as it is."""
        masking = item.masking or (None if chosen is None else self._erasure[chosen][1])
        return masking is not None and self._facts_of(masking.strategy, f"field {item.name!r}").keeps

    def _holds_kept(self, item: Field) -> bool:
        """Whether something inside of an object must stay, by what is said of it itself."""
        return any(inner.read_only or self._keeps(inner) or self._holds_kept(inner) for inner in item.fields)

    def _last(self, categories: Iterable[str], above: int | None = None) -> int | None:
        """The last rule that covers one of these categories, `above` counting as such; its place in the policy."""
        hits = [number for number, (target, _) in enumerate(self._erasure) if target.hits(categories)]
        return max((number for number in (above, *hits) if number is not None), default=None)

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


def _categories(place: Place) -> Iterator[str]:
    yield from place.collection.categories
    for item in place.fields.values():
        yield from item.categories


def _covered(place: Place, targets: Sequence[Target]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The covered fields and their categories, without what is inside of them."""
    categories = place.collection.categories
    if any(target.hits(categories) for target in targets):
        yield from ((item.name, item.categories or categories) for item in place.collection.fields)
        return
    pending = [(item.name, item) for item in place.collection.fields]
    while pending:
        path, item = pending.pop()
        if any(target.hits(item.categories) for target in targets):
            yield path, item.categories
        else:
            pending.extend((f"{path}.{inner.name}", inner) for inner in item.fields)


def _hinder(outcome: FieldMasking | Omitted, hindrance: OmitReason) -> Omitted:
    """What is preserved would have stayed anyway."""
    preserved = isinstance(outcome, Omitted) and outcome.reason is OmitReason.PRESERVED
    return Omitted(outcome.field, OmitReason.PRESERVED if preserved else hindrance)


def _find_hindrance(place: Place, settled: Iterable[FieldMasking | Omitted], *, findable: bool) -> OmitReason | None:
    """Why nothing can be erased in a collection."""
    if place.connection.access is not AccessLevel.WRITE:
        return OmitReason.CONNECTION_READ_ONLY
    if not place.connection.erases:
        return OmitReason.CANNOT_ERASE
    if place.collection.key or place.connection.system is SystemType.MANUAL:
        return None
    if place.connection.system is SystemType.EMAIL:
        return OmitReason.NO_KEY
    nested = any(isinstance(outcome, FieldMasking) and outcome.nested for outcome in settled)
    return None if findable and (place.collection.delete or not nested) else OmitReason.NO_KEY


def _affected(place: Place, targets: Sequence[Target]) -> tuple[AffectedField, ...]:
    return tuple(
        AffectedField(f"{place.address}:{path}", path, categories)
        for path, categories in sorted(_covered(place, targets))
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
