"""The alerts of the page on operation ask for metrics, labels and values that there are."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from documents import ROOT, read_blocks
from prometheus_client.parser import text_string_to_metric_families

from habeas import bootstrap
from habeas.execution.housekeeping import sweep
from habeas.settings import Settings
from habeas.web.metrics import Metrics

PAGE = (ROOT / "docs" / "operate.md").read_text()
[ALERTS] = [block.body for block in read_blocks(PAGE) if block.file == "habeas-alerts.yml"]
RULES: list[dict[str, Any]] = yaml.safe_load(ALERTS)["groups"][0]["rules"]

_ASKED = re.compile(r"\b(habeas_\w+)(?:\{(\w+)(=~?)\"([^\"]+)\"\})?")


@pytest.fixture
def offered(tmp_path: Path) -> dict[str, dict[str, set[str]]]:
    """Metric → label → values, of a server that has answered calls and kept house."""
    application = bootstrap.build(Settings(data_dir=tmp_path))
    sweep(application.context, "forget")
    metrics = Metrics(application.context)
    for status in (200, 404, 503):
        metrics.observe("GET", "/health", status, 0.01)
    text = metrics.render().decode()
    bootstrap.close(application)
    found: dict[str, dict[str, set[str]]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = found.setdefault(sample.name, {})
            for label, value in sample.labels.items():
                labels.setdefault(label, set()).add(value)
    return found


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_asks_for_what_there_is(rule: dict[str, Any], offered: dict[str, dict[str, set[str]]]) -> None:
    asked = _ASKED.findall(rule["expr"])
    assert asked
    for metric, label, _, values in asked:
        assert metric in offered, metric
        for value in filter(None, values.split("|")):
            assert value in offered[metric][label], f"{metric} has no {label}={value}"


def test_the_page_tells_of_every_job(offered: dict[str, dict[str, set[str]]]) -> None:
    jobs = offered["habeas_job_due_timestamp_seconds"]["job"]
    told = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))
    assert jobs and jobs <= told, jobs - told


def test_the_page_tells_of_every_metric(offered: dict[str, dict[str, set[str]]]) -> None:
    told = set(re.findall(r"`(habeas_\w+)", PAGE))
    named = {re.sub(r"_(bucket|count|sum|created)$", "", name) for name in offered if name.startswith("habeas_")}
    assert named <= told, named - told
