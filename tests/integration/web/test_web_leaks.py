"""No value of a person, no code, key, secret or token is found where it does not belong (A28), in one process.

A life with every kind of failure: a connector that fails with values in its words, wrong codes, a webhook that is
refused, bodies that make no sense for every route, an error that nobody foresaw, a re-encryption, housekeeping.
`test_leaks` does the like with a server and real databases.
"""

import io
import json
import logging
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from tests.integration.execution.memory_shop import Flaky, Shop, set_up
from tests.integration.web.conftest import Caller, SharedApp, sign_in

from canary import search
from engine import Engine
from habeas import decrypt
from habeas.cli.logs import JsonLines
from habeas.execution.housekeeping import JOBS, sweep
from habeas.services import policies, reencryption, verification, webhooks
from habeas.services.webhooks import Direction, Phase, WebhookDraft
from habeas.store import sealing
from letterbox import read_code, set_up_letterbox, wrong
from servers.receiver import Answer, Receiver

API = "/api/v1"
REQUESTS = f"{API}/privacy-request"
MARK = "canary-7f3a"
PERSON = f"{MARK}@example.com"
PHONE = "+4915799812345"
PACKAGE_KEY = "package-key-7f3a"
AUTHORIZATION = "Authorization-7f3a"
STORAGE_SECRET = "storage-secret-7f3a"
MAIL_PASSWORD = "mail-password-7f3a"
USER_PASSWORD, WEAK_PASSWORD = "User-password-7f3a", "weak-password-7f3a"
CODE = 718_293
SHOWN = ("/notes", "/identities")
"""Ends of routes that answer with what was told to them: that is what they are for."""

Start = Callable[..., Engine]


class Spilling(Exception):
    """A driver's error that quotes a row."""


class Leaky(Flaky):
    """Fails with words that hold a person's values."""

    def _maybe_fail(self, table: str) -> None:
        if self.failing.get(table, 0) > 0:
            self.failing[table] -= 1
            raise Spilling(f"duplicate key ({PERSON}, {PHONE})")


@dataclass
class Life:
    """A server in this process, the answers that it gave, and what must be found in none of them."""

    engine: Engine
    root: Caller
    stranger: Caller
    receiver: Receiver
    answers: list[httpx.Response] = field(default_factory=list)
    hidden: set[str] = field(default_factory=set)

    def call(self, caller: Caller, method: str, path: str, **content: Any) -> httpx.Response:
        """A call whose answer is searched at the end."""
        answer = caller(method, path, **content)
        assert answer.status_code != 500, (method, path, answer.text)
        self.answers.append(answer)
        return answer

    def ask(self, method: str, path: str, **content: Any) -> Any:
        """A call of the root client that succeeds."""
        answer = self.call(self.root, method, path, **content)
        assert answer.is_success, (method, path, answer.text)
        return answer.json() if answer.content else None

    def status(self, request_id: str) -> str:
        return str(self.ask("GET", f"{REQUESTS}/{request_id}")["status"])


@pytest.fixture
def life(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Life]:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(sealing, "FRESH", 0.02)
    monkeypatch.setattr(reencryption, "SETTLED", 0.03)
    monkeypatch.setattr(verification.secrets, "randbelow", lambda below: CODE)
    sections = {"security": {"outgoing_allow_list": ["127.0.0.1"]}}
    engine = start(sections=sections, subject_identity_verification_required=True, task_retry_count=0)
    set_up_letterbox(engine.context)
    client = engine.context.settings.security
    receiver = Receiver()
    stranger = Caller(SharedApp(engine.context))
    root = sign_in(stranger, client.oauth_root_client_id, client.oauth_root_client_secret)
    made = Life(engine, root, stranger, receiver)
    ring = engine.context.settings.security.encryption_keys.partition(":")[2]
    token = root.headers["Authorization"].removeprefix("Bearer ")
    made.hidden |= {MARK, PHONE, PHONE[1:], PACKAGE_KEY, AUTHORIZATION, STORAGE_SECRET, MAIL_PASSWORD, str(CODE)}
    made.hidden |= {token, ring, client.oauth_root_client_secret}
    yield made
    receiver.close()


