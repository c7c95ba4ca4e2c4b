"""What each kept row must hold after erasure: a pure function of its original and one request's secrets."""

from collections.abc import Mapping, Sequence

from habeas.domain.dataset import truncate
from habeas.domain.ports import Change, MaskingStrategy, Row, StrategyType, Value
from habeas.masking.derived import derive, material_of
from habeas.planning.plan import FieldMasking, Node, NodeErasure, Substitute

DERIVED_SECRET = ("derived", "key")
"""Strategy and kind under which a request keeps the secret of substitutes."""

RequestSecrets = Mapping[str, Mapping[str, str]]
"""Strategy → kind → secret, of one request."""


class Masks:
    """The masking of one collection, ready to be applied to rows."""

    def __init__(self, node: Node, erasure: NodeErasure, strategies: Mapping[str, StrategyType]) -> None:
        self._maskings = erasure.maskings
        self._strategies: list[MaskingStrategy] = [
            strategies[masking.strategy].make(masking.configuration) for masking in erasure.maskings
        ]
        self._fills_null = {name for name, kind in strategies.items() if kind.fills_null}
        self.columns = tuple(masking.field for masking in erasure.maskings)
        self._places = [node.table.columns.index(field) for field in self.columns]

    def change(self, row: Row, secrets: RequestSecrets) -> Change:
        """The change of one row, under the secrets of the request that masks it."""
        original = tuple(row.values[place] for place in self._places)
        after = tuple(
            self._mask(masking, strategy, value, row, secrets)
            for masking, strategy, value in zip(self._maskings, self._strategies, original, strict=True)
        )
        return Change(row.key, original, after)

    def _mask(
        self, masking: FieldMasking, strategy: MaskingStrategy, value: Value, row: Row, secrets: RequestSecrets
    ) -> Value:
        stays_null = value is None and masking.strategy not in self._fills_null
        if stays_null or masking.substitute is Substitute.NULL:
            return None
        if masking.substitute is Substitute.DERIVED:
            name, kind = DERIVED_SECRET
            suffix = masking.suffix if masking.has_room else ""
            return derive(material_of(value, row.key), secrets[name][kind], masking.length, suffix)
        if value is None:
            value = material_of(None, row.key)  # each row its own text, as several nulls may stand in a unique column
        masked: Sequence[Value] | None = strategy.mask([value], secrets.get(masking.strategy, {}), masking.length)
        return None if masked is None else truncate(masked[0], masking.length)
