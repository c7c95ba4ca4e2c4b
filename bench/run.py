"""Measures Habeas against the same SQL written by hand, in one run, interleaved; prints medians and ratios.

The engine is a `habeas serve` process of its own, asked over HTTP from the POST until the request is complete.
Packages are compared row by row and erasures are checked in the database, outside the time that is measured.
"""

import argparse
import os
import platform
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import crowd
import serving
import shapes
from shop_work import Shop, against_hand, beside_many, over_dask

from habeas import __version__
from servers.postgres import PostgresServer

MARK = ("<!-- figures -->\n", "<!-- end of figures -->")


def main() -> None:
    options = _read_options()
    load = os.getloadavg()[0]
    parts = []
    with tempfile.TemporaryDirectory(prefix="habeas-bench-") as place:
        postgres = PostgresServer(durable=True)
        version = postgres.version
        try:
            for name in options.only or SECTIONS:
                folder = Path(place) / name
                folder.mkdir()
                title, measure = SECTIONS[name]
                parts.append(f"### {title}\n\n{measure(postgres, folder, options)}")
                print(f"\n{parts[-1]}", flush=True)
        finally:
            postgres.remove()
        parts.insert(0, _describe(load, version))
    print(f"\n{parts[0]}")
    if options.write:
        _write(options.write, "\n\n".join(parts))


Section = Callable[[PostgresServer, Path, argparse.Namespace], str]


def _in_shop(measure: Callable[..., str], *, ledger: str = "sqlite") -> Section:
    """A section that needs the shop; it is filled when it is first asked for."""

    def run(postgres: PostgresServer, folder: Path, options: argparse.Namespace) -> str:
        kind = options.ledger or ledger
        environment = {"HABEAS__DATABASE__URL": postgres.create_database("ledger")} if kind == "postgres" else {}
        shop = Shop(postgres, options.customers)
        figures = measure(shop, folder, options, environment)
        return f"{options.customers:,} customers, {shop.rows:,} rows in 11 tables. Ledger: {kind}.\n\n{figures}"

    return run


SECTIONS: dict[str, tuple[str, Section]] = {
    "serving": ("A server with nothing to do", lambda postgres, folder, options: serving.measure(folder, options)),
    "shop": ("One request and many, beside the same work by hand", _in_shop(against_hand)),
    "dask": ("One request over a cluster", _in_shop(over_dask, ledger="postgres")),
    "beside": ("One request beside very many", _in_shop(beside_many)),
    "shapes": ("Graphs of many collections", shapes.measure),
    "crowd": ("Very many rows", crowd.measure),
}


def _describe(load: float, version: str) -> str:
    quiet = "quiet" if load < 0.5 else "NOT quiet: others were at work, so read the ratios, not the milliseconds"
    return (
        f"Habeas {__version__}, Python {platform.python_version()}, PostgreSQL {version}, {os.cpu_count()} cores, "
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
    parser.add_argument("--customers", type=int, default=20_000, help="size of the shop (100000 for the full one)")
    parser.add_argument("--requests", type=int, default=500, help="requests submitted together")
    parser.add_argument("--repeat", type=int, default=3, help="rounds; a round has five single requests of each kind")
    parser.add_argument("--batch", type=int, default=5_000, help="requests beside which single ones are submitted")
    parser.add_argument("--collections", type=int, default=200, help="collections of the chain and of the star")
    parser.add_argument(
        "--rows", type=int, default=1_000_000, help="rows of the crowd; measured with twice as many too"
    )
    parser.add_argument("--seconds", type=float, default=20, help="how long an idle server is watched")
    parser.add_argument("--ledger", choices=("sqlite", "postgres"), help="where the shop's sections keep the ledger")
    parser.add_argument("--write", type=Path, help="also put the figures into this document")
    return parser.parse_args()


if __name__ == "__main__":
    main()
