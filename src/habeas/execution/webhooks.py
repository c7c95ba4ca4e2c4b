"""The steps of policy webhooks, before and after a request is carried out."""

from habeas.execution.run import Done, Failed, Run


def perform_pre(run: Run) -> Done | Failed:
    return Done()


def perform_post(run: Run) -> Done | Failed:
    return Done()
