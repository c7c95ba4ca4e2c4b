"""`habeas policy`: what is done for a request, from a file of policies with their rules and targets."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from habeas.cli.printing import print_columns, print_json, say_next
from habeas.cli.private_file import read_text
from habeas.cli.server_options import LOCAL, AsJson, Url, connect
from habeas.cli.settings_option import DataDir
from habeas.client import ApiFailure, Client, Json, path_of
from habeas.domain.errors import InputError
from habeas.services.policy_format import WrittenPolicy, WrittenRule, parse_policies

app = typer.Typer(help="Policies: what is done for a request.", no_args_is_help=True)

_MISSING = "`habeas policy list` shows what there is"


@app.command()
def add(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="Policy file, YAML or JSON; - is standard input.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Delete rules and targets of its policies that the file lacks.")
    ] = False,
    as_json: AsJson = False,
    url: Url = LOCAL,
    data_dir: DataDir = None,
) -> None:
    """Make policies as a file says, with their rules and targets, or change them to that; safe to repeat."""
    policies = parse_policies(read_text(file), source=str(file))
    with connect(context, url, data_dir) as client:
        extras = [extra for policy in policies for extra in _find_extras(client, policy)]
        if extras and not replace:
            told = ", ".join(told for told, _ in extras)
            raise InputError(
                f"the server has what the file lacks: {told}", hint="add it to the file, or delete it with --replace"
            )
        for _, path in extras:
            client.call("DELETE", path)
        done: list[str] = []
        try:
            for policy in policies:
                _save(client, policy, done)
        except ApiFailure as failure:
            failure.message += f"; saved before that: {', '.join(done) or 'nothing'}"
            failure.hint = failure.hint or "mend it, then add the file again"
            raise
        saved = [client.call("GET", path_of("policy", policy.key)) for policy in policies]
    if as_json:
        print_json(saved)
        return
    for policy in policies:
        typer.echo(f"{policy.key}: {', '.join(rule.key for rule in policy.rules)}")
    say_next(f"habeas plan {policies[-1].key} --identity email")


@app.command("list")
def list_all(context: typer.Context, as_json: AsJson = False, url: Url = LOCAL, data_dir: DataDir = None) -> None:
    """List policies."""
    with connect(context, url, data_dir) as client:
        found = client.list_all("/policy")
    if as_json:
        print_json(found)
        return
    rows = ((item["key"], item["name"], ", ".join(rule["key"] for rule in item["rules"])) for item in found)
    print_columns(("key", "name", "rules"), rows)


@app.command()
def show(
    context: typer.Context,
    key: Annotated[str, typer.Argument(help="Key of the policy.")],
    as_json: AsJson = False,
    url: Url = LOCAL,
    data_dir: DataDir = None,
) -> None:
    """Show a policy: what its rules do, to which data; never how a masking is configured."""
    with connect(context, url, data_dir, missing=_MISSING) as client:
        found = client.call("GET", path_of("policy", key))
    if as_json:
        print_json(found)
        return
    typer.echo(f"{found['key']}  {found['name']}")
    for label in ("execution_timeframe", "drp_action", "on_unreachable", "shared_rows"):
        if found[label] is not None:
            typer.echo(f"{label}: {found[label]}")
    typer.echo()
    print_columns(("rule", "action", "into, or by", "targets"), map(_describe, found["rules"]))


def _describe(rule: Json) -> Sequence[object]:
    storage, masking = rule["storage_destination"], rule["masking_strategy"]
    what = masking["strategy"] if masking else storage["key"] if storage else "the default storage"
    categories = sorted(target["data_category"] for target in rule["targets"])
    return rule["key"], rule["action_type"], what, ", ".join(categories)


def _find_extras(client: Client, policy: WrittenPolicy) -> Iterator[tuple[str, str]]:
    """Rules and targets that the server has beyond the file: what each is, and its path."""
    written = {rule.key: rule for rule in policy.rules}
    for rule in _read_rules(client, policy.key):
        path = path_of("policy", policy.key, "rule", rule["key"])
        if rule["key"] not in written:
            yield f"rule {rule['key']}", path
            continue
        for target in rule["targets"]:
            if target["data_category"] not in written[rule["key"]].categories:
                yield f"target {target['data_category']} of rule {rule['key']}", path + path_of("target", target["key"])


def _read_rules(client: Client, policy: str) -> Sequence[Json]:
    """The rules of a policy, none when there is no such policy yet."""
    try:
        rules: Sequence[Json] = client.call("GET", path_of("policy", policy))["rules"]
    except ApiFailure as failure:
        if failure.status != 404:
            raise
        return ()
    return rules


def _save(client: Client, policy: WrittenPolicy, done: list[str]) -> None:
    """Policy, rules and targets, in this order; `done` hears of each that is saved."""
    client.patch_all("/policy", [asdict(policy.draft)])
    done.append(f"policy {policy.key}")
    for rule in policy.rules:
        _save_rule(client, policy.key, rule)
        done.append(f"rule {rule.key}")


def _save_rule(client: Client, policy: str, rule: WrittenRule) -> None:
    [saved] = client.patch_all(path_of("policy", policy, "rule"), [asdict(rule.draft)])
    there = {target["data_category"] for target in saved["targets"]}
    fresh = [{"data_category": category} for category in rule.categories if category not in there]
    client.patch_all(path_of("policy", policy, "rule", rule.key, "target"), fresh)
