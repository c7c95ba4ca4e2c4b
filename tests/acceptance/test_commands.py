"""The command line as people use it: exit codes, one-line errors with a hint, and starts that are refused."""

import base64
import json
import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from commands import refused, run, run_here
from landscape import Landscape, on_one_ledger
from targets import ANN, BOB, MARK

from servers.postgres import PostgresServer

DATASET = """
dataset:
  - fides_key: shop
    name: Shop
    collections:
      - name: members
        fields:
          - {name: id, fides_meta: {primary_key: true}}
          - {name: mail, data_categories: [user.contact.email], fides_meta: {identity: email}}
"""


# requests


@on_one_ledger
def test_a_request_is_submitted_watched_and_shown(landscape: Landscape, tmp_path: Path) -> None:
    landscape.members()
    policy = landscape.policy(access={"give": ["user"]})
    at = ("--url", landscape.server.url, "--data-dir", str(landscape.server.data_dir))
    done = run(
        tmp_path, "request", "submit", policy, "-i", f"email={ANN}", "--external-id", landscape.tag, "--watch", *at
    )
    assert done.returncode == 0, done.stderr
    request, ending = done.stdout.split()
    assert (request[:4], ending) == ("pri_", "complete")
    shown = run(tmp_path, "request", "show", request, *at)
    assert shown.returncode == 0
    assert "first:members" in shown.stdout
    assert str(landscape.packages(request)[0]) in shown.stdout
    answer = json.loads(run(tmp_path, "request", "show", request, "--json", *at).stdout)
    assert (answer["id"], answer["status"], answer["external_id"]) == (request, "complete", landscape.tag)
    watched = run(tmp_path, "request", "watch", request, *at)
    assert (watched.returncode, watched.stdout.strip()) == (0, "complete")
    for text in (done.stdout, done.stderr, shown.stdout, json.dumps(answer)):
        assert MARK not in text


@on_one_ledger
def test_requests_that_fail_say_why_on_one_line(landscape: Landscape, tmp_path: Path) -> None:
    target = landscape.members()
    policy = landscape.policy(access={"give": ["user"]})
    target.execute("ALTER TABLE orders RENAME TO purchases")
    at = ("--url", landscape.server.url, "--data-dir", str(landscape.server.data_dir))
    ended = run(tmp_path, "request", "submit", policy, "-i", f"email={ANN}", "--watch", *at)
    refused(ended, "ended as error", "first:orders")
    shown = run(tmp_path, "request", "show", ended.stdout.split()[0], *at)
    assert shown.returncode == 0
    [stopped] = [line for line in shown.stdout.splitlines() if line.startswith("stopped at access first:orders: ")]
    assert stopped.count("first:orders") == 1
    refused(run(tmp_path, "request", "submit", "nowhere", "-i", f"email={ANN}", *at), "nowhere")
    refused(run(tmp_path, "request", "submit", policy, "-i", MARK, *at), "kind=value")
    refused(run(tmp_path, "request", "show", "pri_nobody", *at), "pri_nobody")
    away = run(tmp_path, "request", "watch", "pri_x", "--url", "http://127.0.0.1:1", "--data-dir", at[3])
    refused(away, "http://127.0.0.1:1")
    refused(run(tmp_path, "request", "show", "pri_x", "--data-dir", str(tmp_path)), "root client", "--data-dir")
    assert MARK not in ended.stderr + shown.stdout


@on_one_ledger
def test_requests_answer_scripts_in_json(landscape: Landscape, tmp_path: Path) -> None:
    landscape.members()
    policy = landscape.policy(access={"give": ["user"]})
    at = ("--url", landscape.server.url, "--data-dir", str(landscape.server.data_dir))
    arguments = ("request", "submit", policy, "-i", f"email={ANN}", "--external-id", landscape.tag, "--json", *at)
    submitted = json.loads(run(tmp_path, *arguments).stdout)
    assert submitted["external_id"] == landscape.tag
    watched = run_here(tmp_path, "request", "watch", submitted["id"], "--json", *at)
    assert json.loads(watched.stdout)["status"] == "complete"
    assert "next:" not in watched.stderr
    listed = run(tmp_path, "request", "list", "--external-id", landscape.tag, "--status", "complete", "--json", *at)
    assert [item["id"] for item in json.loads(listed.stdout)] == [submitted["id"]]
    report = json.loads(run_here(tmp_path, "request", "report", submitted["id"], "--json", *at).stdout)
    assert {place["address"]: place["found"] for place in report["collections"]} == {
        "first:members": 1,
        "first:orders": 2,
    }
    only = run_here(tmp_path, *arguments, "--watch", "--dataset", "nowhere")
    refused(only, "nowhere")


