"""What somebody may do is judged as it is when it is changed, no matter what is done to it at the same time."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from engine import Engine
from habeas.domain.actor import Actor, ActorKind
from habeas.domain.errors import NotAllowed
from habeas.domain.scopes import SCOPES, Role
from habeas.execution.context import Context
from habeas.services import clients, users
from habeas.services.clients import ClientDraft
from habeas.services.users import UserDraft
from habeas.store import grants
from habeas.store import users as user_store


def acting(context: Context, *scopes: str) -> Context:
    return replace(context, actor=Actor("cli_somebody", ActorKind.CLIENT, scopes=frozenset(scopes)))


def refused_after(engine: Engine, change: Callable[..., object], attempt: Callable[[], object]) -> None:
    """The attempt waits for the change, which began before, and then is not allowed."""
    with ThreadPoolExecutor(1) as other:
        with engine.context.ledger.write() as connection:
            change(connection)
            trying = other.submit(attempt)
            with pytest.raises(TimeoutError):
                trying.result(timeout=0.3)
        with pytest.raises(NotAllowed, match="may do what you may not"):
            trying.result(timeout=20)


def test_a_secret_is_not_learnt_while_scopes_come(start: Callable[..., Engine]) -> None:
    engine = start()
    root = acting(engine.context, *SCOPES)
    weak = acting(engine.context, "client:update")
    made = clients.create_client(root, ClientDraft([]))
    now = engine.context.clock.now()
    refused_after(
        engine,
        lambda connection: grants.change_client(connection, made.client_id, now, scopes=["policy:read"]),
        lambda: clients.rotate_secret(weak, made.client_id),
    )
    assert clients.issue_token(root, made.client_id, made.client_secret)


def test_a_user_is_not_changed_while_it_is_promoted(start: Callable[..., Engine]) -> None:
    engine = start()
    root = acting(engine.context, *SCOPES)
    weak = acting(engine.context, "user-permission:update")
    ann = users.create_user(root, UserDraft(username="ann", password="Correct-horse-1")).id
    users.save_permission(root, ann, [], [])
    now = engine.context.clock.now()
    refused_after(
        engine,
        lambda connection: user_store.change_user(connection, ann, now, roles=["owner"]),
        lambda: users.save_permission(weak, ann, [], []),
    )
    assert users.find_permission(root, ann).roles == [Role.OWNER]
