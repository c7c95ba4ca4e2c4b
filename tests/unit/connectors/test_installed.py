"""Packages installed beside Habeas bring connection types, and a broken one says so at start."""

import sys
from pathlib import Path

import pytest

from habeas import bootstrap
from habeas.connectors import connection_types
from habeas.domain.errors import InputError
from habeas.settings import Settings

_MODULE = "shelf_connector"
_GOOD = (
    'from habeas.domain.ports import ConnectionType\nSHELF = ConnectionType("shelf", {"path": True}, connect=None)\n'
)


@pytest.fixture
def site_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed packages."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, _MODULE, raising=False)
    return folder


def _install(folder: Path, code: str) -> None:
    (folder / f"{_MODULE}.py").write_text(code)
    said = folder / f"{_MODULE}-1.2.dist-info"
    said.mkdir()
    (said / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {_MODULE}\nVersion: 1.2\n")
    (said / "entry_points.txt").write_text(f"[habeas.connectors]\nshelf = {_MODULE}:SHELF\n")


def test_an_installed_connector_can_be_connected(site_packages: Path, tmp_path: Path) -> None:
    _install(site_packages, _GOOD)
    application = bootstrap.build(Settings(data_dir=tmp_path / "data"))
    try:
        assert {"shelf", "sqlite"} <= application.context.connection_types.keys()
    finally:
        bootstrap.close(application)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import no_such_driver", "cannot be loaded (ModuleNotFoundError)"),
        ("", "cannot be loaded (AttributeError)"),
        ("SHELF = 'shelf'", "is no ConnectionType"),
    ],
)
def test_a_broken_one_is_named(code: str, said: str, site_packages: Path) -> None:
    _install(site_packages, code)
    with pytest.raises(InputError) as raised:
        connection_types()
    assert raised.value.message == f"the connector 'shelf' of {_MODULE} 1.2 {said}"
    assert raised.value.hint == f"mend {_MODULE}:SHELF, or uninstall the package"


def test_it_cannot_take_the_place_of_another(site_packages: Path) -> None:
    _install(site_packages, _GOOD.replace('"shelf"', '"sqlite"'))
    with pytest.raises(InputError, match="'sqlite' exists twice"):
        connection_types()