@on_one_ledger
def test_requests_are_listed_page_by_page(landscape: Landscape, tmp_path: Path) -> None:
    landscape.members()
    policy = landscape.policy(access={"give": ["user"]})
    at = ("--url", landscape.server.url, "--data-dir", str(landscape.server.data_dir))
    requests = landscape.submit(policy, {"email": ANN}, {"email": BOB}, external_id=landscape.tag)
    first = run(tmp_path, "request", "list", "--external-id", landscape.tag, "--size", "1", *at)
    second = run_here(tmp_path, "request", "list", "--external-id", landscape.tag, "--size", "1", "--page", "2", *at)
    assert "--page 2 shows more; there are 2" in first.stderr
    assert "--page" not in second.stderr
    told = [line.split() for done in (first, second) for line in done.stdout.splitlines()[1:]]
    assert {line[0] for line in told} == set(requests)
    assert {line[2] for line in told} == {policy}
    assert run_here(tmp_path, "request", "list", "--status", "lost", *at).returncode == 2
    assert run_here(tmp_path, "request", "list", "--size", "0", *at).returncode == 2


@on_one_ledger
def test_a_request_in_error_is_retried_when_its_cause_is_mended(landscape: Landscape, tmp_path: Path) -> None:
    target = landscape.members()
    policy = landscape.policy(access={"give": ["user"]})
    target.execute("ALTER TABLE orders RENAME TO purchases")
    at = ("--url", landscape.server.url, "--data-dir", str(landscape.server.data_dir))
    ended = run_here(tmp_path, "request", "submit", policy, "-i", f"email={ANN}", "--watch", "--json", *at)
    refused(ended, "ended as error")
    request = json.loads(ended.stdout)["id"]
    refused(run_here(tmp_path, "request", "watch", request, *at), f"hint: habeas request show {request}")
    assert f"habeas request retry {request}" in run_here(tmp_path, "request", "show", request, *at).stderr
    refused(run_here(tmp_path, "request", "retry", request, "--watch", *at), "ended as error", "first:orders")
    target.execute("ALTER TABLE purchases RENAME TO orders")
    retried = run(tmp_path, "request", "retry", request, "--watch", *at)
    assert (retried.returncode, retried.stdout.split()) == (0, ["in_processing", "complete"])
    refused(run_here(tmp_path, "request", "retry", request, *at), "its status is complete")
    refused(run_here(tmp_path, "request", "retry", "pri_nobody", *at), "pri_nobody", "habeas request list")


@on_one_ledger
def test_a_report_tells_what_was_changed_and_what_was_not(landscape: Landscape, tmp_path: Path) -> None:
    landscape.members()
    policy = landscape.policy(erasure={"null_rewrite": ["user"]})
    at = ("--url", landscape.server.url, "--data-dir", str(landscape.server.data_dir))
    request = landscape.finish(policy, {"email": ANN})["id"]
    done = run(tmp_path, "request", "report", request, *at)
    assert done.returncode == 0, done.stderr
    [members] = [line for line in done.stdout.splitlines() if "first:members" in line and "│" in line]
    assert [cell.strip() for cell in members.strip("│").split("│")] == ["first:members", "1", "1", "0", "0", "0", "yes"]
    assert MARK not in done.stdout
    refused(run_here(tmp_path, "request", "report", "pri_nobody", *at), "pri_nobody", "habeas request list")


