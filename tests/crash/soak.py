"""`make soak`: passages through the fire, one after the other, until time is up or one goes wrong.

Each draws its requests and its strikes from a seed; `--seed` repeats one. Timing is chance's own, so a seed brings back
the same requests and blows, not the same instants.
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from under_fire import Passage, pass_through_fire


def main() -> None:
    """Exits with the first failure's traceback; its folder (logs, packages) is then kept and named."""
    options = _read_options()
    until = time.monotonic() + 60 * options.minutes
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10**6)
    passages = 0
    while time.monotonic() < until or not passages:
        folder = Path(tempfile.mkdtemp(prefix="habeas-soak-"))
        try:
            print(_pass(folder, seed, options).tell(), flush=True)
        except BaseException:
            print(f"seed {seed} went wrong; what its processes wrote is in {folder}", file=sys.stderr)
            raise
        shutil.rmtree(folder)
        passages += 1
        seed += 1
    print(f"{passages} passages, all right")


def _pass(folder: Path, seed: int, options: argparse.Namespace) -> Passage:
    burning = 60 + options.requests / 20
    return pass_through_fire(folder, seed, options.requests, pace=options.pace, burning=burning, deadline=burning + 60)


def _read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make soak", description="A fleet under fire, for longer than in the tests.")
    parser.add_argument(
        "--minutes", type=float, default=30.0, help="begin no passage after that (default: %(default)g)"
    )
    parser.add_argument("--requests", type=int, default=2000, help="requests of one passage (default: %(default)s)")
    parser.add_argument(
        "--pace", type=float, default=1.4, help="seconds from POST to POST of 50 (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, help="of the first passage; the next ones count on")
    return parser.parse_args()


if __name__ == "__main__":
    main()
