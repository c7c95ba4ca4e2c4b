"""The JSON package: encoding of values, names, layout."""

import io
import ipaddress
import json
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as some

from habeas.delivery.encoding import encode_value
from habeas.delivery.json_package import JsonPackage
from habeas.delivery.naming import package_name
from habeas.delivery.section import Section
from habeas.domain.dataset import Address
from habeas.domain.errors import Fault, InputError

MEMBERS = Section(Address("shop_db", "members"), ("a",), ("a",))
VISITS = Section(Address("shop_db", "visits"), ("a",), ("a",))


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (datetime(2024, 5, 1, 12, 30, 0, 250000), "2024-05-01T12:30:00.250000"),
        (datetime(2024, 5, 1, 12, 30, tzinfo=UTC), "2024-05-01T12:30:00+00:00"),
        (datetime(2024, 5, 1, 12, 30, tzinfo=timezone(timedelta(hours=2))), "2024-05-01T12:30:00+02:00"),
        (date(2024, 5, 1), "2024-05-01"),
        (time(12, 30), "12:30:00"),
        (timedelta(days=1, seconds=2), "1 day, 0:00:02"),
        (Decimal("10.50"), "10.50"),
        (UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        (b"\x00\xff", {"$base64": "AP8="}),
        pytest.param(memoryview(b"ab"), {"$base64": "YWI="}, id="memoryview"),
        (float("nan"), "NaN"),
        (float("inf"), "Infinity"),
        (float("-inf"), "-Infinity"),
        (2**70, 2**70),
        (1.5, 1.5),
        (True, True),
        (None, None),
        ([Decimal(1), (b"", {5: date(2024, 5, 1)})], ["1", [{"$base64": ""}, {"5": "2024-05-01"}]]),
        (ipaddress.ip_address("10.0.0.1"), "10.0.0.1"),
    ],
    ids=str,
)
def test_every_kind_of_value_has_one_form(value: object, encoded: object) -> None:
    result = encode_value(value)
    assert result == encoded
    assert type(result) is type(encoded)


def test_a_collection_left_and_taken_up_again_is_a_fault() -> None:
    package = JsonPackage(io.BytesIO())
    package.add(MEMBERS, {"a": 1})
    package.add(VISITS, {"a": 1})
    with pytest.raises(Fault, match="shop_db:members"):
        package.add(MEMBERS, {"a": 2})


FLOATS = some.floats(allow_nan=False, allow_infinity=False).filter(lambda number: "e" not in repr(number))
JSON = some.recursive(
    some.none() | some.booleans() | some.integers() | FLOATS | some.text(),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(), inner, max_size=3),
    max_leaves=10,
)


@given(some.lists(some.dictionaries(some.text(), JSON, min_size=1, max_size=4), min_size=1, max_size=4))
def test_a_package_reads_back_as_the_rows_written(rows: list[dict[str, object]]) -> None:  # Y11
    file = io.BytesIO()
    package = JsonPackage(file)
    for row in rows:
        package.add(MEMBERS, row)
    package.close()
    expected = {"shop_db:members": rows}
    assert json.loads(file.getvalue()) == expected
    assert file.getvalue().decode() == json.dumps(expected, indent=2, ensure_ascii=False)


@given(some.floats(allow_nan=False, allow_infinity=False))
def test_a_number_reads_back_as_it_was_however_it_is_spelt(number: float) -> None:
    file = io.BytesIO()
    package = JsonPackage(file)
    package.add(MEMBERS, {"a": number})
    package.close()
    [row] = json.loads(file.getvalue())["shop_db:members"]
    assert repr(row["a"]) == repr(number)


def test_a_text_that_is_no_unicode_still_makes_a_valid_file() -> None:
    file = io.BytesIO()
    package = JsonPackage(file)
    package.add(MEMBERS, {"a": "x\udc80"})
    package.close()
    assert json.loads(file.getvalue()) == {"shop_db:members": [{"a": "x\udc80"}]}


def test_the_rule_key_is_part_of_the_name_only_when_given() -> None:
    assert package_name("pri_1", None, "json") == "pri_1.json"
    assert package_name("pri_1", "everything", "json") == "pri_1-everything.json"
    assert package_name("pri_1", "everything", "csv") == "pri_1-everything.zip"


def test_a_format_that_is_not_offered_is_refused() -> None:
    with pytest.raises(InputError, match="use json, csv"):
        package_name("pri_1", None, "html")