@on_one_ledger
def test_a_package_is_fetched_and_only_its_owner_can_read_it(landscape: Landscape, tmp_path: Path) -> None:
    landscape.members()
    policy = landscape.policy(access={"give": ["user"], "mail": ["user.contact.email"]})
    at = ("--url", landscape.server.url, "--data-dir", str(landscape.server.data_dir))
    key = "0123456789abcdef"
    submit = ("request", "submit", policy, "-i", f"email={ANN}", "--watch", *at)
    request = run(tmp_path, *submit, "--key-env", "PACKAGE_KEY", PACKAGE_KEY=key).stdout.split()[0]
    refused(run_here(tmp_path, "request", "download", request, *at), f"{policy}.give, {policy}.mail", "--rule")
    arguments = ("request", "download", request, "--rule", f"{policy}.mail", *at)
    assert run(tmp_path, *arguments, "--output", "package").returncode == 0
    assert (tmp_path / "package").stat().st_mode & 0o777 == 0o600
    assert MARK not in (tmp_path / "package").read_text()
    opened = run(tmp_path, "decrypt", "package", "--key-env", "PACKAGE_KEY", PACKAGE_KEY=key).stdout
    assert json.loads(opened) == {"first:members": [{"mail": ANN}]}
    assert run(tmp_path, *arguments).stdout == (tmp_path / "package").read_text()
    refused(
        run_here(tmp_path, "request", "download", request, "--rule", "x", "--output", "new", *at), "404", "rule 'x'"
    )
    assert not (tmp_path / "new").exists()
    refused(run_here(tmp_path, *submit, "--key-env", "PACKAGE_KEY", PACKAGE_KEY=MARK), "encryption_key")
    erased = landscape.finish(landscape.policy(erasure={"null_rewrite": ["user.name"]}), {"email": BOB})["id"]
    refused(run_here(tmp_path, "request", "download", erased, *at), "there is no package")


@on_one_ledger
def test_a_kind_given_twice_is_both_values_of_one_person(landscape: Landscape, tmp_path: Path) -> None:
    landscape.members()
    policy = landscape.policy(access={"give": ["user"]})
    at = ("--url", landscape.server.url, "--data-dir", str(landscape.server.data_dir))
    done = run_here(tmp_path, "request", "submit", policy, "-i", f"email={ANN}", "-i", f"email={BOB}", *at)
    assert done.returncode == 0, done.stderr
    request = done.stdout.strip()
    landscape.wait(request)
    assert landscape.show(request, include_identities="plain")["identity"] == {"email": [ANN, BOB]}


@on_one_ledger
def test_an_unknown_request_and_a_message_with_brackets_are_shown_as_they_are(
    landscape: Landscape, tmp_path: Path
) -> None:
    at = ("--url", landscape.server.url, "--data-dir", str(landscape.server.data_dir))
    refused(run_here(tmp_path, "request", "watch", "pri_nobody", *at), "404", "pri_nobody")
    refused(run_here(tmp_path, "request", "submit", "[/bold] [red]", "-i", f"email={ANN}", *at), "[/bold] [red]")


def test_a_url_that_is_none_is_refused_without_an_echo(tmp_path: Path) -> None:
    keys = {"OAUTH_ROOT_CLIENT_ID": "root", "OAUTH_ROOT_CLIENT_SECRET": MARK}
    environment = {f"HABEAS__SECURITY__{name}": value for name, value in keys.items()}
    for url in ("nonsense", "ftp://127.0.0.1", "http://", "http://127.0.0.1:many"):
        done = run_here(tmp_path, "request", "show", "pri_x", "--url", url, **environment)
        refused(done, "HTTP address", "http://host:port")
        assert MARK not in done.stderr


@on_one_ledger
def test_a_plan_is_printed_with_its_statements(landscape: Landscape, tmp_path: Path) -> None:
    landscape.chain()
    policy = landscape.policy(access={"give": ["user"]}, erasure={"null_rewrite": ["user.name"]})
    at = ("--data-dir", str(landscape.server.data_dir))
    done = run(tmp_path, "plan", policy, "-i", "email", *at)
    assert done.returncode == 0, done.stderr
    for part in ("first:members", "second:marks", "SELECT", "UPDATE", "null_rewrite"):
        assert part in done.stdout
    told = json.loads(run_here(tmp_path, "plan", policy, "-i", f"email={ANN}", "--json", *at).stdout)
    assert told["visits"][0]["collection"] == "first:members"
    assert MARK not in json.dumps(told)
    refused(run(tmp_path, "plan", "nowhere", "-i", "email", *at), "nowhere")
    refused(run(tmp_path, "plan", policy, "-i", "shoe", *at), "first:members")


# datasets


