"""Every route × every kind of caller: who gets in is what `authorisation.txt` says, and nobody else.

The routes are those of the application, aliases and undescribed ones included.
"""

import asyncio
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.unit.services.wiring import MovableClock

from habeas.domain.actor import Actor, ActorKind
from habeas.domain.scopes import SCOPES, SCOPES_OF, Role
from habeas.execution.context import Context
from habeas.services import logins, tokens, users
from habeas.services.users import UserChange, UserDraft
from habeas.store import grants, journal
from habeas.web.app import create_app

PASSWORD = "Correct-horse-1"  # of users made here
TABLE = Path(__file__).with_name("authorisation.txt")
READING = ("GET", "HEAD")


@dataclass(frozen=True)
class Entry:
    """A line of the table."""

    method: str
    path: str
    need: str
    scope: str | None = None

    @classmethod
    def read(cls, line: str) -> "Entry":
        method, path, need, *more = line.split()
        return cls(method, path, "scope", need) if ":" in need else cls(method, path, need, *more)

    @property
    def body(self) -> dict[str, str] | None:
        """None, but for the route that looks at its token after its body."""
        return {} if self.need == "webhook-token" else None

    def address(self, own_id: str) -> str:
        """Nobody deletes itself here."""
        itself = self.method == "DELETE" and self.path.endswith("/{user_id}")
        names = {"user_id": "x" if itself else own_id, "when": "pre_execution"}
        return re.sub(r"{(\w+)}", lambda found: names.get(found[1], "x"), self.path)

    def lets_in(self, scopes: frozenset[str], *, itself: bool) -> bool:
        match self.need:
            case "open":
                return True
            case "self":
                return itself
            case "self-or":
                return itself or self.scope in scopes
            case "scope":
                return self.scope in scopes
        return False


ENTRIES = [Entry.read(line) for line in TABLE.read_text().splitlines() if not line.startswith("#")]
ENTRIES.sort(key=lambda entry: entry.path.endswith("/logout"))  # what ends the caller's token comes last


class Door:
    """The application, and callers of many kinds."""

    def __init__(self, context: Context, clock: MovableClock) -> None:
        self.context, self.clock = context, clock
        self.app = create_app(context)

    def client(self, *scopes: str) -> tuple[str, str]:
        """The id and a token of a client with these scopes."""
        with self.context.ledger.write() as connection:
            name = f"cli_{len(grants.list_clients(connection))}"
            grants.add_client(connection, name, "no secret", scopes, self.context.clock.now())
            holder = Actor(name, ActorKind.CLIENT, scopes=frozenset(scopes))
            return name, tokens.issue(self.context, connection, holder).access_token

    def user(self, name: str, *roles: Role) -> tuple[str, str]:
        """The id and a token of a user with these roles."""
        root = replace(self.context, actor=Actor("root", ActorKind.CLIENT, scopes=frozenset(SCOPES)))
        made = users.create_user(root, UserDraft(username=name, password=PASSWORD))
        users.save_permission(root, made.id, roles, None)
        return made.id, logins.log_in(root, name, PASSWORD).token_data.access_token

    def ask(self, entries: Sequence[Entry], headers: dict[str, str], own_id: str = "x") -> Iterator[tuple[Entry, Any]]:
        """What each route answers."""
        return iter(asyncio.run(self._ask(entries, headers, own_id)))

    async def _ask(self, entries: Sequence[Entry], headers: dict[str, str], own_id: str) -> list[tuple[Entry, Any]]:
        transport = httpx.ASGITransport(app=self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers) as http:
            return [
                (entry, await http.request(entry.method, entry.address(own_id), json=entry.body)) for entry in entries
            ]


@pytest.fixture
def door(context: Context, clock: MovableClock) -> Door:
    return Door(context, clock)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def check(door: Door, headers: dict[str, str], scopes: frozenset[str], *, user_id: str | None = None) -> None:
    """Who holds these scopes gets in where the table says so; elsewhere it is known, and refused."""
    for entry, answer in door.ask(ENTRIES, headers, user_id or "x"):
        status = answer.status_code
        if entry.need in ("webhook-token", "credentials"):
            assert status == 401, entry
        elif entry.lets_in(scopes, itself=user_id is not None):
            assert status not in (401, 403), (entry, answer.text)
        else:
            assert status == 403, (entry, status, answer.text)


def test_every_route_stands_in_the_table_once_and_nothing_else(door: Door) -> None:
    there = [
        (method, route.path)
        for room in door.app.routes
        for route in (room.effective_route_contexts() if hasattr(room, "effective_route_contexts") else [room])
        for method in route.methods
    ]
    assert sorted((entry.method, entry.path) for entry in ENTRIES) == sorted(there)
    assert {entry.scope for entry in ENTRIES} - {None} <= set(SCOPES)


