"""Setting a server up by commands alone: connections, datasets, policies, storages, and who may do so."""

import json
from pathlib import Path

import pytest
from commands import refused, run, run_here, type_in
from landscape import Landscape, on_one_ledger
from targets import ANN, MARK, fill_first

from servers.postgres import PASSWORD, USER, PostgresServer
from servers.s3 import KEYS, S3Server

pytestmark = on_one_ledger

DATASET = """
dataset:
  - fides_key: {key}
    collections:
      - name: members
        fields:
          - {{name: id, fides_meta: {{primary_key: true}}}}
          - {{name: mail, data_categories: [user.contact.email], fides_meta: {{identity: email}}}}
"""
POLICY = """
policies:
  - key: {tag}
    name: Articles 15 and 17
    execution_timeframe: 30
    rules:
      - key: {tag}.give
        action_type: access
        storage_destination_key: {storage}
        targets: [user]
      - key: {tag}.hide
        action_type: erasure
        masking_strategy: {{strategy: string_rewrite, configuration: {{rewrite_value: MASKED}}}}
        targets: [user.contact.email, user.name]
      - key: {tag}.clear
        action_type: erasure
        masking_strategy: null_rewrite
        targets: [user.content]
"""


@pytest.fixture
def at(landscape: Landscape) -> tuple[str, ...]:
    """The options that lead to the test's server."""
    return ("--url", landscape.server.url, "--data-dir", str(landscape.server.data_dir))


# connections


def test_a_database_is_connected_listed_shown_and_tested(
    landscape: Landscape, tmp_path: Path, at: tuple[str, ...]
) -> None:
    target, key = landscape.members(), landscape.adopt("shop")
    done = run(tmp_path, "connection", "add", key, "sqlite", f"path={target.secrets['path']}", *at)
    assert (done.returncode, done.stdout) == (0, f"{key} works\n")
    assert f"habeas dataset generate {key}" in done.stderr
    changed = run_here(
        tmp_path, "connection", "add", key, "sqlite", f"path={target.secrets['path']}",
        "--access", "write", "--name", "Shop", "--description", "the web shop", "--json", *at,
    )  # fmt: skip
    answer = json.loads(changed.stdout)
    assert (answer["access"], answer["name"], answer["description"]) == ("write", "Shop", "the web shop")
    assert answer["last_test_succeeded"] is True
    listed = run_here(tmp_path, "connection", "list", *at).stdout.splitlines()
    assert [line.split() for line in listed if line.startswith(key)] == [[key, "sqlite", "write", "works"]]
    assert key in [item["key"] for item in json.loads(run_here(tmp_path, "connection", "list", "--json", *at).stdout)]
    shown = run_here(tmp_path, "connection", "show", key, *at)
    assert "the web shop" in shown.stdout
    assert "datasets: none" in shown.stdout
    assert json.loads(run_here(tmp_path, "connection", "show", key, "--json", *at).stdout)["datasets"] == []
    tested = run_here(tmp_path, "connection", "test", key, *at)
    assert (tested.returncode, tested.stdout) == (0, f"{key} works\n")
    answer = json.loads(run_here(tmp_path, "connection", "test", key, "--json", *at).stdout)
    assert answer["test_status"] == "succeeded"
    assert target.secrets["path"] not in shown.stdout + done.stdout + done.stderr


def test_a_connection_that_does_not_work_is_saved_and_says_what_is_wrong(
    landscape: Landscape, tmp_path: Path, at: tuple[str, ...]
) -> None:
    key = landscape.adopt("shop")
    path = f"path={tmp_path}/{MARK}.db"
    added = run(tmp_path, "connection", "add", key, "sqlite", path, *at)
    refused(added, f"{key} does not work", "it is saved")
    refused(run_here(tmp_path, "connection", "test", key, *at), f"{key} does not work")
    answer = run_here(tmp_path, "connection", "test", key, "--json", *at)
    refused(answer, f"{key} does not work")
    assert json.loads(answer.stdout)["test_status"] == "failed"
    assert "failed its last test" in run_here(tmp_path, "connection", "show", key, *at).stdout
    untested = run_here(tmp_path, "connection", "add", key, "sqlite", path, "--no-test", *at)
    assert (untested.returncode, untested.stdout) == (0, f"the secrets of {key} are saved, not tested\n")
    assert "untested" in run_here(tmp_path, "connection", "show", key, *at).stdout