def test_dataset_files_are_checked(tmp_path: Path) -> None:
    (tmp_path / "shop.yml").write_text(DATASET)
    done = run(tmp_path, "dataset", "validate", "shop.yml")
    assert done.returncode == 0, done.stderr
    assert "well-formed" in done.stdout
    (tmp_path / "wrong.yml").write_text(DATASET.replace("user.contact.email", "user.contact.mail"))
    refused(
        run_here(tmp_path, "dataset", "validate", "wrong.yml"), "wrong.yml:9:", "shop.members.mail", "user.contact.mail"
    )
    (tmp_path / "torn.yml").write_text("dataset: [")
    refused(run_here(tmp_path, "dataset", "validate", "torn.yml"), "torn.yml")
    (tmp_path / "torn.json").write_text('{"dataset": [{"fides_key":')
    refused(run_here(tmp_path, "dataset", "validate", "torn.json"), "torn.json")
    (tmp_path / "island.yml").write_text(DATASET.replace(", fides_meta: {identity: email}", ""))
    refused(run_here(tmp_path, "dataset", "validate", "island.yml"), "shop:members")
    refused(run_here(tmp_path, "dataset", "validate", "gone.yml"), "gone.yml", "cannot be read")
    (tmp_path / "bytes.yml").write_bytes(b"dataset: \xff")
    refused(run_here(tmp_path, "dataset", "validate", "bytes.yml"), "UTF-8")


# starts that are refused


def test_a_port_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = run(tmp_path, "serve", "--port", port, "--data-dir", "data")
    refused(done, f"127.0.0.1:{port}", "choose another --host or --port")
    assert not (tmp_path / "data").exists()


def test_a_ledger_that_does_not_answer(tmp_path: Path) -> None:
    url = "postgresql://nobody:canary-password-9d@127.0.0.1:1/ledger"
    done = run(tmp_path, "serve", "--port", "0", "--data-dir", "data", HABEAS__DATABASE__URL=url)
    refused(done, "ledger")
    assert "canary-password-9d" not in done.stderr


def test_a_ledger_that_refuses_the_password(tmp_path: Path, postgres_server: PostgresServer) -> None:
    url = postgres_server.url().replace("postgres-test-password", "canary-password-9d")
    done = run_here(tmp_path, "db", "upgrade", "--data-dir", "data", HABEAS__DATABASE__URL=url)
    refused(done, "ledger")
    assert "canary-password-9d" not in done.stderr


def test_a_schema_that_is_behind_names_the_command_that_mends_it(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for command in (("plan", "policy", "-i", "email"), ("worker", "tcp://127.0.0.1:1")):
        refused(run(tmp_path, *command, "--data-dir", "data"), "habeas db upgrade")
    assert run_here(tmp_path, "db", "upgrade", "--data-dir", "data").returncode == 0
    assert run_here(tmp_path, "db", "upgrade", "--data-dir", "data").returncode == 0
    refused(run_here(tmp_path, "plan", "policy", "-i", "email", "--data-dir", "data"), "policy")
    with closing(sqlite3.connect(tmp_path / "data" / "habeas.db")) as ledger, ledger:
        ledger.execute("UPDATE alembic_version SET version_num = '9999'")
    refused(run_here(tmp_path, "plan", "policy", "-i", "email", "--data-dir", "data"), "9999")


def test_another_encryption_key_than_the_ledgers(tmp_path: Path) -> None:
    assert run_here(tmp_path, "db", "upgrade", "--data-dir", "data").returncode == 0
    other = f"development:{base64.b64encode(b'x' * 32).decode()}"
    for ring in (other, other.replace("development", "other")):
        done = run_here(tmp_path, "db", "upgrade", "--data-dir", "data", HABEAS__SECURITY__ENCRYPTION_KEYS=ring)
        refused(done, "key")
        assert base64.b64encode(b"x" * 32).decode() not in done.stderr


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"HABEAS__SECURITY__ENCRYPTION_KEYS": MARK}, "encryption_keys"),
        ({"HABEAS__SECURITY__ENCRYPTION_KEYS": f"one:{MARK}"}, "encryption_keys"),
        ({"HABEAS__EXECUTION__THREADS": MARK}, "execution.threads"),
        ({"HABEAS__EXECUTION__THREADZ": MARK}, "threadz"),
        ({"HABEAS__EXECUTION__SUBJECT_IDENTITY_VERIFICATION_REQUIRED": "perhaps"}, "subject_identity_verification"),
        (
            {"FIDES__EXECUTION__SUBJECT_IDENTITY_VERIFICATION_REQUIRED": "perhaps"},
            "subject_identity_verification_required",
        ),
        ({"HABEAS__DATABASE__URL": f"nonsense {MARK}"}, "database"),
        ({"HABEAS__DATABASE__URL": f"mysql://x:{MARK}@localhost/x"}, "database"),
        ({"HABEAS__SHOE__SIZE": MARK}, "shoe"),
    ],
)
def test_a_setting_that_is_wrong_is_named_without_its_value(
    tmp_path: Path, environment: dict[str, str], words: str
) -> None:
    done = run_here(tmp_path, "db", "upgrade", "--data-dir", "data", **environment)
    refused(done)
    assert words in done.stderr.lower()
    assert MARK not in done.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[execution\nthreads = 1", "habeas.toml"),
        ("[execution]\nthreadz = 1", "execution.threadz"),
        ("[shoe]\nsize = 38", "shoe"),
        (f'[execution]\nthreads = "{MARK}"', "execution.threads"),
        ("execution = 5", "execution"),
    ],
)
def test_a_settings_file_that_is_wrong(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "habeas.toml").write_text(text)
    done = run_here(tmp_path, "db", "upgrade", "--data-dir", "data")
    refused(done, words)
    assert MARK not in done.stderr
    refused(run_here(tmp_path, "--config", "gone.toml", "db", "upgrade"), "gone.toml")


