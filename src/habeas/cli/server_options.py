"""How commands reach a running server: where it is, and who asks."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from habeas.cli.settings_option import read_settings
from habeas.client import ApiFailure, Client, log_in
from habeas.domain.errors import InputError
from habeas.first_secrets import root_client

LOCAL = "http://127.0.0.1:8080"
CLIENT = ("HABEAS_CLIENT_ID", "HABEAS_CLIENT_SECRET")
"""Variables of a client other than the root client. A secret is no option: command lines are for all to see."""

Url: TypeAlias = Annotated[str, typer.Option("--url", envvar="HABEAS_URL", help="Where the server is.")]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


@contextmanager
def connect(context: typer.Context, url: str, data_dir: Path | None, *, missing: str = "") -> Iterator[Client]:
    """A client of the server; `missing` is the hint when it does not know what is asked for.

    Asks as the client of the environment, else as the root client of the settings or the data folder.
    """
    client_id, secret = _read_client(context, data_dir)
    try:
        with log_in(url, client_id, secret) as client:
            yield client
    except ApiFailure as failure:
        failure.hint = failure.hint or _find_mend(failure, missing)
        raise


def _read_client(context: typer.Context, data_dir: Path | None) -> tuple[str, str]:
    client_id, secret = (os.environ.get(name, "") for name in CLIENT)
    if client_id and secret:
        return client_id, secret
    if client_id or secret:
        set_one, other = CLIENT if client_id else reversed(CLIENT)
        raise InputError(f"{set_one} is set without {other}", hint="set both, or none to ask as the root client")
    return root_client(read_settings(context, data_dir))


def _find_mend(failure: ApiFailure, missing: str) -> str:
    match failure.status:
        case 401:
            return f"give the --data-dir of this server, or the client's {' and '.join(CLIENT)}"
        case 403 if "scope" in failure.message:
            return "give the client this scope, or ask as the root client"
        case 404:
            return missing
    return ""
