"""How requests are shown."""

from habeas.domain.request import LogStatus
from habeas.services.request_views import WORST_FIRST


def test_every_status_can_stand_for_a_dataset() -> None:
    assert sorted(WORST_FIRST) == sorted(LogStatus)
