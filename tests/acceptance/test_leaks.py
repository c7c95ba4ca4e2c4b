"""No value of a person, no identity, key, token or password is found where it does not belong (control-plane §9, A28).

One server of each ledger goes through a whole life: success, every kind of failure and of bad input, housekeeping, a
rotation of keys. Then all that it has written and answered is searched.
"""

import base64
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest
from commands import run
from fleet import start_server
from landscape import Landscape
from targets import MARK, PostgresTarget, SqliteTarget, Target, dataset, field, key, link

from canary import search
from servers.postgres import PASSWORD, PostgresServer

PERSON = f"{MARK}@example.com"
PHONE = "+4915799812345"
STREET = f"Kanarienweg {MARK} 7"
PACKAGE_KEY = "package-key-7f3a"
WRONG_PASSWORD = "password-7f3a-wrong"
HIDDEN = (MARK, PHONE, PHONE[1:], "Kanarienweg", PACKAGE_KEY, WRONG_PASSWORD, PASSWORD)
"""What must not be found; a value that is erased is found nowhere else either."""


class Canary(Landscape):
    """A landscape that keeps every answer for the search, and the secrets that the server made."""

    answers: list[httpx.Response]
    made: set[str]

    def call(self, method: str, path: str, **content: object) -> httpx.Response:
        answer = super().call(method, path, **content)
        self.answers.append(answer)
        return answer


@pytest.fixture(params=["sqlite", "postgresql"])
def canary(request: pytest.FixtureRequest, tmp_path: Path, postgres_server: PostgresServer) -> Iterator[Canary]:
    form = {"HABEAS__LOGGING__FORMAT": "json" if request.param == "postgresql" else "console"}
    server, ledger_url = start_server(tmp_path / f"fleet_{request.param}", request.param, postgres_server, **form)

    def new_target(name: str) -> Target:
        if request.param == "sqlite":
            return SqliteTarget(tmp_path / f"{name}.db")
        return PostgresTarget(postgres_server, f"canary_{name}")

    Canary.answers = []
    root, ring = (server.data_dir / "root-client").read_text(), (server.data_dir / "development-key").read_text()
    with server, server.client() as http:
        token = http.headers["Authorization"].removeprefix("Bearer ")
        Canary.made = {token, *(kept.strip().partition(":")[2] for kept in (root, ring))}
        yield Canary(server, http, ledger_url, new_target, tmp_path)


def fill(target: Target) -> None:
    target.execute(
        "CREATE TABLE people (id integer PRIMARY KEY, mail text, phone text, street text NOT NULL, letters integer)",
        "CREATE TABLE letters (id integer PRIMARY KEY, person integer, body text CHECK (body <> 'MASKED'))",
        f"INSERT INTO people VALUES (1, '{PERSON}', '{PHONE}', '{STREET}', 5)",
        f"INSERT INTO letters VALUES (1, 1, 'letter {MARK}')",
    )


def describe(canary: Canary, connection: str) -> None:
    text = {"data_type": "string"}
    people = [
        key(),
        field("mail", "user.contact.email", identity="email", **text),
        field("phone", "user.contact.phone_number", identity="phone_number", **text),
        field("street", "user.contact.address.street", **text),
    ]
    letters = [key(), link("person", "canary", "people.id"), field("body", "user.content", **text)]
    canary.describe(connection, dataset("canary", people=people, letters=letters))


