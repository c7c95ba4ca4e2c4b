"""The sample company: a shop and a support desk, two files in one folder. Must not know the engine."""

from dataclasses import dataclass
from pathlib import Path

from habeas.demo.databases import have_files, write_databases
from habeas.demo.facts import Holding, find_holdings
from habeas.demo.failure import DemoFailure
from habeas.demo.invention import FEWEST_PEOPLE, PROTAGONIST, invent_customers, invent_shop, invent_support


@dataclass(frozen=True, slots=True)
class Company:
    """The company's databases in `folder`, and what they held of the protagonist when they were opened."""

    folder: Path
    email: str
    holdings: tuple[Holding, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Rows of the protagonist by table address."""
        return {holding.table.address: len(holding.rows) for holding in self.holdings}


def build_company(folder: Path, people: int = 3000) -> Company:
    """Write `shop.db` and `support.duckdb` into `folder`, replacing older ones.

    `people` is at least FEWEST_PEOPLE; below it the ones who are there for a reason would be missing (ValueError).
    """
    if people < FEWEST_PEOPLE:
        raise ValueError(f"the sample company needs at least {FEWEST_PEOPLE} people")
    folder.mkdir(parents=True, exist_ok=True)
    customers = invent_customers(people)
    write_databases(folder, {"shop": invent_shop(customers), "support": invent_support(customers)})
    return open_company(folder)


def open_company(folder: Path) -> Company:
    """The company that was built in `folder` before.

    Raises DemoFailure when there is none, or when its protagonist has been erased already.
    """
    if not have_files(folder):
        raise DemoFailure("there is no sample company in this folder", hint="have a new one built")
    holdings = find_holdings(folder, PROTAGONIST)
    if not all(holding.rows for holding in holdings):
        raise DemoFailure("this sample company has erased its protagonist already", hint="have a new one built")
    return Company(folder.resolve(), PROTAGONIST, holdings)
