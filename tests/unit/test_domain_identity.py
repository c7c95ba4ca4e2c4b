"""Identities: what is accepted, what is looked up, and that errors never repeat a value."""

import pytest

from habeas.domain.errors import InputError
from habeas.domain.identity import Identity, parse_identities


def lookups(given: dict[str, object]) -> dict[str, tuple[object, ...]]:
    return {identity.kind: identity.lookup_values() for identity in parse_identities(given)}


def test_a_mail_is_looked_up_as_given_and_trimmed_in_lower_case() -> None:
    assert lookups({"email": " Ann@Example.COM "}) == {"email": (" Ann@Example.COM ", "ann@example.com")}


def test_the_seeds_own_phone_number_is_valid() -> None:
    assert lookups({"phone_number": "+1 (123) 456 7891"}) == {"phone_number": ("+1 (123) 456 7891", "+11234567891")}


def test_a_value_in_normal_form_is_looked_up_once() -> None:
    assert lookups({"email": "ann@example.com"}) == {"email": ("ann@example.com",)}


def test_nulls_and_empty_texts_are_ignored_and_kinds_sorted() -> None:
    given = {"ssn": "1", "email": "", "phone_number": None, "external_id": ["", None, 7]}
    assert lookups(given) == {"external_id": (7,), "ssn": ("1",)}


def test_other_kinds_may_carry_a_label_and_several_values() -> None:
    (identity,) = parse_identities({"loyalty": {"label": "Loyalty", "value": ["a", 5, "a"]}})
    assert identity == Identity("loyalty", ("a", 5), "Loyalty")


def test_zero_is_an_identity() -> None:
    assert lookups({"member_no": 0}) == {"member_no": (0,)}


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"email": ""},
        {"email": "secret-without-at"},
        {"email": "secret a@b"},
        {"phone_number": "0123secret"},
        {"phone_number": "+0123"},
        {"phone_number": "+12345678901234567"},
        {"ssn": True},
        {"ssn": 1.5},
        {"ssn": {"label": "x"}},
        {"ssn": {"value": "secret", "more": 1}},
        {"ssn": {"value": {"value": "secret"}}},
        {"ssn": "secret\x00"},
        {"ssn": {"label": "secret\x00", "value": 1}},
        {"a kind": "secret"},
    ],
    ids=str,
)
def test_what_cannot_be_an_identity_is_refused_without_repeating_it(given: dict[str, object]) -> None:
    with pytest.raises(InputError) as caught:
        parse_identities(given)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"ssn": "secret" * 167}, "identity.ssn has a value of more than 1000 characters"),
        ({"email": ["a@example.com", "secret" * 200 + "@example.com"]}, "identity.email has a value of more than 1000"),
        ({"ssn": 10**1000}, "identity.ssn has a value of more than 1000 characters"),
        ({"ssn": -(10**4999)}, "identity.ssn has a value of more than 1000 characters"),
        ({"ssn": {"label": "secret" * 167, "value": 1}}, "the label of identity.ssn has more than 1000 characters"),
        ({"ssn": [f"secret{n}" for n in range(101)]}, "more than 100 values"),
        (
            {"ssn": [f"secret{n}" for n in range(60)], "phone": [f"secret{n}" for n in range(41)]},
            "more than 100 values",
        ),
        ({f"kind{n}": "secret" for n in range(101)}, "more than 100 values"),
    ],
    ids=range(8),
)
def test_identities_have_bounds(given: dict[str, object], says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        parse_identities(given)
    assert "secret" not in str(caught.value)
    assert caught.value.hint


def test_what_is_within_the_bounds_is_taken() -> None:
    assert lookups({"ssn": ["x" * 1000, 10**1000 - 1]}) == {"ssn": ("x" * 1000, 10**1000 - 1)}
    many = [f"p{n}@example.com" for n in range(100)]
    assert lookups({"email": [*many, *many, "", None]}) == {"email": tuple(many)}
