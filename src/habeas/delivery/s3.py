"""Destination `s3`: packages in a bucket of Amazon S3 or of a store that speaks its language (MinIO, Ceph, R2 …).

Through s3fs, which is imported when a bucket is first used (extra `habeas[s3]`). A package is written in parts of 5 MB,
one of which is in memory, and appears whole or not at all. Knows nothing of what a package holds.
"""

import contextlib
import importlib.util
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, BinaryIO, cast
from urllib.parse import urlsplit

from habeas.delivery.naming import FORMATS, check_details, check_name
from habeas.delivery.s3_failures import explain
from habeas.domain.errors import InputError, NeedsHuman, NotFound
from habeas.domain.ports import StorageType

_log = logging.getLogger(__name__)

BLOCK = 5 * 2**20
"""Bytes of a part; a package that is smaller is sent in one piece."""

_DETAILS = {
    "bucket": True,
    "auth_method": True,
    "naming": False,
    "max_retries": False,
    "endpoint_url": False,
    "prefix": False,
}
_SECRETS = {
    "aws_access_key_id": False,
    "aws_secret_access_key": False,
    "region_name": False,
    "assume_role_arn": False,
}
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-]{1,254}")
_PREFIX = re.compile(r"[A-Za-z0-9!_.*'()\-]+(/[A-Za-z0-9!_.*'()\-]+)*/?")
_MEDIA_TYPES = {"json": "application/json", "zip": "application/zip"}
_KEYS = ("aws_access_key_id", "aws_secret_access_key")
CheckUrl = Callable[[str], None]
"""Raises InputError for an address that nothing outside may be asked at."""


@dataclass(frozen=True, slots=True)
class _Bucket:
    """A bucket and how it is reached. `uses_keys` false: the machine's own role, profile or environment."""

    name: str
    uses_keys: bool
    retries: int = 0
    endpoint: str | None = None
    prefix: str = ""
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)

    def key(self, name: str) -> str:
        return f"{self.prefix}{check_name(name)}"

    def path(self, name: str) -> str:
        return f"{self.name}/{self.key(name)}"


class S3Bucket:
    """A Destination. It reaches the store when it is first used, and keeps nothing open between uses."""

    def __init__(self, bucket: _Bucket, check_url: CheckUrl) -> None:
        self._bucket = bucket
        self._check_url = check_url

    def check(self) -> None:
        """Begins an upload and gives it up: nothing is left, and what `write` needs is there or is told."""
        with self._telling():
            files = self._reach()
            place = {"Bucket": self._bucket.name, "Key": self._bucket.key("habeas-check")}
            begun = files.call_s3("create_multipart_upload", **place)
            files.call_s3("abort_multipart_upload", **place, UploadId=begun["UploadId"])

    def write(self, name: str) -> AbstractContextManager[BinaryIO]:
        """See `Destination`; NeedsHuman when the bucket is not there or the store refuses us."""
        return self._written(name, self._bucket.path(name))

    def read(self, name: str) -> AbstractContextManager[BinaryIO]:
        """See `Destination`."""
        path = self._bucket.path(name)
        with self._telling():
            try:
                return cast(BinaryIO, self._reach().open(path, "rb", block_size=BLOCK))
            except FileNotFoundError:
                raise NotFound(f"package {name} is gone", hint="it was removed from its bucket") from None

    def discard_unfinished(self, before: datetime, is_abandoned: Callable[[str], bool]) -> int:
        """See `Destination`; an upload counts from when it began."""
        bucket, discarded = self._bucket, 0
        with self._telling():
            files = self._reach()
            for upload in self._list_uploads(files, bucket.prefix):
                name = upload["Key"].removeprefix(bucket.prefix)
                if upload["Initiated"] < before and is_abandoned(name):
                    files.abort_mpu(bucket.name, upload["Key"], upload["UploadId"])
                    discarded += 1
        return discarded

    def delete(self, name: str) -> None:
        """See `Destination`. In a bucket that keeps versions, the old ones stay: its own rules must expire them."""
        with self._telling():
            files = self._reach()
            files.call_s3("delete_object", Bucket=self._bucket.name, Key=self._bucket.key(name))
            self._forget_other_uploads(files, name)

    def location(self, name: str) -> str:
        """`s3://bucket/key`."""
        return f"s3://{self._bucket.path(name)}"

    def link(self, name: str, seconds: int) -> str:
        """A signed address; made here, without asking the store. The store lets it live for 7 days at most."""
        disposition = f'attachment; filename="{check_name(name)}"'
        with self._telling():
            signed = self._connect().url(
                self._bucket.path(name), expires=seconds, ResponseContentDisposition=disposition
            )
        return str(signed)

    @contextlib.contextmanager
    def _written(self, name: str, path: str) -> Iterator[BinaryIO]:
        kind = _MEDIA_TYPES.get(name.rpartition(".")[2], "application/octet-stream")
        with self._telling():
            files = self._reach()
            file = files.open(path, "wb", block_size=BLOCK, autocommit=False, ContentType=kind)
            try:
                yield cast(BinaryIO, file)
                if file.tell() >= BLOCK:
                    file.flush(force=True)  # the last part
                file.commit()
            except BaseException:
                _discard(file)
                raise
            finally:
                file.closed = True  # so that nothing is sent when it is forgotten
            if file.tell() >= BLOCK:
                self._forget_other_uploads(files, name)

    def _forget_other_uploads(self, files: Any, name: str) -> None:
        """Parts of this package that a killed process left behind are gone."""
        key = self._bucket.key(name)
        try:
            for upload in self._list_uploads(files, key):
                if upload["Key"] == key:
                    files.abort_mpu(self._bucket.name, key, upload["UploadId"])
        except Exception as error:  # the package is there; not every store lets us list
            _log.warning("unfinished uploads could not be looked for: %s", type(error).__name__)

    def _list_uploads(self, files: Any, prefix: str) -> Iterator[Mapping[str, Any]]:
        """Unfinished uploads whose keys begin so; the store tells at most a thousand at a time."""
        place: dict[str, str] = {"Bucket": self._bucket.name, "Prefix": prefix}
        while True:
            found = files.call_s3("list_multipart_uploads", **place)
            yield from found.get("Uploads", ())
            if not found.get("IsTruncated"):
                return
            place |= {"KeyMarker": found["NextKeyMarker"], "UploadIdMarker": found["NextUploadIdMarker"]}

    def _reach(self) -> Any:
        """What asks the store, which has to be where somebody may be asked."""
        files = self._connect()
        try:
            if self._bucket.endpoint is not None:
                self._check_url(self._bucket.endpoint)
        except InputError as error:
            said = f"the store of bucket {self._bucket.name} may not be asked: {error.message}"
            raise NeedsHuman(said, hint=error.hint) from None
        return files

    def _connect(self) -> Any:
        bucket = self._bucket
        if bucket.uses_keys and not all(bucket.secrets.get(name) for name in _KEYS):
            raise NeedsHuman(
                f"the storage of bucket {bucket.name} has no secret keys",
                hint="PUT /api/v1/storage/config/{key}/secret sets aws_access_key_id and aws_secret_access_key",
            )
        _check_driver()
        import s3fs

        config: dict[str, Any] = {
            "connect_timeout": 10,
            "read_timeout": 60,
            "retries": {"mode": "standard", "total_max_attempts": 1 + bucket.retries},
            "signature_version": "s3v4",
        }
        if bucket.endpoint is not None:  # stores of others do not all know the newer checksums
            config |= dict.fromkeys(("request_checksum_calculation", "response_checksum_validation"), "when_required")
        region = bucket.secrets.get("region_name")
        files = s3fs.S3FileSystem(
            key=bucket.secrets.get("aws_access_key_id") if bucket.uses_keys else None,
            secret=bucket.secrets.get("aws_secret_access_key") if bucket.uses_keys else None,
            endpoint_url=bucket.endpoint,
            client_kwargs={"region_name": region} if region else {},
            config_kwargs=config,
            use_listings_cache=False,
        )
        files.retries = 1  # botocore tries again, as often as the storage says
        return files

    @contextlib.contextmanager
    def _telling(self) -> Iterator[None]:
        """Failures of the store as errors of ours; others pass, they are of whoever produces the bytes."""
        try:
            yield
        except Exception as error:
            told = explain(error, self._bucket.name)
            if told is None:
                raise
            if isinstance(told, NeedsHuman):
                _forget_clients()
            raise told from None


