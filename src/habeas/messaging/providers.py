"""The provider types there are. Knows what each is called, not how it works."""

from habeas.domain.clock import Clock
from habeas.domain.message import ProviderType
from habeas.messaging.http import Client
from habeas.messaging.mailgun import mailgun_provider
from habeas.messaging.smtp import smtp_provider
from habeas.messaging.twilio_text import twilio_text_provider


def provider_types(client: Client, clock: Clock) -> tuple[ProviderType, ...]:
    """Every provider type; those over HTTP send by the client."""
    return smtp_provider(clock), mailgun_provider(client), twilio_text_provider(client)
