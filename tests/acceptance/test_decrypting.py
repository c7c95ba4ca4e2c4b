"""`habeas decrypt` as people use it: packages of ours and of the seeds, keys that do not leak, nothing half opened."""

import contextlib
import io
import os
import pty
import subprocess
from pathlib import Path
from zipfile import ZipFile

import pytest

from habeas.delivery.encryption import encrypt
from servers.habeas import COMMAND
from servers.process import wait_for

KEY = "test--encryption"
PLAINTEXT = b'{"street": "test street", "state": "NY"}'
OLD = "d71a5dc3c49d7n7QN+tueapbID9CC48QWX6MoIUdzm6M8aH+VdLagsOm/Wk0Gz+q51tehcgM9DdTFJizA3m+joA="
NEW = "GPUiK9tq5k/HfBnSN+J+OvLXZ+GCisapdI2KGP7A1WK+dz1XHef+hWb/SjszdqdNVGvziyY6GF5KIrvrXgxjZuaAvgU='"


def run(folder: Path, *arguments: str, package: bytes = b"", **environment: str) -> subprocess.CompletedProcess[bytes]:
    command = [COMMAND, "decrypt", *arguments]
    return subprocess.run(
        command, cwd=folder, env={**os.environ, **environment}, input=package, capture_output=True, timeout=60
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "old.json").write_text(OLD + "\n")
    (tmp_path / "new.json").write_text(NEW)
    (tmp_path / "key").write_text(f"{KEY}\n")
    with ZipFile(tmp_path / "both.zip", "w") as package:
        package.writestr("old.csv", OLD)
        package.writestr("new.csv", NEW)
    return tmp_path


# A8
@pytest.mark.parametrize("name", ["old.json", "new.json"])
def test_both_messages_of_the_seeds_open(folder: Path, name: str) -> None:
    assert run(folder, name, "--key-env", "MINE", MINE=KEY).stdout == PLAINTEXT
    assert run(folder, name, "--key-file", "key").stdout == PLAINTEXT
    piped = run(folder, "-", "--key-file", "key", package=(folder / name).read_bytes())
    assert piped.stdout == PLAINTEXT
    done = run(folder, name, "--key-file", "key", "--output", "opened")
    assert (done.returncode, done.stdout) == (0, b"")
    assert (folder / "opened").read_bytes() == PLAINTEXT
    assert (folder / "opened").stat().st_mode & 0o777 == 0o600


def test_a_zip_becomes_a_zip_in_the_clear(folder: Path) -> None:
    with ZipFile(io.BytesIO(run(folder, "both.zip", "--key-file", "key").stdout)) as opened:
        assert {name: opened.read(name) for name in opened.namelist()} == {"old.csv": PLAINTEXT, "new.csv": PLAINTEXT}


def test_a_key_that_is_typed_is_not_shown(folder: Path) -> None:
    master, terminal = pty.openpty()
    command = [COMMAND, "decrypt", "new.json"]
    with subprocess.Popen(
        command, cwd=folder, stdin=terminal, stderr=terminal, stdout=subprocess.PIPE, start_new_session=True
    ) as asking:
        os.close(terminal)
        shown = b""

        def prompt() -> bool:
            nonlocal shown
            shown += os.read(master, 1000)
            return b"Key: " in shown

        wait_for("the prompt", prompt)
        os.write(master, f"{KEY}\n".encode())
        assert asking.stdout is not None
        assert asking.stdout.read() == PLAINTEXT
        assert asking.wait(30) == 0
    os.set_blocking(master, False)
    with contextlib.suppress(OSError):  # the terminal is gone, with nothing left to read
        shown += os.read(master, 1000)
    os.close(master)
    assert KEY.encode() not in shown


@pytest.mark.parametrize(
    ("arguments", "key", "words"),
    [
        (["new.json", "--key-env", "MINE"], "another-key-1234", "does not open"),
        (["both.zip", "--key-env", "MINE"], "another-key-1234", "does not open"),
        (["cut.json", "--key-env", "MINE"], KEY, "does not open"),
        (["half.zip", "--key-env", "MINE"], KEY, "does not open"),
        (["new.json", "--key-env", "MINE"], KEY + "x", "16, 24 or 32 bytes"),
        (["new.json", "--key-env", "YOURS"], KEY, "no variable YOURS"),
        (["new.json", "--key-env", "MINE", "--key-file", "key"], KEY, "two places"),
        (["new.json", "--key-file", "nowhere"], KEY, "nowhere cannot be read"),
        (["nowhere.json", "--key-file", "key"], KEY, "nowhere.json cannot be read"),
        (["-"], KEY, "--key-file"),
    ],
)
def test_nothing_is_written_when_something_is_wrong(folder: Path, arguments: list[str], key: str, words: str) -> None:
    (folder / "cut.json").write_text(NEW[:-8])
    with ZipFile(folder / "half.zip", "w") as package:
        package.writestr("good.csv", encrypt(b"a", KEY.encode()))
        package.writestr("bad.csv", encrypt(b"b", b"another-key-1234"))
    before = sorted(folder.iterdir())
    for output in ([], ["--output", "opened"]):
        done = run(folder, *arguments, *output, MINE=key)
        assert done.returncode == 1
        assert done.stdout == b""
        assert words in done.stderr.decode()
        assert key.encode() not in done.stderr
    assert sorted(folder.iterdir()) == before


def test_a_file_that_cannot_be_written_is_named(folder: Path) -> None:
    done = run(folder, "new.json", "--key-file", "key", "--output", "nowhere/opened")
    assert done.returncode == 1
    assert "nowhere/opened cannot be written" in done.stderr.decode()
