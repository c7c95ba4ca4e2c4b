"""The first secrets of a data folder: the root client and the encryption key that settings lack, in private files.

Kept apart from `bootstrap`, so that commands which only ask a server need not load what a server needs.
"""

import os
from pathlib import Path
from tempfile import NamedTemporaryFile

from habeas.domain.errors import InputError
from habeas.settings import Settings

DEVELOPMENT_KEY = "development-key"
ROOT_CLIENT = "root-client"


def root_client(settings: Settings) -> tuple[str, str]:
    """Id and secret of the root client, from the settings or from the data folder of a server on this machine.

    Raises InputError when there is neither, or the file is malformed.
    """
    security = settings.security
    if security.oauth_root_client_id and security.oauth_root_client_secret:
        return security.oauth_root_client_id, security.oauth_root_client_secret
    path = settings.data_dir / ROOT_CLIENT
    try:
        kept = read_secret(path)
    except OSError:
        raise InputError(
            f"no root client is set, and there is none in {path}",
            hint="give the server's --data-dir, or set HABEAS__SECURITY__OAUTH_ROOT_CLIENT_ID and _SECRET",
        ) from None
    return split_client(path, kept)


def split_client(path: Path, kept: str) -> tuple[str, str]:
    """Id and secret of what a root client's file holds. Raises InputError."""
    client_id, _, secret = kept.partition(":")
    if not (client_id and secret and kept.isascii()):
        raise InputError(f"{path} does not hold id:secret", hint="delete it, and the server makes a new root client")
    return client_id, secret


def keep_secret(path: Path, fresh: str) -> str:
    """The content of a private file, made with `fresh` when it is not there; it appears whole or not at all."""
    if path.exists():
        return read_secret(path)
    with NamedTemporaryFile("w", dir=path.parent, prefix=f"{path.name}.", encoding="utf-8") as file:
        file.write(fresh + "\n")
        file.flush()
        os.fsync(file.fileno())
        try:
            path.hardlink_to(file.name)
        except FileExistsError:  # another process was quicker
            return read_secret(path)
    return fresh


def read_secret(path: Path) -> str:
    """The text of a private file; bytes that are no UTF-8 become signs that whoever parses it refuses."""
    return path.read_text(encoding="utf-8", errors="replace").strip()
