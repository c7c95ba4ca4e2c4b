"""Notes of staff: whoever may read requests reads them, and nothing but the answer to that has their words."""

import pytest
import sqlalchemy as sa
from tests.integration.web.conftest import Caller, sign_in

from habeas.execution.context import Context
from habeas.store.tables import audits, notes

WORDS = "Called back:\nthe account is her late father's"


@pytest.fixture
def path(configured: Caller) -> str:
    ann = {"policy_key": "give_and_forget", "identity": {"email": "ann@example.com"}}
    made = configured("POST", "/api/v1/privacy-request", json=[ann]).json()["succeeded"]
    return f"/api/v1/privacy-request/{made[0]['id']}/notes"


def make_client(root: Caller, *scopes: str) -> Caller:
    made = root("POST", "/api/v1/oauth/client", json={"scopes": list(scopes)}).json()
    return sign_in(root, made["client_id"], made["client_secret"])


def test_notes_are_listed_in_order_with_their_authors(root: Caller, path: str) -> None:
    reviewer = make_client(root, "privacy-request:review")
    reader = make_client(root, "privacy-request:read")
    assert root("POST", path, json={"text": f"  {WORDS}  "}).json()["author"] == "root"
    assert reviewer("POST", path, json={"text": "ü" * 10_000}).status_code == 200
    assert reader("POST", path, json={"text": "x"}).status_code == 403
    assert reviewer("GET", path).status_code == 403
    listed = reader("GET", path).json()
    assert [note["text"] for note in listed["items"]] == [WORDS, "ü" * 10_000]
    assert listed["items"][0]["author"] == "root" != listed["items"][1]["author"]
    assert reader("GET", f"{path}?page=2&size=1").json()["items"] == listed["items"][1:]


def test_the_words_are_sealed_and_nowhere_else(root: Caller, path: str, context: Context) -> None:
    root("POST", path, json={"text": WORDS})
    with context.ledger.read() as connection:
        kept = connection.execute(sa.select(notes)).mappings().one()
        audited = connection.execute(sa.select(audits).where(audits.c.action == "noted")).mappings().one()
    assert WORDS.encode() not in bytes(kept["sealed_text"])
    assert (audited["actor"], audited["message"]) == ("root", "")
    shown = root("GET", path.replace("/notes", "?verbose=true"))
    assert "Note added" in shown.json()["results"] and "father" not in shown.text


def test_what_is_no_note_is_refused_and_not_repeated(root: Caller, path: str) -> None:
    for text in ("", "  \n", "secret" * 2000, "secret\x00"):
        answer = root("POST", path, json={"text": text})
        assert answer.status_code == 422 and "secret" not in answer.text
    for method in ("POST", "GET"):
        unknown = root(
            method, "/api/v1/privacy-request/pri_none/notes", **({"json": {"text": "x"}} if method == "POST" else {})
        )
        assert unknown.status_code == 404
    assert root("GET", path).json()["total"] == 0
