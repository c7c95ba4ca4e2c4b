"""Tokens and clients: what is revoked, deleted or narrowed has its effect at the next call."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.unit.services.wiring import ROOT_ID, ROOT_SECRET, MovableClock

from habeas.domain.actor import Actor, ActorKind
from habeas.domain.audit import AuditAction
from habeas.domain.errors import Conflict, InputError, NotAllowed, NotAuthenticated, NotFound
from habeas.domain.scopes import SCOPES
from habeas.execution.context import Context
from habeas.services import clients, tokens
from habeas.services.clients import ClientDraft, Credentials
from habeas.services.fields import InvalidFields
from habeas.services.passwords import matches
from habeas.store import grants, tables


def acting(context: Context, *scopes: str) -> Context:
    return replace(context, actor=Actor("somebody", ActorKind.CLIENT, scopes=frozenset(scopes)))


def make(context: Context, *scopes: str) -> Credentials:
    return clients.create_client(acting(context, *SCOPES), ClientDraft(list(scopes)))


def token_of(context: Context, made: Credentials) -> str:
    return clients.issue_token(context, made.client_id, made.client_secret).access_token


def test_the_root_client_holds_every_scope(context: Context) -> None:
    token = clients.issue_token(context, ROOT_ID, ROOT_SECRET).access_token
    caller = tokens.authenticate(context, token)
    tokens.check_holds(caller, "policy:delete")
    assert caller.id == ROOT_ID


@pytest.mark.parametrize(
    ("client_id", "secret"), [(ROOT_ID, "wrong"), ("nobody", "x"), ("", ""), ("a\x00b", "x"), (ROOT_ID, "")]
)
def test_wrong_credentials_say_nothing_more(context: Context, client_id: str, secret: str) -> None:
    with pytest.raises(NotAuthenticated, match=r"^client id or secret is wrong$"):
        clients.issue_token(context, client_id, secret)


def test_wrong_secrets_of_known_clients_are_written_down(context: Context) -> None:
    made = make(context, "policy:read")
    for client_id in (ROOT_ID, made.client_id, "nobody", "a\x00b"):
        with pytest.raises(NotAuthenticated):
            clients.issue_token(context, client_id, "wrong")
    failed = tables.audits.select().where(tables.audits.c.action == AuditAction.LOGIN_FAILED)
    with context.ledger.read() as connection:
        written = [(row.object_kind, row.object_id) for row in connection.execute(failed.order_by(tables.audits.c.id))]
    assert written == [("client", ROOT_ID), ("client", made.client_id)]


def test_an_unset_root_secret_opens_nothing(context: Context) -> None:
    security = context.settings.security.model_copy(update={"oauth_root_client_secret": ""})
    object.__setattr__(context, "settings", context.settings.model_copy(update={"security": security}))
    with pytest.raises(NotAuthenticated):
        clients.issue_token(context, ROOT_ID, "")


def test_a_scope_must_be_in_token_and_client(context: Context) -> None:
    made = make(context, "policy:read", "rule:read")
    token = token_of(context, made)
    clients.change_scopes(acting(context, *SCOPES), made.client_id, ["policy:read", "policy:delete"])
    assert tokens.authenticate(context, token).scopes == {"policy:read"}
    with pytest.raises(NotAllowed):
        tokens.check_holds(tokens.authenticate(context, token), "rule:read")
    with pytest.raises(NotAllowed):
        tokens.check_holds(tokens.authenticate(context, token), "policy:delete")
    tokens.check_holds(tokens.authenticate(context, token_of(context, made)), "policy:delete")


def test_tokens_end_with_time_revocation_and_their_client(context: Context, clock: MovableClock) -> None:
    made = make(context, "policy:read")
    revoked, deleted, expired = (token_of(context, made) for _ in range(3))
    tokens.revoke(context, revoked)
    with pytest.raises(NotAuthenticated):
        tokens.authenticate(context, revoked)
    clock.ahead = timedelta(minutes=11519)
    assert tokens.authenticate(context, expired)
    clock.ahead = timedelta(minutes=11521)
    with pytest.raises(NotAuthenticated):
        tokens.authenticate(context, expired)
    clock.ahead = timedelta()
    root = acting(context, *SCOPES)
    clients.delete_client(root, made.client_id)
    clients.delete_client(root, made.client_id)
    with pytest.raises(NotAuthenticated):
        tokens.authenticate(context, deleted)


def test_a_new_secret_ends_the_old_one(context: Context) -> None:
    made = make(context, "policy:read")
    renewed = clients.rotate_secret(acting(context, *SCOPES), made.client_id)
    assert token_of(context, renewed)
    with pytest.raises(NotAuthenticated):
        token_of(context, made)


@pytest.mark.parametrize("change", [clients.rotate_secret, clients.delete_client])
def test_a_secret_that_ends_while_it_is_checked_opens_nothing(
    context: Context, monkeypatch: pytest.MonkeyPatch, change: Callable[[Context, str], object]
) -> None:
    made = make(context, "policy:read")

    def check(secret_hash: str | None, secret: str) -> bool:
        change(acting(context, *SCOPES), made.client_id)
        return matches(secret_hash, secret)

    monkeypatch.setattr(clients, "matches", check)
    with pytest.raises(NotAuthenticated):
        token_of(context, made)
    with context.ledger.read() as connection:
        assert grants.list_tokens(connection, made.client_id, context.clock.now()) == []


def test_nobody_grants_what_they_lack(context: Context) -> None:
    weak = acting(context, "client:create", "client:update", "policy:read")
    strong = make(context, "policy:read", "policy:delete")
    with pytest.raises(NotAllowed):
        clients.create_client(weak, ClientDraft(["policy:delete"]))
    with pytest.raises(NotAllowed):
        clients.change_scopes(weak, strong.client_id, ["policy:read", "rule:read"])
    with pytest.raises(NotAllowed):
        clients.rotate_secret(weak, strong.client_id)
    own = make(context, "policy:read")
    assert clients.change_scopes(weak, own.client_id, ["policy:read", "client:create"]).scopes == [
        "client:create",
        "policy:read",
    ]


def test_nobody_handles_a_client_that_may_do_more(context: Context) -> None:
    weak = acting(context, "client:create", "client:update", "client:delete", "policy:read")
    strong = make(context, "policy:read", "policy:delete")
    token = token_of(context, strong)
    jti = clients.list_tokens(weak, strong.client_id)[0].jti
    tried: list[Callable[[], object]] = [
        lambda: clients.change_scopes(weak, strong.client_id, []),
        lambda: clients.change_client(weak, strong.client_id, ClientDraft(["policy:read"], "mine")),
        lambda: clients.rotate_secret(weak, strong.client_id),
        lambda: clients.delete_client(weak, strong.client_id),
        lambda: clients.revoke_token(weak, strong.client_id, jti),
    ]
    for attempt in tried:
        with pytest.raises(NotAllowed, match="may do what you may not"):
            attempt()
    assert tokens.authenticate(context, token).scopes == {"policy:read", "policy:delete"}
    assert clients.find_client(context, strong.client_id).name is None


def test_only_who_holds_every_scope_ends_tokens_of_the_root_client(context: Context) -> None:
    token = clients.issue_token(context, ROOT_ID, ROOT_SECRET).access_token
    (shown,) = clients.list_tokens(context, ROOT_ID)
    with pytest.raises(NotAllowed):
        clients.revoke_token(acting(context, *(set(SCOPES) - {"config:update"})), ROOT_ID, shown.jti)
    assert tokens.authenticate(context, token)
    clients.revoke_token(acting(context, *SCOPES), ROOT_ID, shown.jti)
    with pytest.raises(NotAuthenticated):
        tokens.authenticate(context, token)


def test_unknown_scopes_and_clients_are_refused(context: Context) -> None:
    with pytest.raises(InvalidFields):
        make(context, "everything:*")
    with pytest.raises(NotFound):
        clients.find_client(context, "nobody")
    with pytest.raises(NotFound):
        clients.rotate_secret(acting(context, *SCOPES), "nobody")
    with pytest.raises(Conflict):
        clients.delete_client(context, ROOT_ID)


@pytest.mark.parametrize("told", [{"name": "a\x00b"}, {"description": "a\x00b"}])
def test_text_that_no_database_keeps_is_refused(context: Context, told: dict[str, str]) -> None:
    draft, root = ClientDraft([], **told), acting(context, *SCOPES)
    with pytest.raises(InputError, match="NUL"):
        clients.create_client(root, draft)
    with pytest.raises(InputError, match="NUL"):
        clients.change_client(root, make(context).client_id, draft)


def test_neither_secrets_nor_tokens_are_stored(context: Context) -> None:
    made = make(context, "policy:read")
    token = token_of(context, made)
    with context.ledger.read() as connection:
        stored = [*connection.execute(tables.clients.select()), *connection.execute(tables.tokens.select())]
    assert made.client_secret not in repr(stored)
    assert token not in repr(stored)
    assert [view.client_id for view in clients.list_clients(context)] == [made.client_id]
