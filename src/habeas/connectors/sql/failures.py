"""Turns driver exceptions into errors of ours: which one, what it says, which mend it names.

Never repeats a driver's text: it quotes values of rows. Dialects name the condition; this module words it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from habeas.domain.errors import DataFault, Fault, HabeasError, NeedsHuman, SystemUnavailable


class Condition(Enum):
    """What went wrong: the error it becomes, its words and its mend."""

    UNREACHABLE = (SystemUnavailable, "the database cannot be reached", "check host, port and that the server runs")
    LOGIN = (SystemUnavailable, "the database refused the login", "check username and password of the connection")
    BUSY = (SystemUnavailable, "locked by another session, timed out or short of resources", "try again later")
    FULL = (SystemUnavailable, "the store cannot write", "check that its disk has space and is healthy")
    NO_DATABASE = (NeedsHuman, "the database does not exist", "check the name in the connection's secrets")
    NO_FILE = (
        NeedsHuman,
        "the file cannot be opened, or is no intact database",
        "check that the path exists, that a database is there and that it may be opened",
    )
    MISSING = (NeedsHuman, "a table or column does not exist", "compare the dataset with the store")
    AMBIGUOUS = (
        NeedsHuman,
        "a schema has the name of the database file",
        "rename the file, then the path of the connection",
    )
    NOT_ALLOWED = (NeedsHuman, "the store does not allow this", "grant the connection's user the privilege")
    DATA = (
        DataFault,
        "the store refuses a value or a constraint is violated",
        "look at the condition named, and at the constraint if one is",
    )
    OTHER = (Fault, "the statement failed", "look up the condition in the store's manual")

    def __init__(self, error: type[HabeasError], words: str, mend: str) -> None:
        self.error = error
        self.words = words
        self.mend = mend


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A condition, the store's own name for it and the schema objects concerned; no values."""

    condition: Condition
    code: str
    objects: tuple[str, ...] = ()

    def error(self, where: str) -> HabeasError:
        """The error to raise for work at `where` (a collection's address, or the connection)."""
        # one answer to every path that is no database: whoever may give paths does not learn which files there are
        code = "no database file" if self.condition is Condition.NO_FILE else self.code
        named = " ".join([code, *self.objects])
        return self.condition.error(
            f"{where}: {self.condition.words} [{named}]", hint=self.condition.mend, context={"condition": code}
        )


@contextmanager
def scrubbed(diagnose: Callable[[BaseException], Diagnosis], where: str) -> Iterator[None]:
    """Replace every driver exception by ours, without its text."""
    try:
        yield
    except UnicodeError as error:
        raise Diagnosis(Condition.DATA, type(error).__name__).error(where) from None
    except PoolTimeout:
        raise Diagnosis(Condition.BUSY, "PoolTimeout").error(where) from None
    except DBAPIError as error:
        cause = error.orig if error.orig is not None else error
        raise diagnose(cause).error(where) from None
