"""The story a newcomer watches: one person asks for their data, then to be forgotten. All of it over HTTP.

Must not start the server, and must not know how the engine works: it only asks, shows and checks.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from rich.console import Console

from habeas.client import ApiFailure, Client, Json, log_in
from habeas.demo.checks import check_masked, check_others, check_report, check_rows
from habeas.demo.company import Company
from habeas.demo.drawing import cut, draw_report, draw_rows, draw_thread
from habeas.demo.facts import find_holdings, take_snapshot
from habeas.demo.failure import DemoFailure
from habeas.demo.home import KEY, Home
from habeas.demo.packages import check_history, check_narrowed, check_package, check_sealed, read_csv, read_json
from habeas.demo.registration import register_policies, register_storage, register_systems

if TYPE_CHECKING:
    import httpx

ACCESS_POLICY, ERASURE_POLICY = "shop_access", "shop_erasure"
GIVE_ALL, GIVE_HISTORY = "give_all", "give_history"


def run_story(
    base_url: str,
    client_id: str,
    client_secret: str,
    company: Company,
    home: Home,
    console: Console,
    *,
    patience: float = 60.0,
    transport: "httpx.BaseTransport | None" = None,
) -> None:
    """Register the company at a running server, give its protagonist their data, erase it, and check both.

    `home` is the protagonist's own folder, where packages are opened. `patience`: seconds each request may take.
    Raises DemoFailure at the first thing that is not as promised.
    """
    try:
        with log_in(base_url, client_id, client_secret, transport) as client:
            story = _Story(client, company, home, console, patience)
            story.introduce(base_url)
            story.give()
            story.forget()
            story.ask_again()
    except ApiFailure as failure:
        raise DemoFailure(failure.message) from None


class _Story:
    """The chapters, in order."""

    def __init__(self, client: Client, company: Company, home: Home, console: Console, patience: float) -> None:
        self._client = client
        self._company = company
        self._home = home
        self._console = console
        self._patience = patience

    def introduce(self, base_url: str) -> None:
        people = sum(address == "shop:customers" for address, _ in take_snapshot(self._company.folder))
        self._head("1. A company and its data")
        self._say(f"A shop with {people:,} customers in SQLite, its support desk in DuckDB: {self._company.folder}")
        self._say("The support desk knows no mail addresses: only the shop's customers lead there.")
        register_storage(self._client)
        systems = register_systems(self._client, self._company)
        policies = register_policies(self._client)
        self._say(f"Registered through {base_url}/api/v1: connections with datasets {', '.join(systems)}")
        for policy in policies:
            self._say(f"  policy {policy['key']}")
            for rule in policy["rules"]:
                self._say(f"    {rule['action_type']:<8} {rule['name']}")

    def give(self) -> None:
        held = self._company.holdings
        self._head(f"2. {self._company.email} asks: what do you know about me?")
        request = self._carry_out(ACCESS_POLICY, "access", encryption_key=self._home.make_key())
        links = self._client.call("GET", f"/privacy-request/{request}/access-results")["access_result_urls"]
        self._say("Her packages, encrypted with a key of her own that came with the request:")
        for link in links:
            self._say(f"  {link}")
        everything, history = self._download(request)
        self._say(f"She downloads them to {self._home.folder}; the first begins")
        self._say(f"  {everything[:64].decode(errors='replace')}…")
        self._home.keep("everything.sealed", everything)
        self._home.keep("history.sealed", history)
        self._home.check_strangers_key("everything.sealed", "history.sealed")
        self._pass(f"{check_sealed([everything, history], held)}, and another key opens neither")
        package = read_json(self._decrypt("everything.sealed", "everything.json"))
        for address, rows in package.items():
            cells = ", ".join(f"{name}: {value}" for name, value in rows[0].items() if value is not None)
            self._say(f"  {address:<19}{len(rows):>3}  {cut(cells, self._console.width - 26)}")
        self._pass(check_package(package, held))
        self._pass(check_narrowed(package, held, take_snapshot(self._company.folder)))
        lines = read_csv(self._decrypt("history.sealed", "history.zip"))
        self._say(f"  {', '.join(f'{address} {len(rows)}' for address, rows in lines.items())}")
        self._pass(check_history(lines, held))

    def forget(self) -> None:
        held = self._company.holdings
        before = take_snapshot(self._company.folder)
        self._head(f"3. {self._company.email} says: forget me")
        request = self._carry_out(ERASURE_POLICY, "erasure")
        after = take_snapshot(self._company.folder)
        check_rows(before, after)
        self._say("The first of her rows in each collection:")
        self._console.print(draw_rows(before, after, held, self._console.width))
        self._say("A forum thread, post by post:")
        self._console.print(draw_thread(before, after, held, self._console.width))
        report = self._client.call("GET", f"/privacy-request/{request}/report")
        self._say("The report:")
        self._console.print(draw_report(report))
        self._pass(check_masked(before, after, held))
        self._pass(check_others(before, after, held))
        self._pass(check_report(report, held))

    def ask_again(self) -> None:
        self._head("4. Does anybody here still know her?")
        request = self._carry_out(ACCESS_POLICY, "access")
        left = [holding for holding in find_holdings(self._company.folder, self._company.email) if holding.rows]
        everything, history = self._download(request)
        if read_json(everything) or read_csv(history) or left:
            raise DemoFailure("the person can still be found after the erasure")
        self._pass("a new request finds nothing, and neither does plain SQL")

    def _carry_out(self, policy: str, action: str, **details: Json) -> str:
        """Submit a request and name each collection as its turn ends; the request's id."""
        request = self._client.submit(policy, {"email": self._company.email}, **details)
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

    def _download(self, request: str) -> tuple[bytes, bytes]:
        """The package of everything and that of the history, as they are."""
        path = f"/privacy-request/{request}/package"
        return self._client.download(f"{path}/{GIVE_ALL}"), self._client.download(f"{path}/{GIVE_HISTORY}")

    def _decrypt(self, sealed: str, opened: str) -> bytes:
        """A package opened as the line shown says."""
        self._say(f"  $ habeas decrypt {sealed} --key-file {KEY} --output {opened}")
        return self._home.open(sealed, opened)

    def _head(self, text: str) -> None:
        self._console.print(f"\n{text}", style="bold", markup=False, highlight=False, soft_wrap=True)

    def _say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _pass(self, sentence: str) -> None:
        self._console.print(f"✓ {sentence}", style="green", markup=False, highlight=False, soft_wrap=True)
