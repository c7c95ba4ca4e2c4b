"""Prints the table driver × case at the end of a run; a cell that was selected and stayed empty fails the run."""

from collections.abc import Iterator

import pytest

pytest.register_assert_rewrite("habeas.connectors.conformance", "harnesses")

Cell = tuple[str, str]
_CELLS = pytest.StashKey[dict[Cell, str]]()
_EMPTY = "EMPTY"


def _cell(item: pytest.Item) -> Cell | None:
    """(driver, case) of an item of the suite."""
    parameters = getattr(item, "callspec", None)
    if parameters is None or not {"driver", "case"} <= parameters.params.keys():
        return None
    return parameters.params["driver"], parameters.params["case"].__name__.replace("_", " ")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_CELLS] = {}


def pytest_collection_finish(session: pytest.Session) -> None:
    session.config.stash[_CELLS].update((cell, _EMPTY) for item in session.items if (cell := _cell(item)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    if report.when == "call" and not report.skipped and (cell := _cell(item)):
        said = dict(item.user_properties).get("cell", "ok")
        item.config.stash[_CELLS][cell] = str(said) if report.passed else "FAIL"
    return report


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if exitstatus == pytest.ExitCode.OK and not session.config.option.collectonly:
        empty = _EMPTY in session.config.stash[_CELLS].values()
        session.exitstatus = pytest.ExitCode.TESTS_FAILED if empty else exitstatus


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    cells = config.stash[_CELLS]
    if not cells or config.option.collectonly:
        return
    drivers = sorted({driver for driver, _ in cells})
    cases = sorted({case for _, case in cells})
    width = max(map(len, cases))
    widths = {
        driver: max(len(driver), *(len(text) for (own, _), text in cells.items() if own == driver))
        for driver in drivers
    }
    terminalreporter.section("connectors: case × driver")
    terminalreporter.write_line(f"{'':{width}}  " + "  ".join(f"{driver:{widths[driver]}}" for driver in drivers))
    for case in cases:
        results = (f"{cells.get((driver, case), '-'):{widths[driver]}}" for driver in drivers)
        terminalreporter.write_line(f"{case:{width}}  " + "  ".join(results).rstrip())
