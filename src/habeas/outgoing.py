"""The one way by which Habeas calls URLs that somebody configured: webhooks, providers of messages, OneTrust.

It owns the guard against being led into the own network. What it says of a refusal or a failure names neither the URL
nor an address: a URL may be a secret, and an address is what the guard hides. Proxies of the environment are not used.
"""

import socket
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING

from habeas.domain.errors import InputError, SystemUnavailable

if TYPE_CHECKING:
    import ssl

    import httpx  # only once something is called: it takes much of the memory of an idle server

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

MAX_ANSWER = 1_000_000
"""Longest answer that is read unless the caller says otherwise, in bytes."""

_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
_OWN = (  # what providers of machines answer at, though not every Python counts it as private
    IPv4Network("192.0.0.0/24"),
    IPv4Network("168.63.129.16/32"),
)
_HINT = "add its host or network to security.outgoing_allow_list"


def parse_allowed(entry: str) -> Network | str:
    """An entry of the allow list: a network (an address is one of size one), or a host in lower case.

    Raises ValueError when it is neither.
    """
    try:
        return ip_network(entry, strict=False)
    except ValueError:
        host = entry.lower().rstrip(".")
        if not host or not all(sign.isalnum() or sign in "-._" for sign in host):
            raise ValueError("an entry is a host or a network") from None
        return host


def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host, by the machine's own resolver. Raises OSError when there are none."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


@dataclass
class OutgoingClient:
    """Calls URLs outside: follows no redirect and connects to the address that it has checked, to no other.

    Private, loopback, link-local and other addresses that are not public are refused, and so is plain http, unless
    the host or its network is in the allow list. `timeout`: seconds that a call may take in all, an answer that comes
    in drips included; how long the resolver takes is the machine's own affair.
    """

    allow_list: Sequence[str]
    timeout: float = 30.0
    resolve: Callable[[str, int], Iterable[str]] = field(default=resolve)

    def check(self, url: str) -> None:
        """Raises InputError when the guard refuses the URL, SystemUnavailable when its host is not to be found."""
        from habeas.outgoing_calls import parse_url

        self._checked_addresses(parse_url(url))

    def post(
        self,
        url: str,
        *,
        json: object = None,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
    ) -> "httpx.Response":
        """The answer to a POST of JSON or a form; see `send`."""
        return self.send("POST", url, json=json, form=form, headers=headers, auth=auth)

    def send(
        self,
        method: str,
        url: str,
        *,
        query: Mapping[str, str] | None = None,
        json: object = None,
        form: Mapping[str, str] | None = None,
        parts: Mapping[str, str] | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        longest: int = MAX_ANSWER,
    ) -> "httpx.Response":
        """The answer, whatever its status, its body as it came.

        `query` is added to the URL. At most one of: `json`, `form` (URL-encoded), `parts` (the same as multipart) and
        `content`, whose type `headers` tell. `auth`: name and password of HTTP Basic. Raises InputError when the guard
        refuses the URL or a header is malformed, and SystemUnavailable when no answer comes in time, or one of more
        than `longest` bytes.
        """
        from habeas.outgoing_calls import Body, exchange, make_request, parse_url

        deadline = time.monotonic() + self.timeout
        parsed = parse_url(url)
        addresses = self._checked_addresses(parsed)
        request = make_request(method, parsed, query, Body(json, form, parts, content), headers, auth)
        answer = exchange(request, self._ssl_context, addresses, deadline, longest)
        if answer is None:
            raise SystemUnavailable(f"no answer within {self.timeout:g} s")
        return answer

    @cached_property
    def _ssl_context(self) -> "ssl.SSLContext":
        from habeas.outgoing_calls import make_ssl_context

        return make_ssl_context()

    @cached_property
    def _allowed(self) -> tuple[Network | str, ...]:
        return tuple(parse_allowed(entry) for entry in self.allow_list)

    def _checked_addresses(self, url: "httpx.URL") -> list[Address]:
        host = url.raw_host.decode("ascii")
        try:
            found = [ip_address(text.partition("%")[0]) for text in self.resolve(host, url.port or 443)]
        except (OSError, UnicodeError):
            found = []
        if not found:
            raise SystemUnavailable("the host of the URL is not to be found", hint="check its spelling")
        listed = host.lower().rstrip(".") in self._allowed
        if not listed and not all(self._is_in_allowed_network(address) for address in found):
            if url.scheme != "https":
                raise InputError("the URL is not https", hint=f"use https, or {_HINT}")
            if not all(self._is_in_allowed_network(address) or is_public(address) for address in found):
                raise InputError("the URL leads to an address that is not public", hint=_HINT)
        return found

    def _is_in_allowed_network(self, address: Address) -> bool:
        own = (address, _embedded(address))
        return any(each in network for network in self._allowed if not isinstance(network, str) for each in own if each)


def is_public(address: Address) -> bool:
    """Whether an address lies in nobody's own network; of one that carries an IPv4 address both must be public."""
    inner = _embedded(address)
    if inner is not None and not is_public(inner):
        return False
    if isinstance(address, IPv4Address):
        return address.is_global and not address.is_multicast and not any(address in own for own in _OWN)
    return address in _NAT64 or address.ipv4_mapped is not None or (address.is_global and address in _UNICAST)


def _embedded(address: Address) -> IPv4Address | None:
    """The IPv4 address that a mapped, a 6to4 or a NAT64 address leads to."""
    if isinstance(address, IPv4Address):
        return None
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour
