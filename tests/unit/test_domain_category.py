"""The taxonomy and the rule that says which target covers which field (data-plane §1.10)."""

import pytest

from habeas.domain.category import DEFAULT_CATEGORIES, covers, is_ancestor


def test_there_are_85_categories_and_each_has_its_parent() -> None:
    assert len(DEFAULT_CATEGORIES) == 85
    assert all(key.rpartition(".")[0] in DEFAULT_CATEGORIES for key in DEFAULT_CATEGORIES if "." in key)


@pytest.mark.parametrize(
    ("target", "category", "expected"),
    [
        ("user.contact", "user.contact.email", True),
        ("user", "user.contact.email", True),
        ("user.contact", "user.contact", True),
        ("user.contact.email", "user.contact", False),
        ("user.device.cookie", "user.device.cookie_id", False),
        ("system", "user", False),
    ],
)
def test_a_target_covers_itself_and_what_lies_below_it(target: str, category: str, expected: bool) -> None:
    assert covers(target, category) is expected


def test_a_category_is_not_its_own_ancestor() -> None:
    assert is_ancestor("user", "user.contact.email")
    assert not is_ancestor("user.contact", "user.contact")
    assert not is_ancestor("user.device.cookie", "user.device.cookie_id")
