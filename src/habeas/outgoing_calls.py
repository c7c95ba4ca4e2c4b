"""The calls that `outgoing` lets pass: how a URL is read, and a request sent to addresses that were checked.

A module of its own, since what it needs is much for a server that calls nobody.
"""

import ssl
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

import httpcore
import httpx

from habeas.domain.errors import InputError, SystemUnavailable


@dataclass(frozen=True, slots=True)
class Body:
    """What a call carries: at most one of these."""

    json: object = None
    form: Mapping[str, str] | None = None
    parts: Mapping[str, str] | None = None
    content: bytes | None = None


def make_ssl_context() -> ssl.SSLContext:
    """Certificates are checked against those that httpx trusts."""
    return httpx.create_ssl_context()


def parse_url(url: str) -> httpx.URL:
    """Raises InputError for what is no URL of http or https, or holds a login."""
    try:
        parsed = httpx.URL(url)
        host = parsed.host
    except (httpx.InvalidURL, UnicodeError):
        raise InputError("the URL is malformed") from None
    if parsed.scheme not in {"http", "https"} or not host:
        raise InputError("the URL is not one of https", hint="it looks like https://host/path")
    if parsed.port is not None and not 0 < parsed.port < 65536:
        raise InputError("the URL is malformed")
    if parsed.userinfo:
        raise InputError("the URL holds a name or password", hint="give them apart from the URL")
    return parsed


def make_request(
    method: str,
    url: httpx.URL,
    query: Mapping[str, str] | None,
    body: Body,
    headers: Mapping[str, str] | None,
    auth: tuple[str, str] | None,
) -> httpx.Request:
    """A request to be sent. Raises InputError when a header cannot be sent."""
    own = {"User-Agent": "habeas", "Accept": "application/json", "Accept-Encoding": "identity"}
    try:
        request = httpx.Request(
            method,
            url if query is None else url.copy_merge_params(query),
            json=body.json,
            data=None if body.form is None else dict(body.form),
            files=None if body.parts is None else {name: (None, text) for name, text in body.parts.items()},
            content=body.content,
            headers={**own, **(headers or {})},
        )
    except UnicodeError:
        raise InputError("a header holds signs that HTTP headers cannot carry") from None
    return request if auth is None else next(httpx.BasicAuth(*auth).auth_flow(request))


def exchange(
    request: httpx.Request,
    ssl_context: ssl.SSLContext,
    addresses: Sequence[IPv4Address | IPv6Address],
    deadline: float,
    longest: int,
) -> httpx.Response | None:
    """The answer of one of these addresses, None when it does not come in time (`time.monotonic`).

    Raises InputError for a malformed header or path, SystemUnavailable for no answer or one of more than
    `longest` bytes.
    """
    backend = _CheckedBackend(addresses, deadline)
    try:
        with httpcore.ConnectionPool(ssl_context=ssl_context, network_backend=backend) as pool:
            return _exchange(pool, request, longest)
    except httpcore.TimeoutException:
        return None
    except (httpcore.NetworkError, httpcore.ProtocolError) as error:
        raise SystemUnavailable(f"no answer ({type(error).__name__})") from None


def _exchange(pool: httpcore.ConnectionPool, request: httpx.Request, longest: int) -> httpx.Response:
    url = request.url
    target = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
    body = bytearray()
    try:
        with pool.stream(request.method, target, headers=request.headers.raw, content=request.read()) as answer:
            for part in answer.iter_stream():
                body += part
                if len(body) > longest:
                    raise SystemUnavailable(f"the answer is longer than {longest} bytes")
    except httpcore.LocalProtocolError:
        raise InputError("a header or the path of the URL is malformed") from None
    headers = [(name, value) for name, value in answer.headers if name.lower() != b"content-encoding"]
    return httpx.Response(answer.status, headers=headers, content=bytes(body), request=request)


class _CheckedBackend(httpcore.NetworkBackend):
    """Connects to addresses that were checked, whatever the name says now, and to nothing after the deadline."""

    def __init__(self, addresses: Sequence[IPv4Address | IPv6Address], deadline: float) -> None:
        self._addresses = addresses
        self._deadline = deadline
        self._backend = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        failure: Exception = httpcore.ConnectError()
        for waiting, address in zip(range(len(self._addresses), 0, -1), self._addresses, strict=True):
            try:
                share = _left(self._deadline) / waiting
                stream = self._backend.connect_tcp(str(address), port, share, local_address, socket_options)
                return _HurriedStream(stream, self._deadline)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure


class _HurriedStream(httpcore.NetworkStream):
    """A stream every part of which must be done by one deadline."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(self._deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(self._deadline))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        secured = self._stream.start_tls(ssl_context, server_hostname, _left(self._deadline))
        return _HurriedStream(secured, self._deadline)

    def get_extra_info(self, info: str) -> object:
        return self._stream.get_extra_info(info)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout
    return left
