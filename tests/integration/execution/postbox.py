"""A provider of messages that keeps what it takes."""

from dataclasses import dataclass, field

from engine import Engine
from habeas.domain.errors import HabeasError
from habeas.domain.message import Channel, Message, ProviderType
from habeas.store import tables


@dataclass
class Postbox:
    """A provider that keeps what it takes, or raises `failure`."""

    taken: list[Message] = field(default_factory=list)
    failure: HabeasError | None = None

    def send(self, message: Message) -> None:
        if self.failure is not None:
            raise self.failure
        self.taken.append(message)


def activate(engine: Engine, channel: Channel = Channel.EMAIL) -> Postbox:
    box = Postbox()
    name = f"postbox_{channel}"
    kind = ProviderType(name, channel, {}, {}, lambda details, secrets: box)
    engine.context.provider_types[name] = kind  # type: ignore[index]
    now = engine.context.clock.now()
    row = {"key": name, "id": name, "name": name, "type": name, "details": {}, "active": True}
    with engine.context.ledger.write() as connection:
        connection.execute(tables.message_providers.insert().values(**row, created_at=now, updated_at=now))
    return box
