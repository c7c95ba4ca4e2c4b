"""The CSV package: cells as spreadsheets and databases read them, members, manifest, encryption of each member."""

import csv
import io
import json
import os
import tracemalloc
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from zipfile import ZipFile

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as some

from habeas.delivery.csv_cells import write_line
from habeas.delivery.csv_package import CsvPackage, Title
from habeas.delivery.encryption import decrypt
from habeas.delivery.section import Section
from habeas.domain.dataset import Address
from habeas.domain.errors import Fault

KEY = b"test--encryption"
TITLE = Title("pri_1", "give")


def section(*fields: str, address: str = "shop_db:members") -> Section:
    return Section(Address.parse(address), fields, sorted({field.split(".")[0] for field in fields}))


def make(*rows: tuple[Section, dict[str, object]], key: bytes | None = None) -> bytes:
    file = io.BytesIO()
    package = CsvPackage(file, TITLE, key)
    for place, row in rows:
        package.add(place, row)
    package.close()
    return file.getvalue()


def members(content: bytes) -> dict[str, str]:
    with ZipFile(io.BytesIO(content)) as package:
        assert package.testzip() is None
        return {name: package.read(name).decode() for name in package.namelist()}


# A35
@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("=HYPERLINK(\"http://x\",\"y\")", '"\'=HYPERLINK(""http://x"",""y"")"'),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\tx", "'\tx"),
        ("\rx", '"\'\rx"'),
        ("＝1+1", "'＝1+1"),
        ("＋1", "'＋1"),
        ("+1+cmd|' /C calc'!A0", "'+1+cmd|' /C calc'!A0"),
        ("-2+3+cmd|' /C calc'!A0", "'-2+3+cmd|' /C calc'!A0"),
        ("-", "'-"),
        ("+", "'+"),
        ("-x", "'-x"),
        ("-1,5", '"\'-1,5"'),
        ("-٥", "'-٥"),
        (float("-inf"), "'-Infinity"),
        ("-5", "-5"),
        ("-1.5e10", "-1.5e10"),
        ("+.5", "+.5"),
        (-5, "-5"),
        (-1.5, "-1.5"),
        (Decimal("-10.50"), "-10.50"),
        ("+11234567891", "+11234567891"),
        ("+1 (123) 456-78.91", "+1 (123) 456-78.91"),
        ("+1 (123) 456 7891 ext. 5", "'+1 (123) 456 7891 ext. 5"),
        ("a=b", "a=b"),
        ("ann@example.com", "ann@example.com"),
    ],
)  # fmt: skip
def test_a_cell_that_a_spreadsheet_would_run_is_guarded(value: object, cell: str) -> None:
    assert write_line([value, 1]).decode() == f"{cell},1\r\n"


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (None, ""),
        ("", '""'),
        ("a,b", '"a,b"'),
        ('say "hi"', '"say ""hi"""'),
        ("two\nlines", '"two\nlines"'),
        (" kept ", " kept "),
        (True, "true"),
        (0, "0"),
        (1.5, "1.5"),
        (datetime(2024, 5, 1, 12, 30, tzinfo=UTC), "2024-05-01T12:30:00+00:00"),
        (Decimal("10.50"), "10.50"),
        (b"\x00\xff", '"{""$base64"": ""AP8=""}"'),
        ([1, "a,b", None], '"[1, ""a,b"", null]"'),
        ({"a": {"b": Decimal("1.0")}}, '"{""a"": {""b"": ""1.0""}}"'),
        ([float("nan")], '"[""NaN""]"'),
        ("x\udc80", "x\\udc80"),
    ],
    ids=str,
)
def test_every_kind_of_value_has_one_cell(value: object, cell: str) -> None:
    assert write_line([value, 1]).decode() == f"{cell},1\r\n"


def test_a_line_of_one_empty_cell_is_still_a_line() -> None:
    assert write_line([None]) == write_line([""]) == b'""\r\n'


CELLS = some.none() | some.text(some.characters(exclude_categories=("Cs",))) | some.integers()


@given(some.lists(some.lists(CELLS, min_size=2, max_size=2), max_size=5))
def test_a_reader_gets_what_was_written_but_for_the_guards(rows: list[list[object]]) -> None:
    text = b"".join(map(write_line, rows)).decode()
    read = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    plain = [["" if value is None else str(value) for value in row] for row in rows]
    unguarded = [
        [cell.removeprefix("'") if not value.startswith("'") else cell for cell, value in zip(got, had, strict=True)]
        for got, had in zip(read, plain, strict=True)
    ]
    assert unguarded == plain


def test_null_and_empty_text_differ_for_a_reader_that_looks_at_quotes(tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    file.write_bytes(write_line(["a", "b"]) + write_line([None, "x"]) + write_line(["", "y"]))
    with duckdb.connect() as connection:
        options = "header = true, all_varchar = true, allow_quoted_nulls = false"
        rows = connection.execute(f"SELECT * FROM read_csv('{file}', {options})").fetchall()
    assert rows == [(None, "x"), ("", "y")]


# Y14
def test_each_collection_is_a_member_beside_a_manifest() -> None:
    people, visits = section("mail", "name"), section("page", address="crm.db:visits")
    found = members(
        make(
            (people, {"mail": "ann@example.com", "name": None}),
            (people, {"mail": "a@b.c", "name": ""}),
            (visits, {"page": 5}),
        )
    )
    manifest = json.loads(found.pop("manifest.json"))
    assert found == {
        "shop_db__members.csv": 'mail,name\r\nann@example.com,\r\na@b.c,""\r\n',
        "crm.db__visits.csv": "page\r\n5\r\n",
    }
    assert manifest == {
        "version": 1,
        "request": "pri_1",
        "rule": "give",
        "members": [
            {
                "name": "shop_db__members.csv",
                "collection": "shop_db:members",
                "columns": ["mail", "name"],
                "rows": 2,
                "encrypted": False,
            },
            {
                "name": "crm.db__visits.csv",
                "collection": "crm.db:visits",
                "columns": ["page"],
                "rows": 1,
                "encrypted": False,
            },
        ],
    }


def test_objects_are_dotted_and_the_cells_of_an_arrays_elements_line_up() -> None:
    place = Section(
        Address("shop_db", "people"),
        ("bag", "home.geo.x", "home.town", "kids.name", "kids.pets.name", "nick"),
        ("bag", "home", "kids", "nick"),
    )
    kids = [{"name": "Bo", "pets": [{"name": "Rex"}, {"age": 3}]}, {"age": 4}, {"name": None}]
    rows = [
        ({"free": [1]}, {"town": "Oslo", "geo": {"x": 1.5, "y": 2}}, kids, ["a", "b"]),
        (None, {"town": "Bergen"}, [], "c"),
    ]
    content = make(*((place, place.pick(row)) for row in rows))
    read = list(csv.reader(io.StringIO(members(content)["shop_db__people.csv"], newline="")))
    assert read == [
        ["bag", "home.geo.x", "home.town", "kids.name", "kids.pets.name", "nick"],
        ['{"free": [1]}', "1.5", "Oslo", '["Bo", null]', '[["Rex"], null]', '["a", "b"]'],
        ["", "", "Bergen", "", "", "c"],
    ]


def test_names_are_guarded_like_values() -> None:
    text = members(make((section("=1+1", "b"), {"=1+1": 1, "b": 2})))["shop_db__members.csv"]
    assert text.startswith("'=1+1,b\r\n")


def test_a_package_without_rows_is_a_zip_with_a_manifest_alone() -> None:
    found = members(make())
    assert json.loads(found.pop("manifest.json"))["members"] == []
    assert found == {}


@pytest.mark.parametrize(
    ("addresses", "names"),
    [
        (["a__b:c", "a:b__c"], ["a__b__c.csv", "a__b__c-2.csv"]),
        (["db:Users", "db:users"], ["db__Users.csv", "db__users-2.csv"]),
        (["db:users", "db:Users"], ["db__users.csv", "db__Users-2.csv"]),
        (["..:../../x\\y"], ["__.._.._x_y.csv"]),
        (["db:naïve <t> \x00"], ["db__naïve _t_ _.csv"]),
    ],
)
def test_names_of_members_have_no_path_and_do_not_clash(addresses: list[str], names: list[str]) -> None:
    content = make(*((section("a", address=address), {"a": 1}) for address in addresses))
    found = members(content)
    manifest = json.loads(found.pop("manifest.json"))
    assert sorted(found) == sorted(names)
    assert [(member["name"], member["collection"]) for member in manifest["members"]] == list(
        zip(names, addresses, strict=True)
    )


# A9
def test_each_member_is_encrypted_on_its_own_and_the_manifest_says_nothing_of_the_person() -> None:
    people, visits = section("mail"), section("page", address="crm_db:visits")
    content = make((people, {"mail": "ann@example.com"}), (visits, {"page": "secret"}), key=KEY)
    found = members(content)
    manifest = found.pop("manifest.json")
    assert all(member["encrypted"] for member in json.loads(manifest)["members"])
    assert "ann" not in manifest
    assert decrypt(found["shop_db__members.csv"], KEY) == b"mail\r\nann@example.com\r\n"
    assert decrypt(found["crm_db__visits.csv"], KEY) == b"page\r\nsecret\r\n"
    nonces = {text[:16] for text in found.values()}  # 12 bytes are 16 characters of base64
    assert len(nonces) == 2
    again = members(make((people, {"mail": "ann@example.com"}), key=KEY))
    assert again["shop_db__members.csv"][:16] not in nonces


def test_equal_packages_are_equal_files() -> None:
    assert make((section("a"), {"a": 1})) == make((section("a"), {"a": 1}))


def test_many_rows_pass_through_in_bounded_memory() -> None:
    class Nowhere(io.RawIOBase):
        written = 0

        def write(self, data: object) -> int:
            self.written += len(memoryview(data))  # type: ignore[arg-type]
            return len(memoryview(data))  # type: ignore[arg-type]

    file = Nowhere()
    package = CsvPackage(file, TITLE, KEY)
    tracemalloc.start()
    for _ in range(100):
        package.add(section("a"), {"a": os.urandom(100_000)})
    package.close()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert file.written > 10_000_000
    assert peak < 3_000_000


def test_a_collection_left_and_taken_up_again_is_a_fault() -> None:
    package = CsvPackage(io.BytesIO(), TITLE)
    package.add(section("a"), {"a": 1})
    package.add(section("a", address="crm_db:visits"), {"a": 1})
    with pytest.raises(Fault, match="shop_db:members"):
        package.add(section("a"), {"a": 2})
    package.discard()


def test_a_package_that_is_given_up_writes_nothing_more() -> None:
    file = io.BytesIO()
    package = CsvPackage(file, TITLE, KEY)
    package.add(section("a"), {"a": "x" * 100_000})
    before = file.getvalue()
    package.discard()
    package.discard()
    assert file.getvalue() == before


def test_a_file_that_breaks_does_so_once() -> None:
    class Broken(io.RawIOBase):
        def write(self, data: object) -> int:
            raise OSError("no space")

    package = CsvPackage(Broken(), TITLE)
    with pytest.raises(OSError, match="no space"):
        package.add(section("a"), {"a": 1})
    package.discard()
