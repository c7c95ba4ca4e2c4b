"""The e-mail by which somebody is asked to erase: what it says, and how it is sent at once.

Pure but for `deliver`, which contacts the provider outside of any transaction.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import uuid4

from habeas.domain.errors import NeedsHuman
from habeas.domain.message import Channel, Message
from habeas.execution import outbox
from habeas.execution.context import Context


@dataclass(frozen=True, slots=True)
class Instruction:
    """What is asked for in one collection. `locators`: field → values that rows are found by.

    `update`: field → masking strategy, or `*` → `delete`; empty where only other collections are found through it.
    """

    collection: str
    locators: Mapping[str, Sequence[str]]
    update: Mapping[str, str]


SAMPLE = (Instruction("example:customers", {"email": ["someone@example.com"]}, {"name": "null_rewrite"}),)
"""What the test of a connection asks for: nobody's data."""


def write_letter(message_id: str, recipient: str, reference: str, instructions: Sequence[Instruction]) -> Message:
    """The finished e-mail; `reference` names the request."""
    lines = ["Please erase the personal data below, and keep nothing that leads to it.", "", f"Reference: {reference}"]
    for one in instructions:
        lines += ["", f"Collection {one.collection}", "  find rows by any of"]
        lines += [f"    {field}: {_list(values)}" for field, values in one.locators.items()]
        if one.update:
            lines += ["  then", *(_demand(field, wanted) for field, wanted in one.update.items())]
        else:
            lines.append("  nothing is to be erased here: rows of other collections are found through these")
    text = "\n".join([*lines, ""])
    return Message(message_id, Channel.EMAIL, recipient, f"Request to erase personal data ({reference})", text)


def write_sample(recipient: str) -> Message:
    """An e-mail that asks for nothing real."""
    return write_letter(f"msg_{uuid4()}", recipient, "test, nothing has to be done", SAMPLE)


def deliver(context: Context, message: Message) -> None:
    """Hand an e-mail to the active provider. Raises NeedsHuman when there is none, and what providers raise."""
    with context.ledger.read() as connection:
        usable = outbox.usable(context, connection)
    provider = next((one for one in usable if context.provider_types[one.type].channel is Channel.EMAIL), None)
    if provider is None:
        raise NeedsHuman("no e-mail provider is active", hint="configure one and activate it")
    outbox.connect_provider(context, provider).send(message)


def _list(values: Sequence[str]) -> str:
    return ", ".join(json.dumps(value, ensure_ascii=False) for value in values)


def _demand(field: str, wanted: str) -> str:
    return "    delete the rows" if field == "*" else f"    mask {field} ({wanted})"
