"""Every condition that a store can be in becomes an error: which one, what it says, and no driver's text."""

import pytest

from habeas.connectors.sql.failures import Condition, Diagnosis
from habeas.domain.errors import TryAgain


@pytest.mark.parametrize("condition", Condition)
def test_every_condition_becomes_its_error(condition: Condition) -> None:
    error = Diagnosis(condition, "E1", ("code",)).error("shop:people")
    assert type(error) is condition.error
    assert error.message == f"shop:people: {condition.words} [E1 code]"
    assert (error.hint, error.context) == (condition.mend, {"condition": "E1"})


@pytest.mark.parametrize("condition", [Condition.UNREACHABLE, Condition.LOGIN, Condition.BUSY, Condition.FULL])
def test_what_passes_is_tried_again(condition: Condition) -> None:
    assert isinstance(Diagnosis(condition, "E1").error("the connection"), TryAgain)
