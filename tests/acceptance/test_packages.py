"""Packages through HTTP, for every destination and format (control-plane §9: A8, A9, A22, A23, A24; §10.16)."""

import base64
import io
import json
import sqlite3
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from zipfile import ZipFile

import httpx
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from landscape import CHAIN, Landscape, on_one_ledger
from shelves import Bucket, Shelf
from targets import ANN, BOB, MARK, dataset, field, key

from habeas import decrypt
from habeas.domain.errors import InputError
from servers.s3 import KEYS, S3Server

GIVE = {"give": ["user"]}
FORGET = {"null_rewrite": ["user.name"]}
PACKAGE_KEY = "0123456789abcdef"


# Y16
def test_a_package_holds_everything_of_one_person_wherever_and_however_it_is_kept(shelf: Shelf) -> None:
    landscape = shelf.landscape
    landscape.chain()
    policy = landscape.policy(access=GIVE, storage=shelf.storage)
    mine, _ = landscape.submit(policy, {"email": ANN}, {"email": BOB})
    landscape.wait(mine)
    content = shelf.place.files()[shelf.name(mine)]
    found = shelf.read(content)
    assert {address: len(rows) for address, rows in found.items()} == dict(zip(CHAIN, (1, 2, 2, 1, 1), strict=True))
    assert found["first:members"] == [{"mail": ANN, "name": f"Ann {MARK}", "phone": "+11234567891"}]
    assert BOB not in str(found)
    downloaded = landscape.call("GET", f"/privacy-request/{mine}/package/{policy}.give")
    assert downloaded.content == content
    assert downloaded.headers["content-disposition"] == f'attachment; filename="{shelf.name(mine)}"'


# A8
# A9
@on_one_ledger
@pytest.mark.parametrize("package_key", [PACKAGE_KEY, "0123456789abcdef" * 2], ids=["16 bytes", "32 bytes"])
def test_a_package_opens_with_the_key_of_its_request_alone(shelf: Shelf, package_key: str) -> None:
    landscape = shelf.landscape
    landscape.chain()
    policy = landscape.policy(access=GIVE, storage=shelf.storage)
    request = landscape.finish(policy, {"email": ANN}, encryption_key=package_key)["id"]
    ((name, content),) = shelf.place.files().items()
    assert name == shelf.name(request)
    found = shelf.read(content, package_key)
    assert set(found) == set(CHAIN)
    assert found["first:members"][0]["mail"] == ANN
    sealed = [content]
    if shelf.format == "csv":
        with ZipFile(io.BytesIO(content)) as package:
            sealed = [package.read(member) for member in package.namelist() if member != "manifest.json"]
            assert MARK not in package.read("manifest.json").decode()
    assert len({base64.b64decode(text)[:12] for text in sealed}) == len(sealed)  # a nonce for each
    for text in sealed:
        assert MARK.encode() not in text
        combined = base64.b64decode(text, validate=True)  # the snippet of seeds 001 and 002
        nonce = combined[:12]
        plain = AESGCM(package_key.encode()).decrypt(nonce, combined[12:], nonce)
        assert plain == decrypt(text, package_key)
        with pytest.raises(InputError, match="does not open"):
            decrypt(text, package_key[::-1])
    kept = landscape.read_ledger("SELECT sealed_encryption_key FROM request WHERE id = :id", id=request)
    assert kept == [(None,)]


@on_one_ledger
@pytest.mark.parametrize("package_key", [None, PACKAGE_KEY], ids=["plain", "encrypted"])
def test_a22_two_access_rules_make_two_packages(shelf: Shelf, package_key: str | None) -> None:
    landscape = shelf.landscape
    landscape.chain()
    rules = {"contact": ["user.contact"], "content": ["user.content"]}
    policy = landscape.policy(access=rules, storage=shelf.storage)
    details = {} if package_key is None else {"encryption_key": package_key}
    request = landscape.finish(policy, {"email": ANN}, **details)["id"]
    files = shelf.place.files()
    names = {rule: shelf.name(f"{request}-{policy}.{rule}") for rule in rules}
    assert set(files) == set(names.values())
    contact, content = (shelf.read(files[names[rule]], package_key) for rule in rules)
    assert set(contact) == {"first:members", "second:parcels"}
    assert {name for rows in contact.values() for row in rows for name in row} == {"mail", "phone", "street"}
    assert set(content) == {"first:orders", "second:items", "second:marks"}
    assert {name for rows in content.values() for row in rows for name in row} == {"note", "label", "remark"}
    assert ANN not in str(content)
    addresses = landscape.ask("GET", f"/privacy-request/{request}/access-results")["access_result_urls"]
    assert len(addresses) == 2
    for address, name in zip(addresses, names.values(), strict=True):
        assert urlsplit(address).path.endswith(f"/{name}")