def settle_in(life: Life) -> Flaky:
    """A shop with the person's rows, secrets of every kind, and a webhook."""
    shop, engine = Shop(), life.engine
    connector = Leaky(shop)
    shop.people.records.append({"id": 1, "mail": PERSON, "name": f"Ann {MARK}"})
    shop.orders.records.append({"id": 100, "person": 1, "note": f"note {MARK}"})
    shop.items.records.append({"id": 1000, "order_id": 100, "label": f"label {MARK}"})
    set_up(engine, connector)
    life.ask("PATCH", f"{API}/connection", json=[{"name": "hook", "connection_type": "https", "access": "read"}])
    secrets = {"url": life.receiver.url("/hook"), "authorization": AUTHORIZATION}
    life.ask("PUT", f"{API}/connection/hook/secret", json=secrets)
    life.receiver.answers["/hook"] = Answer(body={"halt": False})
    draft = WebhookDraft(connection_config_key="hook", direction=Direction.TWO_WAY)
    webhooks.replace_webhooks(engine.context, "give", Phase.PRE, [draft])
    details = {"bucket": "packages", "auth_method": "secret_keys"}
    life.ask("PATCH", f"{API}/storage/config", json=[{"name": "Bucket", "type": "s3", "details": details}])
    keys = {"aws_access_key_id": "AKIA", "aws_secret_access_key": STORAGE_SECRET}
    life.ask("PUT", f"{API}/storage/config/bucket/secret?verify=false", json=keys)
    mail = {"service_type": "smtp", "details": {"host": "localhost", "from_address": "me@example.com", "port": 9}}
    life.ask("POST", f"{API}/messaging/config", json=mail)
    life.ask("PUT", f"{API}/messaging/config/smtp/secret", json={"username": "habeas", "password": MAIL_PASSWORD})
    client = life.root("POST", f"{API}/oauth/client", json=["policy:read"]).json()
    life.hidden.add(client["client_secret"])
    bearer = sign_in(life.stranger, client["client_id"], client["client_secret"]).headers["Authorization"]
    life.hidden.add(bearer.removeprefix("Bearer "))
    life.call(life.stranger, "GET", f"{API}/connection", headers={"Authorization": bearer})
    let_in(life)
    return connector


def let_in(life: Life) -> None:
    """A user who logs in, with wrong passwords first, and a subscriber with a secret."""
    user = {"username": "clerk", "password": USER_PASSWORD}
    life.ask("POST", f"{API}/user", json=user)
    for wrong_one in (f"{USER_PASSWORD}!", USER_PASSWORD.lower(), "x"):
        body = {**user, "password": wrong_one}
        assert life.call(life.stranger, "POST", f"{API}/login", json=body).status_code == 403
        life.hidden |= {wrong_one} - {"x"}
    assert life.call(life.root, "POST", f"{API}/user", json={**user, "password": WEAK_PASSWORD}).status_code == 422
    login = life.stranger("POST", f"{API}/login", json=user).json()["token_data"]["access_token"]
    session = life.stranger("POST", f"{API}/session", json=user)
    cookie = session.headers["Set-Cookie"].partition(";")[0]
    life.call(life.stranger, "GET", f"{API}/policy", headers={"Cookie": cookie})
    life.call(life.stranger, "PATCH", f"{API}/policy", json=[], headers={"Cookie": cookie})
    subscription = {"url": life.receiver.url("/told")}
    secret = life.root("POST", f"{API}/status-webhook", json=subscription).json()["secret"]
    csrf = session.json()["csrf_token"]
    life.hidden |= {USER_PASSWORD, WEAK_PASSWORD, login, cookie.partition("=")[2], csrf, secret, secret[6:]}


