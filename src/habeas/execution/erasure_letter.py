"""What the e-mail says by which somebody is asked to erase, and how it is sent at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from habeas.domain.message import Channel, Event
from habeas.execution import sending
from habeas.execution.context import Context


@dataclass(frozen=True, slots=True)
class Instruction:
    """What is asked for in one collection. `locators`: field → values that rows are found by.

    `update`: field → masking strategy, or `*` → `delete`; empty where only other collections are found through it.
    """

    collection: str
    locators: Mapping[str, Sequence[str]]
    update: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Letter:
    """An e-mail to send; `reference` names the request."""

    id: str
    recipient: str
    reference: str
    dataset: str
    instructions: Sequence[Instruction]


SAMPLE = (Instruction("example:customers", {"email": ["someone@example.com"]}, {"name": "null_rewrite"}),)
"""What the test of a connection asks for: nobody's data."""


def deliver(context: Context, letter: Letter) -> None:
    """Hand an e-mail to the active provider, outside of any transaction. Raises what `sending.send` does."""
    collections = [
        {
            "name": one.collection,
            "locators": [{"field": field, "values": values} for field, values in one.locators.items()],
            "fields": [{"field": field, "strategy": wanted} for field, wanted in one.update.items()],
        }
        for one in letter.instructions
    ]
    said = {"request_id": letter.reference, "dataset": letter.dataset, "collections": collections}
    sending.send(context, letter.id, Event.ERASURE_INSTRUCTIONS, Channel.EMAIL, letter.recipient, said)