def test_secrets_are_typed_unseen_or_read_from_a_file(
    landscape: Landscape, tmp_path: Path, at: tuple[str, ...], postgres_server: PostgresServer
) -> None:
    key = landscape.adopt("crm")
    place = ("host=127.0.0.1", f"port={postgres_server.port}", "dbname=postgres")
    code, shown = type_in(
        tmp_path, ["connection", "add", key, "postgres", *place, *at], ("username", USER), ("password", PASSWORD)
    )
    assert code == 0, shown
    assert f"{key} works" in shown
    assert USER in shown
    assert PASSWORD not in shown
    secrets = json.dumps({"password": PASSWORD, "username": USER})
    (tmp_path / "secrets.json").write_text(secrets)
    arguments = ("connection", "add", key, "postgres", *place, *at, "--secrets-file")
    assert run_here(tmp_path, *arguments, "secrets.json").returncode == 0
    assert run(tmp_path, *arguments, "-", text=secrets).returncode == 0
    url = run(tmp_path, "connection", "add", key, "postgres", *at, "--secrets-file", "-",
              text=json.dumps({"url": postgres_server.url()}))  # fmt: skip
    assert url.returncode == 0, url.stderr
    wrong = run(tmp_path, *arguments, "-", text=json.dumps({"password": MARK, "username": USER}))
    refused(wrong, f"{key} does not work")
    assert MARK not in wrong.stderr + wrong.stdout


@pytest.mark.parametrize(
    ("fields", "text", "words"),
    [
        ([f"password={MARK}"], "", ["password", "command line", "--secrets-file"]),
        ([f"url=postgresql://me:{MARK}@db/shop"], "", ["url", "command line", "--secrets-file"]),
        ([MARK], "", ["name=value"]),
        (["host=db", "host=other"], "", ["host is given twice"]),
        (["hots=db"], "", ["no field hots", "host"]),
        (["host=db", "username=me"], "", ["dbname, password: required", "--secrets-file"]),
        (["host=db"], json.dumps({"host": MARK}), ["host is given twice"]),
        (["host=db"], json.dumps({"url": MARK}), ["give either"]),
        (["host=db"], json.dumps([MARK]), ["no JSON object"]),
        (["host=db"], json.dumps({"password": [MARK]}), ["no JSON object"]),
        (["host=db"], f"{{{MARK}", ["no JSON object"]),
    ],
)
def test_fields_that_are_wrong_are_named_without_their_value(
    landscape: Landscape, tmp_path: Path, at: tuple[str, ...], fields: list[str], text: str, words: list[str]
) -> None:
    (tmp_path / "secrets.json").write_text(text or "{}")
    done = run_here(tmp_path, "connection", "add", "shop", "postgres", *fields, "--secrets-file", "secrets.json", *at)
    refused(done, *words)
    assert MARK not in done.stderr
    assert landscape.call("GET", "/connection/shop").status_code == 404


def test_connections_and_types_that_there_are_not(tmp_path: Path, at: tuple[str, ...]) -> None:
    refused(run_here(tmp_path, "connection", "add", "shop", "oracle", *at), "unknown connection type", "postgres")
    for command in ("show", "test", "pause", "resume"):
        refused(run_here(tmp_path, "connection", command, "nowhere", *at), "nowhere", "habeas connection list")
    refused(run_here(tmp_path, "connection", "add", "sh op", "sqlite", "path=/x", *at), "key is malformed")
    assert run_here(tmp_path, "connection", "add", "shop", "sqlite", "--access", "all", *at).returncode == 2


