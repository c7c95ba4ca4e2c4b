"""Drafts of datasets for a connection: asks the store for its description now and has a dataset proposed from it.

Reads the description alone, never a row, and stores nothing.
"""

import re
from dataclasses import dataclass

from habeas.domain.errors import HabeasError, InputError, SystemUnavailable
from habeas.domain.ports import Sketch
from habeas.execution.context import Context
from habeas.services.connections import get_record
from habeas.services.drafting.draft import Draft
from habeas.services.drafting.drafter import draft_dataset
from habeas.services.drafting.summary import summarise
from habeas.services.drafting.text import write_draft

_FOREIGN = re.compile(r"[^A-Za-z0-9_.\-<>]")
"""What no dataset key may hold (data-plane §1.2)."""


@dataclass(frozen=True, slots=True)
class GeneratedDataset:
    """A draft, its YAML document with comments, and what to look at in words."""

    draft: Draft
    text: str
    summary: str


def generate_dataset(
    context: Context, connection_key: str, *, key: str | None = None, schema: str | None = None
) -> GeneratedDataset:
    """Propose a dataset for a connection's store as it is now.

    `key` defaults to the connection's, with `schema` appended when one is named. Raises NotFound for the connection,
    InputError when it has no secrets, when the key is malformed, when the store cannot say or has no tables, and what
    the connector raises.
    """
    with context.ledger.read() as connection:
        record = get_record(connection, connection_key)
    if record.sealed_secrets is None:
        raise InputError(
            f"connection {connection_key!r} has no secrets yet", hint=f"PUT /api/v1/connection/{connection_key}/secret"
        )
    chosen = key or make_dataset_key(connection_key, schema)
    if _FOREIGN.search(chosen):
        raise InputError(f"{chosen!r} is no dataset key", hint="use letters, digits and _ . - < > only")
    draft = draft_dataset(_describe(context, connection_key), chosen, record.name, schema)
    return GeneratedDataset(draft, write_draft(draft, connection_key), summarise(draft))


def make_dataset_key(connection_key: str, schema: str | None) -> str:
    """A dataset key after a connection and the schema that was asked for."""
    parts = (connection_key, schema) if schema else (connection_key,)
    return _FOREIGN.sub("_", "_".join(parts))


def _describe(context: Context, connection_key: str) -> Sketch:
    try:
        with context.waiting_room.seat():
            sketch = context.connectors.get(connection_key).describe()
    except HabeasError:
        raise
    except Exception as error:  # a driver's own words may hold secrets: only the kind of error is shown
        raise SystemUnavailable(
            f"connection {connection_key!r} could not be described ({type(error).__name__})",
            hint="test the connection first",
        ) from None
    if sketch is None:
        raise InputError(f"the store of connection {connection_key!r} cannot describe itself", hint="write it by hand")
    return sketch
