"""Whom a call comes from, as the server or a proxy in front says it."""

import re
from ipaddress import IPv4Address, IPv6Address, ip_address

Address = IPv4Address | IPv6Address

_LOCAL = IPv6Address("::1")
_IPV4 = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}", re.ASCII)


def read_address(host: str) -> Address | None:
    """The address of a caller in one spelling: without zeros in front, IPv4 in IPv6 as IPv4, without a zone.

    Without a host (a socket file) it is this machine's. None for what is no address: whatever a proxy passed on.
    """
    if not host:
        return _LOCAL
    if _IPV4.fullmatch(host):
        host = ".".join(str(int(number)) for number in host.split("."))
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
