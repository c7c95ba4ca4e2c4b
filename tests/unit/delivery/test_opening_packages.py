"""Opening packages: whole zips and their members, of ours and of the seeds' products; nothing half opened."""

import io
import json
from zipfile import ZipFile

import pytest

from habeas.delivery.csv_package import CsvPackage, Title
from habeas.delivery.encryption import encrypt
from habeas.delivery.opening import open_package
from habeas.delivery.section import Section
from habeas.domain.dataset import Address
from habeas.domain.errors import InputError

KEY = b"test--encryption"
OLD = b"d71a5dc3c49d7n7QN+tueapbID9CC48QWX6MoIUdzm6M8aH+VdLagsOm/Wk0Gz+q51tehcgM9DdTFJizA3m+joA="


def zipped(**members: bytes | str) -> bytes:
    file = io.BytesIO()
    with ZipFile(file, "w") as package:
        for name, content in members.items():
            package.writestr(f"{name}.csv", content)
    return file.getvalue()


def unzip(content: bytes) -> dict[str, bytes]:
    with ZipFile(io.BytesIO(content)) as package:
        return {name: package.read(name) for name in package.namelist()}


def test_every_member_of_ours_is_opened_and_the_manifest_says_so() -> None:
    file = io.BytesIO()
    package = CsvPackage(file, Title("pri_1", "give"), KEY)
    for name in ("members", "visits"):
        package.add(Section(Address("db", name), ("a",), ("a",)), {"a": name})
    package.close()
    opened = unzip(open_package(file.getvalue(), KEY))
    manifest = json.loads(opened.pop("manifest.json"))
    assert [member["encrypted"] for member in manifest["members"]] == [False, False]
    assert opened == {"db__members.csv": b"a\r\nmembers\r\n", "db__visits.csv": b"a\r\nvisits\r\n"}


def test_a_zip_of_the_seeds_products_is_opened_in_either_format() -> None:
    opened = unzip(open_package(zipped(old=OLD, new=encrypt(b"a\n1\n", KEY)), KEY))
    assert opened == {"old.csv": b'{"street": "test street", "state": "NY"}', "new.csv": b"a\n1\n"}


@pytest.mark.parametrize(
    "content",
    [
        zipped(good=encrypt(b"a", KEY), other=encrypt(b"b", b"another-key-1234")),
        zipped(good=encrypt(b"a", KEY), plain=b"a,b\r\n1,2\r\n"),
        zipped(good=encrypt(b"a", KEY))[:-30],
        b"PK\x03\x04 is no zip",
        b'{"shop_db:members": []}',
        b"",
    ],
    ids=["another key", "a plain member", "cut off", "no zip", "plain JSON", "empty"],
)
def test_what_is_not_wholly_genuine_is_refused(content: bytes) -> None:
    with pytest.raises(InputError):
        open_package(content, KEY)


def test_a_manifest_that_is_none_is_refused() -> None:
    file = io.BytesIO()
    with ZipFile(file, "w") as package:
        package.writestr("manifest.json", b"[1]")
    with pytest.raises(InputError, match="damaged"):
        open_package(file.getvalue(), KEY)
