"""Two servers, a scheduler and four workers on one ledger, 2,000 mixed requests, and any of them killed at any time.

Everything ends right and each change is made once. The one effect here on the world outside of the connected systems is
the package: uploaded at least once under a stable name, so that one whole file per request is there in the end and no
debris. Webhooks and mails are killed in `test_killed_while_telling`.
"""

import os
import random
from pathlib import Path

from fire import FREEZE, KILL, ROLES
from under_fire import pass_through_fire

_SEED = int(os.environ.get("FIRE_SEED", random.SystemRandom().randrange(10**6)))


def test_a_fleet_under_fire_ends_two_thousand_requests_right(tmp_path: Path) -> None:
    passage = pass_through_fire(tmp_path, _SEED, requests=2000, pace=1.2, burning=55, deadline=180)
    hit = {(strike.role, strike.how) for strike in passage.strikes if strike.open}
    assert {role for role, how in hit if how == KILL} == set(ROLES), passage.tell()
    assert {how for role, how in hit if role == "worker"} == {KILL, FREEZE}, passage.tell()
    assert len(passage.strikes) >= 12, passage.tell()
    assert passage.taken_over >= 3, passage.tell()
