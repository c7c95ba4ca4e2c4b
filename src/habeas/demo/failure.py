"""The error of the demo: something was not as promised."""

from habeas.domain.errors import HabeasError


class DemoFailure(HabeasError):
    """An expectation of the story failed; the command line then exits non-zero."""

    code = "demo_failure"
