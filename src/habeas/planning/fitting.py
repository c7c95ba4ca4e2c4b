"""Fitting: adapts the masking of one field to what its column can hold, or says why the field must stay (design §3).

An object that is masked can only become null, each element of an array by itself. Knows no policy and no collection.
"""

from dataclasses import replace

from habeas.domain.dataset import DataType, Field
from habeas.planning.columns import ColumnFacts
from habeas.planning.plan import DISTINCT_LENGTH, FieldMasking, OmitReason, Substitute
from habeas.planning.plan_input import StrategyFacts


def fit(masking: FieldMasking, item: Field, strategy: StrategyFacts, column: ColumnFacts) -> FieldMasking | OmitReason:
    """The masking as the column takes it. `item` is the field at the masking's path."""
    _, *inside = masking.field.split(".")
    place = column.member(inside)
    whole = item.is_object or (place is not None and (bool(place.fields) or (place.document and not item.array)))
    by_element = item.array or (place is not None and place.array)
    text = (
        not whole
        and item.data_type in (None, DataType.STRING)
        and (place is None or place.text or place.document)  # documents hold text anywhere
    )
    is_column = not inside and not by_element
    to_null = strategy.null or (strategy.text_only and not text)
    nullable = column.nullable or not is_column
    if column.primary:
        return OmitReason.PRIMARY_KEY
    if column.generated:
        return OmitReason.GENERATED
    if column.parent or (column.child and not (to_null and is_column and column.nullable)):
        return OmitReason.FOREIGN_KEY
    if to_null and not nullable and not (strategy.null and text):
        return OmitReason.NOT_NULL
    lengths = (item.length, place.length if place is not None else None)
    fitted = replace(
        masking,
        length=min((length for length in lengths if length is not None), default=None),
        nested=bool(inside) or item.array or item.is_object or column.nested,
        array=by_element,
        levels=place.levels if place is not None else 1,
    )
    substitute = _substitute(fitted, strategy, column, to_null=to_null, text=text, is_column=is_column)
    return replace(fitted, substitute=substitute)


def _substitute(
    masking: FieldMasking, strategy: StrategyFacts, column: ColumnFacts, *, to_null: bool, text: bool, is_column: bool
) -> Substitute | None:
    """What is written instead of the strategy's own value. In a unique column no two rows may become alike."""
    if strategy.null:
        # A unique column takes many nulls, but not many arrays or objects that differ in nothing else.
        free = column.nullable if is_column else not (column.unique and text)
        return None if free else Substitute.DERIVED
    if to_null:
        return Substitute.NULL
    if not column.unique or _stays_distinct(masking, strategy):
        return None
    too_short = masking.length is not None and masking.length < DISTINCT_LENGTH
    return Substitute.NULL if too_short and column.nullable and is_column else Substitute.DERIVED


def _stays_distinct(masking: FieldMasking, strategy: StrategyFacts) -> bool:
    asked = masking.configuration.get("length")  # of random_string_rewrite
    enough = not isinstance(asked, int) or asked >= DISTINCT_LENGTH
    return masking.has_room and enough and not strategy.constant
