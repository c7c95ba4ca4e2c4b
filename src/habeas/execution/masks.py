"""What each kept row must hold after erasure: a pure function of its originals and one request's secrets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from habeas.domain.dataset import truncate
from habeas.domain.documents import Path, Rewrite, Version, map_places, mark
from habeas.domain.ports import Change, MaskingStrategy, Row, StrategyType, Value
from habeas.execution.owned import Owned
from habeas.masking.derived import derive, material_of
from habeas.planning.plan import FieldMasking, Node, NodeErasure, Substitute

DERIVED_SECRET = ("derived", "key")
"""Strategy and kind under which a request keeps the secret of substitutes."""

RequestSecrets = Mapping[str, Mapping[str, str]]
"""Strategy → kind → secret, of one request."""


@dataclass(frozen=True, slots=True)
class _Mask:
    """One masking with its strategy and the path from its column down."""

    masking: FieldMasking
    strategy: MaskingStrategy
    inside: Path

    def apply(self, value: Value, row: Row, secrets: RequestSecrets) -> Value:
        masking = self.masking
        if masking.substitute is Substitute.NULL:
            return None
        if masking.substitute is Substitute.DERIVED:
            name, kind = DERIVED_SECRET
            return derive(material_of(value, row.key), secrets[name][kind], masking.length)
        masked: Sequence[Value] | None
        masked = self.strategy.mask([value], secrets.get(masking.strategy, {}), masking.length)
        return None if masked is None else truncate(masked[0], masking.length)


class Masks:
    """The masking of one collection, ready to be applied to rows; `columns` is empty when nothing is to be set."""

    def __init__(self, node: Node, erasure: NodeErasure, strategies: Mapping[str, StrategyType]) -> None:
        self._keyed = bool(node.table.key)
        self._masks: dict[str, list[_Mask]] = {}
        for masking in erasure.maskings:
            column, *inside = masking.field.split(".")
            strategy = strategies[masking.strategy].make(masking.configuration)
            self._masks.setdefault(column, []).append(_Mask(masking, strategy, tuple(inside)))
        self.columns = tuple(self._masks)
        self._places = [node.table.columns.index(column) for column in self.columns]

    def change(self, owned: Owned, secrets: RequestSecrets) -> Change:
        """The change of one row, under the secrets of the request that masks it."""
        row = owned.versions[0]
        original = tuple(row.values[place] for place in self._places)
        after = tuple(
            self._rewrite(column, place, masks, owned, secrets)
            if masks[0].masking.nested
            else masks[0].apply(row.values[place], row, secrets)
            for place, (column, masks) in zip(self._places, self._masks.items(), strict=True)
        )
        return Change(row.key if self._keyed else row.values, original, after, owned.copies)

    def _rewrite(
        self, column: str, place: int, masks: Sequence[_Mask], owned: Owned, secrets: RequestSecrets
    ) -> Rewrite:
        versions = []
        for row in owned.versions:
            after: Value = row.values[place]
            for mask in masks:
                after = map_places(after, mask.inside, partial(mask.apply, row=row, secrets=secrets))
            matched = tuple(position[1:] for position in row.matched if position[0] == column)
            versions.append(Version(row.values[place], after, matched))
        return Rewrite(tuple(mask.inside for mask in masks), tuple(versions))


def alters(change: Change) -> bool:
    """Whether a row as it was at access is to hold something else afterwards, or to go."""
    if not change.after:
        return True
    return any(
        any(mark(one.original) != mark(one.after) for one in after.versions)
        if isinstance(after, Rewrite)
        else original != after
        for original, after in zip(change.original, change.after, strict=True)
    )
