"""The S3 destination against a real server: whole objects or none, parts, links, and clear errors without secrets."""

import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from habeas.delivery.encryption import EncryptingWriter, decrypt
from habeas.delivery.s3 import BLOCK, S3Bucket, s3_storage
from habeas.domain.errors import InputError, NeedsHuman, NotFound, SystemUnavailable
from habeas.domain.ports import Destination
from habeas.outgoing import OutgoingClient
from servers.s3 import KEYS, S3Server

NAME = "pri_1.json"
_numbers = count(1)


@pytest.fixture(scope="module")
def strict_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with S3Server(tmp_path_factory.mktemp("strict-s3"), strict=True) as server:
        server.create_bucket("packages")
        yield server


@pytest.fixture
def bucket(s3_server: S3Server) -> str:
    return s3_server.create_bucket(f"bucket-{next(_numbers)}")


@pytest.fixture
def destination(s3_server: S3Server, bucket: str) -> Destination:
    return connect(s3_server, bucket)


def connect(server: S3Server, bucket: str, secrets: dict[str, str] = KEYS, **details: object) -> Destination:
    check = OutgoingClient(("127.0.0.1",)).check
    return s3_storage(check).connect({**server.details(bucket), **details}, secrets)


def put(destination: Destination, *pieces: bytes, name: str = NAME) -> None:
    with destination.write(name) as file:
        for piece in pieces:
            file.write(piece)


def test_a_package_is_written_read_and_found(s3_server: S3Server, bucket: str, destination: Destination) -> None:
    put(destination, b"{", b"}")
    assert s3_server.objects(bucket) == {NAME: b"{}"}
    with destination.read(NAME) as file:
        assert file.read() == b"{}"
    assert destination.location(NAME) == f"s3://{bucket}/{NAME}"


@pytest.mark.parametrize("size", [BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 2 * BLOCK + 1])
def test_a_large_package_goes_in_parts_and_comes_back_whole(
    s3_server: S3Server, bucket: str, destination: Destination, size: int
) -> None:
    content = bytes(range(256)) * (size // 256 + 1)
    content = content[:size]
    put(destination, *(content[at : at + 100_000] for at in range(0, size, 100_000)))
    assert s3_server.objects(bucket) == {NAME: content}
    assert s3_server.unfinished(bucket) == []
    with destination.read(NAME) as file:
        assert b"".join(iter(lambda: file.read(65_536), b"")) == content


def test_packages_lie_below_the_prefix(s3_server: S3Server, bucket: str) -> None:
    destination = connect(s3_server, bucket, prefix="privacy/packages/")
    put(destination, b"{}")
    assert list(s3_server.objects(bucket)) == [f"privacy/packages/{NAME}"]
    assert destination.location(NAME) == f"s3://{bucket}/privacy/packages/{NAME}"
    with destination.read(NAME) as file:
        assert file.read() == b"{}"


@pytest.mark.parametrize("size", [10, 3 * BLOCK])
def test_nothing_is_there_before_the_end_nor_after_a_failure(
    s3_server: S3Server, bucket: str, destination: Destination, size: int
) -> None:
    def fail() -> None:
        with destination.write(NAME) as file:
            file.write(b"x" * size)
            assert s3_server.objects(bucket) == {}
            raise ValueError("the rows went wrong")

    with pytest.raises(ValueError, match="the rows went wrong"):
        fail()
    assert s3_server.objects(bucket) == {}
    assert s3_server.unfinished(bucket) == []


def test_a_failure_keeps_the_older_package_and_a_success_replaces_it(
    s3_server: S3Server, bucket: str, destination: Destination
) -> None:
    put(destination, b"older")
    with pytest.raises(ValueError, match="wrong"), destination.write(NAME):
        raise ValueError("wrong")
    assert s3_server.objects(bucket) == {NAME: b"older"}
    put(destination, b"newer")
    assert s3_server.objects(bucket) == {NAME: b"newer"}


def test_parts_that_a_killed_process_left_of_this_package_are_cleared_away(
    s3_server: S3Server, bucket: str, destination: Destination
) -> None:
    s3_server.begin_upload(bucket, NAME)
    s3_server.begin_upload(bucket, f"{NAME}.other")
    put(destination, b"x" * (BLOCK + 1))
    assert s3_server.unfinished(bucket) == [f"{NAME}.other"]


def test_sixteen_packages_are_written_at_a_time(s3_server: S3Server, bucket: str, destination: Destination) -> None:
    with ExitStack() as open_files:
        files = [open_files.enter_context(destination.write(f"pri_{number}.json")) for number in range(16)]
        for _ in range(11):
            for number, file in enumerate(files):
                file.write(bytes([number]) * 500_000)
        assert s3_server.objects(bucket) == {}
    expected = {f"pri_{number}.json": bytes([number]) * 5_500_000 for number in range(16)}
    assert s3_server.objects(bucket) == expected


def test_several_threads_share_a_destination(s3_server: S3Server, bucket: str, destination: Destination) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: put(destination, b"%d" % number, name=f"pri_{number}.json"), range(20)))
    assert s3_server.objects(bucket) == {f"pri_{number}.json": b"%d" % number for number in range(20)}


