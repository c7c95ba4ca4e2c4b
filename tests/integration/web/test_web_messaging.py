"""Message providers, templates and staff notices over the API; providers take messages in memory."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from tests.integration.web.conftest import Caller, SharedApp, sign_in

from habeas import bootstrap
from habeas.domain.errors import SystemUnavailable
from habeas.domain.message import Message
from habeas.settings import SecuritySettings, Settings

API = "/api/v1/messaging"
SMTP = {"service_type": "smtp", "details": {"host": "mail.example.com", "from_address": "privacy@example.com"}}
MAILGUN = {"service_type": "mailgun", "details": {"domain": "example.com"}}


@dataclass
class Post:
    """Takes messages, or has no answer."""

    taken: list[Message] = field(default_factory=list)
    away: bool = False

    def send(self, message: Message) -> None:
        if self.away:
            raise SystemUnavailable("the mail server does not answer")
        self.taken.append(message)


@pytest.fixture
def post() -> Post:
    return Post()


@pytest.fixture
def staff(tmp_path: Path, post: Post) -> Iterator[Caller]:
    security = SecuritySettings(oauth_root_client_id="root", oauth_root_client_secret="root-secret")
    application = bootstrap.build(Settings(data_dir=tmp_path / "data", security=security))
    types = {name: replace(kind, connect=lambda *_: post) for name, kind in application.context.provider_types.items()}
    yield sign_in(Caller(SharedApp(replace(application.context, provider_types=types))))
    bootstrap.close(application)


@pytest.fixture
def anyone_else(staff: Caller) -> Caller:
    """A client that may do nothing with messages."""
    made = staff("POST", "/api/v1/oauth/client", json={"scopes": ["privacy-request:read"]}).json()
    return sign_in(staff, made["client_id"], made["client_secret"])


def test_the_first_provider_of_a_channel_that_can_send_is_active(staff: Caller) -> None:
    assert staff("GET", f"{API}/default/status").json() == {
        "config_status": "not configured",
        "email": None,
        "sms": None,
    }
    mailgun = staff("POST", f"{API}/config", json=MAILGUN).json()
    assert (mailgun["key"], mailgun["ready"], mailgun["active"]) == ("mailgun", False, False)
    smtp = staff("POST", f"{API}/config", json=SMTP).json()
    assert (smtp["ready"], smtp["active"], smtp["channel"]) == (True, True, "email")
    keyed = staff("PUT", f"{API}/config/mailgun/secret", json={"mailgun_api_key": "key-1"}).json()
    assert (keyed["ready"], keyed["active"]) == (True, False)
    chosen = staff("PUT", f"{API}/default/active", json={"service_type": "mailgun"}).json()
    assert (chosen["service_type"], chosen["active"]) == ("mailgun", True)
    assert not staff("GET", f"{API}/default/smtp").json()["active"]
    assert staff("GET", f"{API}/default/active").json()["key"] == "mailgun"
    assert [one["key"] for one in staff("GET", "/api/v1/email/config").json()["items"]] == ["mailgun", "smtp"]
    assert staff("DELETE", f"{API}/config/mailgun").status_code == 204
    assert staff("GET", f"{API}/default/active").status_code == 404


def test_what_cannot_be_a_provider_is_refused(staff: Caller) -> None:
    assert staff("POST", f"{API}/config", json={"service_type": "pigeon"}).status_code == 422
    wrong = {**SMTP, "details": {**SMTP["details"], "colour": "red"}}
    assert staff("POST", f"{API}/config", json=wrong).status_code == 422
    assert staff("POST", f"{API}/config", json=SMTP).status_code == 200
    assert staff("POST", f"{API}/config", json=SMTP).status_code == 400
    assert staff("PUT", f"{API}/config/smtp/secret", json={"pass": "word"}).status_code == 422
    assert staff("PUT", f"{API}/config/none/secret", json={}).status_code == 404
    assert staff("PUT", f"{API}/default/active", json={"service_type": "mailgun"}).status_code == 404
    staff("POST", f"{API}/config", json=MAILGUN)
    unready = staff("PUT", f"{API}/default/active", json={"service_type": "mailgun"})
    assert (unready.status_code, "secrets" in unready.text) == (400, True)


def test_secrets_never_come_out(staff: Caller) -> None:
    staff("POST", f"{API}/config", json=SMTP)
    answers = [staff("PUT", f"{API}/config/smtp/secret", json={"username": "habeas", "password": "canary-secret"})]
    answers += [staff("GET", f"{API}/{path}") for path in ("config", "config/smtp", "default/active", "default/smtp")]
    assert not any("canary-secret" in answer.text for answer in answers)


def test_a_test_message_is_sent_now(staff: Caller, post: Post) -> None:
    person = {"email": "ann@example.com"}
    assert staff("POST", f"{API}/test/smtp", json=person).status_code == 400
    staff("POST", f"{API}/config", json=SMTP)
    assert staff("POST", f"{API}/test/smtp", json=person).json() == {"details": "smtp took the test message"}
    assert staff("POST", f"{API}/config/test", json=person).status_code == 200
    assert [message.recipient for message in post.taken] == ["ann@example.com"] * 2
    assert staff("POST", f"{API}/test/smtp", json={"phone_number": "+15550100"}).status_code == 400
    post.away = True
    tested = staff("GET", "/api/v1/audit", params={"action": "tested"}).json()["items"]
    assert {(entry["object_kind"], entry["object_id"]) for entry in tested} == {("message_provider", "smtp")}
    failed = staff("POST", f"{API}/test/smtp", json=person)
    assert (failed.status_code, "does not answer" in failed.text, "ann@" in failed.text) == (400, True, False)
    assert staff("GET", f"{API}/config/smtp").json()["last_test_succeeded"] is False


def test_templates_are_changed_shown_and_given_up(staff: Caller) -> None:
    own = {"type": "subject_identity_verification", "content": {"subject": "Code", "body": "<b>{{ code }}</b>"}}
    saved = staff("PUT", f"{API}/templates", json=[own]).json()["succeeded"][0]
    assert (saved["content"]["body"], saved["is_enabled"]) == ("<b>{{ code }}</b>", True)
    listed = {one["type"]: one for one in staff("GET", f"{API}/templates").json()}
    assert listed["subject_identity_verification"]["id"] == saved["id"]
    assert listed["privacy_request_receipt"]["id"] is None
    assert staff("GET", f"{API}/templates/{saved['id']}").json() == saved
    preview = staff("POST", f"{API}/templates/preview", json=own).json()
    assert (preview["subject"], preview["text"].strip()) == ("Code", "123456")
    assert staff("DELETE", f"{API}/templates/{saved['id']}").status_code == 204
    assert staff("GET", f"{API}/templates/{saved['id']}").status_code == 404
    deeds = staff("GET", "/api/v1/audit", params={"object_kind": "message_template"}).json()["items"]
    assert [(deed["action"], deed["object_id"]) for deed in deeds] == [("deleted", own["type"]), ("saved", own["type"])]
    shipped = staff("GET", f"{API}/templates/default/subject_identity_verification").json()
    assert {one["type"]: one for one in staff("GET", f"{API}/templates").json()}[shipped["type"]] == shipped


@pytest.mark.parametrize("body", ["{{ ''.__class__ }}", "{{ secret }}", "{% for a in range(9) %}x{% endfor %}", "{{"])
def test_a_template_that_cannot_be_is_a_failed_entry(staff: Caller, body: str) -> None:
    bad = {"type": "privacy_request_review_deny", "content": {"subject": "No", "body": body}}
    answer = staff("PUT", f"{API}/templates", json=[bad]).json()
    assert (answer["succeeded"], len(answer["failed"])) == ([], 1)
    assert answer["failed"][0]["message"].startswith("body")
    assert staff("POST", f"{API}/templates/preview", json=bad).status_code == 400


def test_messages_with_codes_of_users_are_changed_by_who_may_make_owners(staff: Caller) -> None:
    made = staff("POST", "/api/v1/oauth/client", json=["messaging-template:update"]).json()
    editor = sign_in(Caller(staff.app), made["client_id"], made["client_secret"])
    content = {"subject": "Code", "body": "<b>{{ code }}</b>"}
    own = [{"type": event, "content": content} for event in ("user_invite", "password_reset")]
    refused = editor("PUT", f"{API}/templates", json=own).json()
    assert refused["succeeded"] == [] and len(refused["failed"]) == 2
    assert all("assign_owners" in one["message"] for one in refused["failed"])
    saved = staff("PUT", f"{API}/templates", json=own).json()["succeeded"]
    assert [editor("DELETE", f"{API}/templates/{one['id']}").status_code for one in saved] == [403, 403]
    assert staff("DELETE", f"{API}/templates/{saved[0]['id']}").status_code == 204


def test_staff_are_named_and_forgotten(staff: Caller) -> None:
    path = "/api/v1/privacy-request/notification"
    assert staff("GET", path).status_code == 404
    given = {"email_addresses": ["dpo@example.com", "dpo@example.com"], "notify_after_failures": 3}
    assert staff("PUT", path, json=given).json() == {**given, "email_addresses": ["dpo@example.com"]}
    assert staff("GET", path).json()["notify_after_failures"] == 3
    wrong = staff("PUT", path, json={"email_addresses": ["nobody"], "notify_after_failures": 1})
    assert (wrong.status_code, "nobody" in wrong.text) == (400, False)
    staff("PUT", path, json={"email_addresses": [], "notify_after_failures": 1})
    assert staff("GET", path).status_code == 404


def test_a_request_shows_what_its_person_is_told_and_not_where(staff: Caller) -> None:
    staff("POST", f"{API}/config", json=SMTP)
    staff("PATCH", "/api/v1/storage/config", json=[{"name": "packages", "type": "local"}])
    staff("PATCH", "/api/v1/policy", json=[{"name": "give"}])
    rule = {"name": "give", "action_type": "access", "storage_destination_key": "packages"}
    staff("PATCH", "/api/v1/policy/give/rule", json=[rule])
    item = {"policy_key": "give", "identity": {"email": "canary@example.com"}}
    [made] = staff("POST", "/api/v1/privacy-request", json=[item]).json()["succeeded"]
    answer = staff("GET", f"/api/v1/privacy-request/{made['id']}/messages")
    [message] = answer.json()["items"]
    assert (message["event"], message["status"], message["attempts"]) == ("privacy_request_receipt", "due", 0)
    assert "canary" not in answer.text
    assert 'habeas_messages{status="due"} 1.0' in staff("GET", "/metrics").text
    assert staff("GET", "/api/v1/privacy-request/pri_unknown/messages").status_code == 404


def test_other_details_make_a_provider_forget_its_secrets(staff: Caller) -> None:
    staff("POST", f"{API}/config", json=MAILGUN)
    staff("PUT", f"{API}/config/mailgun/secret", json={"mailgun_api_key": "key-1"})
    same = staff("PATCH", f"{API}/config/mailgun", json={"name": "Post", "details": MAILGUN["details"]}).json()
    assert (same["ready"], same["name"]) == (True, "Post")
    elsewhere = {"domain": "example.com", "base_url": "https://elsewhere.example.net"}
    assert not staff("PATCH", f"{API}/config/mailgun", json={"details": elsewhere}).json()["ready"]


def test_the_provider_of_a_type_is_made_changed_and_listed(staff: Caller, anyone_else: Caller) -> None:
    assert staff("GET", f"{API}/default").json()["items"] == []
    assert staff("GET", f"{API}/default/smtp").status_code == 404
    made = staff("PUT", f"{API}/default", json={**SMTP, "key": "post"}).json()
    assert (made["key"], made["active"]) == ("post", True)
    elsewhere = {**SMTP, "details": {**SMTP["details"], "host": "mail2.example.com"}}
    changed = staff("PUT", f"{API}/default", json=elsewhere).json()
    assert (changed["key"], changed["details"]["host"]) == ("post", "mail2.example.com")
    staff("PUT", f"{API}/default", json=MAILGUN)
    listed = staff("GET", f"{API}/default", params={"size": 1}).json()
    assert (listed["total"], [one["service_type"] for one in listed["items"]]) == (2, ["mailgun"])
    assert staff("GET", f"{API}/default/smtp").json() == changed
    assert [anyone_else("GET", f"{API}/default{path}").status_code for path in ("", "/smtp")] == [403, 403]
    assert anyone_else("PUT", f"{API}/default", json=SMTP).status_code == 403
