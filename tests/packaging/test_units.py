"""The systemd units: systemd finds nothing wrong with them, and what they run carries a request out."""

import shutil
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import crossplane
import pytest
from deployment import ROOT, UNITS, Service, free_ports, read_unit, read_variables, unit_command
from one_request import check_deployment

from servers.postgres import PostgresServer

KEY = "key1:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
SECRET = "unit-root-secret"
BIN = str(Path(sys.executable).parent)
_UNITS = sorted(UNITS.glob("*.service"))
_EXPOSURE = 20
"""At most, in tenths: systemd calls up to 2.0 "OK"."""


@pytest.fixture(params=_UNITS, ids=lambda file: file.stem)
def unit(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A unit as it would be installed, with the commands where they are here."""
    copied = tmp_path / request.param.name.replace("@", "@1")
    copied.write_text(request.param.read_text().replace("/opt/habeas/bin", BIN))
    return copied


def _analyze(*arguments: str | Path) -> None:
    assert shutil.which("systemd-analyze"), "systemd-analyze is missing: scripts/install-test-needs.sh installs it"
    done = subprocess.run(["systemd-analyze", *arguments], check=False, capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr, done.stdout + done.stderr


def test_systemd_understands_the_unit(unit: Path) -> None:
    _analyze("verify", unit)


def test_the_unit_is_shut_in(unit: Path) -> None:
    _analyze("security", "--no-pager", "--offline=yes", f"--threshold={_EXPOSURE}", unit)


def test_no_unit_runs_as_root() -> None:
    for file in _UNITS:
        said = dict(read_unit(file))
        assert said.get("User", "root") != "root" or said.get("DynamicUser") == "yes", file.name


def test_the_units_carry_a_request_out(postgres_server: PostgresServer, tmp_path: Path) -> None:
    port, scheduler = free_ports(2)
    environment = read_variables(UNITS / "environment.example")
    assert {name for name, value in environment.items() if not value} == {
        *("HABEAS__SECURITY__ENCRYPTION_KEYS", "HABEAS__SECURITY__OAUTH_ROOT_CLIENT_SECRET")
    }
    environment |= {
        "HABEAS__DATABASE__URL": postgres_server.create_database("units"),
        "HABEAS__SECURITY__ENCRYPTION_KEYS": KEY,
        "HABEAS__SECURITY__OAUTH_ROOT_CLIENT_SECRET": SECRET,
    }
    stand_ins = {"/opt/habeas/bin": BIN, "/var/lib/habeas": str(tmp_path / "state"), "8080": port, "8786": scheduler}
    with ExitStack() as running:

        def start(name: str, folder: str, says: str) -> None:
            command = unit_command(UNITS / f"{name}.service", environment).replaced(stand_ins)
            running.enter_context(Service(command, tmp_path / folder, says))

        start("habeas-scheduler", "scheduler", "Scheduler at:")
        start("habeas", "server", "serving on")
        for number in (1, 2):
            start("habeas-worker@", f"worker-{number}", "working for")
        check_deployment(
            f"http://127.0.0.1:{port}", environment["HABEAS__SECURITY__OAUTH_ROOT_CLIENT_ID"], SECRET, tmp_path
        )


def test_nginx_takes_the_example_and_logs_no_query(tmp_path: Path) -> None:
    whole = tmp_path / "nginx.conf"
    whole.write_text(f"events {{}}\nhttp {{\n    include {ROOT / 'deploy' / 'nginx.conf'};\n}}\n")
    parsed = crossplane.parse(str(whole))
    assert parsed["status"] == "ok", parsed["errors"]
    server = _directives(next(block for block in parsed["config"][1]["parsed"] if block["directive"] == "server"))
    assert server["access_log"] == ["/var/log/nginx/habeas.log", "habeas"]
    assert _directives(server["location /"])["proxy_pass"] == ["http://127.0.0.1:8080"]
    (log,) = (line["args"] for line in parsed["config"][1]["parsed"] if line["directive"] == "log_format")
    assert not [word for word in ("$request ", "$request_uri", "$args", "$query_string") if word in f"{log[1]} "]


def _directives(block: Mapping[str, object]) -> dict[str, object]:
    """The directives of a block by name; blocks in it by name and arguments."""
    found: dict[str, object] = {}
    for line in block["block"]:  # type: ignore[attr-defined]
        key = " ".join([line["directive"], *line["args"]]) if "block" in line else line["directive"]
        found[key] = line if "block" in line else line["args"]
    return found