def test_an_encrypted_package_goes_through_in_one_pass(
    s3_server: S3Server, bucket: str, destination: Destination
) -> None:
    with destination.write(NAME) as file:
        writer = EncryptingWriter(file, b"test--encryption")
        writer.write(b"Ann lives in Oslo")
        writer.close()
    (text,) = s3_server.objects(bucket).values()
    assert b"Ann" not in text
    assert decrypt(text, b"test--encryption") == b"Ann lives in Oslo"


@pytest.mark.parametrize(("name", "media_type"), [(NAME, "application/json"), ("pri_1-give.zip", "application/zip")])
def test_a_link_downloads_the_package_without_any_key(destination: Destination, name: str, media_type: str) -> None:
    put(destination, b"{}", name=name)
    link = destination.link(name, 432_000)
    assert link is not None
    downloaded = httpx.get(link)
    assert downloaded.content == b"{}"
    assert downloaded.headers["content-disposition"] == f'attachment; filename="{name}"'
    assert downloaded.headers["content-type"] == media_type
    query = parse_qs(urlsplit(link).query)
    assert query["X-Amz-Expires"] == ["432000"]
    assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]  # the older way of signing knows no longest life
    assert KEYS["aws_secret_access_key"] not in link


def test_a_check_leaves_nothing(s3_server: S3Server, bucket: str, destination: Destination) -> None:
    destination.check()
    assert s3_server.objects(bucket) == {}
    assert s3_server.unfinished(bucket) == []


def test_a_package_that_is_gone_is_not_found(destination: Destination) -> None:
    with pytest.raises(NotFound, match=r"pri_1\.json is gone"):
        destination.read(NAME)


@pytest.mark.parametrize("name", ["../pri_1.json", "a/b.json", "..", "", ".x", "pri_1.json?versionId=1"])
def test_a_name_with_path_parts_is_refused(destination: Destination, name: str) -> None:
    for use in (destination.write, destination.read, destination.location, lambda name: destination.link(name, 60)):
        with pytest.raises(InputError, match="path parts"):
            use(name)


def test_a_bucket_that_is_not_there_is_named(s3_server: S3Server) -> None:
    destination = connect(s3_server, "no-such-bucket")
    for use in (destination.check, lambda: put(destination, b"{}"), lambda: put(destination, b"x" * BLOCK)):
        with pytest.raises(NeedsHuman, match=r"no bucket no-such-bucket.*details\.bucket"):
            use()


def refusals(destination: Destination) -> Iterator[str]:
    """What is said when a person is needed, whatever one does."""
    for use in (destination.check, lambda: put(destination, b"{}"), lambda: destination.read(NAME)):
        with pytest.raises(NeedsHuman) as caught:
            use()
        yield f"{caught.value} {caught.value.__cause__} {destination!r}"


