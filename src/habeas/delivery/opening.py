"""Opening encrypted packages: JSON, a member of a CSV package, or a whole one, ours or that of the seeds' products.

Everything is in memory, and nothing comes out unless all of it is genuine.
"""

import io
import json
import zlib
from zipfile import BadZipFile, ZipFile

from habeas.delivery.csv_package import MANIFEST
from habeas.delivery.encryption import decrypt
from habeas.domain.errors import InputError

_ZIP = b"PK\x03\x04"
_DAMAGES = (BadZipFile, zlib.error, EOFError, RuntimeError, ValueError, LookupError, TypeError)


def is_zip(content: bytes) -> bool:
    """Whether a package consists of members: base64 never begins like this."""
    return content.startswith(_ZIP)


def open_package(content: bytes, key: bytes) -> bytes:
    """The package in the clear; of a zip, a zip whose every member is. InputError when anything does not open."""
    return _open_members(content, key) if is_zip(content) else decrypt(content, key)


def _open_members(content: bytes, key: bytes) -> bytes:
    opened = io.BytesIO()
    try:
        with ZipFile(io.BytesIO(content)) as sealed, ZipFile(opened, "w") as plain:
            for entry in sealed.infolist():
                member = sealed.read(entry)
                plain.writestr(entry, _in_the_clear(member) if entry.filename == MANIFEST else decrypt(member, key))
    except _DAMAGES:
        raise InputError("the package is a damaged zip", hint="download it again") from None
    return opened.getvalue()


def _in_the_clear(manifest: bytes) -> bytes:
    """The manifest of the opened package."""
    about = json.loads(manifest)
    for member in about["members"]:
        member["encrypted"] = False
    return json.dumps(about, indent=2, ensure_ascii=False).encode()
