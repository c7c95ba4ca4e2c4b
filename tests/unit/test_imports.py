"""A server that is connected to nothing has no driver in memory."""

import subprocess
import sys
from pathlib import Path

DRIVERS = ("psycopg", "distributed", "pymysql", "duckdb", "s3fs")

_SERVE = """
import sys
from pathlib import Path
from habeas import bootstrap
from habeas.cli.main import main
from habeas.settings import Settings
from habeas.web.app import create_app
application = bootstrap.build(Settings(data_dir=Path(sys.argv[1])))
with bootstrap.dispatching(application):
    create_app(application.context)
bootstrap.close(application)
print(*sys.modules)
"""


def test_drivers_are_imported_when_they_are_needed(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", _SERVE, tmp_path], capture_output=True, text=True, check=True)
    assert not set(DRIVERS) & set(done.stdout.split())
