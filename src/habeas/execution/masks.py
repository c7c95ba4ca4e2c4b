"""What each kept row must hold after erasure: a pure function of its originals and one request's secrets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from habeas.domain.dataset import truncate
from habeas.domain.documents import Path, Rewrite, Version, map_places, mark
from habeas.domain.ports import Change, Key, MaskingStrategy, StrategyType, Value
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
    fills_null: bool
    inside: Path

    def apply(self, value: Value, key: Key, secrets: RequestSecrets) -> Value:
        """The masked value; `key` tells its row from others."""
        masking = self.masking
        if masking.substitute is Substitute.NULL or (value is None and not self.fills_null):
            return None
        if masking.substitute is Substitute.DERIVED:
            name, kind = DERIVED_SECRET
            suffix = masking.suffix if masking.has_room else ""
            return derive(material_of(value, key), secrets[name][kind], masking.length, suffix)
        if value is None:
            value = material_of(None, key)  # each row its own text, as several nulls may stand in a unique column
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
            kind = strategies[masking.strategy]
            mask = _Mask(masking, kind.make(masking.configuration), kind.fills_null, tuple(inside))
            self._masks.setdefault(column, []).append(mask)
        self.columns = tuple(self._masks)
        self._places = [node.table.columns.index(column) for column in self.columns]

    def change(self, owned: Owned, secrets: RequestSecrets) -> Change:
        """The change of one row, under the secrets of the request that masks it."""
        row = owned.versions[0]
        key = row.key if self._keyed else row.values
        original = tuple(row.values[place] for place in self._places)
        after = tuple(
            self._rewrite(column, place, masks, owned, key, secrets)
            if masks[0].masking.nested
            else masks[0].apply(row.values[place], key, secrets)
            for place, (column, masks) in zip(self._places, self._masks.items(), strict=True)
        )
        return Change(key, original, after, owned.copies)

    def _rewrite(
        self, column: str, place: int, masks: Sequence[_Mask], owned: Owned, key: Key, secrets: RequestSecrets
    ) -> Rewrite:
        versions = []
        for row in owned.versions:
            after: Value = row.values[place]
            for mask in masks:
                apply = partial(mask.apply, key=key, secrets=secrets)
                after = map_places(after, mask.inside, apply, arrays=mask.masking.levels if mask.masking.array else 0)
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
