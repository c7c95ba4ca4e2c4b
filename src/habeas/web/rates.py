"""Rate limits: how often one address may call, by what it calls. Counted by each server process for itself.

Calls from this machine are not counted: a proxy on it says for whom it calls (`X-Forwarded-For`), and the server has
put that address in place of the proxy's before a call gets here.
"""

import math
from collections.abc import Callable
from ipaddress import IPv6Address, ip_network

from starlette.types import ASGIApp, Receive, Scope, Send

from habeas.domain.clock import Clock
from habeas.domain.errors import TooSoon
from habeas.domain.rate import Limiter, Rate
from habeas.settings import SecuritySettings
from habeas.web.addresses import read_address
from habeas.web.open_routes import KINDS, find_kind


class RateLimits:
    """ASGI middleware that answers 429 to whoever calls too often."""

    def __init__(
        self, app: ASGIApp, settings: SecuritySettings, clock: Clock, answer_error: Callable[[Exception], ASGIApp]
    ) -> None:
        self._app = app
        self._answer_error = answer_error
        rates = {kind: getattr(settings, f"{kind}_rate_limit") for kind in KINDS}
        self._limiters = {kind: Limiter(Rate.parse(rate), clock) for kind, rate in rates.items() if rate}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        wait = self._count(scope) if scope["type"] == "http" else 0.0
        if wait:
            refusal = TooSoon("too many calls from this address", math.ceil(wait), hint="wait as Retry-After says")
            await self._answer_error(refusal)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _count(self, scope: Scope) -> float:
        """Count a call; the seconds to wait when it is too many."""
        limiter = self._limiters.get(find_kind(scope))
        caller = name_caller(scope["client"][0] if scope.get("client") else "")
        return limiter.take(caller) if limiter and caller else 0.0


def name_caller(host: str) -> str:
    """What stands for an address: itself, or its network of /64, which one caller has to itself in IPv6.

    Empty for this machine: a loopback address, or none (a socket file). All who have no address are one caller.
    """
    address = read_address(host)
    if address is None:
        return "unknown"
    if address.is_loopback:
        return ""
    return str(ip_network((address, 64), strict=False)) if isinstance(address, IPv6Address) else str(address)