def submit(life: Life) -> str:
    """A request of the person, who gives a wrong code first."""
    item = {"policy_key": "give", "identity": {"email": PERSON, "phone_number": PHONE}, "encryption_key": PACKAGE_KEY}
    made = life.call(life.stranger, "POST", REQUESTS, json=[item]).json()
    request_id = str(made["succeeded"][0]["id"])
    code = read_code(life.engine.context, request_id)
    assert code == str(CODE)
    for given in (wrong(code), f"{code}0", [code]):
        body = {"code": given}
        assert life.call(life.stranger, "POST", f"{REQUESTS}/{request_id}/verify", json=body).status_code in (403, 422)
    right = life.call(life.stranger, "POST", f"{REQUESTS}/{request_id}/verify", json={"code": code})
    assert right.status_code == 200
    life.ask("PATCH", f"{REQUESTS}/administrate/approve", json=[request_id])  # the code does not prove the phone number
    return request_id


def live(life: Life, connector: Flaky) -> list[str]:
    """Requests that come to their end after failures of every kind, or do not."""
    requests = [submit(life)]
    for answer in (Answer(500, body=PERSON.encode()), Answer(body={"derived_identity": {"email": [PERSON]}})):
        life.receiver.answers["/hook"] = answer  # refused, then nonsense
        life.engine.run()
        assert life.status(requests[0]) == "error"
        life.ask("POST", f"{REQUESTS}/{requests[0]}/retry")
    life.receiver.answers["/hook"] = Answer(body={"halt": True})
    life.engine.run()
    assert life.status(requests[0]) == "paused"
    reply = life.receiver.calls[-1].headers["reply-to-token"]
    life.hidden.add(reply)
    bearer = {"Authorization": f"Bearer {reply[:-2]}00"}
    assert life.call(life.stranger, "POST", f"{REQUESTS}/{requests[0]}/resume", json={}, headers=bearer).is_error
    connector.failing["read orders"] = 1
    body, bearer = {"derived_identity": {"email": PERSON}}, {"Authorization": f"Bearer {reply}"}
    life.call(life.stranger, "POST", f"{REQUESTS}/{requests[0]}/resume", json=body, headers=bearer)
    life.engine.run()
    assert life.status(requests[0]) == "error"
    assert life.root("POST", f"{REQUESTS}/{requests[0]}/notes", json={"text": f"about {MARK}"}).is_success
    assert reencryption.reencrypt(life.engine.context, None, lambda table, done: None).dropped == 1
    life.ask("POST", f"{REQUESTS}/{requests[0]}/retry")
    life.engine.run()
    assert life.status(requests[0]) == "complete"
    life.receiver.answers["/hook"] = Answer(body={"halt": False})
    requests.append(submit(life))
    connector.failing["read people"] = 1
    life.engine.run()
    assert life.status(requests[1]) == "error"
    return requests


_NONSENSE: Sequence[Any] = (
    {"unknown": PERSON, PERSON: PHONE},
    [{"key": [PERSON], "name": {PERSON: 1}, "identity": PERSON}],
    [[PERSON]],
    {"value": [PERSON], "values": {PERSON: 1}, "key": f"{PACKAGE_KEY}-too-long", "nonce": PERSON, "code": [PERSON]},
    {"secrets": {"password": MAIL_PASSWORD}, "password": [MAIL_PASSWORD], "details": [PERSON]},
    PERSON,
)
BODIES = (*(json.dumps(body).encode() for body in _NONSENSE), b'[{"identity": "%s"' % PERSON.encode(), b"\xff@")


