"""The wheel as users get it: built from the sdist, and installed where nothing of the source tree is in reach."""

import os
import subprocess
import sys
import venv
from collections.abc import Iterator, Sequence
from importlib.metadata import distribution
from pathlib import Path

ROOT = Path(__file__).parents[2]
_PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")


class Installation:
    """A fresh virtual environment with a wheel and what files of pins name, nothing else.

    The pinned distributions are links to those installed here, so nothing is downloaded. pip installs the wheel without
    an index: it fails if the wheel needs more.
    """

    def __init__(self, folder: Path, wheel: Path, pins: Sequence[str], extras: str = "") -> None:
        self.bin = folder / "bin"
        venv.create(folder, symlinks=True, with_pip=False)
        (site_packages,) = folder.glob("lib/python*/site-packages")
        for top in {top for name in pins for top in _pinned(ROOT / "requirements" / name)}:
            (site_packages / top.name).symlink_to(top)
        self.pip("install", "--no-index", f"{wheel}{extras}")

    def pip(self, *arguments: str | Path) -> str:
        """What pip says of this environment; AssertionError when it fails."""
        return run(*_PIP, "--python", self.bin / "python", *arguments)

    def run(self, command: str, *arguments: str, folder: Path) -> str:
        """What an installed command prints in a folder."""
        return run(self.bin / command, *arguments, folder=folder)


def build(folder: Path) -> tuple[Path, Path]:
    """An sdist of this tree, and the wheel that the sdist builds; with the pinned build tools, without network."""
    run(sys.executable, "-m", "hatchling", "build", "--target", "sdist", "--directory", folder, folder=ROOT)
    (sdist,) = folder.glob("*.tar.gz")
    run(*_PIP, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", folder, sdist)
    (wheel,) = folder.glob("*.whl")
    return sdist, wheel


def run(*command: str | Path, folder: Path | None = None) -> str:
    """What a command prints without the source tree and settings of this machine; AssertionError when it fails."""
    hidden = ("HABEAS", "FIDES", "PYTHON", "PIP_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}"
    return done.stdout


def _pinned(pins: Path) -> Iterator[Path]:
    """Folders and modules of pinned distributions, as they are installed here, in the versions that are pinned."""
    for line in pins.read_text().splitlines():
        name, pinned, version = line.partition("==")
        if pinned:
            found = distribution(name)
            assert found.version == version, f"{name} is {found.version} here, pinned is {version}: `make setup-dev`"
            tops = {file.parts[0] for file in found.files or ()} - {"..", "__pycache__"}
            yield from (Path(str(found.locate_file(top))) for top in sorted(tops))
