"""What is built once for all tests of this folder."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from installed import Installation, build


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The sdist and the wheel of this tree."""
    return build(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="session")
def installation(built: Sequence[Path], tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """The wheel in a virtual environment of its own."""
    return Installation(tmp_path_factory.mktemp("installed") / "venv", built[1], ["run.lock"])
