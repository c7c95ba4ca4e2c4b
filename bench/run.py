"""Measures Habeas against the same SQL written by hand, in one run, interleaved; prints medians and ratios.

The engine is a `habeas serve` process of its own, asked over HTTP from the POST until the request is complete.
Packages are compared row by row and erasures are checked in the database, outside the time that is measured.
"""

import argparse
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import crowd
import letters
import serving
import shapes
from goods import Goods
from shop import TABLES
from shop_work import Shop, against_hand, beside_many, over_dask
from stores import Stores

from habeas import __version__

MARK = ("<!-- figures -->\n", "<!-- end of figures -->")

Section = Callable[[Stores, Path, argparse.Namespace], str]


def main() -> None:
    options = _read_options()
    load = os.getloadavg()[0]
    parts = []
    with tempfile.TemporaryDirectory(prefix="habeas-bench-") as place:
        stores = Stores(Path(place))
        try:
            for name in options.only or SECTIONS:
                folder = Path(place) / name
                folder.mkdir()
                title, measure = SECTIONS[name]
                parts.append(f"### {title}\n\n{measure(stores, folder, options)}")
                print(f"\n{parts[-1]}", flush=True)
            parts.insert(0, _describe(load, stores.versions))
        finally:
            stores.remove()
    print(f"\n{parts[0]}")
    if options.write:
        _write(options.write, "\n\n".join(parts))


class _Shops:
    """The shop in each store, filled when it is first asked for; sections go on where others ended."""

    def __init__(self) -> None:
        self._goods: Goods | None = None
        self._shops: dict[str, Shop] = {}

    def section(self, measure: Callable[..., str], kind: str = "postgres", *, ledger: str = "sqlite") -> Section:
        """A section that needs the shop in a store."""

        def run(stores: Stores, folder: Path, options: argparse.Namespace) -> str:
            keeps = options.ledger or ledger
            place = stores.postgres.create_database("ledger") if keeps == "postgres" else ""
            shop = self._open(stores, folder, kind, options.customers)
            figures = measure(shop, folder, options, {"HABEAS__DATABASE__URL": place} if place else {})
            size = f"{options.customers:,} customers, {shop.rows:,} rows in {len(TABLES)} tables"
            return f"{size}. Ledger: {keeps}.\n\n{figures}"

        return run

    def _open(self, stores: Stores, folder: Path, kind: str, people: int) -> Shop:
        self._goods = self._goods or Goods(folder / "goods", TABLES, people=people)
        if kind not in self._shops:
            self._shops[kind] = Shop(stores.fill(kind, "shop", self._goods), people, self._goods.rows)
        return self._shops[kind]


_SHOPS = _Shops()

SECTIONS: dict[str, tuple[str, Section]] = {
    "serving": ("A server with nothing to do", lambda stores, folder, options: serving.measure(folder, options)),
    "shop": ("One request and many, beside the same work by hand", _SHOPS.section(against_hand)),
    "shop-mariadb": ("The same in MariaDB", _SHOPS.section(against_hand, "mariadb")),
    "shop-duckdb": ("The same in DuckDB", _SHOPS.section(against_hand, "duckdb")),
    "letters": ("Nested data", letters.measure),
    "dask": ("One request over a cluster", _SHOPS.section(over_dask, ledger="postgres")),
    "beside": ("One request beside very many", _SHOPS.section(beside_many)),
    "shapes": ("Graphs of many collections", shapes.measure),
    "crowd": ("Very many rows", partial(crowd.measure, kind="postgres", sizes=(1, 2))),
    "crowd-mariadb": ("Very many rows in MariaDB", partial(crowd.measure, kind="mariadb", sizes=(1,))),
    "crowd-duckdb": ("Very many rows in DuckDB", partial(crowd.measure, kind="duckdb", sizes=(1,))),
}


def _describe(load: float, versions: Mapping[str, str]) -> str:
    quiet = "quiet" if load < 0.5 else "NOT quiet: others were at work, so read the ratios, not the milliseconds"
    stores = ", ".join(f"{name} {version}" for name, version in versions.items())
    return (
        f"Habeas {__version__}, Python {platform.python_version()}, {stores}, {os.cpu_count()} cores, "
        f"{platform.system()}; `execution` settings as they come. The machine was {quiet} (load {load:.1f} at the "
        "start)."
    )


def _write(file: Path, text: str) -> None:
    """Put the figures between the marks of a document."""
    before, _, rest = file.read_text().partition(MARK[0])
    _, _, after = rest.partition(MARK[1])
    file.write_text(f"{before}{MARK[0]}\n{text}\n\n{MARK[1]}{after}")


def _read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=SECTIONS, help="sections to measure; all if left out")
    parser.add_argument("--customers", type=int, default=100_000, help="size of the shop")
    parser.add_argument("--requests", type=int, default=500, help="requests submitted together")
    parser.add_argument("--repeat", type=int, default=3, help="rounds; a round has five single requests of each kind")
    parser.add_argument("--batch", type=int, default=5_000, help="requests beside which single ones are submitted")
    parser.add_argument("--collections", type=int, default=200, help="collections of the chain and of the star")
    parser.add_argument("--crowd", type=int, default=1_000, help="requests of the crowd")
    parser.add_argument(
        "--rows", type=int, default=1_000_000, help="rows of the crowd; measured with twice as many too"
    )
    parser.add_argument("--seconds", type=float, default=20, help="how long an idle server is watched")
    parser.add_argument("--ledger", choices=("sqlite", "postgres"), help="where the shop's sections keep the ledger")
    parser.add_argument("--write", type=Path, help="also put the figures into this document")
    return parser.parse_args()


if __name__ == "__main__":
    main()
