"""A server that has nothing to do: how soon it is there, and what it takes."""

import argparse
import os
import time
from pathlib import Path

from crowd import memory

from servers.habeas import HabeasServer


def measure(folder: Path, options: argparse.Namespace) -> str:
    """Start on an empty folder, until `/health` answers; then idle."""
    begun = time.monotonic()
    with HabeasServer(folder / "data") as server:
        started = time.monotonic() - begun
        resident, before = memory(server), _cpu_seconds(server)
        time.sleep(options.seconds)
        share = (_cpu_seconds(server) - before) / options.seconds * 100
    return (
        "| what | figure |\n|---|---|\n"
        f"| start on an empty folder until `/health` answers | {started:.1f} s |\n"
        f"| RSS, idle, no system connected | {resident:.0f} MB |\n"
        f"| CPU, idle, over {options.seconds:.0f} s | {share:.1f} % of one core |"
    )


def _cpu_seconds(server: HabeasServer) -> float:
    fields = Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
