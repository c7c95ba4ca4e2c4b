"""docs/reference.md says what the code says."""

import importlib.util
from types import ModuleType

import pytest
from documents import ROOT


@pytest.fixture
def writer(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script that writes the page, with no settings of this machine."""
    monkeypatch.setenv("HABEAS__DATABASE__URL", "")
    spec = importlib.util.spec_from_file_location("write_reference", ROOT / "scripts" / "write_reference.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_page_is_up_to_date(writer: ModuleType) -> None:
    assert writer.PAGE.read_text(encoding="utf-8") == writer.render(), "run `python scripts/write_reference.py`"
