"""What a server may be on an address that others reach: not with the development key, nor open to all by accident."""

import ipaddress
import socket

from habeas.domain.errors import InputError
from habeas.settings import Settings


def check_exposure(listener: socket.socket, settings: Settings, *, accept_open_create: bool) -> None:
    """Raises InputError when the bound address is not loopback and the settings are for trying out.

    They are when no encryption key is given, or when what anybody submits is carried out, unless that is accepted.
    """
    security, execution = settings.security, settings.execution
    checked = execution.require_manual_request_approval or execution.subject_identity_verification_required
    address = str(listener.getsockname()[0])
    if is_loopback(address):
        return
    if not security.encryption_keys:
        raise InputError(
            f"the development key is refused on {address}, which others may reach",
            hint="give a key in security.encryption_keys (`habeas key new`); "
            "for a ledger that the development key has opened see docs/security.md, Keys",
        )
    if not (security.require_auth_to_create or checked or accept_open_create):
        raise InputError(
            f"on {address}, which others may reach, anybody could have anybody erased: creating requests is open",
            hint="set security.require_auth_to_create, execution.require_manual_request_approval or "
            "execution.subject_identity_verification_required, or start with --accept-open-create",
        )


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches what listens on this IP address."""
    ip = ipaddress.ip_address(address)
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return (mapped or ip).is_loopback
