"""Keys, encryption and masking for callers who try things out (control-plane §1.17)."""

import base64
from typing import Any

import pytest
from tests.integration.web.conftest import Caller

from habeas import decrypt

KEY = "test--encryption"
ENCRYPTION = "/api/v1/cryptography/encryption"
CANARY = "canary-7f3a@example.com"


def test_a_made_key_is_one_that_packages_take(root: Caller) -> None:
    made = [root("GET", f"{ENCRYPTION}/key").json() for _ in range(2)]
    assert made[0] != made[1]
    for key in made:
        assert len(key) == len(key.encode()) == 16
        assert key.isalnum()
        assert root("PUT", f"{ENCRYPTION}/aes/encrypt", json={"value": "x", "key": key}).status_code == 200


@pytest.mark.parametrize("size", [16, 24, 32])
def test_what_is_encrypted_is_decrypted_by_its_key_and_nonce_alone(root: Caller, size: int) -> None:
    given = {"value": "Ann, Straße 7", "key": "k" * size}
    first, second = (root("PUT", f"{ENCRYPTION}/aes/encrypt", json=given).json() for _ in range(2))
    assert first["nonce"] != second["nonce"]
    sealed = {"value": first["encrypted_value"], "key": given["key"], "nonce": first["nonce"]}
    assert root("PUT", f"{ENCRYPTION}/aes/decrypt", json=sealed).json() == {"decrypted_value": given["value"]}
    nonce = base64.b64decode(first["nonce"])
    assert decrypt(first["encrypted_value"], given["key"], nonce) == given["value"].encode()
    for wrong in ({"nonce": second["nonce"]}, {"key": "l" * size}, {"value": second["encrypted_value"]}):
        refused = root("PUT", f"{ENCRYPTION}/aes/decrypt", json={**sealed, **wrong})
        assert refused.status_code == 400
        assert "does not open" in refused.json()["detail"]


def test_packages_are_decrypted_without_a_nonce(root: Caller) -> None:
    for value in (
        "GPUiK9tq5k/HfBnSN+J+OvLXZ+GCisapdI2KGP7A1WK+dz1XHef+hWb/SjszdqdNVGvziyY6GF5KIrvrXgxjZuaAvgU=",
        "d71a5dc3c49d7n7QN+tueapbID9CC48QWX6MoIUdzm6M8aH+VdLagsOm/Wk0Gz+q51tehcgM9DdTFJizA3m+joA=",
    ):
        answer = root("PUT", f"{ENCRYPTION}/aes/decrypt", json={"value": value, "key": KEY})
        assert answer.json() == {"decrypted_value": '{"street": "test street", "state": "NY"}'}


@pytest.mark.parametrize("key", ["", "k" * 15, "k" * 17, "ä" * 16 + "k", "k" * 33])
def test_a_key_of_another_size_is_refused_and_not_repeated(root: Caller, key: str) -> None:
    for path, extra in (("encrypt", {}), ("decrypt", {"nonce": base64.b64encode(bytes(12)).decode()})):
        refused = root("PUT", f"{ENCRYPTION}/aes/{path}", json={"value": CANARY, "key": key, **extra})
        assert refused.status_code == 400
        assert "16, 24 or 32 bytes" in refused.json()["detail"]
        assert CANARY not in refused.text


@pytest.mark.parametrize("nonce", ["", "not base64", "AAAA", base64.b64encode(bytes(13)).decode()])
def test_a_malformed_nonce_is_refused(root: Caller, nonce: str) -> None:
    refused = root("PUT", f"{ENCRYPTION}/aes/decrypt", json={"value": "x", "key": KEY, "nonce": nonce})
    assert (refused.status_code, "nonce" in refused.json()["detail"]) == (400, True)


# masking


def mask(root: Caller, values: list[Any], *strategies: dict[str, Any] | str) -> Any:
    wanted: list[Any] = [{"strategy": one} if isinstance(one, str) else one for one in strategies]
    body = {"values": values, "masking_strategy": wanted[0] if len(wanted) == 1 else wanted}
    return root("PUT", "/api/v1/masking/mask", json=body)


REWRITE = {"strategy": "string_rewrite", "configuration": {"rewrite_value": "gone"}}


def test_every_strategy_masks_values_in_their_order(root: Caller) -> None:
    values = ["ann", "bob", "ann", 7, None, True]
    for strategy in root("GET", "/api/v1/masking/strategy").json():
        wanted = REWRITE if strategy["name"] == "string_rewrite" else strategy["name"]
        answer = mask(root, values, wanted)
        assert answer.status_code == 200, answer.text
        found = answer.json()
        assert found["plain"] == values
        masked = found["masked_values"]
        assert (len(masked), masked[0]) == (6, masked[2])
        assert (masked[:2] == ["ann", "bob"]) == (strategy["name"] == "preserve")


def test_several_strategies_mask_one_after_the_other(root: Caller) -> None:
    assert mask(root, ["ann"], "hash", REWRITE).json()["masked_values"] == ["gone"]
    assert mask(root, ["ann"], REWRITE, "null_rewrite").json()["masked_values"] == [None]
    twice = mask(root, ["ann"], REWRITE, "hash").json()["masked_values"]
    assert twice != ["gone"] and len(twice[0]) == 64
    assert mask(root, [], "hash").json() == {"plain": [], "masked_values": []}


def test_what_is_wrong_is_said_by_the_strategys_name_and_without_values(root: Caller) -> None:
    for wanted, words in (
        ("scramble", "no masking strategy 'scramble'"),
        ("delete", "whole collections"),
        ("string_rewrite", "masking strategy 'string_rewrite' needs 'rewrite_value'"),
        ({"strategy": "hash", "configuration": {"algorithm": "MD5"}}, "masking strategy 'hash'"),
        ({"strategy": "null_rewrite", "configuration": {"colour": 1}}, "masking strategy 'null_rewrite'"),
    ):
        refused = mask(root, [CANARY], REWRITE, wanted)
        assert refused.status_code == 400
        assert words in refused.json()["detail"]
        assert CANARY not in refused.text
    invalid = root("PUT", "/api/v1/masking/mask", json={"values": [[CANARY]], "masking_strategy": REWRITE})
    assert (invalid.status_code, CANARY in invalid.text) == (422, False)


def test_a_trial_is_small(root: Caller) -> None:
    assert mask(root, ["x" * 10_000] * 100, *["aes_encrypt"] * 10).status_code == 200
    many = {"strategy": "string_rewrite", "configuration": {"rewrite_value": "x" * 10_000}}
    ending = {"strategy": "hash", "configuration": {"format_preservation": {"suffix": "x" * 10_000}}}
    for values, strategies in (
        (["x"] * 101, ["hash"]),
        (["x" * 10_001], ["hash"]),
        (["x"], ["hash"] * 11),
        (["x"], [many]),
        (["x"], ["hash", ending]),
    ):
        assert mask(root, values, *strategies).status_code == 422


def test_strategies_say_what_they_take(root: Caller) -> None:
    shown = {item["name"]: item for item in root("GET", "/api/v1/masking/strategy").json()}
    assert {"null_rewrite", "string_rewrite", "random_string_rewrite", "hash", "hmac", "aes_encrypt"} <= shown.keys()
    keys = {key["key"]: key for key in shown["string_rewrite"]["configurations"]}
    assert keys["rewrite_value"] == {
        "key": "rewrite_value",
        "optional": False,
        "description": "the text to write",
    }
    assert keys["format_preservation"]["optional"] is True
