"""Names and passwords of users: what may be one, and that every spelling of a password is the same one."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from habeas.domain.user import find_weaknesses, normalise_username, read_password

GOOD = "Correct-horse-1"


def encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("password", "problem"),
    [
        ("Ab1!efg", "has less than 8 characters"),
        ("Ab1!" + "x" * 125, "has more than 128 characters"),
        ("Abcdefg!", "lacks a digit"),
        ("abcdefg1!", "lacks an upper-case letter"),
        ("ABCDEFG1!", "lacks a lower-case letter"),
        ("Abcdefg1 ", "lacks a symbol, e.g. ! or ?"),
        ("Abcdefg1!\n", "holds a control character"),
    ],
)
def test_each_weakness_is_named(password: str, problem: str) -> None:
    assert find_weaknesses(password) == [problem]


@pytest.mark.parametrize("password", [GOOD, "Ab1!" + "x" * 124, "Ünïcode-Größe-7", "A b c d e 1 ?"])
def test_good_passwords_have_none(password: str) -> None:
    assert find_weaknesses(password) == []


@pytest.mark.parametrize("weak", ["password", "Password", "12345678"])
def test_base64_makes_no_weak_password_a_good_one(weak: str) -> None:
    assert find_weaknesses(read_password(encode(weak)))


def test_both_ways_to_send_a_password_mean_the_same_one() -> None:
    assert read_password(encode(GOOD)) == read_password(GOOD) == GOOD
    assert read_password("Gro\u0308ße-1-a") == read_password("Größe-1-a")


@given(st.text(st.sampled_from("aB1+/=x"), min_size=8, max_size=40))
def test_a_password_and_its_base64_are_the_same_one(password: str) -> None:
    kept = read_password(password)
    assert read_password(kept) == kept
    if not find_weaknesses(password):
        assert read_password(encode(password)) == kept == read_password(encode(kept))


@pytest.mark.parametrize(("given_name", "name"), [(" Ann.Lee_2 ", "ann.lee_2"), ("a" * 64, "a" * 64)])
def test_names_are_compared_in_lower_case(given_name: str, name: str) -> None:
    assert normalise_username(given_name) == name


@pytest.mark.parametrize("name", ["", " ", "ann@example.com", "ann lee", "a" * 65, "änn", "a\x00", "a\n b"])
def test_what_is_no_name(name: str) -> None:
    assert normalise_username(name) is None
