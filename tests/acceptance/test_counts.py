"""What a report counts is what the database itself saw: its triggers write down every row that is written (issue 3)."""

from collections import Counter

from landscape import Landscape
from targets import MARK, MariaDbTarget, SqliteTarget, Target, dataset, field, key, link

FORGET = {
    "null_rewrite": ["user.name"],
    "string_rewrite": ["user.content"],
    "hmac": ["user.contact.address.street"],
}
PEOPLE = range(1, 8)
TABLES = ("people", "orders", "homes")
OWNERS = {
    "people": "SELECT id, id FROM people",
    "orders": "SELECT person, id FROM orders",
    "homes": "SELECT people.id, homes.id FROM people JOIN homes ON homes.id = people.home",
}


def mail(person: int) -> str:
    return f"p{person}.{MARK}@example.com"


def fill(target: Target) -> None:
    """Seven people and an outsider (8). Names and notes are values, masks that somebody made before, and nulls."""
    names = dict.fromkeys((*PEOPLE, 8), f"'Name {MARK}'") | {2: "NULL"}
    notes = (f"'note {MARK}'", "'MASKED'", "NULL", f"'other {MARK}'")
    homes = {1: 1, 2: 1, 3: 2, 8: 2, 4: 3}  # 1 and 2 share a home, 3 shares one with the outsider
    people = [f"({p}, '{mail(p)}', {names[p]}, {homes.get(p, 'NULL')})" for p in (*PEOPLE, 8)]
    orders = [f"({p * 10 + n}, {p}, {notes[(n + p) % 4]})" for p in (*PEOPLE, 8) for n in range(1 + p % 5)]
    target.execute(
        "CREATE TABLE people (id integer PRIMARY KEY, mail text, name text, home integer)",
        "CREATE TABLE orders (id integer PRIMARY KEY, person integer, note text)",
        "CREATE TABLE homes (id integer PRIMARY KEY, street text)",
        "CREATE TABLE written (place text, id integer)",
        f"INSERT INTO people VALUES {', '.join(people)}",
        f"INSERT INTO orders VALUES {', '.join(orders)}",
        f"INSERT INTO homes VALUES (1, '{MARK} lane'), (2, '{MARK} road'), (3, NULL)",
    )
    for table in TABLES:
        insert = f"INSERT INTO written VALUES ('{table}', new.id)"
        if isinstance(target, SqliteTarget):
            target.execute(f"CREATE TRIGGER see_{table} AFTER UPDATE ON {table} BEGIN {insert}; END")
            continue
        if isinstance(target, MariaDbTarget):
            target.execute(f"CREATE TRIGGER see_{table} AFTER UPDATE ON {table} FOR EACH ROW {insert}")
            continue
        target.execute(
            f"CREATE FUNCTION see_{table}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {insert}; RETURN new; END $$",
            f"CREATE TRIGGER see_{table} AFTER UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION see_{table}()",
        )


def described() -> dict[str, object]:
    home = field("home", data_type="integer", references=[
        {"dataset": "town", "field": "homes.id", "direction": "to"}])  # fmt: skip
    return dataset(
        "town",
        people=[key(), field("mail", "user.contact.email", identity="email"), field("name", "user.name"), home],
        orders=[key(), link("person", "town", "people.id"), field("note", "user.content")],
        homes=[key(), field("street", "user.contact.address.street")],
    )


def test_counts_are_the_rows_that_the_database_saw_written(landscape: Landscape) -> None:
    target = landscape.new_target("town")
    fill(target)
    landscape.describe(landscape.connect("town", target), described())
    owned = {table: target.rows(query) for table, query in OWNERS.items()}
    requests = landscape.submit(landscape.policy(erasure=FORGET), *({"email": mail(person)} for person in PEOPLE))
    for request in requests:
        landscape.wait(request)
    written = Counter(target.rows("SELECT place, id FROM written"))
    assert max(written.values()) == 1, "a row was written twice"
    seen: Counter[str] = Counter()
    for person, request in zip(PEOPLE, requests, strict=True):
        report = landscape.report(request)
        for table in TABLES:
            own = {(table, row) for owner, row in owned[table] if owner == person}
            place = report[f"town:{table}"]
            assert (place["found"], place["changed"], place["already"]) == (
                len(own),
                len(own & written.keys()),
                len(own - written.keys()),
            ), (person, table)
            assert (place["drifted"], place["absent"], place["refused"], place["verified"]) == (0, 0, 0, True)
            seen.update({"changed": place["changed"], "already": place["already"]})
    mine = {(table, row) for table in TABLES for owner, row in owned[table] if owner in PEOPLE}
    assert written.keys() <= mine, "somebody else's row was written"
    assert seen["changed"] == len(written) + 1, "the home that two of them share is counted for both"
    assert seen["already"] > 5, "hardly anything was masked before"
    left = target.rows(f"SELECT id FROM orders WHERE note LIKE '%{MARK}%' AND person < 8")
    assert left == [] and target.rows(f"SELECT id FROM people WHERE name LIKE '%{MARK}%'") == [(8,)]
