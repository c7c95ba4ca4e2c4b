"""Fields that every log line carries while something is being done: the HTTP call being answered, the run carried.

Ids and names alone; whoever binds a field vouches that it holds no value of a person.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

_bound: ContextVar[Mapping[str, str]] = ContextVar("log_fields", default={})  # noqa: B039  # never changed in place


@contextmanager
def bound(**fields: str) -> Iterator[None]:
    """Add fields to the log lines of this thread or task while the block lasts."""
    token = _bound.set({**_bound.get(), **fields})
    try:
        yield
    finally:
        _bound.reset(token)


def current() -> Mapping[str, str]:
    """The fields that are bound here."""
    return _bound.get()


def adopt(fields: Mapping[str, str]) -> None:
    """Take over the fields of whoever started this thread: `ThreadPoolExecutor(…, initializer=adopt, initargs=…)`."""
    _bound.set(fields)
