"""The wheel holds what it must, needs what it says, and runs the demo far from the source tree."""

import ast
import re
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Mapping
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from installed import ROOT, Installation
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PACKAGE = ROOT / "src" / "habeas"

LOADED_BY_NAME: Mapping[str, str] = {
    "duckdb-engine": "SQLAlchemy, for duckdb:// addresses",
    "python-multipart": "FastAPI, for forms",
}
"""Declared needs that no module of ours imports, and who does."""

Built = tuple[Path, Path]


def _sources() -> set[str]:
    return {
        str(file.relative_to(PACKAGE.parent))
        for file in PACKAGE.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }


def test_the_wheel_holds_the_whole_package_and_nothing_else(built: Built) -> None:
    names = zipfile.ZipFile(built[1]).namelist()
    assert {name for name in names if ".dist-info/" not in name} == _sources()
    assert {"habeas/py.typed", "habeas/demo/story.py", "habeas/store/migrations/versions/0001_ledger.py"} <= set(names)
    assert [name for name in names if name.endswith(".dist-info/licenses/LICENSE")]


def test_the_sdist_holds_what_building_needs_and_no_tests(built: Built) -> None:
    with tarfile.open(built[0]) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert {f"src/{name}" for name in _sources()} <= names
    assert {"LICENSE", "README.md", "CHANGELOG.md", "pyproject.toml", "docs/limits.md"} <= names
    assert {name.split("/")[0] for name in names} <= {
        *("src", "docs", "LICENSE", "README.md", "CHANGELOG.md", "pyproject.toml", "PKG-INFO", ".gitignore")
    }


def test_the_package_imports_what_it_declares_and_declares_what_it_imports() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lists = [project["dependencies"], *project["optional-dependencies"].values()]
    declared = {canonicalize_name(Requirement(text).name) for texts in lists for text in texts}
    owners = packages_distributions()
    foreign = {name for name in _imported() if name not in sys.stdlib_module_names and name != "habeas"}
    imported = {name: {canonicalize_name(owner) for owner in owners[name]} for name in foreign}
    assert not {name: found for name, found in imported.items() if not found & declared}, "imported, not declared"
    unused = declared - {owner for found in imported.values() for owner in found}
    assert unused == set(LOADED_BY_NAME), "declared, not imported"


def _imported() -> set[str]:
    nodes = [node for file in PACKAGE.rglob("*.py") for node in ast.walk(ast.parse(file.read_text()))]
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level]
    return {name.split(".")[0] for name in names}


def test_the_pinned_environment_has_all_that_the_wheel_needs(installation: Installation) -> None:
    assert installation.pip("check").strip() == "No broken requirements found."


def test_the_pins_of_the_extras_are_all_that_the_extras_need(built: Built, tmp_path: Path) -> None:
    whole = Installation(tmp_path / "venv", built[1], ["run.lock", "extras.lock"], "[cluster,s3]")
    assert whole.pip("check").strip() == "No broken requirements found."
    assert "habeas worker" in whole.run("habeas", "worker", "--help", folder=tmp_path)
    assert whole.run("python", "-m", "dask", "scheduler", "--version", folder=tmp_path)


def test_the_demo_keeps_its_promises_far_from_the_source_tree(installation: Installation, tmp_path: Path) -> None:
    where = installation.run("python", "-c", "import habeas; print(habeas.__file__)", folder=tmp_path)
    assert Path(where.strip()).is_relative_to(installation.bin.parent)
    told = installation.run("habeas", "demo", "--once", folder=tmp_path)
    assert told.count("✓") == 8, told
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("stated", ["pyproject.toml", "CHANGELOG.md"])
def test_the_version_is_one(stated: str, installation: Installation, tmp_path: Path) -> None:
    text = (ROOT / stated).read_text()
    found = re.search(r'^(?:version = "|## )([0-9.]+)', text, re.MULTILINE)
    assert found and installation.run("habeas", "--version", folder=tmp_path) == f"{found[1]}\n"
