"""Tells the server about the sample company: storage, connections, datasets, policies. Repeating it changes nothing."""

from collections.abc import Sequence
from importlib.resources import files

import yaml

from habeas.client import Client, Json
from habeas.demo.company import Company
from habeas.demo.databases import FILES
from habeas.demo.failure import DemoFailure

_STORAGES = (
    ("demo_packages", "Packages of the demo", "json"),
    ("demo_spreadsheets", "CSV packages of the demo", "csv"),
)
_SYSTEMS = (("shop", "Shop database", "sqlite"), ("support", "Support desk database", "duckdb"))


def register_storage(client: Client) -> None:
    """Packages go to the server's own folder, in two formats."""
    for key, name, package_format in _STORAGES:
        item = {"key": key, "name": name, "type": "local", "format": package_format, "details": {}}
        client.patch_all("/storage/config", [item])


def register_systems(client: Client, company: Company) -> list[str]:
    """Both databases and their datasets; the connection keys. The shop comes first: the support desk refers to it."""
    keys = []
    for dataset, name, kind in _SYSTEMS:
        key = f"{dataset}_db"
        item = {"key": key, "name": name, "connection_type": kind, "access": "write"}
        client.patch_all("/connection", [item])
        secret = {"path": str(company.folder / FILES[dataset])}
        test = client.call("PUT", f"/connection/{key}/secret", json=secret)
        if test["test_status"] != "succeeded":
            raise DemoFailure(f"connection {key} does not work: {test['failure_reason']}")
        client.patch_all(f"/connection/{key}/dataset", _load(f"datasets/{dataset}.yml")["dataset"])
        keys.append(key)
    return keys


def register_policies(client: Client) -> Sequence[Json]:
    """The policies of `policies.yml` with rules and targets, as they stand there."""
    policies: Sequence[Json] = _load("policies.yml")["policies"]
    for policy in policies:
        path = f"/policy/{policy['key']}/rule"
        client.patch_all("/policy", [{"key": policy["key"], "name": policy["name"]}])
        for rule in policy["rules"]:
            client.patch_all(path, [{name: value for name, value in rule.items() if name != "targets"}])
            targets = [{"key": f"{rule['key']}.{category}", "data_category": category} for category in rule["targets"]]
            client.patch_all(f"{path}/{rule['key']}/target", targets)
    return policies


def _load(name: str) -> Json:
    return yaml.safe_load(files("habeas.demo").joinpath(name).read_text(encoding="utf-8"))
