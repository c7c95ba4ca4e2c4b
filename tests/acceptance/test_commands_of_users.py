"""Users by commands alone: made, given roles, shut out and let in, with passwords that no command line shows."""

import json
from pathlib import Path

import httpx
import pytest
from commands import refused, run_here, type_in
from landscape import Landscape, on_one_ledger

pytestmark = on_one_ledger

PASSWORD, OTHER = "Correct-horse-1", "Battery-staple-2"


@pytest.fixture
def at(landscape: Landscape) -> tuple[str, ...]:
    """The options that lead to the test's server."""
    return ("--url", landscape.server.url, "--data-dir", str(landscape.server.data_dir))


def write(folder: Path, password: str) -> str:
    file = folder / "password"
    file.write_text(f"{password}\n")
    return str(file)


def log_in(landscape: Landscape, username: str, password: str) -> int:
    login = {"username": username, "password": password}
    return httpx.post(f"{landscape.server.url}/api/v1/login", json=login).status_code


def test_a_user_is_made_listed_shut_out_let_in_and_deleted(
    landscape: Landscape, tmp_path: Path, at: tuple[str, ...]
) -> None:
    def tell(*arguments: str) -> str:
        done = run_here(tmp_path, "user", *arguments, *at)
        assert done.returncode == 0, done.stderr
        return done.stdout

    file = write(tmp_path, PASSWORD)
    made = tell("create", "Ann", "--email", "ann@example.com", "--role", "approver", "--password-file", file)
    assert made == "ann: approver\n"
    assert ["ann", "active", "approver"] in [line.split() for line in tell("list").splitlines()]
    assert log_in(landscape, "ann", PASSWORD) == 200
    assert tell("disable", "ann") == "ann is disabled\n"
    assert ["ann", "disabled", "approver"] in [line.split() for line in tell("list").splitlines()]
    assert log_in(landscape, "ann", PASSWORD) == 403
    assert tell("enable", "ann") == "ann is enabled\n"
    assert tell("roles", "ann", "viewer", "approver") == "ann: approver, viewer\n"
    assert tell("password", "ann", "--password-file", write(tmp_path, OTHER)) == "ann has a new password\n"
    assert (log_in(landscape, "ann", PASSWORD), log_in(landscape, "ann", OTHER)) == (403, 200)
    [shown] = [one for one in json.loads(tell("list", "--json")) if one["username"] == "ann"]
    assert shown["email_address"] == "ann@example.com"
    assert tell("delete", "ann") == "ann is deleted\n"
    assert log_in(landscape, "ann", OTHER) == 403


def test_a_password_is_typed_twice_and_not_shown(landscape: Landscape, tmp_path: Path, at: tuple[str, ...]) -> None:
    answers = (("password", PASSWORD), ("Repeat for confirmation", PASSWORD))
    code, shown = type_in(tmp_path, ["user", "create", "typist", *at], *answers)
    assert (code, "typist: viewer" in shown, PASSWORD in shown) == (0, True, False)
    assert log_in(landscape, "typist", PASSWORD) == 200


def test_what_is_refused(landscape: Landscape, tmp_path: Path, at: tuple[str, ...]) -> None:
    def ask(*arguments: str) -> None:
        refused(run_here(tmp_path, "user", *arguments[1:], *at), arguments[0])

    weak = write(tmp_path, "sesame")
    ask("has less than 8 characters", "create", "weak", "--password-file", weak)
    ask("a password is needed", "create", "weak")
    ask("give --invite or --password-file", "create", "weak", "--invite", "--password-file", weak)
    ask("no provider of e-mails is active", "create", "weak", "--invite", "--email", "w@example.com")
    ask("`habeas user list`", "disable", "nobody")
