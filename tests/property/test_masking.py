"""Laws of masking that hold for all values: alike within a request, unlike in another, of the right length and type."""

import re
import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from random import Random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as some

from habeas.domain.errors import NeedsHuman
from habeas.domain.ports import MaskingStrategy, StrategyType
from habeas.masking.derived import derive, material_of
from habeas.masking.registry import generate_request_secrets, generate_secrets, make_strategy, strategies

SECRETS = generate_request_secrets(strategies())
"""Of one request, by strategy."""
HELD = some.text(some.characters(codec="utf-8", exclude_characters="\x00"))
"""Text that any store can hold."""
VALUES = (
    HELD
    | some.integers()
    | some.floats()
    | some.booleans()
    | some.dates()
    | some.datetimes()
    | some.decimals()
    | some.uuids()
    | some.binary()
)
LENGTHS = some.none() | some.integers(min_value=1, max_value=150)
SUFFIXES = some.sampled_from(["", "@masked.example", "…"])
SIZES = {"SHA-256": 64, "SHA-512": 128}


@dataclass(frozen=True, slots=True)
class Made:
    """A strategy that needs secrets, the suffix it was given and what the text before it looks like."""

    strategy: MaskingStrategy
    suffix: str
    pattern: str

    @property
    def fills_null(self) -> bool:
        return strategies()[self.strategy.name].fills_null


@some.composite
def derived(draw: some.DrawFn) -> Made:
    """Any strategy whose result follows the value."""
    name = draw(some.sampled_from(["hash", "hmac", "random_string_rewrite", "aes_encrypt"]))
    suffix = draw(SUFFIXES)
    configuration: dict[str, object] = {"format_preservation": {"suffix": suffix}} if suffix else {}
    pattern = "(?:[A-Za-z0-9+/]{4})+[A-Za-z0-9+/]{2,4}={0,2}"
    if name in ("hash", "hmac"):
        configuration["algorithm"] = draw(some.sampled_from(sorted(SIZES)))
        pattern = f"[0-9a-f]{{{SIZES[str(configuration['algorithm'])]}}}"
    elif name == "random_string_rewrite":
        configuration["length"] = draw(some.integers(min_value=16, max_value=100))
        pattern = f"[a-z0-9]{{{configuration['length']}}}"
    return Made(make_strategy(name, configuration), suffix, pattern)


@some.composite
def constants(draw: some.DrawFn) -> tuple[MaskingStrategy, str | None]:
    """A strategy that writes one value, and which."""
    if draw(some.booleans()):
        return make_strategy("null_rewrite", {}), None
    text, suffix = draw(HELD), draw(SUFFIXES)
    return make_strategy(
        "string_rewrite", {"rewrite_value": text, "format_preservation": {"suffix": suffix}}
    ), text + suffix


def any_strategy() -> some.SearchStrategy[MaskingStrategy]:
    """Any but `preserve`."""
    return some.one_of(derived().map(lambda made: made.strategy), constants().map(lambda made: made[0]))


def mask_one(
    strategy: MaskingStrategy, value: object, length: int | None = None, secrets: Mapping[str, str] | None = None
) -> object:
    masked = strategy.mask([value], SECRETS.get(strategy.name, {}) if secrets is None else secrets, length)
    assert masked is not None
    return masked[0]


def secrets_for(strategy: MaskingStrategy) -> dict[str, str]:
    """Fresh ones, as a request gets them."""
    return generate_secrets(strategies()[strategy.name])


@given(any_strategy(), some.lists(some.none() | VALUES), LENGTHS, some.randoms())
def test_a_value_is_masked_alike_whenever_and_beside_whatever_it_is_masked(
    strategy: MaskingStrategy, values: list[object], length: int | None, random: Random
) -> None:
    secrets = secrets_for(strategy)
    masked = strategy.mask(values, secrets, length)
    assert masked == strategy.mask(values, dict(secrets), length)
    assert masked == [mask_one(strategy, value, length, secrets) for value in values]
    order = random.sample(range(len(values)), len(values))
    assert strategy.mask([values[place] for place in order], secrets, length) == [masked[place] for place in order]


@given(derived(), VALUES)
def test_requests_do_not_mask_alike(made: Made, value: object) -> None:
    strategy = made.strategy
    secrets, others = secrets_for(strategy), secrets_for(strategy)
    assert mask_one(strategy, value, secrets=secrets) != mask_one(strategy, value, secrets=others)
    for kind in strategy.secret_kinds:  # each secret counts
        mixed = {**secrets, kind: others[kind]}
        assert mask_one(strategy, value, secrets=secrets) != mask_one(strategy, value, secrets=mixed)


@given(constants(), some.none() | VALUES, LENGTHS)
def test_a_constant_depends_on_nothing(
    made: tuple[MaskingStrategy, str | None], value: object, length: int | None
) -> None:
    strategy, text = made
    assert strategy.secret_kinds == ()
    masked = strategy.mask([value, None], {}, length)
    assert masked is not None
    assert masked[0] == masked[1]
    if text is None or length is None:
        assert masked[0] == text
    else:
        assert isinstance(masked[0], str)
        assert len(masked[0]) == min(length, len(text))


@given(some.lists(some.none() | VALUES | some.lists(HELD)), LENGTHS)
def test_preserve_changes_nothing_of_any_type_at_any_length(values: list[object], length: int | None) -> None:
    masked = make_strategy("preserve", {}).mask(values, {}, length)
    assert masked is not None
    assert [id(value) for value in masked] == [id(value) for value in values]


