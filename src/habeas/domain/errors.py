"""The error tree. The branch of an error says what happens next; the class says what went wrong.

HabeasError            code, message, hint, context: never personal data
├── InputError         the caller can fix it (4xx)
│   ├── DatasetError   carries file and path
│   ├── Unreachable    collections that the given identities cannot reach
│   ├── NotFound
│   ├── Conflict
│   ├── NotAllowed     token present, scope absent; or a wrong code
│   └── TooSoon        asked again before its time
├── TryAgain           temporary, ours or theirs: retried with back-off
│   ├── SystemUnavailable
│   └── RateLimited
├── NeedsHuman         stop and ask
└── Fault              bug or broken invariant
    └── DataFault      one member's data breaks a statement: halve until the guilty one is alone
"""

from collections.abc import Mapping, Sequence


class HabeasError(Exception):
    """Base of all errors of ours.

    `message` says what is wrong and `hint` names the mend; neither, nor `context`, may hold
    personal data: they are logged, stored and shown.
    """

    code = "habeas_error"

    def __init__(self, message: str, *, hint: str = "", context: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.context = dict(context or {})

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class InputError(HabeasError):
    """The caller can fix it."""

    code = "input_error"


class DatasetError(InputError):
    """A dataset (or a file of datasets) is wrong at `path`, e.g. `shop_db.members.mail.fides_meta.length`."""

    code = "dataset_error"

    def __init__(
        self, message: str, *, path: str = "", source: str = "", line: int | None = None, hint: str = ""
    ) -> None:
        parts = (source, str(line) if line else "", f" {path}" if path else "")
        where = ":".join(filter(None, parts)).lstrip()
        super().__init__(f"{where}: {message}" if where else message, hint=hint)
        self.path = path
        self.source = source
        self.line = line


class Unreachable(InputError):
    """Enabled collections that the identities given do not reach; nothing was queried."""

    code = "unreachable"

    def __init__(self, message: str, addresses: Sequence[str], *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.addresses = tuple(addresses)


class NotFound(InputError):
    """No object has this id or key."""

    code = "not_found"


class Conflict(InputError):
    """The object's present state does not allow this."""

    code = "conflict"


class NotAuthenticated(InputError):
    """No valid token was presented."""

    code = "not_authenticated"


class NotAllowed(InputError):
    """The token is valid, the needed scope is not granted; or the code that was to prove an identity does not."""

    code = "not_allowed"


class TooSoon(InputError):
    """The same was asked a moment ago; after `seconds` it may be asked again."""

    code = "too_soon"

    def __init__(self, message: str, seconds: int, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.seconds = seconds


class TryAgain(HabeasError):
    """Temporary, ours or theirs: worth another try after a pause, of `seconds` if the other side asks for that."""

    code = "try_again"

    def __init__(
        self, message: str, *, hint: str = "", context: Mapping[str, str] | None = None, seconds: float = 0.0
    ) -> None:
        super().__init__(message, hint=hint, context=context)
        self.seconds = seconds


class SystemUnavailable(TryAgain):
    """A connected system does not answer, refuses the login or is locked."""

    code = "system_unavailable"


class RateLimited(TryAgain):
    """A connected system asks for patience."""

    code = "rate_limited"


class NeedsHuman(HabeasError):
    """Only a person can mend this; the request stops in `error` with what is needed."""

    code = "needs_human"


class Fault(HabeasError):
    """A bug or a broken invariant."""

    code = "fault"


class DataFault(Fault):
    """A statement fails because of one member's data (or one row): the batch is worth halving."""

    code = "data_fault"


class LeaseLost(HabeasError):
    """Another worker holds a higher fence: stop, commit nothing. Never shown to users."""

    code = "lease_lost"
