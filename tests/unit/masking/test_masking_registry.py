"""The registry of strategies: secrets, lost secrets, and what may not leak."""

from datetime import datetime

import pytest

from habeas.domain.errors import InputError, NeedsHuman
from habeas.masking.registry import find_strategy, generate_request_secrets, generate_secrets, make_strategy, strategies


def test_two_rules_with_one_strategy_share_one_set_of_secrets() -> None:  # K13
    made = generate_request_secrets(["hash", "hash", "null_rewrite"])
    assert set(made) == {"hash"}
    assert set(made["hash"]) == {"salt"}


def test_two_strategies_that_need_secrets_get_a_set_each() -> None:  # K14
    made = generate_request_secrets(["hash", "hmac"])
    assert {name: set(secrets) for name, secrets in made.items()} == {"hash": {"salt"}, "hmac": {"key", "salt"}}
    assert made["hash"]["salt"] != made["hmac"]["salt"]


def test_secrets_are_fresh_and_hold_32_bytes_of_entropy() -> None:
    one, other = (generate_secrets(find_strategy("hmac")) for _ in range(2))
    assert one["key"] != other["key"]
    assert all(len(secret) == 43 for secret in one.values())


@pytest.mark.parametrize("name", ["hash", "hmac"])
def test_lost_secrets_stop_for_a_human_instead_of_masking_otherwise(name: str) -> None:
    with pytest.raises(NeedsHuman, match="secrets of strategy") as caught:
        make_strategy(name, {}).mask(["ann@example.com"], {})
    assert "ann" not in str(caught.value)


def test_a_type_and_its_strategy_tell_the_same() -> None:
    for name, kind in strategies().items():
        strategy = make_strategy(name, {"rewrite_value": "x"} if name == "string_rewrite" else {})
        assert (strategy.name, strategy.secret_kinds, strategy.text_only) == (name, kind.secret_kinds, kind.text_only)


def test_a_type_tells_whether_its_results_are_constant_or_null() -> None:
    told = {name: (kind.constant, kind.null) for name, kind in strategies().items()}
    assert told == {
        "null_rewrite": (True, True),
        "string_rewrite": (True, False),
        "hash": (False, False),
        "hmac": (False, False),
    }


@pytest.mark.parametrize(
    "configuration", [{"rewrite_value": "a\0"}, {"rewrite_value": "a", "format_preservation": {"suffix": "\0"}}]
)
def test_a_fixed_text_that_postgresql_cannot_hold_is_refused(configuration: dict[str, object]) -> None:
    with pytest.raises(InputError, match="NUL"):
        make_strategy("string_rewrite", configuration)


def test_a_lone_surrogate_does_not_stop_masking() -> None:
    (masked,) = make_strategy("hash", {}).mask(["a\udc80"], {"salt": "s"}) or []
    assert isinstance(masked, str)


def test_equal_values_of_one_request_mask_equally_in_any_type_of_text_form() -> None:
    secrets = generate_secrets(find_strategy("hmac"))
    strategy = make_strategy("hmac", {})
    moment = datetime(2000, 1, 1)
    assert strategy.mask([42, moment], secrets) == strategy.mask(["42", "2000-01-01 00:00:00"], secrets)
