"""Storages: formats, details, secrets that go in and never come out, and what a test of one says."""

import pytest

from habeas.domain.errors import InputError, NotFound
from habeas.execution.context import Context
from habeas.services import storages
from habeas.services.fields import InvalidFields
from habeas.services.storages import StorageDraft
from habeas.store import configurations, tables

S3 = {"bucket": "packages", "auth_method": "secret_keys", "endpoint_url": "http://127.0.0.1:9"}
KEYS = {"aws_access_key_id": "AKIACANARY", "aws_secret_access_key": "canary-secret"}


@pytest.fixture
def bucket(context: Context) -> str:
    """A storage whose store is on this machine, where nothing may be asked."""
    result = storages.save_storages(context, [StorageDraft(name="Bucket", type="s3", format="csv", details=S3)])
    assert result.failed == []
    return result.succeeded[0].key


# Y15
@pytest.mark.parametrize(("kind", "details"), [("local", {}), ("s3", S3)])
def test_html_is_refused_as_it_could_not_be_encrypted(context: Context, kind: str, details: dict[str, object]) -> None:
    with pytest.raises(InvalidFields, match="knows json, csv"):
        storages.save_storages(context, [StorageDraft(name="S", type=kind, format="html", details=details)])


def test_secrets_that_do_not_work_are_saved_and_reported(context: Context, bucket: str) -> None:
    tried = storages.save_storage_secrets(context, bucket, {**KEYS, "region_name": None})
    assert tried.test_status == "failed"
    assert tried.failure_reason is not None
    assert "may not be asked: the URL is not https" in tried.failure_reason
    assert "canary" not in f"{tried} {storages.find_storage(context, bucket)}".lower()
    with context.ledger.read() as connection:
        record = configurations.find(connection, tables.storages, bucket)
    assert record is not None
    assert b"canary" not in record.sealed_secrets.lower()
    place = configurations.storage_place(bucket)
    assert configurations.open_json(context.ledger.sealer, record.sealed_secrets, place) == KEYS


def test_secrets_that_are_not_to_be_tried_are_saved_only(context: Context, bucket: str) -> None:
    assert storages.save_storage_secrets(context, bucket, KEYS, verify=False).test_status == "skipped"


def test_a_storage_that_lacks_its_keys_fails_its_test_by_saying_so(context: Context, bucket: str) -> None:
    tried = storages.save_storage_secrets(context, bucket, {})
    assert tried.test_status == "failed"
    assert "has no secret keys" in str(tried.failure_reason)


def test_secrets_that_are_unknown_or_not_supported_change_nothing(context: Context, bucket: str) -> None:
    storages.save_storage_secrets(context, bucket, KEYS, verify=False)
    with pytest.raises(InvalidFields, match="unknown field"):
        storages.save_storage_secrets(context, bucket, {"password": "canary"})
    with pytest.raises(InputError, match="assume_role_arn is not supported"):
        storages.save_storage_secrets(context, bucket, {"assume_role_arn": "arn"})
    with pytest.raises(NotFound):
        storages.save_storage_secrets(context, "nowhere", {})
    with context.ledger.read() as connection:
        record = configurations.find(connection, tables.storages, bucket)
    assert record is not None
    place = configurations.storage_place(bucket)
    assert configurations.open_json(context.ledger.sealer, record.sealed_secrets, place) == KEYS


def test_a_storage_in_another_place_forgets_its_secrets(context: Context, bucket: str) -> None:
    storages.save_storage_secrets(context, bucket, KEYS, verify=False)
    elsewhere = {**S3, "bucket": "elsewhere"}
    storages.save_storages(context, [StorageDraft(name="Bucket", key=bucket, type="s3", details=elsewhere)])
    with context.ledger.read() as connection:
        record = configurations.find(connection, tables.storages, bucket)
    assert record is not None
    assert (record.details, record.sealed_secrets) == (elsewhere, None)


def test_a_changed_storage_keeps_its_secrets(context: Context, bucket: str) -> None:
    storages.save_storage_secrets(context, bucket, KEYS, verify=False)
    storages.save_storages(context, [StorageDraft(name="Bucket", key=bucket, type="s3", details=S3)])
    with context.ledger.read() as connection:
        record = configurations.find(connection, tables.storages, bucket)
    assert record is not None
    assert (record.format, record.sealed_secrets is None) == ("json", False)