def test_a_paused_connection_lets_requests_wait(landscape: Landscape, tmp_path: Path, at: tuple[str, ...]) -> None:
    landscape.members()
    key = f"{landscape.tag}-first"
    policy = landscape.policy(access={"give": ["user"]})
    paused = run(tmp_path, "connection", "pause", key, *at)
    assert paused.returncode == 0, paused.stderr
    assert f"{key} is paused" in paused.stdout
    assert f"habeas connection resume {key}" in paused.stderr
    assert "paused" in run_here(tmp_path, "connection", "show", key, *at).stdout
    assert json.loads(run_here(tmp_path, "connection", "pause", key, "--json", *at).stdout)["paused_at"]
    request = run_here(tmp_path, "request", "submit", policy, "-i", f"email={ANN}", *at).stdout.strip()
    landscape.wait(request, "in_processing")
    resumed = run_here(tmp_path, "connection", "resume", key, *at)
    assert (resumed.returncode, resumed.stdout) == (0, f"{key} goes on\n")
    assert run_here(tmp_path, "request", "watch", request, *at).returncode == 0
    assert json.loads(run_here(tmp_path, "connection", "resume", key, "--json", *at).stdout)["paused_at"] is None


# storages


def test_a_storage_is_added_and_listed(landscape: Landscape, tmp_path: Path, at: tuple[str, ...]) -> None:
    key = f"{landscape.tag}-sheets"
    done = run(tmp_path, "storage", "add", key, "local", f"path={tmp_path}/sheets", "--format", "csv", *at)
    assert (done.returncode, done.stdout) == (0, f"storage {key} is saved\n")
    listed = run_here(tmp_path, "storage", "list", *at).stdout.splitlines()
    assert [key, "local", "csv", f"path={tmp_path}/sheets"] in [line.split() for line in listed]
    found = json.loads(run_here(tmp_path, "storage", "list", "--json", *at).stdout)
    assert {item["key"]: item["format"] for item in found}[key] == "csv"
    again = json.loads(run_here(tmp_path, "storage", "add", key, "local", "--name", "Sheets", "--json", *at).stdout)
    assert (again["name"], again["format"], again["details"]) == ("Sheets", "json", {})


def test_a_bucket_gets_its_details_and_its_secrets(
    landscape: Landscape, tmp_path: Path, at: tuple[str, ...], s3_server: S3Server
) -> None:
    key = f"{landscape.tag}-bucket"
    bucket = s3_server.create_bucket(key)
    details = [f"{name}={value}" for name, value in s3_server.details(bucket).items()]
    secrets = json.dumps(dict(KEYS))
    arguments = ("storage", "add", key, "s3", *details, *at, "--secrets-file", "-")
    done = run(tmp_path, *arguments, text=secrets)
    assert (done.returncode, done.stdout) == (0, f"{key} works\n"), done.stderr
    wrong = run(tmp_path, *arguments, text=json.dumps({"aws_access_key": MARK}))
    refused(wrong, "aws_access_key", "unknown field")
    assert MARK not in wrong.stderr


def test_storages_that_are_wrong(tmp_path: Path, at: tuple[str, ...]) -> None:
    refused(run_here(tmp_path, "storage", "add", "shelf", "tape", *at), "unknown storage type", "local")
    refused(run_here(tmp_path, "storage", "add", "shelf", "local", "--format", "pdf", *at), "json, csv")
    refused(run_here(tmp_path, "storage", "add", "shelf", "local", "path=here", *at), "absolute")
    refused(run_here(tmp_path, "storage", "add", "shelf", "local", "colour=red", *at), "colour")
    told = run_here(tmp_path, "storage", "add", "shelf", "s3", f"aws_secret_access_key={MARK}", *at)
    refused(told, "command line")
    assert MARK not in told.stderr


# datasets