def _forget_clients() -> None:
    """s3fs keeps clients with the credentials they began with; what a person mends must count at the next try."""
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()


def _discard(file: Any) -> None:
    try:
        file.discard()
    except Exception as error:  # what went wrong before is what is told
        _log.warning("an unfinished upload could not be given up: %s", type(error).__name__)


def s3_storage(check_url: CheckUrl) -> StorageType:
    """Storage type `s3`; an `endpoint_url` is checked whenever its store is to be asked."""
    return StorageType("s3", FORMATS, _DETAILS, partial(_connect, check_url), _SECRETS)


def _connect(check_url: CheckUrl, details: Mapping[str, object], secrets: Mapping[str, str]) -> S3Bucket:
    check_details("s3", details, _DETAILS)
    _check_driver()
    if secrets.get("assume_role_arn"):
        raise InputError(
            "assume_role_arn is not supported",
            hint='give the server the role itself and use "auth_method": "automatic", or give the keys of a user',
        )
    return S3Bucket(
        _Bucket(
            name=_read_bucket(details["bucket"]),
            uses_keys=_read_method(details["auth_method"]),
            retries=_read_retries(details.get("max_retries")),
            endpoint=_read_endpoint(details.get("endpoint_url")),
            prefix=_read_prefix(details.get("prefix")),
            secrets=dict(secrets),
        ),
        check_url,
    )


def _check_driver() -> None:
    if importlib.util.find_spec("s3fs") is None:
        raise InputError("storage type 's3' needs s3fs, which is not installed", hint="pip install 'habeas[s3]'")


def _read_bucket(given: object) -> str:
    if not isinstance(given, str) or not _BUCKET.fullmatch(given):
        raise InputError("details.bucket is not the name of a bucket", hint="give the name alone, without s3://")
    return given


def _read_method(given: object) -> bool:
    if given not in ("automatic", "secret_keys"):
        raise InputError("details.auth_method is unknown", hint="use automatic or secret_keys")
    return given == "secret_keys"


def _read_retries(given: object) -> int:
    if given is None:
        return 0
    if not isinstance(given, int) or isinstance(given, bool) or not 0 <= given <= 10:
        raise InputError("details.max_retries must be a number from 0 to 10")
    return given


def _read_endpoint(given: object) -> str | None:
    """The address is not repeated: it may hold a password."""
    if given is None:
        return None
    hint = "write it as https://host or http://host:port; keys belong into the storage's secrets"
    try:
        parts = urlsplit(given if isinstance(given, str) else "")
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        sound = False
    if not sound or parts.username is not None or parts.query or parts.fragment:
        raise InputError("details.endpoint_url is not the address of a store", hint=hint)
    return str(given).rstrip("/")


def _read_prefix(given: object) -> str:
    if given is None or given == "":
        return ""
    if not isinstance(given, str) or not _PREFIX.fullmatch(given) or {".", ".."} & set(given.split("/")):
        raise InputError("details.prefix is not the beginning of a key", hint="e.g. privacy/packages/")
    return f"{given.rstrip('/')}/"
