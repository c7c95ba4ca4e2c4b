"""What a token may do: every scope there is, and the roles that bundle them for people (control-plane §1.16)."""

from enum import StrEnum

_GRANTED = {
    "client": "create update read delete",
    "config": "read update",
    "audit": "read",
    "policy": "create_or_update read delete",
    "rule": "create_or_update read delete",
    "connection_type": "read",
    "connection": "create_or_update read delete authorize instantiate",
    "consent": "read",
    "dataset": "create_or_update read delete",
    "storage": "create_or_update read delete",
    "email": "create_or_update read delete",
    "messaging": "create_or_update read delete",
    "messaging-template": "update",
    "webhook": "create_or_update read delete",
    "status-webhook": "create_or_update read delete",
    "saas_config": "create_or_update read delete",
    "privacy-request": "read delete create review resume upload_data view_data",
    "privacy-request-access-results": "read",
    "privacy-request-notifications": "read create_or_update",
    "scope": "read",
    "encryption": "exec",
    "masking": "exec read",
    "onetrust": "exec",
    "user": "create update read delete reset-password",
    "user-permission": "create update read assign_owners",
}
SCOPES = tuple(f"{thing}:{act}" for thing, acts in _GRANTED.items() for act in acts.split())
"""Every scope there is."""


class Role(StrEnum):
    """What people are given instead of single scopes."""

    OWNER = "owner"
    CONTRIBUTOR = "contributor"
    VIEWER = "viewer"
    APPROVER = "approver"
    VIEWER_AND_APPROVER = "viewer_and_approver"


def _is_contributed(scope: str) -> bool:
    thing, _, act = scope.partition(":")
    if thing in ("storage", "email", "messaging", "privacy-request-notifications"):
        return act == "read"
    return scope not in ("user-permission:assign_owners", "config:update")


def _is_viewed(scope: str) -> bool:
    thing, _, act = scope.partition(":")
    return act == "read" and not thing.startswith("privacy-request") and thing != "user-permission"


_APPROVED = frozenset(
    f"privacy-request:{act}" for act in ("create", "read", "review", "resume", "upload_data", "view_data", "delete")
) | {"user:read"}
_VIEWED = frozenset(filter(_is_viewed, SCOPES))

SCOPES_OF = {
    Role.OWNER: frozenset(SCOPES),
    Role.CONTRIBUTOR: frozenset(filter(_is_contributed, SCOPES)),
    Role.VIEWER: _VIEWED,
    Role.APPROVER: _APPROVED,
    Role.VIEWER_AND_APPROVER: _VIEWED | _APPROVED,
}
"""What each role may do."""