def live_through_everything(canary: Canary) -> list[str]:
    """Successes and failures of every kind; the requests they leave behind."""
    target = canary.new_target("people")
    fill(target)
    connection = canary.connect("people", target)
    describe(canary, connection)
    person = {"email": PERSON, "phone_number": PHONE}
    give = canary.policy(access={"give": ["user"]})
    forget = canary.policy(access={"give": ["user"]}, erasure={"hmac": ["user.contact"]})
    refused = canary.policy(erasure={"string_rewrite": ["user.content"]})
    shred = canary.policy(erasure={"null_rewrite": ["user.contact.address"]})
    requests = [canary.finish(give, person, encryption_key=PACKAGE_KEY)["id"]]
    for missing in ("letters", "people"):
        target.execute(f"ALTER TABLE {missing} RENAME TO gone")
        requests.append(canary.finish(give, person, "error", encryption_key=PACKAGE_KEY)["id"])
        target.execute(f"ALTER TABLE gone RENAME TO {missing}")
    target.execute("ALTER TABLE people RENAME street TO road")
    requests.append(canary.finish(give, person, "error")["id"])
    target.execute("ALTER TABLE people RENAME road TO street")
    requests.append(canary.finish(refused, person, "error")["id"])  # the CHECK refuses the masked value
    requests.append(canary.finish(shred, person)["id"])  # NOT NULL: a substitute
    target.execute(f"UPDATE people SET street = '{STREET}'")
    with target.locked("letters"):
        requests.append(canary.finish(give, person, "error")["id"])
    occupied = canary.folder / "occupied"
    occupied.touch()
    full = canary.policy(access={"give": ["user"]}, storage=canary.save_storage("occupied", occupied))
    requests.append(canary.finish(full, person, "error", encryption_key=PACKAGE_KEY)["id"])
    requests.append(canary.finish(give, {"shoe": MARK}, "error")["id"])  # unreachable
    wrong = {**target.secrets, "password": WRONG_PASSWORD} if "password" in target.secrets else {"path": "/nowhere"}
    canary.ask("PUT", f"/connection/{connection}/secret", json=wrong)
    requests.append(canary.finish(give, person, "error")["id"])
    canary.ask("PUT", f"/connection/{connection}/secret", json=target.secrets)
    requests.append(canary.retry(requests[1])["id"])
    requests.append(canary.finish(forget, person, encryption_key=PACKAGE_KEY)["id"])
    return requests


def provoke(canary: Canary) -> None:
    """Bodies, queries and paths that are wrong and full of values."""
    item = {"policy_key": MARK, "identity": {"email": PERSON}, "encryption_key": f"{PACKAGE_KEY}-too-long"}
    for body in ([item], [item] * 51, {"identity": PERSON}, [{**item, "requested_at": STREET}], [[PERSON]]):
        assert canary.call("POST", "/privacy-request", json=body).status_code == 422
    for method, path, query in (
        ("GET", "/privacy-request", {"status": MARK, "identity": PERSON}),
        ("GET", "/privacy-request", {"page": PERSON}),
        ("GET", "/privacy-request", {"identity": f"{PERSON}\x00"}),
    ):
        assert canary.call(method, path, params=query).status_code in (400, 422)
    assert canary.call("GET", "/privacy-request", params={"identity": PERSON}).status_code == 200
    for secrets in ({"password": [WRONG_PASSWORD]}, {"url": WRONG_PASSWORD, "path": WRONG_PASSWORD, "x": PASSWORD}):
        canary.call("PUT", f"/connection/{canary.tag}-people/secret", json=secrets)
    form = {"grant_type": "client_credentials", "client_id": "root", "client_secret": WRONG_PASSWORD}
    assert canary.call("POST", "/oauth/token", data=form).status_code == 401
    raw = f'[{{"policy_key": "{MARK}", "identity": {{"email": "{PERSON}"'.encode()
    json_type = {"Content-Type": "application/json"}
    for content in (raw, b"\xff" + raw, raw + b"\\ud800", raw[:-1] + b"\\u0000"):
        assert canary.call("POST", "/privacy-request", content=content, headers=json_type).status_code in (400, 422)
    canary.call("POST", "/privacy-request", content=b"\xff" + raw)
    yaml = f"dataset:\n  - fides_key: x\n    collections: [{{name: 1, {STREET}: [{PERSON}"
    for kind in ("application/x-yaml", f"text/{MARK}"):
        path = f"/yml/connection/{canary.tag}-people/dataset"
        assert canary.call("PATCH", path, content=yaml, headers={"Content-Type": kind}).status_code in (400, 415, 422)


def be_refused(canary: Canary, ended: str) -> None:
    """Calls at the wrong moment, for what there is not, with too little in hand."""
    for method, path, status in (
        ("POST", f"/privacy-request/{ended}/retry", 400),
        ("GET", f"/privacy-request/{MARK}", 404),
        ("GET", f"/privacy-request/{ended}/package/{MARK}", 404),
        ("DELETE", f"/policy/{MARK}", 404),
    ):
        assert canary.call(method, path).status_code == status, path
    canary.answers[-3:] = []  # who asks for a key that there is not, is told which
    program = canary.ask("POST", "/oauth/client", json={"name": "canary", "scopes": ["policy:read"]})
    form = {"grant_type": "client_credentials", **program}
    token = canary.ask("POST", "/oauth/token", data=form)["access_token"]
    canary.answers[-2:] = []  # the one time that they are shown
    canary.made |= {program["client_secret"], token}
    bearer = {"Authorization": f"Bearer {token}"}
    assert canary.call("GET", "/privacy-request", headers=bearer).status_code == 403
    canary.call("POST", "/oauth/revoke", data={"token": token})
    assert canary.call("GET", "/policy", headers=bearer).status_code == 401
    assert canary.call("GET", "/policy", headers={"Authorization": f"Bearer {WRONG_PASSWORD}"}).status_code == 401


