"""What a person is sent when their packages are ready (check A22), from the API to their mailbox."""

import csv
import html
import io
import json
import re
import uuid
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from tests.integration.execution.memory_shop import EMAIL, Shop
from tests.integration.web.conftest import Caller, SharedApp, sign_in

from engine import Engine
from habeas.execution.postman import post_due
from habeas.store.tables import packages
from servers.s3 import KEYS, S3Server
from servers.smtp import PASSWORD, USERNAME, Mail, SmtpServer

API = "/api/v1"


@pytest.fixture(scope="module")
def mail_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmtpServer]:
    with SmtpServer(tmp_path_factory.mktemp("smtp") / "server", login=True) as server:
        yield server


@pytest.fixture
def engine(start: Callable[..., Engine]) -> Engine:
    """Knows a shop with two people in it."""
    made, shop = start(sections={"security": {"outgoing_allow_list": ["127.0.0.1"]}}), Shop()
    shop.add_person(1)
    shop.add_person(2)
    made.plug("shop", shop.connector())
    made.describe("shop", Shop.body())
    return made


@pytest.fixture
def root(engine: Engine) -> Caller:
    security = engine.context.settings.security
    anyone = Caller(SharedApp(engine.context))
    return sign_in(anyone, security.oauth_root_client_id, security.oauth_root_client_secret)


def save(root: Caller, path: str, item: dict[str, Any]) -> None:
    answer = root("PATCH", f"{API}/{path}", json=[item])
    assert (answer.status_code, answer.json()["failed"]) == (200, []), answer.text


def give(root: Caller, key: str, category: str, s3_server: S3Server, package_format: str) -> None:
    """A rule of policy `give` that puts what has the category into a bucket of its own."""
    bucket = s3_server.create_bucket(f"{key}-{uuid.uuid4().hex}")
    storage = {"name": key, "key": key, "type": "s3", "format": package_format, "details": s3_server.details(bucket)}
    save(root, "storage/config", storage)
    tried = root("PUT", f"{API}/storage/config/{key}/secret", json={**KEYS, "region_name": "us-east-1"})
    assert tried.json()["test_status"] == "succeeded", tried.text
    rule = {"name": key, "key": key, "action_type": "access", "storage_destination_key": key}
    save(root, "policy/give/rule", rule)
    save(root, f"policy/give/rule/{key}/target", {"data_category": category})


def mail_by(root: Caller, mail_server: SmtpServer) -> None:
    provider = {"service_type": "smtp", "details": mail_server.details()}
    assert root("PUT", f"{API}/messaging/default", json=provider).status_code == 200
    login = {"username": USERNAME, "password": PASSWORD}
    answer = root("PUT", f"{API}/messaging/default/smtp/secret", json=login)
    assert answer.json()["active"], answer.text


def links_in(mail: Mail) -> list[str]:
    """Where a reader of the mail can click, which is also what stands in its plain text."""
    links = [html.unescape(link) for link in re.findall(r'href="([^"]*)"', mail.part("html"))]
    assert links == re.findall(r"\((http[^)]*)\)", mail.part("plain"))
    return links


def rows_of_zip(content: bytes) -> dict[str, list[dict[str, str]]]:
    with zipfile.ZipFile(io.BytesIO(content)) as opened:
        members = {name: opened.read(name).decode() for name in opened.namelist() if name.endswith(".csv")}
    return {name: list(csv.DictReader(io.StringIO(text))) for name, text in members.items()}


def test_a22_one_mail_brings_a_link_to_the_package_of_each_rule(
    engine: Engine, root: Caller, s3_server: S3Server, mail_server: SmtpServer
) -> None:
    save(root, "policy", {"name": "give", "key": "give"})
    give(root, "addresses", EMAIL, s3_server, "json")
    give(root, "notes", "user.content", s3_server, "csv")
    mail_by(root, mail_server)
    earlier = len(mail_server.accepted())
    item = {"policy_key": "give", "identity": {"email": "p1@example.com"}}
    [made] = root("POST", f"{API}/privacy-request", json=[item]).json()["succeeded"]
    engine.run()
    post_due(engine.context)

    receipt, ready = mail_server.accepted()[earlier:]
    assert receipt.message["Subject"] == "Your request has been received"
    assert (ready.message["Subject"], ready.recipients) == ("Your data is ready", ["p1@example.com"])
    answers = [httpx.get(link) for link in links_in(ready)]
    assert [answer.status_code for answer in answers] == [200, 200]
    addresses, notes = (answer.content for answer in answers)
    assert json.loads(addresses) == {"shop:people": [{"mail": "p1@example.com"}]}
    assert rows_of_zip(notes) == {"shop__orders.csv": [{"note": "note 100"}, {"note": "note 101"}]}
    results = root("GET", f"{API}/privacy-request/{made['id']}/access-results").json()
    assert sorted(results["access_result_urls"]) == sorted(links_in(ready))
    assert [package["url"] for package in results["packages"]] == results["access_result_urls"]


def test_a_mail_that_comes_late_has_a_link_that_is_good_for_a_while(
    engine: Engine, root: Caller, s3_server: S3Server, mail_server: SmtpServer
) -> None:
    save(root, "policy", {"name": "give", "key": "give"})
    give(root, "addresses", EMAIL, s3_server, "json")
    mail_by(root, mail_server)
    root("POST", f"{API}/privacy-request", json=[{"policy_key": "give", "identity": {"email": "p1@example.com"}}])
    engine.run()
    soon = datetime.now(UTC) + timedelta(hours=1)
    with engine.context.ledger.write() as connection:
        connection.execute(packages.update().values(link_expires_at=soon))
    post_due(engine.context)
    ready = mail_server.accepted()[-1]
    [until] = re.findall(r"until (.*) UTC", ready.part("plain"))
    assert datetime.fromisoformat(f"{until}+00:00") - soon > timedelta(days=4)
    assert [httpx.get(link).status_code for link in links_in(ready)] == [200]
