"""What a server may be on an address that others reach."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from habeas.cli.exposure import check_exposure, is_loopback
from habeas.cli.serve import listening
from habeas.domain.errors import InputError
from habeas.settings import ExecutionSettings, SecuritySettings, Settings

KEY = "canary:key"


def make(*, reviewed: bool = False, proved: bool = False, **security: Any) -> Settings:
    execution = ExecutionSettings(
        require_manual_request_approval=reviewed, subject_identity_verification_required=proved
    )
    return Settings(security=SecuritySettings(**security), execution=execution)


@contextmanager
def anywhere() -> Iterator[socket.socket]:
    with listening("0.0.0.0", 0) as listener:
        yield listener


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1"])
def test_what_only_this_machine_reaches(address: str) -> None:
    assert is_loopback(address)


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "10.0.0.1", "192.168.1.2", "fe80::1%eth0", "::ffff:10.0.0.1"])
def test_what_others_reach(address: str) -> None:
    assert not is_loopback(address)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "localhost"])
def test_on_loopback_everything_goes(host: str) -> None:
    with listening(host, 0) as listener:
        check_exposure(listener, make(), accept_open_create=False)


def test_elsewhere_the_development_key_is_refused_whatever_is_accepted() -> None:
    with anywhere() as listener, pytest.raises(InputError, match=r"development key.*0\.0\.0\.0.*habeas key new"):
        check_exposure(listener, make(require_auth_to_create=True), accept_open_create=True)


def test_elsewhere_an_open_create_route_is_refused_unless_it_is_accepted() -> None:
    with anywhere() as listener:
        with pytest.raises(InputError, match=r"require_auth_to_create.*--accept-open-create") as refused:
            check_exposure(listener, make(encryption_keys=KEY), accept_open_create=False)
        assert "canary" not in str(refused.value)
        check_exposure(listener, make(encryption_keys=KEY), accept_open_create=True)
        for closed in (
            make(encryption_keys=KEY, require_auth_to_create=True),
            make(encryption_keys=KEY, reviewed=True),
            make(encryption_keys=KEY, proved=True),
        ):
            check_exposure(listener, closed, accept_open_create=False)


def test_a_name_is_what_it_resolves_to(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest, **more: resolve("0.0.0.0", *rest, **more))
    with listening("looks-local.localhost", 0) as listener, pytest.raises(InputError, match="development key"):
        check_exposure(listener, make(), accept_open_create=True)
