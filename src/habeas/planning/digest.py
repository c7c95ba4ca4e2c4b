"""The digest: one hash over everything the planner receives, so that equal input has an equal plan.

Requests whose digests are equal may share a run (design §3).
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from habeas.domain.errors import InputError
from habeas.planning.plan_input import PlanInput


def digest_input(given: PlanInput) -> str:
    """SHA-256, in hex, of the input as canonical JSON; the order of datasets and of sets does not count.

    Raises InputError when a masking configuration holds what JSON cannot.
    """
    placed = sorted(given.datasets, key=lambda placed: placed.dataset.key)
    content = {
        "policy": given.policy,
        "datasets": [[item.dataset, item.connection.key] for item in placed],
        "connections": {item.connection.key: item.connection for item in placed},
        "identity_kinds": given.identity_kinds,
        "dataset_keys": given.dataset_keys,
        "strategies": given.strategies,
    }
    text = json.dumps(content, default=_plain, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value):
        return {item.name: getattr(value, item.name) for item in dataclasses.fields(value)}
    if isinstance(value, AbstractSet):
        return sorted(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise InputError(
        f"a masking configuration holds a value of type {type(value).__name__}", hint="write it as text or a number"
    )
