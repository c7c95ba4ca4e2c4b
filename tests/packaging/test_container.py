"""The image and the compose file: what can be told, and run, without a docker engine."""

import fnmatch
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest
from deployment import (
    ROOT,
    Service,
    compose_variables,
    container_command,
    free_ports,
    image_environment,
    image_words,
    read_compose,
    read_dockerfile,
    read_variables,
    start_order,
)
from installed import run
from one_request import check_deployment

from servers.postgres import PostgresServer
from servers.process import wait_for

VARIABLES = {
    "LEDGER_PASSWORD": "compose-ledger-password",
    "HABEAS__SECURITY__ENCRYPTION_KEYS": "key1:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
    "HABEAS__SECURITY__OAUTH_ROOT_CLIENT_SECRET": "compose-root-secret",
}
_SAYS = {"server": "serving on", "worker": "working for", "scheduler": "Scheduler at:", "upgrade": ""}


def _copied() -> list[str]:
    """What the image takes from the tree."""
    copies = [rest.split()[:-1] for name, rest in read_dockerfile() if name == "COPY" and "--from" not in rest]
    return [source for sources in copies for source in sources]


def _pip_calls() -> list[list[str]]:
    """What pip is called with while the image is built."""
    parts = [part for name, rest in read_dockerfile() if name == "RUN" for part in rest.split("&&")]
    return [part.split("/pip ")[1].split() for part in parts if "/pip " in part]


def test_the_context_of_the_image_lets_through_what_it_copies() -> None:
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for source in _copied():
        assert any(fnmatch.fnmatch(source, pattern) for pattern in allowed), f"{source} is kept out of the image"


def test_the_image_installs_what_is_pinned_and_nothing_else() -> None:
    for words in _pip_calls():
        named = {word for word in words if word.startswith("requirements/")}
        assert "--no-index" in words or named == {"requirements/run.lock", "requirements/extras.lock"}, words


def test_a_wheel_can_be_built_from_what_the_image_copies(tmp_path: Path) -> None:
    for source in _copied():
        (tmp_path / source).parent.mkdir(exist_ok=True)
        copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
        copy(ROOT / source, tmp_path / source)
    (building,) = (words for words in _pip_calls() if words[0] == "wheel")
    run(sys.executable, "-m", "pip", *building, folder=tmp_path)
    assert list(tmp_path.glob("dist/habeas-*.whl"))


def test_the_image_runs_on_the_python_the_pins_are_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert ("ARG", f"PYTHON={project['requires-python'].removeprefix('>=')}") in read_dockerfile()


def test_the_image_is_nobodys_root_and_holds_no_secret() -> None:
    instructions = read_dockerfile()
    users = [place for place, (name, _) in enumerate(instructions) if name == "USER"]
    assert [instructions[place][1] for place in users] == ["10001"]
    assert not [name for name, _ in instructions[users[0] :] if name == "RUN"], "something runs after USER"
    assert image_environment() == {"HABEAS__DATA_DIR": "/var/lib/habeas"}
    assert ("VOLUME", "/var/lib/habeas") in instructions


def test_every_variable_of_the_compose_file_is_described() -> None:
    assert compose_variables() == set(read_variables(ROOT / ".env.example"))
    assert {name for name, value in read_variables(ROOT / ".env.example").items() if not value} == set(VARIABLES)


def test_the_compose_file_refuses_to_start_without_secrets() -> None:
    for name in VARIABLES:
        with pytest.raises(KeyError):
            read_compose({other: value for other, value in VARIABLES.items() if other != name})


def test_the_compose_file_names_what_exists_and_opens_the_server_alone() -> None:
    services = read_compose(VARIABLES)
    assert start_order(services)[0] == "ledger"
    assert {name: service["ports"] for name, service in services.items() if "ports" in service} == {
        "server": ["127.0.0.1:8080:8080"]
    }
    assert services["server"]["command"] == image_words("CMD")
    assert services["worker"]["deploy"] == {"replicas": 2}
    # The check of the image asks a server: what is none must not be asked.
    assert {
        name for name, service in services.items() if service["image"] == "habeas" and "healthcheck" in service
    } == {*("upgrade", "scheduler", "worker")}


@pytest.fixture
def stand_ins(tmp_path: Path) -> Iterator[Mapping[str, str]]:
    """What stands for addresses, ports and the volume; the ledger's role and database, as its image makes them.

    The server is one of its own: documents make roles of the same name in the session's.
    """
    server, scheduler = free_ports(2)
    ledger = PostgresServer()
    try:
        with psycopg.connect(ledger.url(), autocommit=True) as owner:
            owner.execute(f"CREATE ROLE habeas LOGIN PASSWORD '{VARIABLES['LEDGER_PASSWORD']}'".encode())
            owner.execute("CREATE DATABASE habeas OWNER habeas")
        yield {
            "@ledger:5432": f"@127.0.0.1:{ledger.port}",
            "//scheduler:": "//127.0.0.1:",
            "8080": server,
            "8786": scheduler,
            "/var/lib/habeas": str(tmp_path / "volume"),
        }
    finally:
        ledger.remove()


def test_the_compose_file_carries_a_request_out(stand_ins: Mapping[str, str], tmp_path: Path) -> None:
    services = read_compose(VARIABLES)
    with ExitStack() as running:
        for name in start_order(services):
            if name != "ledger":
                _start(running, name, services[name], stand_ins, tmp_path)
        wait_for("the server to be healthy", lambda: _is_healthy(stand_ins["8080"]), 30)
        secret = VARIABLES["HABEAS__SECURITY__OAUTH_ROOT_CLIENT_SECRET"]
        check_deployment(f"http://127.0.0.1:{stand_ins['8080']}", "root", secret, tmp_path)
        assert list((tmp_path / "volume" / "packages").iterdir()), "packages are not on the volume"
    assert not _is_healthy(stand_ins["8080"]), "the check of the image takes a dead server for a healthy one"


def _start(
    running: ExitStack, name: str, service: Mapping[str, Any], stand_ins: Mapping[str, str], folder: Path
) -> None:
    command = container_command(service).replaced(stand_ins)
    for number in range(service.get("deploy", {}).get("replicas", 1)):
        started = running.enter_context(Service(command, folder / f"{name}-{number}", _SAYS[name]))
        if name == "upgrade":
            assert started.wait(30) == 0, started.log_text()


def _is_healthy(port: str) -> bool:
    """What the image's own check says of the server."""
    _, *options = (word.replace("8080", port) for word in image_words("HEALTHCHECK"))
    return subprocess.run([sys.executable, *options], env=os.environ, check=False, capture_output=True).returncode == 0
