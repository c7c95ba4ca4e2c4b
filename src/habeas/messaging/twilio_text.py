"""Text messages by Twilio. It knows no id of ours: a message sent again after a crash is one more message."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from habeas.domain.errors import InputError
from habeas.domain.message import Channel, Message, ProviderType, is_callable_number
from habeas.messaging.http import Client, base_url, submit

_ACCOUNT = re.compile(r"[A-Za-z0-9]{1,64}")
_SERVICE, _NUMBER = "twilio_messaging_service_sid", "twilio_sender_phone_number"


@dataclass(frozen=True, slots=True)
class TwilioProvider:
    """Posts each message to the account's `Messages.json`; `sender` names the messaging service or the number."""

    url: str
    account: str
    token: str
    sender: tuple[str, str]
    client: Client

    def send(self, message: Message) -> None:
        form = {"To": message.recipient, "Body": message.text, self.sender[0]: self.sender[1]}
        submit("Twilio", self.client, self.url, form, (self.account, self.token))


def twilio_text_provider(client: Client) -> ProviderType:
    """Sends from a messaging service or from a number, whichever the secrets name."""

    def connect(details: Mapping[str, object], secrets: Mapping[str, str]) -> TwilioProvider:
        base = base_url(details.get("base_url"), "https://api.twilio.com")
        account, number = secrets.get("twilio_account_sid", ""), secrets.get(_NUMBER, "")
        if account and not _ACCOUNT.fullmatch(account):
            raise InputError("twilio_account_sid is no id of an account")
        if number and not is_callable_number(number):
            raise InputError(f"{_NUMBER} is no phone number", hint="write it in E.164, e.g. +15551234567")
        sender = ("From", number) if number else ("MessagingServiceSid", secrets.get(_SERVICE, ""))
        url = f"{base}/2010-04-01/Accounts/{account}/Messages.json"
        return TwilioProvider(url, account, secrets.get("twilio_auth_token", ""), sender, client)

    secrets = {"twilio_account_sid": True, "twilio_auth_token": True, _SERVICE: False, _NUMBER: False}
    choices = (frozenset({_SERVICE}), frozenset({_NUMBER}))
    return ProviderType("twilio_text", Channel.SMS, {"base_url": False}, secrets, connect, choices)
