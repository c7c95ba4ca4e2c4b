"""A process says at its start which settings it was given by old names."""

import pytest

from habeas.cli.settings_option import announce_old_names
from habeas.settings import Settings


def test_each_old_name_in_use_is_said_once_with_the_new_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    announce_old_names(Settings())
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("FIDES__REDIS__DEFAULT_TTL_SECONDS", "4711")
    announce_old_names(Settings())
    said = capsys.readouterr().err
    assert said == ("FIDES__REDIS__DEFAULT_TTL_SECONDS is an old name: use HABEAS__EXECUTION__TEMPORARY_TTL_SECONDS\n")
