"""Every command in the README and the docs does what it says there.

A document is run as one shell session in a folder of its own. What a document calls port 8080 or 8081, 8025 (mail),
8090 (a receiver of webhooks), the scheduler's port 8786 and the database at db.example.com:5432 are free ports and
servers of the test; `make demo` is the `habeas demo --once` it comes down to, `make wheel` builds into the session's
folder, other `make` commands are read by make, not carried out. `pip install` installs into the session alone and
downloads nothing: pinned packages are there. What `docker` and `sudo` would do to a machine is not done; the files and
services that they name must exist.
"""

import contextlib
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import psycopg
import pytest
import yaml
from documents import DOCUMENTS, FILES, ROOT, RUN, SHOWN, Command, matches, read_blocks, read_commands

from servers.postgres import PostgresServer

_SQL = "import os, sys, psycopg; psycopg.connect(os.environ['OWNER_URL'], autocommit=True).execute(sys.stdin.read())"
_PRELUDE = f"""
run_sql() {{ "{sys.executable}" -c "{_SQL}"; }}
printf '\\036'
"""
_SECONDS = 240.0
_PORTS = ("8080", "8081", "8786", "8025", "8090")
_MAKE_WHEEL = f"(cd '{ROOT}' && {sys.executable} -m hatchling build -t wheel -d \"$OLDPWD/dist\" 2>/dev/null)"
_SITE = ".site-packages"
_PIP_INSTALL = f"pip install --quiet --no-index --no-deps --no-build-isolation --target {_SITE}"


def _commands(document: Path) -> list[Command]:
    return [command for block in read_blocks(document.read_text()) for command in read_commands(block)]


_WITH_COMMANDS = [document for document in DOCUMENTS if _commands(document)]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_block_is_of_a_kind_that_is_run_or_only_shown(document: Path) -> None:
    for block in read_blocks(document.read_text()):
        assert block.language in RUN | SHOWN | FILES, f"line {block.line}: nothing runs a block of {block.language!r}"
        if block.language in FILES:
            assert block.file, f"line {block.line}: say above the block which file it is"
        if block.language in SHOWN:
            assert not re.search(r"^\$ ", block.body, re.MULTILINE), f"line {block.line}: a command that nothing runs"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_to_a_file_of_the_project(document: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text()):
        assert (document.parent / target).exists(), target


@pytest.mark.parametrize("document", _WITH_COMMANDS, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_do_what_the_document_says(document: Path, tmp_path: Path, stand_ins: Mapping[str, str]) -> None:
    assert shutil.which("curl"), "the documents use curl: install it"
    commands = _commands(document)
    results = _run(commands, tmp_path, stand_ins)
    for command, (status, printed) in zip(commands, results, strict=True):
        where = f"{document.name}:{command.line}: {command.text}\nprinted:\n{printed}"
        refused = re.search(r"^error: ", command.output or "", re.MULTILINE) is not None
        assert (status != 0) == refused, f"exit code {status}\n{where}"
        if command.output is not None:
            stated = _replace(command.output, stand_ins)
            assert matches(stated, printed), f"{where}\nbut the document says:\n{stated}"


_FOR_MACHINES = [
    pytest.param(command, id=f"{document.name}:{command.line}")
    for document in _WITH_COMMANDS
    for command in _commands(document)
    if re.match(r"docker|sudo", command.text)
]


@pytest.mark.parametrize("command", _FOR_MACHINES)
def test_commands_for_machines_name_what_exists(command: Command) -> None:
    words = shlex.split(command.text)
    for word in words:
        if re.match(r"(requirements|deploy)/", word):
            assert list(ROOT.glob(word)), word
        elif word.endswith(".service"):
            assert (ROOT / "deploy" / "systemd" / re.sub(r"@\d+", "@", word)).exists(), word
    if words[:2] == ["docker", "compose"]:
        services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
        assert _services_named(*words[2:]) <= services.keys()


def _services_named(verb: str, *rest: str) -> set[str]:
    scaled = {word.partition("=")[0] for option, word in pairwise(rest) if option == "--scale"}
    plain = [word for word in rest if not word.startswith("-") and "=" not in word]
    return scaled | set(plain[:1] if verb == "exec" else plain)


def _run(commands: list[Command], folder: Path, stand_ins: Mapping[str, str]) -> list[tuple[int, str]]:
    """Exit code and output of each command of a session; what it started in the background is ended."""
    lines = [f"{_as_tested(_replace(command.text, stand_ins))}\nprintf '%s\\036' $?" for command in commands]
    script, output = folder / ".session.sh", folder / ".session.out"
    script.write_text(_PRELUDE + "\n".join(lines) + "\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HABEAS", "FIDES"))}
    environment |= {
        "PATH": f"{Path(sys.executable).parent}:{environment['PATH']}",
        "HABEAS_URL": f"http://127.0.0.1:{stand_ins['8080']}",
        "OWNER_URL": stand_ins["OWNER_URL"],
        "PYTHONPATH": os.pathsep.join([str(folder / _SITE), *filter(None, [environment.get("PYTHONPATH")])]),
        "COLUMNS": "80",
    }
    with output.open("wb") as file:
        shell = subprocess.Popen(
            ["bash", script], cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=file, stderr=file,
            start_new_session=True,
        )  # fmt: skip
        try:
            shell.wait(timeout=_SECONDS)
        finally:
            _end_session(shell)
    printed = output.read_text().partition("\x1e")[2].split("\x1e")
    found = [re.fullmatch(r"(.*?)(\d+)", part, re.DOTALL) for part in printed[:-1]]
    return [(int(part[2]), part[1]) for part in found if part]


def _end_session(shell: "subprocess.Popen[bytes]") -> None:
    """End what the session left running: it has a process group of its own."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(shell.pid, signal.SIGKILL)
    shell.wait(timeout=10)


def _as_tested(command: str) -> str:
    command = re.sub(r"^make demo( ARGS=--once)?$", "habeas demo --once", command, flags=re.MULTILINE)
    command = re.sub(r"^(docker|sudo)\b", r": \1", command)
    command = re.sub(r" -r requirements/\S+", "", command)
    command = re.sub(r"^pip install\b", _PIP_INSTALL, command, flags=re.MULTILINE)
    command = re.sub(r"^make wheel$", _MAKE_WHEEL, command, flags=re.MULTILINE)
    return re.sub(r"^make\b", f"make -C '{ROOT}' --dry-run >/dev/null", command, flags=re.MULTILINE)


def _replace(text: str, stand_ins: Mapping[str, str]) -> str:
    for name, stand_in in stand_ins.items():
        text = text.replace(name, stand_in)
    return text


@pytest.fixture
def stand_ins(postgres_server: PostgresServer) -> dict[str, str]:
    """What stands for the addresses in the documents; the owner finds an empty database `shop` and no role."""
    with contextlib.ExitStack() as probing:
        probes = [probing.enter_context(socket.socket()) for _ in _PORTS]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        ports = {name: str(probe.getsockname()[1]) for name, probe in zip(_PORTS, probes, strict=True)}
    owner = postgres_server.create_database("shop")
    with psycopg.connect(owner, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS habeas WITH (FORCE)")
        connection.execute("DROP ROLE IF EXISTS habeas")
    return ports | {
        "db.example.com": "127.0.0.1",
        "5432": str(postgres_server.port),
        "OWNER_URL": owner,
    }
