"""Laws of masking that hold for all values."""

from hypothesis import given
from hypothesis import strategies as some

from habeas.domain.ports import MaskingStrategy
from habeas.masking.derived import derive
from habeas.masking.registry import make_strategy

SECRETS = {"salt": "sea-salt", "key": "a-mac-key"}
VALUES = some.none() | some.text() | some.integers() | some.floats() | some.dates() | some.datetimes() | some.binary()
LENGTHS = some.none() | some.integers(min_value=1, max_value=100)
SUFFIXES = some.sampled_from(["", "@masked.example"])


@some.composite
def any_strategy(draw: some.DrawFn) -> MaskingStrategy:
    name = draw(some.sampled_from(["null_rewrite", "string_rewrite", "hash", "hmac"]))
    configuration: dict[str, object] = {}
    if name != "null_rewrite":
        configuration["format_preservation"] = {"suffix": draw(SUFFIXES)}
    if name == "string_rewrite":
        configuration["rewrite_value"] = draw(some.text(some.characters(exclude_characters="\x00"), max_size=20))
    return make_strategy(name, configuration)


@given(any_strategy(), some.lists(VALUES), LENGTHS)
def test_masking_is_pure_keeps_count_and_length(
    strategy: MaskingStrategy, values: list[object], length: int | None
) -> None:
    masked = strategy.mask(values, SECRETS, length)
    assert masked is not None
    assert masked == strategy.mask(values, SECRETS, length)
    assert len(masked) == len(values)
    assert all(length is None or item is None or len(str(item)) <= length for item in masked)


@given(some.text(), some.text(), some.sampled_from(["hash", "hmac"]))
def test_digests_differ_when_values_differ_and_never_show_the_value(one: str, other: str, name: str) -> None:
    strategy = make_strategy(name, {})
    masked = strategy.mask([one, other], SECRETS)
    assert masked is not None
    assert (masked[0] == masked[1]) == (one == other)
    assert masked[0] != one


@given(some.lists(some.integers(), unique=True, max_size=50), some.integers(min_value=20, max_value=60))
def test_substitutes_are_distinct_and_fit(values: list[int], length: int) -> None:
    made = [derive(str(value), "secret", length) for value in values]
    assert len(set(made)) == len(values)
    assert all(len(text) <= length for text in made)
