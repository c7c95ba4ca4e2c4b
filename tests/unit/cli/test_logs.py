"""A line for people and one for machines say the same: time, level, logger, message, and the fields that are bound."""

import json
import logging
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from habeas.cli.logs import ConsoleLines, JsonLines
from habeas.log_fields import adopt, bound, current


def record(**extra: object) -> logging.LogRecord:
    made = logging.makeLogRecord({"name": "habeas.x", "levelname": "INFO", "msg": "run %s ended", "args": ("run_1",)})
    made.created = 1_700_000_000.1234
    made.__dict__ |= extra
    return made


def test_a_json_line_is_one_object_with_the_fields() -> None:
    with bound(call="c1"), bound(run="run_1"):
        line = JsonLines().format(record(fields={"status": 200}, exc_text="ValueError at\nx"))
    assert "\n" not in line
    assert json.loads(line) == {
        "time": "2023-11-14T22:13:20.123Z",
        "level": "INFO",
        "logger": "habeas.x",
        "message": "run run_1 ended",
        "call": "c1",
        "run": "run_1",
        "status": 200,
        "error": "ValueError at\nx",
    }


def test_a_console_line_ends_with_the_fields() -> None:
    with bound(call="c1"):
        line = ConsoleLines().format(record(fields={"status": 200}))
    assert line == "2023-11-14T22:13:20.123Z INFO    habeas.x run run_1 ended call=c1 status=200"
    assert current() == {}


def test_threads_take_the_fields_of_their_starter_over() -> None:
    with bound(run="run_1"), ThreadPoolExecutor(1, "x", adopt, (current(),)) as pool:
        assert pool.submit(current).result() == {"run": "run_1"}


DYING = """
import logging, threading, warnings
from habeas.cli.logs import set_up_logs
set_up_logs("INFO", "json")
warnings.warn("ann@example.org is deprecated")
def fail(): raise ValueError("Kanarienweg 7")
thread = threading.Thread(target=fail, name="visit")
thread.start(); thread.join()
try: fail()
except ValueError: logging.getLogger("library").exception("cannot serve %s", "ann@example.org")
fail()
"""


def test_nothing_reaches_standard_error_beside_the_filter() -> None:
    """Warnings, errors that end a thread, traces of libraries, and the error that ends the process."""
    ended = subprocess.run([sys.executable, "-c", DYING], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    lines = [json.loads(line) for line in ended.stderr.splitlines()]
    assert [(line["level"], line["logger"]) for line in lines] == [
        ("WARNING", "py.warnings"),
        ("ERROR", "habeas.cli.logs"),
        ("ERROR", "library"),
        ("CRITICAL", "habeas.cli.logs"),
    ]
    assert not re.search("Kanarienweg|ann@", ended.stderr)
    assert [bool(re.search(r"^ValueError at .* fail", line.get("error", ""))) for line in lines[1:]] == [True] * 3
