"""Messages to people, and the contract of those who deliver them (control-plane §4).

A provider knows nothing of requests: it is handed a finished message and takes it, or says why not.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


class Event(StrEnum):
    """What a message tells of."""

    VERIFICATION = "subject_identity_verification"
    RECEIPT = "privacy_request_receipt"
    APPROVED = "privacy_request_review_approve"
    DENIED = "privacy_request_review_deny"
    ACCESS_COMPLETE = "privacy_request_complete_access"
    DELETION_COMPLETE = "privacy_request_complete_deletion"
    ERRORS = "privacy_request_error_notification"
    ERASURE_INSTRUCTIONS = "message_erasure_fulfillment"
    USER_INVITE = "user_invite"
    PASSWORD_RESET = "password_reset"  # noqa: S105  # a word, no secret
    ADDRESS_CHANGED = "user_address_changed"
    TEST = "test_message"


class Channel(StrEnum):
    """The way a message goes."""

    EMAIL = "email"
    SMS = "sms"


@dataclass(frozen=True, slots=True)
class Message:
    """A finished message. `id` stays the same when it is sent again: whoever gets it twice can tell.

    `recipient` is an e-mail address or a phone number in E.164; a text message has neither subject nor HTML.
    """

    id: str
    channel: Channel
    recipient: str = field(repr=False)
    subject: str = field(repr=False)
    text: str = field(repr=False)
    html: str = field(default="", repr=False)


SEND_SECONDS = 60.0
"""How long handing over a message may take."""


class MessageProvider(Protocol):
    """Delivers messages of one channel. Called from several threads at once."""

    def send(self, message: Message) -> None:
        """Hand a message over; returning means that it was accepted.

        Raises SystemUnavailable when it is worth another try (no answer, busy, login or account refused: an operator
        mends that), InputError when this very message or recipient will never be taken, Fault for what else happens.
        No error repeats the recipient or the content. Gives up on its own within `SEND_SECONDS`.
        """
        ...


@dataclass(frozen=True, slots=True)
class ProviderType:
    """A kind of provider: its channel, the details and secrets it takes, and how to make it."""

    name: str
    channel: Channel
    details: Mapping[str, bool]
    """Detail field → required."""
    secrets: Mapping[str, bool]
    """Secret field → required."""
    connect: Callable[[Mapping[str, object], Mapping[str, str]], MessageProvider] = field(repr=False)
    """From details and secrets; contacts nobody. Raises InputError for wrong details."""
    alternatives: tuple[frozenset[str], ...] = ()
    """Sets of secrets of which exactly one must be present."""

    @property
    def needs_secrets(self) -> bool:
        """Whether it can send nothing before secrets are stored."""
        return any(self.secrets.values()) or bool(self.alternatives)


_ADDRESS = re.compile(r"[^\x00-\x20\x7f\"(),:;<>@\[\\\]]+@[^\x00-\x20\x7f\"(),:;<>@\[\\\]]+")
_PHONE = re.compile(r"\+[1-9]\d{1,14}")


def is_mailable(address: str) -> bool:
    """Whether this is one bare e-mail address: nothing in it could be read as a second one, a name or a header."""
    return address.isprintable() and _ADDRESS.fullmatch(address) is not None


def is_callable_number(number: str) -> bool:
    """Whether this is a phone number in E.164."""
    return _PHONE.fullmatch(number) is not None
