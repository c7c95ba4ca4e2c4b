"""What Prometheus is told: calls as they come, and at every scrape how the runs ended and what the ledger holds.

Labels are methods, templates of routes, statuses, names of jobs and kinds of processes: never what a caller wrote.
"""

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from sqlalchemy.exc import SQLAlchemyError

from habeas import __version__
from habeas.execution.context import Context
from habeas.execution.tally import Tally
from habeas.services.census import CensusTaker
from habeas.store.census import Census
from habeas.store.ledger import name_failure

_log = logging.getLogger(__name__)

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """The metrics of one application."""

    def __init__(self, context: Context) -> None:
        self._registry = CollectorRegistry()
        self._calls = Histogram(
            "habeas_http_request_duration_seconds",
            "HTTP calls and how long they took, by route and class of status.",
            ("method", "route", "status"),
            buckets=_SECONDS,
            registry=self._registry,
        )
        ProcessCollector(registry=self._registry)
        self._registry.register(_Process(context.tally))
        self._registry.register(_Ledger(CensusTaker(context)))

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a call; status 0 when the caller left before an answer."""
        self._calls.labels(method, route, f"{status // 100}xx" if status else "none").observe(seconds)

    def render(self) -> bytes:
        """Everything in Prometheus' text format."""
        return generate_latest(self._registry)


class _Process:
    """What this process knows."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    def describe(self) -> Iterator[Metric]:
        return iter(())

    def collect(self) -> Iterator[Metric]:
        yield _gauge("habeas_info", "The version that runs.", {__version__: 1}, "version")
        runs = CounterMetricFamily(
            "habeas_runs_ended", "Runs that this process carried, by how that ended.", labels=("outcome",)
        )
        for ending, count in self._tally.counts().items():
            runs.add_metric((ending,), count)
        yield runs


class _Ledger:
    """What the ledger knows; the same from every server. `habeas_ledger_up` alone when it does not answer."""

    def __init__(self, taker: CensusTaker) -> None:
        self._taker = taker

    def describe(self) -> Iterator[Metric]:
        """Nothing is asked of the ledger before the first scrape."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        try:
            census = self._taker.take()
        except SQLAlchemyError as error:
            _log.warning("the ledger could not be counted: %s", name_failure(error))
            yield _gauge("habeas_ledger_up", "Whether the ledger answers.", 0)
            return
        yield _gauge("habeas_ledger_up", "Whether the ledger answers.", 1)
        yield from _show_work(census)
        yield from _show_kept(census)
        yield from _show_jobs(census)


def _show_work(census: Census) -> Iterator[Metric]:
    yield _gauge("habeas_requests", "Privacy requests by status.", census.requests, "status")
    yield _gauge("habeas_requests_overdue", "Unfinished requests that were due before today.", census.overdue)
    yield _gauge(
        "habeas_longest_wait_seconds",
        "How long the request has waited for a run that waits longest; 0: none waits.",
        census.longest_wait,
    )
    said = "Unfinished runs: ready to be carried, leased by a worker, or waiting for a paused connection."
    yield _gauge("habeas_runs", said, census.runs, "state")
    yield _gauge("habeas_connections_paused", "Connections that somebody has paused.", census.connections_paused)
    yield _gauge("habeas_processes", "Servers and workers that show signs of life.", census.processes, "kind")


def _show_kept(census: Census) -> Iterator[Metric]:
    yield _gauge("habeas_messages", "Messages to people, by status.", census.messages, "status")
    yield _gauge("habeas_packages", "Packages that were uploaded.", census.packages)
    yield _gauge("habeas_kept_chunks", "Sealed chunks of rows that are kept for requests.", census.chunks)
    yield _gauge("habeas_kept_rows", "Rows in them.", census.kept_rows)
    yield _gauge("habeas_kept_bytes", "Bytes that they take.", census.kept_bytes)


def _show_jobs(census: Census) -> Iterator[Metric]:
    ran = {job.name: job.ran_at.timestamp() for job in census.jobs if job.ran_at is not None}
    yield _gauge("habeas_job_last_end_timestamp_seconds", "When a job of housekeeping last ended.", ran, "job")
    due = {job.name: job.due_at for job in census.jobs}
    yield _gauge("habeas_job_due_timestamp_seconds", "When it is due; long ago: nobody keeps house.", due, "job")
    done = {job.name: job.done for job in census.jobs if job.done is not None}
    yield _gauge("habeas_job_last_done", "How much it did when it last ended.", done, "job")


def _gauge(name: str, said: str, value: float | Mapping[Any, float], label: str | None = None) -> Metric:
    """A gauge with one value, or with one for each value of a label."""
    metric = GaugeMetricFamily(name, said, labels=(label,) if label else ())
    values = value.items() if isinstance(value, Mapping) else [(None, value)]
    for labelled, number in values:
        metric.add_metric(() if labelled is None else (str(labelled),), number)
    return metric
