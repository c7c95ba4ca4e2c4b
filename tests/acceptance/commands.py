"""Runs `habeas` as people do, and says what a refusal looks like."""

import contextlib
import io
import os
import pty
import select
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from unittest import mock

import pytest

from habeas.cli.main import main
from servers.habeas import COMMAND


def run(folder: Path, *arguments: str | Path, text: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """A command in this folder, with no settings but those given, and `text` on its standard input."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("HABEAS", "FIDES"))}
    settings = {"env": {**inherited, **environment}, "cwd": folder}
    return subprocess.run([COMMAND, *arguments], input=text, capture_output=True, text=True, timeout=60, **settings)


def run_here(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The same in this process, without the second that a process takes: for what ends before it serves anything."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("HABEAS", "FIDES"))}
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.dict(os.environ, {**inherited, **environment}, clear=True),
        mock.patch.object(sys, "argv", ["habeas", *arguments]),
        contextlib.chdir(folder),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.raises(SystemExit) as ended,
    ):
        main()
        sys.exit(0)
    return subprocess.CompletedProcess(arguments, int(ended.value.code or 0), out.getvalue(), err.getvalue())


def refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """It ended with exit code 1, one line that says what is wrong, and at most one with the mend."""
    assert done.returncode == 1, done.stdout + done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith(("error:", "hint:"))]
    assert lines == done.stderr.splitlines()[-len(lines) :], done.stderr
    assert [line.split(":")[0] for line in lines] in (["error"], ["error", "hint"])
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


def type_in(folder: Path, arguments: Sequence[str], *answers: tuple[str, str]) -> tuple[int, str]:
    """A command at a terminal, which is given these answers to prompts; its exit code and all that was shown."""
    master, terminal = pty.openpty()
    shown = b""

    def read_until(ending: bytes | None) -> None:
        nonlocal shown
        while ending is None or not shown.endswith(ending):
            assert select.select([master], [], [], 30)[0], f"nothing more after {shown.decode()}"
            try:
                shown += os.read(master, 1000)
            except OSError:  # the command has ended, and all it said is read
                return

    at_terminal = {"stdin": terminal, "stdout": terminal, "stderr": terminal, "start_new_session": True}
    with subprocess.Popen([COMMAND, *arguments], cwd=folder, **at_terminal) as asking:
        os.close(terminal)
        try:
            for prompt, answer in answers:
                read_until(f"{prompt}: ".encode())
                os.write(master, f"{answer}\n".encode())
            read_until(None)
            code = asking.wait(30)
        finally:
            asking.kill()
            os.close(master)
    return code, shown.decode()
