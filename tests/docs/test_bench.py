"""`make bench` measures, compares the packages of both ways, and checks the erasures."""

import subprocess
import sys

from documents import ROOT

SMALL = {"customers": 300, "requests": 20, "repeat": 1, "batch": 60, "collections": 10, "rows": 20_000, "seconds": 2}
WORK = (
    *("one access", "one erasure", "20 accesses", "20 erasures"),
    *("one access over Dask", "one erasure over Dask", "one access while 60 run"),
    *("access, chain of 10", "access, star of 10", "1,000 accesses", "1,000 erasures", "CPU, idle, over 2 s"),
)


def test_a_small_bench_compares_both_ways_and_prints_ratios() -> None:
    small = [word for name, value in SMALL.items() for word in (f"--{name}", str(value))]
    done = subprocess.run(
        [sys.executable, ROOT / "bench" / "run.py", *small], capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for work in WORK:
        assert f"| {work} |" in done.stdout
