"""Fixtures of the service tests: one context per test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.services.wiring import FakeStore, MovableClock, make_context

from habeas.execution.context import Context


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def context(tmp_path: Path, store: FakeStore, clock: MovableClock) -> Iterator[Context]:
    made = make_context(tmp_path, store, clock)
    yield made
    made.connectors.close()
    made.ledger.close()