def test_a_dataset_is_drafted_saved_and_listed(landscape: Landscape, tmp_path: Path, at: tuple[str, ...]) -> None:
    target, key = landscape.new_target("shop"), landscape.adopt("shop")
    fill_first(target)
    assert run_here(tmp_path, "connection", "add", key, "sqlite", f"path={target.secrets['path']}", *at).returncode == 0
    drafted = run_here(tmp_path, "dataset", "generate", key, "--output", "draft.yml", *at[2:])
    assert drafted.returncode == 0, drafted.stderr
    assert f"habeas dataset add {key} draft.yml" in drafted.stderr
    saved = run(tmp_path, "dataset", "add", key, "draft.yml", *at)
    assert (saved.returncode, saved.stdout) == (0, f"{key}: collections 2\n"), saved.stderr
    again = json.loads(run_here(tmp_path, "dataset", "add", key, "draft.yml", "--json", *at).stdout)
    assert [body["fides_key"] for body in again] == [key]
    listed = run_here(tmp_path, "dataset", "list", *at).stdout.splitlines()
    assert [key, key, "2"] in [line.split() for line in listed]
    found = json.loads(run_here(tmp_path, "dataset", "list", "--json", *at).stdout)
    assert {item["fides_key"]: item["connection"] for item in found}[key] == key
    assert f"datasets: {key}" in run_here(tmp_path, "connection", "show", key, *at).stdout


def test_datasets_that_are_refused_say_where_and_what_was_saved(
    landscape: Landscape, tmp_path: Path, at: tuple[str, ...]
) -> None:
    landscape.members()
    connection, key = f"{landscape.tag}-first", landscape.tag
    (tmp_path / "good.yml").write_text(DATASET.format(key=f"{key}-good"))
    (tmp_path / "far.yml").write_text(DATASET.format(key=f"{key}-far").replace("name: mail", "name: post"))
    (tmp_path / "wrong.yml").write_text(DATASET.format(key=key).replace("user.contact.email", "user.shoe"))
    refused(run_here(tmp_path, "dataset", "add", connection, "wrong.yml", *at), "wrong.yml:8:", "user.shoe")
    refused(
        run_here(tmp_path, "dataset", "add", connection, "far.yml", "good.yml", *at),
        "no column 'post'",
        f"saved: {key}-good",
    )
    refused(run_here(tmp_path, "dataset", "add", "nowhere", "good.yml", *at), "nowhere", "habeas connection list")
    refused(run_here(tmp_path, "dataset", "add", connection, "gone.yml", *at), "gone.yml cannot be read")


# policies


def test_a_policy_file_makes_a_policy_and_may_be_added_again(
    landscape: Landscape, tmp_path: Path, at: tuple[str, ...]
) -> None:
    tag = landscape.tag
    (tmp_path / "policy.yml").write_text(POLICY.format(tag=tag, storage=landscape.storage))
    done = run(tmp_path, "policy", "add", "policy.yml", *at)
    assert (done.returncode, done.stdout) == (0, f"{tag}: {tag}.give, {tag}.hide, {tag}.clear\n"), done.stderr
    assert f"habeas plan {tag}" in done.stderr
    first = json.loads(run_here(tmp_path, "policy", "show", tag, "--json", *at).stdout)
    assert (first["name"], first["execution_timeframe"]) == ("Articles 15 and 17", 30)
    assert [rule["key"] for rule in first["rules"]] == [f"{tag}.give", f"{tag}.hide", f"{tag}.clear"]
    again = json.loads(run_here(tmp_path, "policy", "add", "policy.yml", "--json", *at).stdout)
    assert without_times(again) == without_times([first])
    shown = run_here(tmp_path, "policy", "show", tag, *at).stdout.splitlines()
    assert [f"{tag}.hide", "erasure", "string_rewrite", "user.contact.email,", "user.name"] in map(str.split, shown)
    listed = run_here(tmp_path, "policy", "list", *at).stdout
    assert f"{tag}.give, {tag}.hide, {tag}.clear" in listed
    assert tag in [item["key"] for item in json.loads(run_here(tmp_path, "policy", "list", "--json", *at).stdout)]
    piped = run(tmp_path, "policy", "add", "-", *at, text=POLICY.format(tag=tag, storage=landscape.storage))
    assert piped.returncode == 0, piped.stderr


