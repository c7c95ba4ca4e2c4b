"""What was changed by the API counts when a server starts on an address that others reach."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from habeas import bootstrap
from habeas.cli.main import app
from habeas.domain.errors import InputError
from habeas.services import configuration
from habeas.settings import load_settings
from habeas.store.sealing import make_ring_entry


class Served(Exception):
    """The server would listen now."""


def test_a_change_that_opens_a_server_to_all_refuses_its_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make_server(*_: Any) -> None:
        raise Served

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("habeas.cli.serve.make_server", make_server)
    monkeypatch.setattr("habeas.cli.serve.signal.signal", lambda *_: None)
    monkeypatch.setattr("habeas.cli.serve.set_up_logs", lambda *_: None)
    monkeypatch.setenv("HABEAS__SECURITY__ENCRYPTION_KEYS", make_ring_entry("one"))
    monkeypatch.setenv("HABEAS__EXECUTION__REQUIRE_MANUAL_REQUEST_APPROVAL", "true")

    def serve(*options: str) -> object:
        command = ["serve", "--host", "0.0.0.0", "--port", "0", "--data-dir", "data", *options]
        return CliRunner().invoke(app, command).exception

    assert isinstance(serve(), Served)
    application = bootstrap.build(load_settings(data_dir=Path("data")))
    try:
        configuration.change(application.context, {"execution": {"require_manual_request_approval": False}})
    finally:
        bootstrap.close(application)
    refused = serve()
    assert isinstance(refused, InputError) and "creating requests is open" in str(refused)
    assert isinstance(serve("--accept-open-create"), Served)
