"""Ending requests before they are carried out to the end."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from habeas.domain.request import RequestStatus
from habeas.store import requests, verifications


def end(
    connection: sa.Connection, request_ids: Sequence[str], to: RequestStatus, now: datetime, **values: Any
) -> list[str]:
    """Move requests to where nothing follows, without what only carrying them out would need; the ids that moved."""
    values |= {"finished_at": now, "waits_until": None, "sealed_encryption_key": None}
    ended = requests.transition(connection, request_ids, to, now, **values)
    requests.forget_secrets(connection, ended)
    verifications.forget_codes(connection, ended)
    return ended
