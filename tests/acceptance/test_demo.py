"""`habeas demo --once`, as a newcomer runs it: it ends well by itself, and not at all well when a promise is broken."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from habeas.demo.company import build_company

VALUE_PUT_BACK = """
CREATE TRIGGER stubborn AFTER UPDATE OF body ON reviews WHEN new.body <> old.body
BEGIN UPDATE reviews SET body = old.body WHERE id = old.id; END
"""
NEIGHBOUR_TOUCHED = """
CREATE TRIGGER nosy AFTER UPDATE OF email ON customers
BEGIN UPDATE customers SET tier = 'none' WHERE id = 0; END
"""


def _run_demo(data: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """The demo in a fresh data folder."""
    return _run_demo_in(data.parent, "--data-dir", str(data), *options)


def _run_demo_in(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """The demo with nothing of this machine's settings; temporary files are made in `folder`."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HABEAS")}
    environment["TMPDIR"] = str(folder)
    command = [str(Path(sys.executable).with_name("habeas")), "demo", "--once", *options]
    return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=60)


def test_the_demo_keeps_its_promises_in_under_a_minute(tmp_path: Path) -> None:
    done = _run_demo(tmp_path / "data")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("✓") == 8
    packages = tmp_path / "data" / "packages"
    assert list(packages.glob("pri_*.json"))
    assert list(packages.glob("pri_*.zip"))
    assert "Ada Lindqvist" in (tmp_path / "data" / "ada" / "everything.json").read_text(encoding="utf-8")


def test_the_demo_can_be_watched_again_in_the_same_folder(tmp_path: Path) -> None:
    for _ in range(2):
        done = _run_demo(tmp_path / "data")
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_demo_without_a_data_folder_leaves_nothing_and_says_so(tmp_path: Path) -> None:
    company, temporary = build_company(tmp_path / "company", people=60), tmp_path / "temporary"
    temporary.mkdir()
    done = _run_demo_in(temporary, "--company-folder", str(company.folder))
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(temporary.iterdir()) == []
    assert f"The demo's folder {temporary}/habeas-demo-" in done.stdout.splitlines()[-1]
    assert "is removed" in done.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("sabotage", "complaint"),
    [(VALUE_PUT_BACK, "ended as error"), (NEIGHBOUR_TOUCHED, "must not touch: shop:customers.tier")],
    ids=["a store that puts the old value back", "a store that changes a neighbour"],
)
def test_a_broken_promise_ends_the_demo_non_zero(tmp_path: Path, sabotage: str, complaint: str) -> None:
    company = build_company(tmp_path / "company", people=60)
    with closing(sqlite3.connect(company.folder / "shop.db")) as shop, shop:
        shop.executescript(sabotage)
    done = _run_demo(tmp_path / "data", "--company-folder", str(company.folder))
    assert done.returncode == 1, done.stdout + done.stderr
    assert complaint in " ".join((done.stdout + done.stderr).split())
    assert company.email not in done.stderr
