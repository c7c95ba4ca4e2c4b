"""Prints the table driver × case at the end of a full run."""

from collections.abc import Iterator

import pytest

pytest.register_assert_rewrite("habeas.connectors.conformance", "harnesses")

_CELLS = pytest.StashKey[dict[tuple[str, str], str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_CELLS] = {}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    if report.when == "call" and (place := dict(item.user_properties).get("cell")):
        item.config.stash[_CELLS][place] = "ok" if report.passed else "FAIL"
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    cells = config.stash[_CELLS]
    if not cells:
        return
    drivers = sorted({driver for driver, _ in cells})
    cases = list(dict.fromkeys(case for _, case in sorted(cells, key=lambda cell: cell[1])))
    width = max(map(len, cases))
    terminalreporter.section("connectors: case × driver")
    terminalreporter.write_line(f"{'':{width}}  " + "  ".join(drivers))
    for case in cases:
        results = (f"{cells.get((driver, case), '-'):{len(driver)}}" for driver in drivers)
        terminalreporter.write_line(f"{case:{width}}  " + "  ".join(results))