def test_a_data_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    refused(run(tmp_path, "serve", "--port", "0", "--data-dir", "data"), "data", "--data-dir")


def test_a_ledger_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "habeas.db").write_text("no database at all " * 100)
    done = run_here(tmp_path, "db", "upgrade", "--data-dir", "data")
    refused(done, "habeas.db is not a SQLite database", "--data-dir")


def test_a_ledger_role_that_may_not_make_tables(tmp_path: Path, postgres_server: PostgresServer) -> None:
    password = "canary-password-9d"
    with psycopg.connect(postgres_server.url(), autocommit=True) as owner:
        owner.execute(f"CREATE ROLE bystander LOGIN PASSWORD '{password}'")
        owner.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    name, _, place = postgres_server.url().partition("@")
    url = f"{name.partition('://')[0]}://bystander:{password}@{place}"
    done = run_here(tmp_path, "db", "upgrade", "--data-dir", "data", HABEAS__DATABASE__URL=url)
    refused(done, "role of database.url", "OWNER")
    assert password not in done.stderr


@pytest.mark.parametrize("text", ["", "root", "root:", ":secret", "\udcff\udcfe:x"])
def test_a_root_client_file_that_is_malformed_names_the_mend(tmp_path: Path, text: str) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "root-client").write_bytes(text.encode("utf-8", "surrogateescape"))
    for command in (["db", "upgrade"], ["request", "show", "pri_x"]):
        refused(run_here(tmp_path, *command, "--data-dir", "data"), "root-client", "delete it")


def test_an_unknown_command_is_a_wrong_command_line(tmp_path: Path) -> None:
    ports = (["serve", "--port", "99999"], ["demo", "--port", "-1"])
    unfinished = (
        ["plan"],
        ["connection", "add", "shop"],
        ["policy", "add"],
        ["request", "retry"],
        ["dataset", "add", "x"],
    )
    for arguments in (["frobnicate"], ["serve", "--port", "many"], *ports, *unfinished):
        done = run_here(tmp_path, *arguments)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr
    assert run_here(tmp_path, "--version").stdout.strip()


def test_a_shell_is_taught_to_complete_commands(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path), "SHELL": "/bin/bash"}
    done = run(tmp_path, "--install-completion", "bash", **home)
    assert done.returncode == 0, done.stderr
    assert "habeas" in (tmp_path / ".bashrc").read_text()
    asked = {"COMP_WORDS": "habeas connection pa", "COMP_CWORD": "2", "_HABEAS_COMPLETE": "complete_bash"}
    assert run(tmp_path, **asked).stdout.split() == ["pause"]