def test_a_user_needs_three_permissions_and_no_other(strict_server: S3Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    keys = dict(strict_server.admit())
    destination = connect(strict_server, "packages", keys)
    destination.check()
    put(destination, b"x" * (BLOCK + 1))
    with destination.read(NAME) as file:
        assert len(file.read()) == BLOCK + 1
    with pytest.raises(ValueError, match="wrong"), destination.write("pri_2.json") as file:
        file.write(b"x" * (BLOCK + 1))
        raise ValueError("wrong")
    for wrong in ({**keys, "aws_secret_access_key": "canary-secret"}, {**keys, "aws_access_key_id": "AKIACANARY"}):
        for said in refusals(connect(strict_server, "packages", wrong)):
            assert "refuses us bucket packages" in said
            assert not any(value in said for value in wrong.values())
    assert not any(value in caplog.text for value in ("canary-secret", *keys.values()))


def test_a_store_that_is_down_is_worth_another_try(tmp_path: Path) -> None:
    with S3Server(tmp_path) as server:
        destination = connect(server, server.create_bucket("packages"))
        put(destination, b"{}")
        server.stop()
        for use in (destination.check, lambda: put(destination, b"{}"), lambda: destination.read(NAME)):
            begun = time.monotonic()
            with pytest.raises(SystemUnavailable, match=r"does not answer.*endpoint_url"):
                use()
            assert time.monotonic() - begun < 5
        server.start()
        server.create_bucket("packages")
        put(destination, b"{}")
        assert server.objects("packages") == {NAME: b"{}"}


def test_a_store_that_goes_down_during_an_upload_is_worth_another_try(tmp_path: Path) -> None:
    with S3Server(tmp_path) as server:
        destination = connect(server, server.create_bucket("packages"))

        def upload() -> None:
            with destination.write(NAME) as file:
                file.write(b"x" * BLOCK)
                server.stop()
                file.write(b"x" * BLOCK)

        with pytest.raises(SystemUnavailable, match="does not answer"):
            upload()


def test_a_lost_connection_of_the_writer_is_not_blamed_on_the_store(destination: Destination) -> None:
    with pytest.raises(ConnectionResetError), destination.write(NAME):
        raise ConnectionResetError


@pytest.mark.parametrize("secrets", [{}, {"aws_access_key_id": "AKIA"}, {"region_name": "eu-north-1"}])
def test_a_storage_without_its_keys_says_so(s3_server: S3Server, bucket: str, secrets: dict[str, str]) -> None:
    destination = connect(s3_server, bucket, secrets)
    for use in (destination.check, lambda: put(destination, b"{}"), lambda: destination.link(NAME, 60)):
        with pytest.raises(NeedsHuman, match=r"has no secret keys.*/secret"):
            use()
    assert s3_server.objects(bucket) == {}


def test_automatic_credentials_come_from_the_machine(
    s3_server: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    destination = connect(s3_server, bucket, {}, auth_method="automatic")
    for said in refusals(destination):
        assert "has no credentials" in said
    for name, value in KEYS.items():
        monkeypatch.setenv(name.upper(), value)
    put(destination, b"{}")
    assert s3_server.objects(bucket) == {NAME: b"{}"}


@pytest.mark.parametrize(
    ("details", "words"),
    [
        ({"bucket": None}, "needs details.bucket"),
        ({"bucket": "s3://packages"}, "without s3://"),
        ({"bucket": "a/b"}, "details.bucket"),
        ({"bucket": 5}, "details.bucket"),
        ({"auth_method": None}, "needs details.auth_method"),
        ({"auth_method": "keys"}, "automatic or secret_keys"),
        ({"naming": "random"}, "naming"),
        ({"max_retries": -1}, "max_retries"),
        ({"max_retries": True}, "max_retries"),
        ({"max_retries": "2"}, "max_retries"),
        ({"endpoint_url": "minio:9000"}, "endpoint_url"),
        ({"endpoint_url": "ftp://minio"}, "endpoint_url"),
        ({"endpoint_url": "http://user:canary@minio"}, "endpoint_url"),
        ({"endpoint_url": "http://minio:port"}, "endpoint_url"),
        ({"endpoint_url": "http://minio?key=canary"}, "endpoint_url"),
        ({"endpoint_url": 5}, "endpoint_url"),
        ({"prefix": "/packages"}, "prefix"),
        ({"prefix": "a/../b"}, "prefix"),
        ({"prefix": "a?b"}, "prefix"),
        ({"path": "/tmp"}, "no detail 'path'"),
    ],
)
def test_wrong_details_are_refused_and_not_repeated(details: dict[str, object], words: str) -> None:
    sound = {"bucket": "packages", "auth_method": "automatic"}
    with pytest.raises(InputError) as caught:
        s3_storage(OutgoingClient(()).check).connect({**sound, **details}, {})
    assert words in str(caught.value)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("endpoint", "words"),
    [
        ("http://127.0.0.1:{port}", "not https"),
        ("https://127.0.0.1:{port}/latest", "not public"),
        ("https://2130706433:{port}", "not public"),
        ("https://169.254.169.254", "not public"),
    ],
)
def test_a_store_inside_of_the_own_network_is_asked_only_if_it_is_listed(
    s3_server: S3Server, bucket: str, endpoint: str, words: str
) -> None:
    given = {**s3_server.details(bucket), "endpoint_url": endpoint.format(port=s3_server.url.rpartition(":")[2])}
    destination = s3_storage(OutgoingClient(()).check).connect(given, KEYS)
    for use in (destination.check, lambda: put(destination, b"{}"), lambda: destination.read(NAME)):
        with pytest.raises(NeedsHuman, match=rf"bucket {bucket} may not be asked.*{words}.*outgoing_allow_list"):
            use()
    assert s3_server.objects(bucket) == {}


def test_assuming_a_role_is_refused_with_what_to_do_instead() -> None:
    secrets = {**KEYS, "assume_role_arn": "arn:aws:iam::123456789012:role/packages"}
    with pytest.raises(InputError, match=r"assume_role_arn is not supported.*automatic"):
        s3_storage(OutgoingClient(()).check).connect({"bucket": "packages", "auth_method": "secret_keys"}, secrets)


def test_a_driver_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "s3fs", None)
    with pytest.raises(InputError, match=r"pip install 'habeas\[s3\]'"):
        s3_storage(OutgoingClient(()).check).connect({"bucket": "packages", "auth_method": "automatic"}, {})


