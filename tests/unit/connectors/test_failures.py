"""Every condition that a store can be in becomes an error: which one, what it says, and no driver's text."""

from pathlib import Path

import pytest

from habeas.connectors import connection_types
from habeas.connectors.sql.failures import Condition, Diagnosis
from habeas.domain.errors import NeedsHuman, TryAgain
from habeas.domain.ports import Limits

TYPES = {kind.name: kind for kind in connection_types()}


@pytest.mark.parametrize("condition", Condition)
def test_every_condition_becomes_its_error(condition: Condition) -> None:
    error = Diagnosis(condition, "E1", ("code",)).error("shop:people")
    assert type(error) is condition.error
    code = "no database file" if condition is Condition.NO_FILE else "E1"
    assert error.message == f"shop:people: {condition.words} [{code} code]"
    assert (error.hint, error.context) == (condition.mend, {"condition": code})


@pytest.mark.parametrize("condition", [Condition.UNREACHABLE, Condition.LOGIN, Condition.BUSY, Condition.FULL])
def test_what_passes_is_tried_again(condition: Condition) -> None:
    assert isinstance(Diagnosis(condition, "E1").error("the connection"), TryAgain)


def test_who_finds_a_store_locked_is_not_told_to_wait_for_a_try_that_never_comes() -> None:
    """It is also the last word on a request whose tries are over, and on a test of a connection."""
    assert str(Diagnosis(Condition.BUSY, "E1").error("shop:people")).endswith("(try again later)")


@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
def test_a_path_that_is_no_database_does_not_tell_which_files_there_are(kind: str, tmp_path: Path) -> None:
    (tmp_path / "junk").write_bytes(b"junk" * 4096)
    (tmp_path / "SQLite").write_bytes(b"SQLite format 3\x00" + b"junk" * 4096)
    said = set()
    for name in ("absent", "junk", "SQLite", "junk/below", "."):
        connector = TYPES[kind].connect({"path": str(tmp_path / name)}, Limits(), None)
        with pytest.raises(NeedsHuman) as raised:  # as when secrets are stored
            connector.check()
            connector.describe()
        connector.close()
        said.add((str(raised.value), tuple(raised.value.context.items())))
    assert len(said) == 1
