"""Users on both ledgers: codes that are mailed, tries made at once, and what the ledger alone settles."""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from argon2 import PasswordHasher
from tests.unit.services.wiring import MovableClock

from engine import Engine
from habeas.domain.actor import Actor, ActorKind
from habeas.domain.errors import Conflict, HabeasError, InputError, NotAllowed, NotAuthenticated, TooSoon
from habeas.domain.message import Channel, Event, Message
from habeas.domain.scopes import SCOPES, Role
from habeas.execution.context import Context
from habeas.execution.housekeeping import drop_old_logins
from habeas.execution.postman import post_due
from habeas.services import login_tries, logins, passwords, tokens, user_codes, users
from habeas.services.fields import InvalidFields
from habeas.services.user_views import UserView, find_user
from habeas.services.users import UserChange, UserDraft
from habeas.store import tables
from letterbox import set_up_letterbox, take_down_letterbox

PASSWORD, OTHER, THIRD = "Correct-horse-1", "Battery-staple-2", "Paper-clip-no-3"
ADDRESS = "ann@example.com"


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def context(start: Callable[..., Engine], clock: MovableClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Context]:
    """Acting for an owner."""
    monkeypatch.setattr(passwords, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    owner = Actor("cli_owner", ActorKind.CLIENT, scopes=frozenset(SCOPES))
    yield replace(start().context, clock=clock, actor=owner)


@pytest.fixture
def letters(context: Context) -> list[Message]:
    """What the provider of e-mails has taken."""
    set_up_letterbox(context)
    taken: list[Message] = []

    class Box:
        def send(self, message: Message) -> None:
            taken.append(message)

    kind = context.provider_types["letterbox"]
    context.provider_types["letterbox"] = replace(kind, connect=lambda details, secrets: Box())  # type: ignore[index]
    return taken


def make(context: Context, username: str = "ann", **draft: str | None) -> UserView:
    return users.create_user(context, UserDraft(**{"username": username, "password": PASSWORD, **draft}))  # type: ignore[arg-type]


def invite(context: Context, username: str = "ann", address: str = ADDRESS) -> UserView:
    return make(context, username, password=None, email_address=address)


def read_code(context: Context, letters: list[Message]) -> str:
    """The code in the latest letter."""
    post_due(context)
    found = re.search(r"code: (\S+)", letters[-1].text)
    assert found is not None, letters[-1].text
    return found[1]


def test_an_invitation_is_accepted_once(context: Context, letters: list[Message]) -> None:
    user = invite(context)
    assert (user.has_password, user.roles) == (False, [Role.VIEWER])
    with pytest.raises(NotAllowed):
        logins.log_in(context, "ann", PASSWORD)
    code = read_code(context, letters)
    assert (letters[0].recipient, letters[0].channel) == (ADDRESS, Channel.EMAIL)
    assert ("ann" in letters[0].text, "72 hours" in letters[0].text) == (True, True)
    with pytest.raises(InvalidFields):
        user_codes.accept_invite(context, code, "weak")
    with pytest.raises(InputError, match="unknown, used or over"):
        user_codes.reset_with_code(context, code, PASSWORD)
    made = user_codes.accept_invite(context, code, PASSWORD)
    assert made.user_data.has_password
    caller = tokens.authenticate(context, made.token_data.access_token)
    tokens.check_holds(caller, "policy:read")
    assert caller.id == user.id
    assert logins.log_in(context, "ann", PASSWORD)
    with pytest.raises(InputError, match="unknown, used or over"):
        user_codes.accept_invite(context, code, OTHER)
    with pytest.raises(Conflict):
        user_codes.reinvite(context, user.id)


def test_another_invitation_ends_the_one_before_and_each_is_over_after_its_time(
    context: Context, letters: list[Message], clock: MovableClock
) -> None:
    user = invite(context)
    first = read_code(context, letters)
    user_codes.reinvite(context, user.id)
    second = read_code(context, letters)
    for code, ahead in ((first, 0), (second, 73), ("", 0), ("x" * 43, 0)):
        clock.ahead = timedelta(hours=ahead)
        with pytest.raises(InputError, match="unknown, used or over"):
            user_codes.accept_invite(context, code, PASSWORD)
    assert drop_old_logins(replace(context, clock=MovableClock())) == 0
    clock.ahead = timedelta(hours=71)
    assert user_codes.accept_invite(context, second, PASSWORD)


def test_without_a_provider_nobody_is_invited_and_nothing_is_left_behind(context: Context) -> None:
    assert not user_codes.can_invite(context)
    with pytest.raises(InputError, match="no provider of e-mails is active") as refused:
        invite(context)
    assert "give the user a password" in refused.value.hint
    assert users.list_users(context, 1, 10).total == 0
    set_up_letterbox(context)
    assert user_codes.can_invite(context)
    user = invite(context)
    take_down_letterbox(context)
    with pytest.raises(InputError, match="no provider of e-mails is active"):
        user_codes.reinvite(context, user.id)


def test_a_forgotten_password_is_replaced_once_and_ends_everything_else(
    context: Context, letters: list[Message], clock: MovableClock
) -> None:
    make(context, email_address=ADDRESS)
    old = logins.log_in(context, "ann", PASSWORD).token_data.access_token
    session = logins.log_in(context, "ann", PASSWORD, "session").token_data.access_token
    user_codes.ask_for_reset(context, " Ann@Example.com".strip())
    code = read_code(context, letters)
    assert (letters[0].recipient, "30 minutes" in letters[0].text) == (ADDRESS, True)
    assert tokens.authenticate(context, old)
    made = user_codes.reset_with_code(context, code, OTHER)
    assert tokens.authenticate(context, made.token_data.access_token)
    for token, kind in ((old, "access"), (session, "session")):
        with pytest.raises(NotAuthenticated):
            tokens.authenticate(context, token, kind=kind)  # type: ignore[arg-type]
    with pytest.raises(NotAllowed):
        logins.log_in(context, "ann", PASSWORD)
    with pytest.raises(InputError):
        user_codes.reset_with_code(context, code, THIRD)
    clock.ahead = timedelta(minutes=2)
    user_codes.ask_for_reset(context, ADDRESS)
    late = read_code(context, letters)
    clock.ahead = timedelta(minutes=33)
    with pytest.raises(InputError):
        user_codes.reset_with_code(context, late, THIRD)
    assert drop_old_logins(context) == 1


def test_who_gets_no_code_for_a_new_password(context: Context, letters: list[Message], clock: MovableClock) -> None:
    disabled = make(context, email_address=ADDRESS)
    users.change_user(context, disabled.id, UserChange(disabled=True))
    invite(context, "bob", "bob@example.com")
    post_due(context)
    letters.clear()
    for address in (ADDRESS, "bob@example.com", "nobody@example.com", "no address", "a@b\x00", ""):
        user_codes.ask_for_reset(context, address)
    assert post_due(context) == 0
    users.change_user(context, disabled.id, UserChange(disabled=False))
    for ahead in (0, 10, 59, 61):
        clock.ahead = timedelta(seconds=ahead)
        user_codes.ask_for_reset(context, ADDRESS)
    assert post_due(context) == 2


def test_a_code_that_was_mailed_before_ends_with_disabling_a_new_address_and_a_new_password(
    context: Context, letters: list[Message], clock: MovableClock
) -> None:
    user = make(context, email_address=ADDRESS)

    def disable() -> None:
        users.change_user(context, user.id, UserChange(disabled=True))
        users.change_user(context, user.id, UserChange(disabled=False))

    deeds: list[Callable[[], object]] = [
        disable,
        lambda: users.change_user(context, user.id, UserChange(email_address="ann.lee@example.com")),
        lambda: users.force_reset_password(context, user.id, OTHER),
    ]
    for number, deed in enumerate(deeds):
        clock.ahead = timedelta(minutes=2 * number)
        user_codes.ask_for_reset(context, str(find_user(context, user.id).email_address))
        code = read_code(context, letters)
        deed()
        with pytest.raises(InputError):
            user_codes.reset_with_code(context, code, THIRD)
    assert [letter.subject for letter in letters].count("Choose a new password") == 3


def test_a_new_address_is_told_to_the_old_one(context: Context, letters: list[Message]) -> None:
    user = make(context, email_address=ADDRESS)
    for change in (
        UserChange(first_name="Ann"),
        UserChange(email_address=ADDRESS),
        UserChange(email_address="lee@b.c"),
    ):
        users.change_user(context, user.id, change)
    post_due(context)
    [letter] = letters
    assert (letter.recipient, letter.subject) == (ADDRESS, "Your e-mail address was changed")
    assert "ann" in letter.text and "lee@b.c" not in letter.text


def try_often(context: Context, username: str, password: str, times: int = 12) -> list[str]:
    """How each of many logins at once ends."""

    def attempt(number: int) -> str:
        try:
            logins.log_in(context, username, password)
        except HabeasError as error:
            return error.code
        return "in"

    with ThreadPoolExecutor(times) as pool:
        return sorted(pool.map(attempt, range(times)))


@pytest.mark.parametrize("name", ["ann", "nobody"])
def test_of_many_wrong_passwords_at_once_five_are_looked_at(context: Context, name: str, clock: MovableClock) -> None:
    make(context)
    assert try_often(context, name, OTHER) == ["not_allowed"] * 5 + ["too_soon"] * 7
    with pytest.raises(TooSoon):
        logins.log_in(context, name, PASSWORD)
    clock.ahead = timedelta(seconds=61)
    assert try_often(context, name, OTHER) == ["not_allowed"] + ["too_soon"] * 11
    clock.ahead = timedelta(seconds=182)
    if name == "ann":
        assert logins.log_in(context, name, PASSWORD)
        assert try_often(context, name, OTHER, 5) == ["not_allowed"] * 5
    with context.ledger.read() as connection:
        [row] = connection.execute(tables.login_tries.select()).all()
    assert row.failed == (5 if name == "ann" else 6)
    clock.ahead += timedelta(days=1, seconds=1)
    assert drop_old_logins(context) == 1


def test_who_is_made_is_not_locked_by_what_strangers_tried_before(context: Context) -> None:
    try_often(context, "ann", OTHER, 5)
    make(context)
    assert logins.log_in(context, "ann", PASSWORD)


def test_an_owner_opens_a_lock_by_a_new_password(context: Context) -> None:
    user = make(context)
    try_often(context, "ann", OTHER, 5)
    users.force_reset_password(context, user.id, THIRD)
    assert logins.log_in(context, "ann", THIRD)


def test_pauses_double_up_to_an_hour() -> None:
    assert [login_tries.pause_after(failed) for failed in (1, 4, 5, 6, 7, 10, 11, 12, 10_000)] == [
        0, 0, 60, 120, 240, 1920, 3600, 3600, 3600,
    ]  # fmt: skip


def test_of_many_at_once_one_takes_a_name_and_one_uses_a_code(context: Context, letters: list[Message]) -> None:
    def attempt(deed: Callable[[], object]) -> bool:
        try:
            deed()
        except InputError:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(lambda number: attempt(lambda: invite(context, address=f"a{number}@b.c")), range(6)))
        code = read_code(context, letters)
        used = list(
            pool.map(lambda number: attempt(lambda: user_codes.accept_invite(context, code, PASSWORD)), range(6))
        )
    assert (sum(made), sum(used)) == (1, 1)


def test_a_password_that_is_replaced_while_it_is_looked_at_opens_nothing(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = make(context)

    def replace_meanwhile(kept: str | None, given: str) -> bool:
        users.force_reset_password(context, user.id, OTHER)
        return passwords.matches(kept, given)

    monkeypatch.setattr(logins, "matches", replace_meanwhile)
    with pytest.raises(NotAllowed):
        logins.log_in(context, "ann", PASSWORD)


def test_codes_are_neither_stored_nor_told_by_the_outbox(context: Context, letters: list[Message]) -> None:
    invite(context)
    code = read_code(context, letters)
    with context.ledger.read() as connection:
        stored = [list(connection.execute(table.select())) for table in (tables.user_codes, tables.messages)]
    assert not [value for value in (code, ADDRESS) if value in repr(stored)]
    [message] = stored[1]
    assert (message.event, message.status, message.sealed_variables) == (Event.USER_INVITE, "sent", None)