def test_what_a_changed_file_lacks_is_deleted_only_when_asked_for(
    landscape: Landscape, tmp_path: Path, at: tuple[str, ...]
) -> None:
    tag = landscape.tag
    text = POLICY.format(tag=tag, storage=landscape.storage)
    (tmp_path / "policy.yml").write_text(text)
    assert run_here(tmp_path, "policy", "add", "policy.yml", *at).returncode == 0
    moved = text.replace("[user.contact.email, user.name]", "[user.contact.email]")
    (tmp_path / "policy.yml").write_text(moved.replace("[user.content]", "[user.content, user.name]"))
    before = landscape.ask("GET", f"/policy/{tag}")
    refused(run_here(tmp_path, "policy", "add", "policy.yml", *at), f"target user.name of rule {tag}.hide", "--replace")
    assert landscape.ask("GET", f"/policy/{tag}") == before
    assert run_here(tmp_path, "policy", "add", "policy.yml", "--replace", *at).returncode == 0
    assert targets(landscape) == {
        "give": ["user"],
        "hide": ["user.contact.email"],
        "clear": ["user.content", "user.name"],
    }
    (tmp_path / "policy.yml").write_text(text[: text.index(f"      - key: {tag}.clear")])
    refused(run_here(tmp_path, "policy", "add", "policy.yml", *at), f"rule {tag}.clear", "--replace")
    assert run_here(tmp_path, "policy", "add", "policy.yml", "--replace", *at).returncode == 0
    assert targets(landscape) == {"give": ["user"], "hide": ["user.contact.email", "user.name"]}


def targets(landscape: Landscape) -> dict[str, list[str]]:
    """The categories of each rule of the test's policy."""
    rules = landscape.ask("GET", f"/policy/{landscape.tag}")["rules"]
    return {
        rule["key"].removeprefix(f"{landscape.tag}."): sorted(target["data_category"] for target in rule["targets"])
        for rule in rules
    }


def test_a_policy_that_fails_half_way_says_what_was_made(
    landscape: Landscape, tmp_path: Path, at: tuple[str, ...]
) -> None:
    tag = landscape.tag
    text = POLICY.format(tag=tag, storage=landscape.storage)
    late = text + f"      - key: {tag}.late\n        action_type: access\n        storage_destination_key: nowhere\n"
    (tmp_path / "policy.yml").write_text(late + "        targets: [user]\n")
    done = run_here(tmp_path, "policy", "add", "policy.yml", *at)
    refused(done, "no storage 'nowhere'", f"saved before that: policy {tag}, rule {tag}.give", "add the file again")
    assert [rule["key"] for rule in landscape.ask("GET", f"/policy/{tag}")["rules"]][-1] == f"{tag}.clear"
    refused(run_here(tmp_path, "policy", "show", "nowhere", *at), "nowhere", "habeas policy list")
    (tmp_path / "policy.yml").write_text(text.replace("user.name", "user.nmae"))
    refused(run_here(tmp_path, "policy", "add", "policy.yml", *at), "policy.yml:14:", "user.nmae")


def without_times(policies: list[dict[str, object]]) -> object:
    """Policies without when their storages were changed."""
    return json.loads(
        json.dumps(policies), object_hook=lambda item: {k: v for k, v in item.items() if k != "updated_at"}
    )


# who asks


def test_another_client_asks_with_what_the_environment_says(landscape: Landscape, tmp_path: Path) -> None:
    made = landscape.ask("POST", "/oauth/client", json={"name": "reader", "scopes": ["connection:read"]})
    names = {"HABEAS_CLIENT_ID": made["client_id"], "HABEAS_CLIENT_SECRET": made["client_secret"]}
    at = ("--url", landscape.server.url)
    listed = run(tmp_path, "connection", "list", *at, **names)
    assert listed.returncode == 0, listed.stderr
    refused(run_here(tmp_path, "policy", "list", *at, **names), "403", "policy:read", "scope")
    wrong = run_here(tmp_path, "connection", "list", *at, **{**names, "HABEAS_CLIENT_SECRET": MARK})
    refused(wrong, "401", "HABEAS_CLIENT_SECRET")
    assert MARK not in wrong.stderr
    for name in names:
        refused(run_here(tmp_path, "connection", "list", *at, **{name: names[name]}), "is set without", "set both")