@on_one_ledger
def test_a23_a_destination_that_fails_masks_nothing_and_a_retry_uploads_then_masks(shelf: Shelf) -> None:
    landscape = shelf.landscape
    target = landscape.members()
    policy = landscape.policy(access=GIVE, erasure=FORGET, storage=shelf.storage)
    shelf.place.spoil()
    stopped = landscape.finish(policy, {"email": ANN}, "error")
    request = stopped["id"]
    assert stopped["action_required_details"]["step"] == "upload"
    assert target.rows("SELECT name FROM members WHERE id = 1") == [(f"Ann {MARK}",)]
    assert landscape.visits(request)["Access package upload:"][-1] == "error"
    shelf.place.mend()
    landscape.retry(request)
    assert shelf.read(shelf.place.files()[shelf.name(request)])["first:members"][0]["name"] == f"Ann {MARK}"
    assert target.rows("SELECT name FROM members WHERE id = 1") == [(None,)]


@on_one_ledger
def test_a24_a_package_whose_key_is_gone_is_not_written_at_all(shelf: Shelf) -> None:
    landscape = shelf.landscape
    target = landscape.members()
    policy = landscape.policy(access=GIVE, erasure=FORGET, storage=shelf.storage)
    shelf.place.spoil()
    sealed = landscape.finish(policy, {"email": ANN}, "error", encryption_key=PACKAGE_KEY)["id"]
    plain = landscape.finish(policy, {"email": BOB}, "error")["id"]
    assert landscape.write_ledger("UPDATE request SET sealed_encryption_key = NULL WHERE id = :id", id=sealed) == 1
    shelf.place.mend()
    landscape.retry(plain)
    stopped = landscape.retry(sealed, "error")
    assert "encryption key is gone" in stopped["failure"]
    assert list(shelf.place.files()) == [shelf.name(plain)]
    assert landscape.packages(sealed) == []
    assert target.rows("SELECT name FROM members WHERE id = 1") == [(f"Ann {MARK}",)]


@on_one_ledger
def test_a35_cells_of_a_csv_package_do_not_run_in_a_spreadsheet(landscape: Landscape, tmp_path: Path) -> None:
    target = landscape.new_target("notes")
    target.execute(
        "CREATE TABLE notes (id integer PRIMARY KEY, mail text, a text, b text, c text)",
        f"INSERT INTO notes VALUES (1, '{ANN}', '=1+1', '-2+cmd|''x''!A0', '+1 (123) 456 7891'), "
        f"(2, '{ANN}', '@x', '-5', NULL)",
    )
    body = [key(), field("mail", "user.contact.email", identity="email")]
    body += [field(name, "user.content") for name in "abc"]
    landscape.describe(landscape.connect("notes", target), dataset("notes", notes=body))
    storage = f"{landscape.tag}-cells"
    item = {"key": storage, "name": storage, "type": "local", "format": "csv", "details": {"path": str(tmp_path)}}
    landscape.save("/storage/config", item)
    policy = landscape.policy(access={"give": ["user.content"]}, storage=storage)
    request = landscape.finish(policy, {"email": ANN})["id"]
    with ZipFile(tmp_path / f"{request}.zip") as package:
        text = package.read("notes__notes.csv").decode()
    assert text == "a,b,c\r\n'=1+1,'-2+cmd|'x'!A0,+1 (123) 456 7891\r\n'@x,-5,\r\n"


@pytest.fixture
def bucket(landscape: Landscape, s3_server: S3Server) -> Bucket:
    return Bucket(s3_server, s3_server.create_bucket(f"{landscape.tag}-{landscape.ledger.dialect.name}"))


def test_a_link_opens_the_package_is_kept_sealed_and_is_renewed_when_it_is_over(
    landscape: Landscape, bucket: Bucket
) -> None:
    shelf = Shelf(landscape, bucket, "csv")
    landscape.members()
    request = landscape.finish(landscape.policy(access=GIVE, storage=shelf.storage), {"email": ANN})["id"]

    def links() -> list[str]:
        found: list[str] = landscape.ask("GET", f"/privacy-request/{request}/access-results")["access_result_urls"]
        return found

    (link,) = links()
    assert httpx.get(link).content == bucket.files()[f"{request}.zip"]
    assert parse_qs(urlsplit(link).query)["X-Amz-Expires"] == ["432000"]
    assert links() == [link]
    kept = "SELECT sealed_link, location FROM package WHERE request_id = :id"
    ((sealed, location),) = landscape.read_ledger(kept, id=request)
    assert b"X-Amz-Signature" not in bytes(sealed)
    assert location == f"s3://{bucket.details['bucket']}/packages/{request}.zip"
    past = {"past": "2020-01-01 00:00:00", "id": request}
    landscape.write_ledger("UPDATE package SET link_expires_at = :past WHERE request_id = :id", **past)
    landscape.write_ledger("UPDATE package SET sealed_link = :x WHERE request_id = :id", x=b"over", id=request)
    (renewed,) = links()
    assert httpx.get(renewed).content == bucket.files()[f"{request}.zip"]
    assert links() == [renewed]
    # A storage that is another place by now gives no link to what is not there.
    landscape.write_ledger("UPDATE package SET link_expires_at = :past WHERE request_id = :id", **past)
    details = {**bucket.details, "prefix": "elsewhere"}
    item = {"key": shelf.storage, "name": "Shelf", "type": "s3", "format": "csv", "details": details}
    landscape.save("/storage/config", item)
    assert links() == [location]


