"""Encrypted CSV packages as their readers see them: every file has nonces of its own, what it says is the same."""

import io
import json
from typing import Any
from zipfile import ZipFile

from habeas import decrypt

PACKAGE_KEY = "0123456789abcdef"


def open_sealed(package: bytes) -> dict[str, Any]:
    """The manifest, but for the request's id, and the text of each member. Raises when anything is not whole."""
    with ZipFile(io.BytesIO(package)) as zipped:
        assert zipped.testzip() is None
        manifest = json.loads(zipped.read("manifest.json"))
        members = {member["name"]: decrypt(zipped.read(member["name"]), PACKAGE_KEY) for member in manifest["members"]}
        assert set(zipped.namelist()) == {"manifest.json", *members}
    del manifest["request"]
    return {"manifest": manifest} | {name: member.decode() for name, member in members.items()}
