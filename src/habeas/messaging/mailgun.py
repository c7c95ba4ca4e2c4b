"""E-mail by Mailgun (control-plane §4.1)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from habeas.domain.errors import InputError
from habeas.domain.message import Channel, Message, ProviderType
from habeas.messaging.http import Client, base_url, submit

_DOMAIN = re.compile(r"[A-Za-z0-9.-]{1,253}")
_VERSION = re.compile(r"v\d{1,2}")
_TRUE = ("true", "1", "yes")


@dataclass(frozen=True, slots=True)
class MailgunProvider:
    """Posts each message to the domain's `messages`."""

    url: str
    domain: str
    key: str
    client: Client

    def send(self, message: Message) -> None:
        form = {"from": f"mailgun@{self.domain}", "to": message.recipient, "subject": " ".join(message.subject.split())}
        form |= {"text": message.text, "h:Message-Id": f"<{message.id}@{self.domain}>"}
        form |= {"html": message.html} if message.html else {}
        submit("Mailgun", self.client, self.url, form, ("api", self.key))


def mailgun_provider(client: Client) -> ProviderType:
    """`is_eu_domain` chooses the European base address; `base_url` another one altogether."""

    def connect(details: Mapping[str, object], secrets: Mapping[str, str]) -> MailgunProvider:
        domain, version = str(details["domain"]), str(details.get("api_version") or "v3")
        if not _DOMAIN.fullmatch(domain):
            raise InputError("details.domain is no domain")
        if not _VERSION.fullmatch(version):
            raise InputError("details.api_version is unknown", hint="e.g. v3")
        is_eu = str(details.get("is_eu_domain", False)).lower() in _TRUE
        base = base_url(details.get("base_url"), f"https://api{'.eu' if is_eu else ''}.mailgun.net")
        return MailgunProvider(
            f"{base}/{version}/{domain}/messages", domain, secrets.get("mailgun_api_key", ""), client
        )

    details = {"domain": True, "is_eu_domain": False, "api_version": False, "base_url": False}
    return ProviderType("mailgun", Channel.EMAIL, details, {"mailgun_api_key": True}, connect)
