"""The sample company has the people it promises, and is the same each time."""

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from habeas.demo.company import Company, build_company, open_company
from habeas.demo.databases import open_databases
from habeas.demo.facts import count_elements, find_holdings, take_snapshot
from habeas.demo.failure import DemoFailure
from habeas.demo.invention import HOUSEHOLD, KEY_ZERO, NO_ORDERS, ONLY_NEEDED, UPPER_CASE


@pytest.fixture
def company(tmp_path: Path) -> Company:
    return build_company(tmp_path / "company", people=60)


def _ask(company: Company, statement: str, *values: object) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(company.folder / "shop.db")) as shop:
        return shop.execute(statement, values).fetchall()


def _ask_support(company: Company, statement: str) -> list[tuple[object, ...]]:
    with closing(duckdb.connect(company.folder / "support.duckdb", read_only=True)) as support:
        return support.execute(statement).fetchall()


def test_the_same_number_of_people_gives_the_same_rows(company: Company, tmp_path: Path) -> None:
    again = build_company(tmp_path / "again", people=60)
    assert take_snapshot(again.folder) == take_snapshot(company.folder)


def test_building_again_restores_what_was_changed(company: Company) -> None:
    before = take_snapshot(company.folder)
    with closing(sqlite3.connect(company.folder / "shop.db")) as shop, shop:
        shop.execute("DELETE FROM visits")
    assert take_snapshot(build_company(company.folder, people=60).folder) == before


def test_the_full_company_is_small_and_has_thousands_of_people(tmp_path: Path) -> None:
    company = build_company(tmp_path)
    assert _ask(company, "SELECT count(*) FROM customers") == [(3000,)]
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 8_000_000


def test_no_reference_dangles(company: Company) -> None:
    assert _ask(company, "PRAGMA foreign_key_check") == []
    known = {name for (name,) in _ask(company, "SELECT support_id FROM customers")}
    assert {name for (name,) in _ask_support(company, "SELECT customer_ref FROM tickets")} <= known
    assert {name for (name,) in _ask_support(company, "SELECT unnest(posts).writer FROM threads")} <= known
    assert _ask_support(company, "FROM tickets ANTI JOIN agents ON agents.id = agent_id") == []


def test_the_protagonist_has_rows_everywhere_and_no_empty_field(company: Company) -> None:
    assert company.counts == {
        "shop:customers": 1,
        "shop:addresses": 2,
        "shop:orders": 4,
        "shop:order_items": company.counts["shop:order_items"],
        "shop:products": company.counts["shop:products"],
        "shop:payment_cards": 2,
        "shop:logins": 5,
        "shop:reviews": 2,
        "shop:visits": 3,
        "support:tickets": 2,
        "support:threads": 3,
        "support:agents": company.counts["support:agents"],
    }
    assert company.counts["shop:order_items"] > 4
    assert all(value is not None for held in company.holdings for row in held.rows.values() for value in row.values())


def test_the_protagonist_shares_no_address(company: Company) -> None:
    theirs = {row["id"] for held in company.holdings if held.table.name == "addresses" for row in held.rows.values()}
    others = _ask(company, "SELECT address_id FROM customers WHERE email <> ?", company.email)
    assert theirs.isdisjoint(address for (address,) in others)


def test_a_line_without_key_stands_twice(company: Company) -> None:
    items = next(held for held in company.holdings if held.table.name == "order_items")
    rows = [tuple(row.values()) for row in items.rows.values()]
    assert len(set(rows)) == len(rows) - 1


def test_the_protagonist_posts_among_others_who_use_the_same_words(company: Company) -> None:
    threads = next(held for held in company.holdings if held.table.name == "threads")
    snapshot = take_snapshot(company.folder)
    mine, posts, rows = count_elements(company.holdings, snapshot)
    assert (mine, rows) == (4, 3)
    assert posts > 2 * mine
    for row, hers in threads.rows.items():
        said = [value for cell, value in hers.items() if cell.endswith(".body")]
        by_others = [
            value
            for cell, value in snapshot["support:threads", row].items()
            if cell.endswith(".body") and cell not in hers
        ]
        assert set(said) <= set(by_others)


def test_two_people_share_an_address(company: Company) -> None:
    homes = _ask(company, "SELECT DISTINCT address_id FROM customers WHERE id IN (?, ?)", *HOUSEHOLD)
    assert len(homes) == 1


def test_a_person_with_key_zero_has_orders_and_another_has_none(company: Company) -> None:
    ordered = {person for (person,) in _ask(company, "SELECT customer_id FROM orders")}
    assert KEY_ZERO in ordered
    assert NO_ORDERS not in ordered


def test_a_person_left_every_optional_field_empty(company: Company) -> None:
    optional = "SELECT phone, birth_date, address_id, support_id FROM customers WHERE id = ?"
    assert _ask(company, optional, ONLY_NEEDED) == [(None, None, None, None)]


def test_a_mail_address_has_upper_case_letters(company: Company) -> None:
    [(email,)] = _ask(company, "SELECT email FROM customers WHERE id = ?", UPPER_CASE)
    assert email != str(email).lower()
    assert any(held.rows for held in find_holdings(company.folder, str(email)))


def test_the_support_desk_knows_no_mail_address(company: Company) -> None:
    rows = take_snapshot(company.folder).items()
    assert not any(
        "@" in str(value) for (table, _), row in rows if table.startswith("support:") for value in row.values()
    )


def test_nothing_is_held_of_a_stranger(company: Company) -> None:
    assert not any(held.rows for held in find_holdings(company.folder, "nobody@example.com"))


def test_a_support_desk_that_is_in_use_is_waited_for(company: Company) -> None:
    holder = duckdb.connect(company.folder / "support.duckdb")
    waiting, opened = threading.Event(), threading.Event()

    def read() -> None:
        waiting.set()
        with open_databases(company.folder, patience=30.0):
            opened.set()

    reader = threading.Thread(target=read)
    reader.start()
    assert waiting.wait(30)
    assert not opened.is_set()
    holder.close()
    assert opened.wait(30)
    reader.join()


def test_a_support_desk_that_stays_in_use_is_not_waited_for_forever(company: Company) -> None:
    with (
        closing(duckdb.connect(company.folder / "support.duckdb")),
        pytest.raises(DemoFailure, match=r"support\.duckdb was in use"),
        open_databases(company.folder, patience=0.1),
    ):
        pass


def test_a_folder_without_a_company_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DemoFailure, match="no sample company"):
        open_company(tmp_path)


def test_a_company_that_forgot_its_protagonist_is_refused(company: Company) -> None:
    with closing(sqlite3.connect(company.folder / "shop.db")) as shop, shop:
        shop.execute("UPDATE customers SET email = 'gone' WHERE email = ?", [company.email])
    with pytest.raises(DemoFailure, match="erased its protagonist already"):
        open_company(company.folder)


def test_too_few_people_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least 16"):
        build_company(tmp_path, people=15)
