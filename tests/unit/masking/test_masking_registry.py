"""The registry of strategies: their order, secrets, lost secrets, and what may not leak."""

import base64
from datetime import datetime

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from habeas.domain.errors import InputError, NeedsHuman
from habeas.masking.registry import find_strategy, generate_request_secrets, generate_secrets, make_strategy, strategies

SECRET = [name for name, kind in strategies().items() if kind.secret_kinds]


def test_strategies_come_in_the_order_of_the_specification() -> None:
    assert list(strategies()) == [
        "null_rewrite", "string_rewrite", "random_string_rewrite", "hash", "hmac", "aes_encrypt", "preserve",
    ]  # fmt: skip


def test_two_rules_with_one_strategy_share_one_set_of_secrets() -> None:  # K13
    made = generate_request_secrets(["hash", "hash", "null_rewrite"])
    assert set(made) == {"hash"}
    assert set(made["hash"]) == {"salt"}


def test_two_strategies_that_need_secrets_get_a_set_each() -> None:  # K14
    made = generate_request_secrets(["hash", "hmac", "random_string_rewrite", "aes_encrypt", "preserve"])
    assert {name: set(secrets) for name, secrets in made.items()} == {
        "hash": {"salt"},
        "hmac": {"key", "salt"},
        "random_string_rewrite": {"key"},
        "aes_encrypt": {"key", "key_hmac", "salt_hmac"},
    }
    texts = [text for secrets in made.values() for text in secrets.values()]
    assert len(set(texts)) == len(texts) == 7


def test_secrets_are_fresh_and_hold_32_bytes_of_entropy() -> None:
    one, other = (generate_secrets(find_strategy("aes_encrypt")) for _ in range(2))
    assert one["key"] != other["key"]
    assert all(len(base64.urlsafe_b64decode(f"{secret}=")) == 32 for secret in one.values())


@pytest.mark.parametrize("name", SECRET)
def test_lost_secrets_stop_for_a_human_instead_of_masking_otherwise(name: str) -> None:
    with pytest.raises(NeedsHuman, match=f"secrets of strategy {name!r} are gone") as caught:
        make_strategy(name, {}).mask(["ann@example.com"], {})
    assert "ann" not in str(caught.value)


@pytest.mark.parametrize("key", ["", "short", "A" * 42, "A" * 44, "not base64 at all, not even nearly, no no no"])
def test_a_damaged_aes_key_stops_for_a_human_and_is_not_shown(key: str) -> None:
    secrets = {**generate_secrets(find_strategy("aes_encrypt")), "key": key}
    with pytest.raises(NeedsHuman, match="are damaged") as caught:
        make_strategy("aes_encrypt", {}).mask(["ann@example.com"], secrets)
    assert not key or key not in str(caught.value)


def test_the_nonce_of_aes_encrypt_is_the_one_of_the_specification() -> None:  # data-plane §4.4
    nonce, sealed = bytes.fromhex("d78d851f36aaf3f30f0298d6"), "rjOGpwB6qtt2S6BCz/L3IsckiigpcegF0OuKig=="
    assert AESGCM(bytes(range(32))).decrypt(nonce, base64.b64decode(sealed), nonce) == b"Ada Lovelace"
    key = base64.urlsafe_b64encode(bytes(range(32))).decode()
    secrets = {"key": key, "key_hmac": "hmac-key-1", "salt_hmac": "sea-salt"}
    assert make_strategy("aes_encrypt", {}).mask(["Ada Lovelace"], secrets) == [sealed]


def test_a_type_and_its_strategy_tell_the_same() -> None:
    for name, kind in strategies().items():
        strategy = make_strategy(name, {"rewrite_value": "x"} if name == "string_rewrite" else {})
        assert (strategy.name, strategy.secret_kinds, strategy.text_only) == (name, kind.secret_kinds, kind.text_only)


def test_a_type_tells_whether_its_results_are_constant_or_null() -> None:
    told = {name: (kind.constant, kind.null, kind.keeps) for name, kind in strategies().items()}
    assert {name: facts for name, facts in told.items() if any(facts)} == {
        "null_rewrite": (True, True, False),
        "string_rewrite": (True, False, False),
        "preserve": (False, False, True),
    }


@pytest.mark.parametrize("name", list(strategies()))
def test_a_type_tells_whether_null_is_replaced(name: str) -> None:
    strategy = make_strategy(name, {"rewrite_value": "x"} if name == "string_rewrite" else {})
    [masked] = strategy.mask([None], generate_secrets(find_strategy(name))) or []
    assert (masked is not None) is find_strategy(name).fills_null


@pytest.mark.parametrize("text", ["a\0", "a\udc80"])
def test_a_fixed_text_that_no_store_can_hold_is_refused(text: str) -> None:
    for configuration in ({"rewrite_value": text}, {"rewrite_value": "a", "format_preservation": {"suffix": text}}):
        with pytest.raises(InputError, match="must not hold"):
            make_strategy("string_rewrite", configuration)


@pytest.mark.parametrize("name", SECRET)
def test_a_lone_surrogate_does_not_stop_masking(name: str) -> None:
    (masked,) = make_strategy(name, {}).mask(["a\udc80"], generate_secrets(find_strategy(name))) or []
    assert isinstance(masked, str)


def test_delete_is_refused_with_the_place_where_it_is_allowed() -> None:
    for ask in (find_strategy, lambda name: make_strategy(name, {})):
        with pytest.raises(InputError, match="give the collection fides_meta"):
            ask("delete")


def test_equal_values_of_one_request_mask_equally_in_any_type_of_text_form() -> None:
    secrets = generate_secrets(find_strategy("hmac"))
    strategy = make_strategy("hmac", {})
    moment = datetime(2000, 1, 1)
    assert strategy.mask([42, moment], secrets) == strategy.mask(["42", "2000-01-01 00:00:00"], secrets)


def test_null_is_rewritten_to_a_text_that_no_value_gets() -> None:
    values = [None, "None", "null", "", 0]
    masked = make_strategy("random_string_rewrite", {}).mask(values, {"key": "a-mac-key"}) or []
    assert len(set(masked)) == len(values)
