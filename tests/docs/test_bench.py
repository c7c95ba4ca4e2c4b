"""`make bench` measures in every store, compares the packages of both ways, checks the erasures, and writes a page."""

import re
import subprocess
import sys
from pathlib import Path

from documents import ROOT

SMALL = {
    "customers": 240,
    "requests": 12,
    "repeat": 1,
    "batch": 40,
    "collections": 6,
    "crowd": 40,
    "rows": 4_000,
    "seconds": 1,
}
BESIDE_HAND = ("one access", "one erasure", "12 accesses", "12 erasures")
CROWD = ("40 accesses", "40 erasures")
WORK = {
    "A server with nothing to do": ("start on an empty folder until `/health` answers", "CPU, idle, over 1 s"),
    "One request and many, beside the same work by hand": BESIDE_HAND,
    "The same in MariaDB": BESIDE_HAND,
    "The same in DuckDB": BESIDE_HAND,
    "Nested data": [
        f"{work}, {kind}"
        for work in ("one access", "12 accesses")
        for kind in ("jsonb of PostgreSQL", "lists of DuckDB")
    ],
    "One request over a cluster": ("one access over Dask", "one erasure over Dask"),
    "One request beside very many": ("one access while 40 run",),
    "Graphs of many collections": ("access, chain of 6", "access, star of 6"),
    "Very many rows": CROWD,
    "Very many rows in MariaDB": CROWD,
    "Very many rows in DuckDB": CROWD,
}


def test_a_small_bench_compares_both_ways_and_writes_its_tables_into_a_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- figures -->\nold\n<!-- end of figures -->\nafter\n")
    small = [word for name, value in SMALL.items() for word in (f"--{name}", str(value))]
    done = subprocess.run(
        [sys.executable, ROOT / "bench" / "run.py", *small, "--write", page],
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    before, *sections = re.split(r"^### (.*)\n", page.read_text(), flags=re.MULTILINE)
    assert before.startswith("before\n<!-- figures -->\n\nHabeas ")
    assert sections[-1].endswith("|\n\n<!-- end of figures -->\nafter\n")
    found = dict(zip(sections[::2], sections[1::2], strict=True))
    assert list(found) == list(WORK)
    for title, works in WORK.items():
        table = [line for line in found[title].splitlines() if line.startswith("|")]
        assert len({line.count("|") for line in table}) == 1, f"{title}: rows of several widths"
        for work in works:
            assert any(line.startswith(f"| {work} |") for line in table), f"{title}: {work}"