def provoke(life: Life) -> None:
    """Bodies that make no sense, for every route that takes one; a form with a wrong secret; an unforeseen error."""
    tried = 0
    for path, methods in life.ask("GET", "/openapi.json")["paths"].items():
        address = path.format_map(_Anything())
        for method, operation in methods.items():
            if "application/json" not in operation.get("requestBody", {}).get("content", {}):
                continue
            for body in BODIES:
                headers = {"Content-Type": "application/json"}
                life.call(life.root, method.upper(), address, content=body, headers=headers)
                tried += 1
    assert tried > 200
    form = {"grant_type": "client_credentials", "client_id": "root", "client_secret": MAIL_PASSWORD}
    assert life.call(life.stranger, "POST", f"{API}/oauth/token", data=form).status_code == 401
    bearer = {"Authorization": f"Bearer {MAIL_PASSWORD}"}
    assert life.call(life.stranger, "GET", f"{API}/policy", headers=bearer).status_code == 401


class _Anything(dict[str, str]):
    """Path parameters that name what is not there."""

    def __missing__(self, name: str) -> str:
        return "nothing"


def be_surprised(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error in our own code, with a person's values in its words."""

    def fail(*_: object) -> None:
        raise ValueError(f"cannot read {PERSON}: {PHONE}")

    with monkeypatch.context() as patch:
        patch.setattr(policies, "list_policies", fail)
        answer = life.root("GET", f"{API}/policy")
    assert answer.status_code == 500
    life.answers.append(answer)


def look_at_everything(life: Life, requests: Sequence[str]) -> None:
    """Every page that can be looked at without knowing more than a request's id or a key."""
    for path, methods in life.ask("GET", "/openapi.json")["paths"].items():
        if "get" not in methods or path.endswith(SHOWN) or "/package" in path:
            continue
        for request_id in requests if "{request_id}" in path else ("",):
            for key in ("shop", "hook", "bucket", "smtp") if "key}" in path or "service_type}" in path else ("",):
                named = dict.fromkeys(("key", "connection_key", "policy_key", "service_type"), key)
                address = path.format_map(_Anything({**named, "request_id": request_id}))
                life.call(life.root, "GET", address, params={"verbose": "true"})
    for path in ("/metrics", "/health/workers"):
        life.answers.append(life.stranger("GET", path))


def dump(engine: Engine) -> Iterator[tuple[str, bytes]]:
    """Every row of the ledger as text."""
    with engine.context.ledger.read() as connection:
        for table in sa.inspect(connection).get_table_names():
            for row in connection.execute(sa.text(f'SELECT * FROM "{table}"')):
                yield f"ledger table {table}", b" ".join(_bytes(value) for value in row)


def _bytes(value: object) -> bytes:
    return bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode()


def test_values_stay_where_they_belong(
    life: Life,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    handler.setFormatter(JsonLines())  # with the fields of each line, and before the filter of values
    caplog.set_level(logging.DEBUG, logger="habeas")
    monkeypatch.setattr(logging.getLogger("habeas"), "handlers", [handler])
    requests = live(life, settle_in(life))
    provoke(life)
    be_surprised(life, monkeypatch)
    look_at_everything(life, requests)
    for job in JOBS:
        sweep(life.engine.context, job)
    for answer in life.answers:
        asked = f"{answer.request.method} {answer.request.url.path}"
        search(f"the answer to {asked}", answer.content + str(answer.headers).encode(), life.hidden)
    assert '"level": "ERROR"' in log.getvalue() and "Spilling" in log.getvalue()
    search("the log", log.getvalue().encode() + caplog.text.encode(), life.hidden)
    said = capfd.readouterr()
    search("what was printed", f"{said.out}{said.err}".encode(), life.hidden)
    for where, row in dump(life.engine):
        search(where, row, life.hidden)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert "ledger.db-wal" in {path.name for path in files} or life.engine.context.ledger.engine.name != "sqlite"
    for path in files:
        own = path.name in ("root-client", "development-key")  # files for what they hold
        search(str(path), path.read_bytes(), {MARK, PHONE, str(CODE)} if own else life.hidden)
    package = decrypt(life.engine.package(requests[0], "give-give"), PACKAGE_KEY)
    assert {PERSON, f"Ann {MARK}", f"note {MARK}", f"label {MARK}"} <= set(_texts(json.loads(package)))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, str):
        yield value
