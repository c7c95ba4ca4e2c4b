"""Log lines of server processes, for people or one JSON object each: time, level, logger, message, ids, counts."""

import json
import logging
import sys
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Literal

from rich.console import Console

from habeas import log_fields
from habeas.cli.redaction import Redaction

_log = logging.getLogger(__name__)

_QUIET = (
    *("httpx", "httpcore", "uvicorn.access", "distributed", "alembic", "sqlalchemy.engine"),
    *("botocore", "aiobotocore", "s3fs", "fsspec"),  # these would say signatures, too
)


def set_up_logs(level: str, form: Literal["console", "json"] = "console") -> None:
    """Log to standard error. Libraries that would repeat addresses or parameters are kept to warnings.

    Errors that end a thread or the process, and warnings, become log lines too, so that the filter sees their words.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if form == "json" else ConsoleLines())
    handler.addFilter(Redaction())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    threading.excepthook = _log_thread
    sys.excepthook = _log_end


def announce(line: str, form: Literal["console", "json"]) -> None:
    """Say where a process is and what a person should know of it: a plain line, or an object among the others."""
    if form == "json":
        _log.info("%s", line)
    else:
        Console(stderr=True).print(line, highlight=False, markup=False, soft_wrap=True)


class ConsoleLines(logging.Formatter):
    """`time level logger message field=value …`."""

    def format(self, record: logging.LogRecord) -> str:
        fields = "".join(f" {name}={value}" for name, value in _fields(record).items())
        trace = f"\n  {record.exc_text}" if record.exc_text else ""
        return f"{_time(record)} {record.levelname:7} {record.name} {record.getMessage()}{fields}{trace}"


class JsonLines(logging.Formatter):
    """One JSON object per line: `time` (UTC), `level`, `logger`, `message`, the fields, `error` where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": _time(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_text:
            line["error"] = record.exc_text
        return json.dumps(line, ensure_ascii=False)


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _fields(record: logging.LogRecord) -> Mapping[str, object]:
    """What is bound where the line is written, and what the line itself brings as `extra={"fields": …}`."""
    return {**log_fields.current(), **getattr(record, "fields", {})}


def _log_thread(failed: threading.ExceptHookArgs) -> None:
    if failed.exc_value is not None:
        name = failed.thread.name if failed.thread else "?"
        trace = (failed.exc_type, failed.exc_value, failed.exc_traceback)
        _log.error("thread %s ended by an error", name, exc_info=trace)


def _log_end(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    _log.critical("the process ended by an error", exc_info=(kind, error, trace))
