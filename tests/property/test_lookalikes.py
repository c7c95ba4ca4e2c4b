"""Values that Python finds equal and stores do not: none may stand in for another, and none may find another's row."""

import json

import pytest
from stage import Stage
from worlds import INTEGER, REAL, TEXT, Address, Collection, Column, Database, Link, World

PEOPLE: Address = ("d0", "people")
THINGS: Address = ("d0", "things")
IDENTITY = Column("mail", TEXT, identity="email")


def make_world(
    kind: str, columns: tuple[Column, ...], row: tuple[object, ...], code: str, codes: list[object]
) -> World:
    """One person whose columns all lead to things by their code."""
    people = Collection(PEOPLE, ("mail",), False, True, (IDENTITY, *columns), (("ann@example.com", *row),))
    things = Collection(
        THINGS,
        ("id",),
        True,
        True,
        (Column("id", INTEGER, nullable=False), Column("code", code, category="user.content")),
        tuple(enumerate(codes)),
    )
    links = tuple(Link((PEOPLE, column.name), (THINGS, "code"), False, 1, 0) for column in columns)
    return World((Database(kind),), {"d0": 0}, (people, things), links, {})


def find_codes(stage: Stage, world: World) -> list[object]:
    with stage.set_up(world):
        (request_id,) = stage.carry("give", [{"email": ("ann@example.com",)}])
        return sorted(row["code"] for row in json.loads(stage.package(request_id)).get(":".join(THINGS), []))


@pytest.mark.parametrize("kind", ["sqlite", "duckdb", "postgres", "mariadb"])
def test_one_as_a_whole_number_and_as_a_real_one_find_different_texts(stage: Stage, kind: str) -> None:
    world = make_world(kind, (Column("a", INTEGER), Column("b", REAL)), (1, 1.0), TEXT, ["1", "1.0", "1.00"])
    assert find_codes(stage, world) == ["1", "1.0"]


@pytest.mark.parametrize("kind", ["sqlite", "duckdb", "postgres", "mariadb"])
def test_a_text_that_only_python_reads_as_a_number_finds_no_number(stage: Stage, kind: str) -> None:
    world = make_world(kind, (Column("a", TEXT), Column("b", TEXT)), ("1_0", "２"), REAL, [10.0, 2.0])
    assert find_codes(stage, world) == []


@pytest.mark.parametrize(("kind", "found"), [("sqlite", [1, 2]), ("duckdb", [2]), ("postgres", [2]), ("mariadb", [2])])
def test_whether_padded_text_is_a_number_is_for_the_store_to_say(stage: Stage, kind: str, found: list[int]) -> None:
    world = make_world(kind, (Column("a", TEXT), Column("b", TEXT)), (" 1", "02"), INTEGER, [1, 2])
    assert find_codes(stage, world) == found
