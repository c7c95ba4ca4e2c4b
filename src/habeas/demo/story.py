"""The story a newcomer watches: one person asks for their data, then to be forgotten. All of it over HTTP.

Must not start the server, and must not know how the engine works: it only asks, shows and checks.
"""

from collections.abc import Callable, Sequence

import httpx
from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid

from habeas.client import ApiFailure, Client, Json, log_in
from habeas.demo.checks import check_masked, check_others, check_package, check_report, check_rows
from habeas.demo.company import Company
from habeas.demo.facts import Holding, Snapshot, find_holdings, take_snapshot
from habeas.demo.failure import DemoFailure
from habeas.demo.registration import register_policies, register_storage, register_systems

ACCESS_POLICY, ACCESS_RULE, ERASURE_POLICY = "shop_access", "give_all", "shop_erasure"


def run_story(
    base_url: str,
    client_id: str,
    client_secret: str,
    company: Company,
    console: Console,
    *,
    patience: float = 60.0,
    transport: httpx.BaseTransport | None = None,
) -> None:
    """Register the company at a running server, give its protagonist their data, erase it, and check both.

    `patience`: seconds each request may take. Raises DemoFailure at the first thing that is not as promised.
    """
    try:
        with log_in(base_url, client_id, client_secret, transport) as client:
            story = _Story(client, company, console, patience)
            story.introduce(base_url)
            story.give()
            story.forget()
            story.ask_again()
    except ApiFailure as failure:
        raise DemoFailure(failure.message) from None


class _Story:
    """The chapters, in order."""

    def __init__(self, client: Client, company: Company, console: Console, patience: float) -> None:
        self._client = client
        self._company = company
        self._console = console
        self._patience = patience

    def introduce(self, base_url: str) -> None:
        people = sum(address == "shop:customers" for address, _ in take_snapshot(self._company.folder))
        self._head("1. A company and its data")
        self._say(f"A shop with {people:,} customers and its support desk, two databases in {self._company.folder}")
        self._say("The support desk knows no mail addresses: only the shop's customers lead to its tickets.")
        register_storage(self._client)
        systems = register_systems(self._client, self._company)
        policies = register_policies(self._client)
        self._say(f"Registered through {base_url}/api/v1: connections with datasets {', '.join(systems)}")
        for policy in policies:
            self._say(f"  policy {policy['key']}")
            for rule in policy["rules"]:
                self._say(f"    {rule['action_type']:<8} {rule['name']}")

    def give(self) -> None:
        email = self._company.email
        self._head(f"2. {email} asks: what do you know about me?")
        request = self._carry_out(ACCESS_POLICY, "access")
        links = self._client.call("GET", f"/privacy-request/{request}/access-results")["access_result_urls"]
        if not links:
            raise DemoFailure("the access request ended without a package")
        self._say(f"Her package: {', '.join(links)}")
        package = self._package(request)
        for address, rows in package.items():
            cells = ", ".join(f"{name}: {value}" for name, value in rows[0].items() if value is not None)
            self._say(f"  {address:<19}{len(rows):>3}  {_cut(cells, self._console.width - 26)}")
        self._pass(check_package(package, self._company.holdings))

    def forget(self) -> None:
        before = take_snapshot(self._company.folder)
        self._head(f"3. {self._company.email} says: forget me")
        request = self._carry_out(ERASURE_POLICY, "erasure")
        after = take_snapshot(self._company.folder)
        check_rows(before, after)
        self._say("The first of her rows in each collection:")
        self._console.print(_draw_rows(before, after, self._company.holdings, self._console.width))
        report = self._client.call("GET", f"/privacy-request/{request}/report")
        self._say("The report:")
        self._console.print(_draw_report(report))
        self._pass(check_masked(before, after, self._company.holdings))
        self._pass(check_others(before, after, self._company.holdings))
        self._pass(check_report(report, self._company.holdings))

    def ask_again(self) -> None:
        self._head("4. Does anybody here still know her?")
        request = self._carry_out(ACCESS_POLICY, "access")
        left = [holding for holding in find_holdings(self._company.folder, self._company.email) if holding.rows]
        if self._package(request) or left:
            raise DemoFailure("the person can still be found after the erasure")
        self._pass("a new request finds nothing, and neither does plain SQL")

    def _carry_out(self, policy: str, action: str) -> str:
        """Submit a request and name each collection as its turn ends; the request's id."""
        request = self._client.submit(policy, {"email": self._company.email})
        self._say(f"Privacy request {request}")
        self._console.print(f"  {action}: ", end="", highlight=False)
        try:
            self._client.follow(request, self._patience, self._show_progress(action))
        finally:
            self._console.print()
        return request

    def _show_progress(self, action: str) -> Callable[[Json], None]:
        shown: set[str] = set()

        def show(entries: Json) -> None:
            for entry in entries:
                name, status = entry["collection_name"], entry["status"]
                ended = entry["action_type"] == action and status in {"complete", "error", "skipped"}
                if name and ended and name not in shown:
                    shown.add(name)
                    mark = "" if status == "complete" else f" ({status})"
                    self._console.print(f"{name}{mark} ", end="", highlight=False, soft_wrap=True)

        return show

    def _package(self, request: str) -> dict[str, list[dict[str, object]]]:
        package: dict[str, list[dict[str, object]]] = self._client.call(
            "GET", f"/privacy-request/{request}/package/{ACCESS_RULE}"
        )
        return package

    def _head(self, text: str) -> None:
        self._console.print(f"\n{text}", style="bold", markup=False, highlight=False, soft_wrap=True)

    def _say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _pass(self, sentence: str) -> None:
        self._console.print(f"✓ {sentence}", style="green", markup=False, highlight=False, soft_wrap=True)


def _draw_rows(before: Snapshot, after: Snapshot, holdings: Sequence[Holding], width: int) -> Grid:
    """The erased columns of the person's first row of each table, before and after."""
    grid = _grid("collection", "column", "before", "after")
    room = max(20, min(44, (width - 40) // 2))
    for holding in holdings:
        table, row = holding.table, min(holding.rows)
        for place, column in enumerate(table.erased):
            old, new = _show(before[table.address, row][column]), _show(after[table.address, row][column])
            name = table.address if place == 0 else ""
            grid.add_row(name, column, escape(_cut(old, room)), escape(_cut_inside(new, room)))
    return grid


def _draw_report(report: Json) -> Grid:
    grid = _grid("collection", "found", "changed", "verified", "kept, and why")
    for line in report["collections"]:
        kept = "; ".join(f"{item['path']}: {item['reason']}" for item in line["skipped"])
        verified = "yes" if line["verified"] else "-"
        grid.add_row(line["address"], str(line["found"]), str(line["changed"]), verified, escape(kept))
    return grid


def _grid(*headings: str) -> Grid:
    grid = Grid(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for place, heading in enumerate(headings):
        grid.add_column(heading, justify="left", no_wrap=place < len(headings) - 1, overflow="fold")
    return grid


def _show(value: object) -> str:
    return "null" if value is None else str(value)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _cut_inside(text: str, width: int) -> str:
    """Both ends stay, so that a suffix can be seen."""
    tail = len("@erased.example")
    return text if len(text) <= width else f"{text[: width - tail - 1]}…{text[-tail:]}"
