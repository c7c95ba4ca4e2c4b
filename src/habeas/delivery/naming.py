"""What all destinations share: formats, file names, and the checks of a storage's details."""

import re
from collections.abc import Mapping

from habeas.domain.errors import InputError

FORMATS = ("json", "csv")

_NAME = re.compile(r"[A-Za-z0-9_<>\-][A-Za-z0-9_.<>\-]*")
_OF_REQUEST = re.compile(r"(pri_[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:-.+)?\.(?:json|zip)")
_EXTENSIONS = {"json": "json", "csv": "zip"}


def package_name(request_id: str, rule_key: str | None, package_format: str) -> str:
    """The file name: `<request id>[-<rule key>].json` or `.zip`. Give the rule key only when a policy has several
    access rules. Raises InputError for a format that is not offered.
    """
    if package_format not in _EXTENSIONS:
        raise InputError(f"there is no package format {package_format!r}", hint=f"use {', '.join(FORMATS)}")
    stem = request_id if rule_key is None else f"{request_id}-{rule_key}"
    return f"{stem}.{_EXTENSIONS[package_format]}"


def request_of(name: str) -> str | None:
    """The id of the request whose package has this name; None for names that are none of ours."""
    found = _OF_REQUEST.fullmatch(name)
    return found[1] if found else None


def check_name(name: str) -> str:
    """The file name itself; raises InputError when it has path parts."""
    if not _NAME.fullmatch(name):
        raise InputError("a package's file name must not have path parts", hint="use letters, digits, _ . - only")
    return name


def check_details(storage_type: str, given: Mapping[str, object], declared: Mapping[str, bool]) -> None:
    """Raise InputError for details that are unknown or lack, and for a naming other than the one there is."""
    for unknown in sorted(set(given) - set(declared)):
        raise InputError(f"storage type {storage_type!r} has no detail {unknown!r}", hint=f"use {', '.join(declared)}")
    for lacking in (name for name, required in declared.items() if required and given.get(name) is None):
        raise InputError(f"storage type {storage_type!r} needs details.{lacking}")
    if given.get("naming", "request_id") != "request_id":
        raise InputError("this naming is not supported", hint='use "naming": "request_id" or leave it out')