@pytest.mark.parametrize("kind", ["none", "malformed", "unknown", "revoked", "expired", "deleted", "disabled", "gone"])
def test_whoever_shows_nothing_that_counts_is_not_known(door: Door, clock: MovableClock, kind: str) -> None:
    headers = {}
    match kind:
        case "malformed":
            headers = {"Authorization": "Bearer"}
        case "unknown":
            headers = bearer("a" * 43)
        case "revoked":
            _, token = door.client(*SCOPES)
            tokens.revoke(door.context, token)
            headers = bearer(token)
        case "expired":
            _, token = door.client(*SCOPES)
            clock.ahead = timedelta(days=9)
            headers = bearer(token)
        case "deleted":
            client_id, token = door.client(*SCOPES)
            with door.context.ledger.write() as connection:
                grants.delete_client(connection, client_id)
            headers = bearer(token)
        case "disabled" | "gone":
            user_id, token = door.user("ann", Role.OWNER)
            root = replace(door.context, actor=Actor("root", ActorKind.CLIENT, scopes=frozenset(SCOPES)))
            if kind == "disabled":
                users.change_user(root, user_id, UserChange(disabled=True))
            else:
                users.delete_user(root, user_id)
            headers = bearer(token)
    for entry, answer in door.ask(ENTRIES, headers):
        if entry.need == "open":
            assert answer.status_code != 401, entry
        else:
            assert answer.status_code == 401, (entry, answer.text)
            assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("scope", SCOPES)
def test_a_scope_opens_its_routes_and_no_others(door: Door, scope: str) -> None:
    """A client that holds this one alone, and one that holds every other."""
    own = [entry for entry in ENTRIES if entry.scope == scope]
    _, holder = door.client(scope)
    _, lacking = door.client(*(set(SCOPES) - {scope}))
    for entry, answer in door.ask(own, bearer(holder)):
        assert answer.status_code not in (401, 403), (entry, answer.text)
    for entry, answer in door.ask(own, bearer(lacking)):
        assert answer.status_code == 403, (entry, answer.text)


def test_a_client_without_scopes_is_known_and_refused(door: Door) -> None:
    _, token = door.client()
    check(door, bearer(token), frozenset())


def test_a_scope_that_is_taken_away_counts_at_once(door: Door) -> None:
    client_id, token = door.client(*SCOPES)
    with door.context.ledger.write() as connection:
        grants.change_client(connection, client_id, door.context.clock.now(), scopes=["policy:read"])
    check(door, bearer(token), frozenset({"policy:read"}))


@pytest.mark.parametrize("role", Role)
def test_a_role_opens_what_its_scopes_open(door: Door, role: Role) -> None:
    user_id, token = door.user("ann", role)
    check(door, bearer(token), SCOPES_OF[role], user_id=user_id)


def test_a_session_reads_but_changes_nothing_without_its_csrf_token(door: Door) -> None:
    user_id, _ = door.user("ann", Role.OWNER)
    root = replace(door.context, actor=Actor("root", ActorKind.CLIENT, scopes=frozenset(SCOPES)))
    session, token = logins.open_session(root, "ann", PASSWORD)
    cookie = {"Cookie": f"habeas_session={token.access_token}"}
    closed = [entry for entry in ENTRIES if entry.need not in ("open", "webhook-token", "credentials")]
    for entry, answer in door.ask(closed, cookie, user_id):
        assert (answer.status_code == 403) == (entry.method not in READING), (entry, answer.text)
    changing = [entry for entry in closed if entry.method in ("PATCH", "PUT")]
    for entry, answer in door.ask(changing, {**cookie, "X-CSRF-Token": session.csrf_token}, user_id):
        assert answer.status_code not in (401, 403), (entry, answer.text)


def test_what_is_written_down_names_the_caller(door: Door) -> None:
    """Whatever a call changes, its audit entries are by the client that made it."""
    client_id, token = door.client(*SCOPES)
    with door.context.ledger.read() as connection:
        before = len(journal_of(connection))
    list(door.ask(ENTRIES, bearer(token)))
    with door.context.ledger.read() as connection:
        written = journal_of(connection)[before:]
    assert {(row.actor, row.actor_kind) for row in written} <= {(client_id, "client")}


def journal_of(connection: Any) -> list[Any]:
    return list(connection.execute(journal.audits.select().order_by(journal.audits.c.id)))
