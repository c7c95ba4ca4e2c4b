"""What providers over HTTP have in common: the answer of the other side, judged."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from habeas.domain.errors import InputError, RateLimited, SystemUnavailable

if TYPE_CHECKING:
    import httpx


class Client(Protocol):
    """Sends forms; refuses addresses that nothing outside may be asked at."""

    def post(
        self, url: str, *, form: Mapping[str, str] | None = None, auth: tuple[str, str] | None = None
    ) -> "httpx.Response": ...


def submit(provider: str, client: Client, url: str, form: Mapping[str, str], auth: tuple[str, str]) -> None:
    """Post a message; returning means that it was accepted. Raises what a provider may raise.

    An address that nothing may be asked at is an operator's to mend, not this message's fault.
    """
    try:
        answer = client.post(url, form=form, auth=auth)
    except InputError as error:
        raise SystemUnavailable(f"{provider} cannot be asked: {error.message}", hint=error.hint) from None
    _judge(provider, answer)


def _judge(provider: str, answer: "httpx.Response") -> None:
    """Return when the message was accepted. The body may repeat a recipient: only the status is kept."""
    status = answer.status_code
    if answer.is_success:
        return
    if status in (401, 403, 404):
        hint = "check its details and secrets, and the account"
        raise SystemUnavailable(f"{provider} refused the account ({status})", hint=hint)
    if status == 429:
        raise RateLimited(f"{provider} asks for patience ({status})")
    if 400 <= status < 500 and status != 408:
        raise InputError(f"{provider} refused the message ({status})", hint="see its own log")
    raise SystemUnavailable(f"{provider} failed ({status})")


def base_url(given: object, default: str) -> str:
    """Where the provider is, without a slash at the end. Raises InputError for what is no HTTP address."""
    url = str(given or default).rstrip("/")
    if not url.startswith(("https://", "http://")) or not url.isprintable() or " " in url:
        raise InputError("details.base_url is no HTTP address", hint=f"e.g. {default}")
    return url