def test_a_bucket_does_not_show_its_secrets() -> None:
    shown = s3_storage(OutgoingClient(()).check).connect({"bucket": "packages", "auth_method": "secret_keys"}, KEYS)
    assert isinstance(shown, S3Bucket)
    assert KEYS["aws_secret_access_key"] not in f"{shown!r} {shown._bucket!r}"


def test_uploads_of_killed_processes_are_given_up_when_they_are_old_and_nobody_writes_the_package(
    s3_server: S3Server, bucket: str
) -> None:
    destination = connect(s3_server, bucket, prefix="privacy/")
    put(destination, b"{}", name="pri_3.json")
    for key in ("privacy/pri_1.json", "privacy/pri_2.json", "privacy/pri_3.json", "others/pri_2.json"):
        s3_server.begin_upload(bucket, key)
    now = datetime.now(UTC)
    is_abandoned = {"pri_2.json", "pri_3.json", "others/pri_2.json"}.__contains__
    long_ago = datetime(2000, 1, 1, tzinfo=UTC)
    assert destination.discard_unfinished(long_ago, is_abandoned) == 0
    assert destination.discard_unfinished(now + timedelta(seconds=1), is_abandoned) == 2
    assert sorted(s3_server.unfinished(bucket)) == ["others/pri_2.json", "privacy/pri_1.json"]
    assert s3_server.objects(bucket) == {"privacy/pri_3.json": b"{}"}
    assert destination.discard_unfinished(now + timedelta(seconds=1), is_abandoned) == 0