@given(derived(), some.none() | VALUES, LENGTHS)
def test_a_derived_text_has_its_alphabet_and_its_suffix_within_the_length(
    made: Made, value: object, length: int | None
) -> None:
    masked = mask_one(made.strategy, value, length)
    if value is None and not made.fills_null:
        assert masked is None
        return
    assert isinstance(masked, str)
    whole = str(mask_one(made.strategy, value))
    assert re.fullmatch(made.pattern + re.escape(made.suffix), whole)
    if length is None or length >= len(whole):
        assert masked == whole
    elif length > len(made.suffix):  # the text is cut, the suffix survives
        assert masked == whole[: length - len(made.suffix)] + made.suffix
    else:
        assert masked == whole[:length]


@given(derived(), some.lists(some.none() | HELD, unique=True, max_size=30), some.integers(min_value=16, max_value=60))
def test_derived_texts_of_different_values_differ_even_when_cut_to_sixteen(
    made: Made, values: list[str | None], room: int
) -> None:
    masked = made.strategy.mask(values, SECRETS[made.strategy.name], room + len(made.suffix))
    assert masked is not None
    assert len(set(masked)) == len(values)


@given(derived(), some.integers() | some.floats() | some.dates() | some.decimals() | some.uuids())
def test_a_derived_text_is_of_the_values_text(made: Made, value: object) -> None:
    assert mask_one(made.strategy, value) == mask_one(made.strategy, str(value))


@given(any_strategy(), HELD.filter(lambda text: len(text) > 3), LENGTHS)
def test_a_masked_value_does_not_show_the_value(strategy: MaskingStrategy, value: str, length: int | None) -> None:
    assume(not re.fullmatch("[0-9A-Za-z+/=]{1,5}", value))  # a masked text may hold so few characters by chance
    masked = mask_one(strategy, value, length)
    if strategy.name != "string_rewrite":  # it writes what it is told to
        assert value not in str(masked) or value in "@masked.example" or masked is None


@given(any_strategy(), some.none() | VALUES, LENGTHS)
def test_every_store_can_hold_a_masked_value(strategy: MaskingStrategy, value: object, length: int | None) -> None:
    masked = mask_one(strategy, value, length)
    assert masked is None or (strategy.text_only and isinstance(masked, str))
    assert "\x00" not in str(masked)
    str(masked).encode()  # raises for half a surrogate pair


@given(derived(), VALUES)
def test_without_its_secrets_a_strategy_masks_nothing_and_says_nothing_of_the_value(made: Made, value: object) -> None:
    secrets = SECRETS[made.strategy.name]
    for kind in made.strategy.secret_kinds:
        left = {name: text for name, text in secrets.items() if name != kind}
        with pytest.raises(NeedsHuman) as refused:
            made.strategy.mask([value], left)
        assert len(repr(value)) < 12 or repr(value) not in str(refused.value)


def test_random_characters_are_equally_likely() -> None:
    """A bare modulo would give the first four of 36,000 an eighth more: eight times the spread of chance."""
    strategy = make_strategy("random_string_rewrite", {"length": 3600})
    masked = strategy.mask(list(range(10)), {"key": "a-mac-key"})
    assert masked is not None
    counts = Counter("".join(map(str, masked)))
    assert set(counts) == set("abcdefghijklmnopqrstuvwxyz0123456789")
    assert sum(counts[letter] for letter in "abcd") == pytest.approx(4000, rel=0.05)
    assert all(850 < number < 1150 for number in counts.values())


@given(some.lists(some.sampled_from(sorted(strategies()))))
def test_a_request_gets_one_fresh_set_of_secrets_for_each_strategy_that_needs_them(names: list[str]) -> None:
    kinds: dict[str, StrategyType] = {name: strategies()[name] for name in names if strategies()[name].secret_kinds}
    one, other = generate_request_secrets(names), generate_request_secrets(names)
    assert {name: set(secrets) for name, secrets in one.items()} == {n: set(k.secret_kinds) for n, k in kinds.items()}
    all_of_them = [text for made in (one, other) for secrets in made.values() for text in secrets.values()]
    assert len(set(all_of_them)) == len(all_of_them)
    assert all(len(text) >= 43 for text in all_of_them)  # 32 random bytes


ORIGINS = some.integers() | HELD | some.binary() | some.dates() | some.decimals(allow_nan=False) | some.uuids()


@given(some.lists(ORIGINS, unique_by=repr, max_size=50), some.integers(min_value=20, max_value=60))
def test_substitutes_are_distinct_lower_case_and_fit(values: list[object], length: int) -> None:
    made = [derive(material_of(value, ()), "secret", length) for value in values]
    assert len(set(made)) == len(values)
    assert all(re.fullmatch("[a-z2-7]{20,52}", text) and len(text) <= length for text in made)
    ended = [derive(material_of(value, ()), "secret", length + 5, "@m.ex") for value in values]
    assert ended == [f"{text}@m.ex" for text in made]


@given(ORIGINS, some.tuples(some.integers(), HELD), some.tuples(some.integers(), HELD))
def test_substitutes_follow_the_value_or_for_null_the_row_and_the_secret(
    value: object, row: tuple[int, str], other: tuple[int, str]
) -> None:
    assert derive(material_of(value, row), "secret") == derive(material_of(value, other), "secret")
    assert (derive(material_of(None, row), "secret") == derive(material_of(None, other), "secret")) == (row == other)
    assert derive(material_of(None, row), "secret") != derive(material_of(value, row), "secret")
    assert derive(material_of(value, row), "secret") != derive(material_of(value, row), "another")


def test_values_that_read_alike_but_are_not_are_no_one_substitute() -> None:
    alike: list[object] = [1, "1", Decimal(1), b"1", uuid.UUID(int=1), str(uuid.UUID(int=1))]
    assert len({derive(material_of(value, ()), "secret") for value in alike}) == len(alike)
