"""What stands in the Dockerfile, the compose file and the units, as commands that can be run here.

There is no docker engine and no systemd where tests run: the commands are carried out as processes of this machine,
with what the files give them, beside a PostgreSQL of the test.
"""

import json
import re
import shlex
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from servers.process import Process

ROOT = Path(__file__).parents[2]
UNITS = ROOT / "deploy" / "systemd"
_REFERENCE = re.compile(r"\$\{(?P<name>\w+)(?::(?P<sign>[-?])(?P<text>[^}]*))?\}")


@dataclass(frozen=True, slots=True)
class Command:
    """What a container or a unit runs, and the environment that it is given."""

    words: tuple[str, ...]
    environment: Mapping[str, str]

    def replaced(self, stand_ins: Mapping[str, str]) -> "Command":
        """The same with what stands for addresses, ports and folders."""

        def replace(text: str) -> str:
            for name, stand_in in stand_ins.items():
                text = text.replace(name, stand_in)
            return text

        words = tuple(replace(word) for word in self.words)
        return Command(words, {name: replace(value) for name, value in self.environment.items()})


class Service(Process):
    """A command that runs until it is ended; it is ready when its log says so."""

    def __init__(self, command: Command, folder: Path, says: str) -> None:
        self._says = says
        program, *options = command.words
        path = program if "/" in program else Path(sys.executable).with_name(program)
        super().__init__([path, *options], folder, command.environment)

    def is_ready(self) -> bool:
        """Whether the line that is waited for is in the log."""
        return self._says in self.log_text()

    def wait(self, deadline: float) -> int:
        """Its exit code when it ends by itself. Raises TimeoutExpired."""
        return self._running().wait(timeout=deadline)


def free_ports(count: int) -> list[str]:
    """Loopback ports that nobody uses now."""
    with ExitStack() as probing:
        probes = [probing.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [str(probe.getsockname()[1]) for probe in probes]


def read_dockerfile() -> list[tuple[str, str]]:
    """(instruction, rest) in order; continued lines are joined."""
    text = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1]) for line in lines]


def image_words(instruction: str) -> list[str]:
    """The words of ENTRYPOINT, CMD, or of HEALTHCHECK's command."""
    (rest,) = (rest for name, rest in read_dockerfile() if name == instruction)
    words: list[str] = json.loads(rest[rest.index("[") :])
    return words


def image_environment() -> dict[str, str]:
    """Settings of ours that the image gives."""
    pairs = [pair.partition("=") for name, rest in read_dockerfile() if name == "ENV" for pair in rest.split()]
    return {name: value for name, _, value in pairs if name.startswith("HABEAS")}


def compose_variables() -> set[str]:
    """Names that the compose file takes from .env."""
    return {found["name"] for found in _REFERENCE.finditer((ROOT / "compose.yaml").read_text())}


def read_compose(variables: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """The services with values from `variables`. Raises KeyError for one that has to be given."""

    def fill(found: re.Match[str]) -> str:
        return variables.get(found["name"], found["text"]) if found["sign"] == "-" else variables[found["name"]]

    services: dict[str, dict[str, Any]] = yaml.safe_load(_REFERENCE.sub(fill, (ROOT / "compose.yaml").read_text()))[
        "services"
    ]
    return services


def container_command(service: Mapping[str, Any]) -> Command:
    """What a container of our image runs."""
    words = [*service.get("entrypoint", image_words("ENTRYPOINT")), *service["command"]]
    return Command(tuple(words), image_environment() | service.get("environment", {}))


def start_order(services: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Names of the services, each after those it depends on. Raises KeyError for one that does not exist."""
    order: list[str] = []

    def add(name: str) -> None:
        for needed in services[name].get("depends_on", {}):
            add(needed)
        if name not in order:
            order.append(name)

    for name in services:
        add(name)
    return order


def read_variables(file: Path) -> dict[str, str]:
    """A file of NAME=value lines."""
    lines = [line for line in file.read_text().splitlines() if line and not line.startswith("#")]
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def read_unit(file: Path) -> Iterator[tuple[str, str]]:
    """(directive, value) in order, of all sections."""
    for line in file.read_text().splitlines():
        name, given, value = line.partition("=")
        if given:
            yield name, value


def unit_command(file: Path, environment: Mapping[str, str]) -> Command:
    """What a unit runs when its EnvironmentFile holds `environment`."""
    unit = list(read_unit(file))
    given = dict(environment) if "EnvironmentFile" in dict(unit) else {}
    given |= dict(value.split("=", 1) for name, value in unit if name == "Environment")
    words = [_REFERENCE.sub(lambda found: given[found["name"]], word) for word in shlex.split(dict(unit)["ExecStart"])]
    return Command(tuple(words), given)
