"""What commands refuse by themselves, in words instead of a trace."""

import pytest
from typer.testing import CliRunner

from habeas.cli.main import app
from habeas.domain.errors import InputError


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("config", "set", "duplicates.window_days", "1e999"), "beyond all bounds"),
        (("config", "set", "duplicates.identity_kinds", "[-1e999]"), "beyond all bounds"),
        (("config", "set", "duplicates.identity_kinds", "[" * 100_000), "nested too deeply"),
        (("key", "new", "--id", ""), "a key's id is made of"),
        (("key", "new", "--id", "a:b"), "a key's id is made of"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused(arguments: tuple[str, ...], message: str) -> None:
    refused = CliRunner().invoke(app, arguments).exception
    assert isinstance(refused, InputError) and message in str(refused)
