"""Prints the table driver × case at the end of a run; a cell that was selected and stayed empty fails the run."""

from collections.abc import Iterator

import pytest

pytest.register_assert_rewrite("habeas.connectors.conformance", "harnesses", "mariadb_harness")

Cell = tuple[str, str]
_EMPTY = "EMPTY"
_PLACE = "conformance"


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(_Cells(), "conformance-cells")


def _place(item: pytest.Item) -> Cell | None:
    """(driver, case) of an item of the suite."""
    parameters = getattr(item, "callspec", None)
    if parameters is None or not {"driver", "case"} <= parameters.params.keys():
        return None
    return parameters.params["driver"], parameters.params["case"].__name__.replace("_", " ")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Say in the report which cell it is of: the table is printed by the process that gathers the reports."""
    report = yield
    if place := _place(item):
        report.user_properties.append((_PLACE, place))
    return report


class _Cells:
    """What was reported of each cell."""

    def __init__(self) -> None:
        self._said: dict[Cell, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        said = dict(report.user_properties)
        if _PLACE not in said:
            return
        driver, case = said[_PLACE]  # type: ignore[misc]
        if report.failed:
            self._said[driver, case] = "FAIL"
        elif report.skipped:
            self._said[driver, case] = _EMPTY
        elif report.when == "call":
            self._said[driver, case] = str(said.get("cell", "ok"))

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if exitstatus == pytest.ExitCode.OK and _EMPTY in self._said.values():
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self._said:
            return
        drivers = sorted({driver for driver, _ in self._said})
        cases = sorted({case for _, case in self._said})
        width = max(map(len, cases))
        widths = {
            driver: max(len(driver), *(len(text) for (own, _), text in self._said.items() if own == driver))
            for driver in drivers
        }
        terminalreporter.section("connectors: case × driver")
        terminalreporter.write_line(f"{'':{width}}  " + "  ".join(f"{driver:{widths[driver]}}" for driver in drivers))
        for case in cases:
            results = (f"{self._said.get((driver, case), '-'):{widths[driver]}}" for driver in drivers)
            terminalreporter.write_line(f"{case:{width}}  " + "  ".join(results).rstrip())
