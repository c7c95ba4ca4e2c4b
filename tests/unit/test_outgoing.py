"""Calls to URLs that somebody configured: where they may lead, and how long they may take."""

import gzip
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from habeas.domain.errors import InputError, SystemUnavailable
from habeas.outgoing import MAX_ANSWER, OutgoingClient, is_public, parse_allowed
from servers.receiver import Answer, Receiver

Resolver = Callable[[str, int], list[str]]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    served = Receiver()
    yield served
    served.close()


def leading_to(*addresses: str) -> Resolver:
    return lambda host, port: list(addresses)


def client(*allowed: str, to: tuple[str, ...] = ("127.0.0.1",), timeout: float = 30.0) -> OutgoingClient:
    return OutgoingClient(allowed, timeout, leading_to(*to))


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "2002:808:808::1", "64:ff9b::808:808"]
)
def test_public_addresses(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "0.0.0.0", "255.255.255.255", "224.0.0.1", "240.0.0.1"),
        *("169.254.169.254", "100.100.100.200", "192.0.0.192", "168.63.129.16", "198.18.0.1"),
        *("::", "::1", "::127.0.0.1", "fe80::1", "fec0::1", "fd00:ec2::254", "ff02::1", "2001:db8::1", "2001::1"),
        *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "2002:7f00:1::1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1"),
    ],
)
def test_addresses_of_somebodys_own_network(address: str) -> None:
    assert not is_public(ip_address(address))
    with pytest.raises(InputError, match=r"not public.*security\.outgoing_allow_list"):
        client(to=("8.8.8.8", address)).post("https://hooks.example/")


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.1",
        "[::1]",
        "[::ffff:7f00:1]",
        "localhost",
    ],
)
def test_spellings_of_this_machine(host: str) -> None:
    with pytest.raises(InputError, match=r"not public|malformed"):
        OutgoingClient(()).post(f"https://{host}/")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://hooks.example/", "not https"),
        ("ftp://hooks.example/", "not one of https"),
        ("file:///etc/passwd", "not one of https"),
        ("hooks.example", "not one of https"),
        ("https://", "not one of https"),
        ("https://ann:secret@hooks.example/", "name or password"),
        ("https://hooks.example:99999999/", "malformed"),
        ("https://xn--/", "malformed"),
        ("https://xn--a.hooks.example/", "malformed"),
        ("https://hooks.example/\ud800", "malformed"),
    ],
)
def test_urls_that_are_refused(url: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as refused:
        client(to=("8.8.8.8",)).post(url)
    assert "example" not in str(refused.value)


def test_a_host_that_is_not_to_be_found() -> None:
    def nowhere(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with pytest.raises(SystemUnavailable, match="not to be found"):
        OutgoingClient((), resolve=nowhere).check("https://hooks.example/")


@pytest.mark.parametrize(
    "allowed", ["hooks.example", "HOOKS.example.", "127.0.0.0/8", "127.0.0.1", "::ffff:127.0.0.1/128"]
)
def test_the_allow_list_names_hosts_and_networks(receiver: Receiver, allowed: str) -> None:
    found = ("::ffff:127.0.0.1",) if ":" in allowed else ("127.0.0.1",)
    answer = client(allowed, to=found).post(f"http://hooks.example:{receiver.port}/told?a=b", json={"a": "ä"})
    assert answer.status_code == 200
    [call] = receiver.calls
    assert (call.path, call.json) == ("/told?a=b", {"a": "ä"})
    assert call.headers["host"] == f"hooks.example:{receiver.port}"


@pytest.mark.parametrize("allowed", ["other.example", "example", "10.0.0.0/8"])
def test_what_the_allow_list_does_not_name(allowed: str) -> None:
    with pytest.raises(InputError, match="not public"):
        client(allowed).post("https://hooks.example/")


@pytest.mark.parametrize("entry", ["", "10.0.0.0/99", "https://hooks.example", "a b", "hooks.example:443"])
def test_entries_that_are_neither(entry: str) -> None:
    with pytest.raises(ValueError, match="a host or a network"):
        parse_allowed(entry)


def test_it_connects_to_the_address_that_was_checked(receiver: Receiver) -> None:
    names = iter([["127.0.0.1"], ["8.8.8.8"]])
    served = OutgoingClient(("127.0.0.1",), resolve=lambda host, port: next(names))
    assert served.post(f"http://rebinding.invalid:{receiver.port}/").status_code == 200
    assert next(names) == ["8.8.8.8"], "the name was asked for once"


def test_the_next_address_is_tried(receiver: Receiver) -> None:
    served = client("127.0.0.0/8", to=("127.0.0.2", "127.0.0.1"))
    assert served.post(f"http://hooks.example:{receiver.port}/").status_code == 200


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(SystemUnavailable, match="no answer"):
        client("hooks.example").post(f"http://hooks.example:{port}/")


def test_redirects_are_not_followed(receiver: Receiver) -> None:
    receiver.answers["/"] = Answer(307, headers={"Location": receiver.url("/elsewhere")})
    assert client("127.0.0.1").post(receiver.url()).status_code == 307
    assert not receiver.to("/elsewhere")


def test_forms_headers_and_passwords(receiver: Receiver) -> None:
    served = client("127.0.0.1")
    served.post(receiver.url(), form={"to": "a b"}, headers={"Idempotency-Key": "whc_1"}, auth=("api", "key"))
    [call] = receiver.calls
    assert call.body == b"to=a+b"
    assert call.headers["content-type"] == "application/x-www-form-urlencoded"
    assert call.headers["idempotency-key"] == "whc_1"
    assert call.headers["authorization"] == "Basic YXBpOmtleQ=="


@pytest.mark.parametrize("value", ["Bearer a\r\nX: y", "Bearer é€"])
def test_headers_that_are_malformed(receiver: Receiver, value: str) -> None:
    with pytest.raises(InputError, match="header"):
        client("127.0.0.1").post(receiver.url(), headers={"Authorization": value})
    assert not receiver.calls


def test_an_answer_may_not_be_long(receiver: Receiver) -> None:
    receiver.answers["/"] = Answer(body=b" " * MAX_ANSWER)
    assert len(client("127.0.0.1").post(receiver.url()).content) == MAX_ANSWER
    receiver.answers["/"] = Answer(body=b" " * (MAX_ANSWER + 1))
    with pytest.raises(SystemUnavailable, match="longer than"):
        client("127.0.0.1").post(receiver.url())


def test_a_caller_may_read_longer_answers_and_shorter_ones(receiver: Receiver) -> None:
    receiver.answers["/"] = Answer(body=b" " * (MAX_ANSWER + 1))
    answer = client("127.0.0.1").send("POST", receiver.url(), longest=MAX_ANSWER + 1)
    assert len(answer.content) == MAX_ANSWER + 1
    with pytest.raises(SystemUnavailable, match="longer than 10 bytes"):
        client("127.0.0.1").send("POST", receiver.url(), longest=10)


def test_a_packed_answer_is_not_unpacked(receiver: Receiver) -> None:
    packed = gzip.compress(b" " * 10 * MAX_ANSWER)
    receiver.answers["/"] = Answer(body=packed, headers={"Content-Encoding": "gzip"})
    assert client("127.0.0.1").post(receiver.url()).content == packed


@contextmanager
def dripping(sent: bytes, drip: bytes) -> Iterator[int]:
    """A server that answers with `sent` and then with one drip after another; its port."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(sent)
                while not over.wait(0.02):
                    try:
                        connection.sendall(drip)
                    except OSError:
                        return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        over.set()
        thread.join()


@pytest.mark.parametrize(
    ("sent", "drip"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"X-More: and more\r\n"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"."),
        (b"", b""),
    ],
    ids=["headers", "body", "nothing"],
)
def test_an_answer_in_drips_has_the_same_time(sent: bytes, drip: bytes) -> None:
    began = time.monotonic()
    with dripping(sent, drip) as port, pytest.raises(SystemUnavailable, match=r"no answer within 0\.3 s"):
        client("127.0.0.1", timeout=0.3).post(f"http://127.0.0.1:{port}/")
    assert time.monotonic() - began < 3


def certify(folder: Path, host: str) -> Path:
    """A certificate for a host, signed by itself, with its key in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1))
    made = made.not_valid_after(now + timedelta(days=1))
    made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
    file = folder / "certificate.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM) + secret)
    return file


@pytest.fixture
def secured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A receiver whose certificate is for hooks.example and trusted."""
    file = certify(tmp_path, "hooks.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    served = Receiver(context)
    yield served
    served.close()


def test_the_certificate_is_checked_against_the_host(secured: Receiver) -> None:
    url = f"https://hooks.example:{secured.port}/"
    assert client("127.0.0.1").post(url).status_code == 200
    with pytest.raises(SystemUnavailable, match="no answer"):
        client("127.0.0.1").post(url.replace("hooks", "other"))
    assert len(secured.calls) == 1
