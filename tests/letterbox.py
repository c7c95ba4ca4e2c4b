"""A provider of messages that sends nothing: what is told is read from the outbox."""

from collections.abc import Mapping
from typing import Any, cast

import sqlalchemy as sa

from habeas.domain.message import Channel, Event, Message, ProviderType
from habeas.execution.context import Context
from habeas.store import messages, tables

TYPE = "letterbox"


class _Letterbox:
    def send(self, message: Message) -> None:
        pass


def set_up_letterbox(context: Context) -> None:
    """From now on people can be reached by e-mail."""
    known = cast(dict[str, ProviderType], context.provider_types)
    known[TYPE] = ProviderType(TYPE, Channel.EMAIL, {}, {}, lambda details, secrets: _Letterbox())
    now = context.clock.now()
    row = {"key": TYPE, "id": "mes_1", "name": TYPE, "type": TYPE, "details": {}, "active": True}
    with context.ledger.write() as connection:
        connection.execute(tables.message_providers.insert().values(**row, created_at=now, updated_at=now))


def take_down_letterbox(context: Context) -> None:
    """Nobody can be reached any more."""
    with context.ledger.write() as connection:
        connection.execute(tables.message_providers.delete())


def read_outbox(context: Context, request_id: str) -> list[tuple[Event, Mapping[str, Any]]]:
    """What the messages to a request's person tell, oldest first."""
    table, sealer = tables.messages, context.ledger.sealer
    query = sa.select(table).where(table.c.request_id == request_id).order_by(table.c.created_at)
    with context.ledger.read() as connection:
        rows = connection.execute(query).mappings().all()
    return [(Event(row.event), messages.open_variables(sealer, row)) for row in rows]


def read_code(context: Context, request_id: str) -> str:
    """The latest code that the person was sent."""
    codes = [told["code"] for event, told in read_outbox(context, request_id) if event is Event.VERIFICATION]
    return str(codes[-1])


def wrong(code: str) -> str:
    """Another code."""
    return f"{(int(code) + 1) % 1_000_000:06}"