def keep_house(canary: Canary) -> None:
    """What operators do beside a running server."""
    environment = {"HABEAS__LOGGING__LEVEL": "DEBUG"}
    if canary.ledger.dialect.name == "postgresql":
        url = canary.ledger.url.render_as_string(hide_password=False)
        environment["HABEAS__DATABASE__URL"] = url.replace("+psycopg", "")
    for command in (["sweep"], ["sweep", "--json"], ["db", "check"], ["key", "rotate"]):
        done = run(canary.folder, *command, "--data-dir", canary.server.data_dir, **environment)
        assert done.returncode == 0, done.stderr
        search(f"what habeas {command} says", (done.stdout + done.stderr).encode(), {*HIDDEN, *canary.made})


def read_all_settings(canary: Canary) -> None:
    """Every page that shows what is configured, and the numbers."""
    pages = ("connection", "storage/config", "policy", "oauth/client", "connection_type", "oauth/scope")
    for page in pages:
        canary.ask("GET", f"/{page}")
    canary.ask("GET", f"/connection/{canary.tag}-people")
    canary.ask("GET", f"/connection/{canary.tag}-people/dataset")
    for path in ("/metrics", "/health", "/health/database", "/health/workers", "/openapi.json"):
        canary.answers.append(canary.http.get(path))


def test_values_stay_where_they_belong(canary: Canary) -> None:
    requests = live_through_everything(canary)
    provoke(canary)
    be_refused(canary, requests[0])
    read_all_settings(canary)
    keep_house(canary)
    for request in requests:
        for path in ("", "/log", "/report", "/access-results"):
            canary.call("GET", f"/privacy-request/{request}{path}", params={"verbose": "true"})
    canary.call("GET", "/privacy-request", params={"size": 100, "verbose": "true"})
    for answer in canary.answers:
        asked = f"{answer.request.method} {answer.request.url.path}"
        search(f"the answer to {asked}", answer.content, {*HIDDEN, *canary.made})
    shown = canary.show(requests[0], include_identities="true")["identity"]
    assert shown == {"email": PERSON, "phone_number": PHONE}  # only who asks for it gets it
    canary.server.stop()
    assert "[redacted]" not in canary.server.log_text(), "the filter had to hide something: it must not get there"
    assert canary.server.log_text().startswith("{") == (canary.ledger.dialect.name == "postgresql")
    for path in sorted(canary.server.data_dir.rglob("*")):  # the ledger, logs, temporary files
        if path.is_file():
            kept = path.name in ("root-client", "development-key")  # files for what they hold
            search(str(path), path.read_bytes(), HIDDEN if kept else {*HIDDEN, *canary.made})
    for statement, content in dump(canary):
        search(statement, content, {*HIDDEN, *canary.made})


def dump(canary: Canary) -> Iterator[tuple[str, bytes]]:
    """Every row of the ledger, a second time as values: what a page holds can be torn apart."""
    if canary.ledger.dialect.name == "sqlite":
        with sqlite3.connect(canary.server.data_dir / "habeas.db") as ledger:
            for (table,) in ledger.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                for row in ledger.execute(f'SELECT * FROM "{table}"'):
                    yield f"ledger table {table}", b" ".join(_bytes(value) for value in row)
        ledger.close()
        return
    url = canary.ledger.url.render_as_string(hide_password=False).replace("+psycopg", "")
    with psycopg.connect(url) as ledger:
        tables = ledger.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        for (table,) in tables:
            for row in ledger.execute(f'SELECT * FROM "{table}"'.encode()).fetchall():
                yield f"ledger table {table}", b" ".join(_bytes(value) for value in row)


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def test_the_search_finds_what_is_hidden() -> None:
    """The test above can fail: each form is found within other text."""
    for content in (
        f"x{PERSON}x".encode(),
        base64.b64encode(f"xx {PERSON} {STREET}".encode()),
        STREET.upper().encode(),
        PHONE.encode().hex().encode(),
    ):
        with pytest.raises(AssertionError):
            search("here", content, HIDDEN)
