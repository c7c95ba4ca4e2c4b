"""`make bench` measures, compares the packages of both ways, and checks the erasures."""

import subprocess
import sys

from documents import ROOT


def test_a_small_bench_compares_both_ways_and_prints_ratios() -> None:
    small = ["--customers", "200", "--requests", "20", "--repeat", "1"]
    done = subprocess.run(
        [sys.executable, ROOT / "bench" / "run.py", *small], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for work in ("one access", "one erasure", "20 accesses", "20 erasures"):
        assert f"| {work} |" in done.stdout