@on_one_ledger
def test_a_store_that_is_down_is_tried_again_and_then_by_hand(landscape: Landscape, tmp_path: Path) -> None:
    with S3Server(tmp_path / "store") as server:
        shelf = Shelf(landscape, Bucket(server, server.create_bucket("packages")), "json")
        landscape.members()
        policy = landscape.policy(access=GIVE, storage=shelf.storage)
        server.stop()
        stopped = landscape.finish(policy, {"email": ANN}, "error")
        assert "does not answer" in stopped["failure"]
        assert landscape.visits(stopped["id"])["Access package upload:"] == ["retrying", "retrying", "error"]
        server.start()
        server.create_bucket("packages")
        landscape.retry(stopped["id"])
        assert shelf.read(shelf.place.files()[f"{stopped['id']}.json"])["first:members"][0]["mail"] == ANN


@on_one_ledger
def test_a_storage_without_its_keys_stops_at_the_upload_until_they_are_there(
    landscape: Landscape, bucket: Bucket
) -> None:
    storage = f"{landscape.tag}-keyless"
    landscape.save("/storage/config", {"key": storage, "name": storage, "type": "s3", "details": bucket.details})
    landscape.members()
    policy = landscape.policy(access=GIVE, storage=storage)
    stopped = landscape.finish(policy, {"email": ANN}, "error")
    assert "has no secret keys" in stopped["failure"]
    path = f"/storage/config/{storage}/secret"
    wrong = {**KEYS, "region_name": "not a region!"}
    tried = landscape.ask("PUT", path, json=wrong)
    assert tried["test_status"] == "failed"
    assert KEYS["aws_secret_access_key"] not in str(tried)
    assert landscape.ask("PUT", path, json=KEYS, params={"verify": False})["test_status"] == "skipped"
    landscape.retry(stopped["id"])
    assert list(bucket.files()) == [f"{stopped['id']}.json"]
    assert landscape.ask("PUT", path, json=KEYS)["test_status"] == "succeeded"


# Y19
@on_one_ledger
def test_a_storage_that_is_gone_by_the_upload_is_named(landscape: Landscape) -> None:
    _, second = landscape.chain()
    storage = landscape.save_storage("gone", landscape.folder / "gone")
    policy = landscape.policy(access=GIVE, storage=storage)
    second.execute("ALTER TABLE items RENAME TO things")
    request = landscape.finish(policy, {"email": ANN}, "error")["id"]
    second.execute("ALTER TABLE things RENAME TO items")
    assert landscape.call("DELETE", f"/storage/config/{storage}").status_code == 409  # only by mishap, then
    assert landscape.write_ledger("DELETE FROM storage WHERE key = :key", key=storage) == 1
    stopped = landscape.retry(request, "error")
    assert f"names storage '{storage}', which is gone" in stopped["failure"]
    assert stopped["action_required_details"]["step"] == "upload"


@on_one_ledger
def test_secrets_of_storages_are_never_shown_nor_kept_in_the_clear(landscape: Landscape, bucket: Bucket) -> None:
    shelf = Shelf(landscape, bucket, "json")
    landscape.members()
    landscape.finish(landscape.policy(access=GIVE, storage=shelf.storage), {"email": ANN})
    shown = [landscape.ask("GET", f"/storage/config/{shelf.storage}"), landscape.ask("GET", "/storage/config")]
    path = f"/storage/config/{shelf.storage}/secret"
    for secret in ("bucket", "aws_key"):
        answer = landscape.call("PUT", path, json={secret: KEYS["aws_access_key_id"]})
        assert answer.status_code == 422
        shown.append(answer.json())
    refused = {**KEYS, "assume_role_arn": "arn:aws:iam::123456789012:role/packages"}
    answer = landscape.call("PUT", path, json=refused)
    assert answer.status_code == 400
    assert "assume_role_arn is not supported" in answer.json()["detail"]
    shown.append(answer.json())
    for value in KEYS.values():
        assert value not in json.dumps(shown)
        assert value not in landscape.server.log_text()
        assert "X-Amz-Signature" not in landscape.server.log_text()
        with sqlite3.connect(landscape.server.data_dir / "habeas.db") as ledger:
            assert value not in "".join(map(str, ledger.iterdump()))
        ledger.close()
