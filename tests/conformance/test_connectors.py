"""Every case of the contract against every driver."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harnesses import DuckdbHarness, MailedHarness, MemoryHarness, PeopleHarness, PostgresHarness, SqliteHarness
from mariadb_harness import MariaDbHarness

from habeas.connectors import connection_types
from habeas.connectors.conformance import CASES, Case, Harness, name_of, not_offered

Record = Callable[[str, object], None]
DRIVERS = ("memory", "sqlite", "duckdb", "postgres", "postgres-icu", "mariadb", "mariadb-latin1", "manual", "email")

SHARED = {"mysql": "mariadb"}
"""Connection types that share a dialect. Debian has no MySQL server: what differs there is in no cell."""


@pytest.fixture
def harness(driver: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Harness]:
    made: MemoryHarness | PeopleHarness | SqliteHarness | DuckdbHarness | PostgresHarness | MariaDbHarness
    match driver:
        case "memory":
            made = MemoryHarness()
        case "manual":
            made = PeopleHarness()
        case "email":
            made = MailedHarness()
        case "sqlite":
            made = SqliteHarness(tmp_path)
        case "duckdb":
            made = DuckdbHarness(tmp_path)
        case "mariadb" | "mariadb-latin1":
            latin = "CHARACTER SET latin1 COLLATE latin1_german1_ci"
            folding = latin if driver == "mariadb-latin1" else "COLLATE utf8mb4_unicode_ci"
            made = MariaDbHarness(request.getfixturevalue("mariadb_server"), folding)
        case _:
            server = request.getfixturevalue("postgres_server")
            icu = driver == "postgres-icu"
            made = PostgresHarness(server, 'text COLLATE "folding"' if icu else "citext", "json" if icu else "jsonb")
    yield made
    made.close()


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_connector(case: Case, driver: str, harness: Harness, record_property: Record) -> None:
    """A case that the store cannot have by nature stands in the table with the reason its harness gives."""
    if reason := not_offered(case, harness):
        record_property("cell", reason)
        return
    case(harness)


def test_every_connection_type_with_data_has_a_driver_in_this_suite() -> None:
    stores = [kind.name for kind in connection_types() if kind.holds_data]
    assert {SHARED.get(name, name) for name in stores} <= set(DRIVERS)


def test_cases_have_names_of_their_own() -> None:
    assert len({name_of(case) for case in CASES}) == len(CASES)
