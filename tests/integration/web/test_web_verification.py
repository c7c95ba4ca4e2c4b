"""People prove who they are, over HTTP (checks A10, A11, A36)."""

import logging
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.integration.web.conftest import Caller, SharedApp
from tests.unit.services.wiring import MovableClock

from habeas.domain.message import Event
from habeas.execution.context import Context
from habeas.settings import DuplicateSettings
from letterbox import read_code, read_outbox, set_up_letterbox, wrong

ANN = {"policy_key": "give_and_forget", "identity": {"email": "ann@example.com"}}
REQUESTS = "/api/v1/privacy-request"


def adjust(context: Context, **execution: bool) -> Context:
    """The context with other settings of execution."""
    section = context.settings.execution.model_copy(update=execution)
    return replace(context, settings=context.settings.model_copy(update={"execution": section}))


@pytest.fixture
def strict(configured: Caller, context: Context) -> Context:
    """The context where people must prove who they are."""
    set_up_letterbox(context)
    return adjust(context, subject_identity_verification_required=True)


@pytest.fixture
def person(strict: Context) -> Caller:
    return Caller(SharedApp(strict))


def submit(person: Caller) -> str:
    made = person("POST", REQUESTS, json=[ANN]).json()
    assert [item["status"] for item in made["succeeded"]] == ["identity_unverified"], made
    return str(made["succeeded"][0]["id"])


def test_a10_a_right_code_lets_the_request_count(strict: Context, person: Caller, root: Caller) -> None:
    request_id = submit(person)
    answer = person("POST", f"{REQUESTS}/{request_id}/verify", json={"code": read_code(strict, request_id)})
    assert answer.status_code == 200
    assert (answer.json()["status"], answer.json()["reviewed_by"]) == ("pending", None)
    assert root("GET", f"{REQUESTS}/{request_id}").json()["reviewed_by"] == "system"
    again = person("POST", f"{REQUESTS}/{request_id}/verify", json={"code": "000000"})
    assert again.status_code == 400 and "pending" not in again.text
    audited = root("GET", f"{REQUESTS}/{request_id}?verbose=true").json()["results"]
    assert [entry["user_id"] for entry in audited["Identity verified"]] == ["anonymous"]


def test_a36_the_fourth_code_is_refused_though_right(strict: Context, person: Caller, root: Caller) -> None:
    request_id = submit(person)
    code = read_code(strict, request_id)
    path = f"{REQUESTS}/{request_id}"
    statuses = [
        person("POST", f"{path}/verify", json={"code": one}).status_code for one in (*[wrong(code)] * 3, code, code)
    ]
    assert statuses == [403] * 5
    soon = person("POST", f"{path}/resend-code")
    assert soon.status_code == 429 and 0 < int(soon.headers["Retry-After"]) <= 60
    assert root("GET", path).json()["awaited_code"] == {"expires_at": None, "codes_sent": 1}


def test_a10_a_code_is_over_after_ten_minutes_and_another_one_helps(
    strict: Context, person: Caller, clock: MovableClock
) -> None:
    request_id = submit(person)
    path = f"{REQUESTS}/{request_id}"
    old = read_code(strict, request_id)
    clock.ahead = timedelta(seconds=601)
    assert person("POST", f"{path}/verify", json={"code": old}).status_code == 400
    assert person("POST", f"{path}/resend-code").json()["codes_left"] == 3
    assert person("POST", f"{path}/verify", json={"code": read_code(strict, request_id)}).status_code == 200


def test_a11_a_denial_and_its_reason_are_told(strict: Context, root: Caller) -> None:
    person = Caller(SharedApp(adjust(strict, require_manual_request_approval=True)))
    request_id = submit(person)
    early = root("PATCH", f"{REQUESTS}/administrate/approve", json=[request_id]).json()
    assert "identity_unverified" in early["failed"][0]["message"]
    person("POST", f"{REQUESTS}/{request_id}/verify", json={"code": read_code(strict, request_id)})
    body = {"request_ids": [request_id, request_id], "reason": "not a customer"}
    denied = root("PATCH", f"{REQUESTS}/administrate/deny", json=body).json()
    assert len(denied["succeeded"]) == 1 and not denied["failed"]
    assert (Event.DENIED, {"reason": "not a customer"}) in read_outbox(strict, request_id)
    assert "not a customer" in root("GET", f"{REQUESTS}?download_csv=true").text


def test_a_code_is_in_no_answer_and_no_log(strict: Context, person: Caller, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    request_id = submit(person)
    code = read_code(strict, request_id)
    path = f"{REQUESTS}/{request_id}/verify"
    answers = [person("POST", path, json={"code": one}) for one in (f"{code}1", int(code), wrong(code), code)]
    assert [answer.status_code for answer in answers] == [422, 422, 403, 200]
    assert not any(code in answer.text.replace(request_id, "") for answer in answers)
    own = [record.getMessage() for record in caplog.records if record.name.startswith("habeas")]
    assert not any(code in line for line in own)


def test_an_unknown_request_and_the_configuration(strict: Context, person: Caller, root: Caller) -> None:
    for act, body in (("verify", {"code": "123456"}), ("resend-code", None)):
        assert person("POST", f"{REQUESTS}/pri_none/{act}", json=body).status_code == 404
    assert person("GET", "/api/v1/id-verification/config").json() == {
        "identity_verification_required": True,
        "valid_email_config_exists": True,
    }
    staff = Caller(person.app, root.headers)
    made = staff("POST", f"{REQUESTS}/authenticated", json=[ANN]).json()
    assert made["succeeded"][0]["status"] == "pending"


def test_a_stranger_is_not_told_who_has_asked_before(configured: Caller, context: Context, root: Caller) -> None:
    settings = context.settings.model_copy(update={"duplicates": DuplicateSettings(enabled=True, hold=True)})
    person = Caller(SharedApp(replace(context, settings=settings)))
    first, second = (person("POST", REQUESTS, json=[ANN]).json()["succeeded"][0] for _ in range(2))
    assert first["id"] not in str(second)
    own = {"id", "created_at", "requested_at"}
    assert {**first, **{name: second[name] for name in own}} == second, "nothing else differs"
    shown = [root("GET", f"{REQUESTS}/{one['id']}").json() for one in (first, second)]
    assert [(one["duplicate_of"], one["reviewed_by"]) for one in shown] == [(None, "system"), (first["id"], None)]
