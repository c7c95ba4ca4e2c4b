"""What others may do to a world between access and erasure: rows and documents change, come and go."""

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

from nesting import Position
from oracle import State
from pools import ODD, one_in
from shapes import ANYTHING, MET, draw_inside, order_members
from worlds import ANY, BYTES, INTEGER, JSON, JSONB, REAL, TEXT, Address, Collection, Column, Row

Edit = Callable[[Random, Any], Any]


def disturb(random: Random, state: State) -> list[Address]:
    """Change some rows; the collections that are different now."""
    touched = []
    for item in state.world.collections:
        rows = state.rows[item.address]
        if not rows or one_in(random, 3):
            continue
        for number in list(rows):
            if one_in(random, 4):
                continue
            if one_in(random, 8) or (not item.key and one_in(random, 4)):
                _move_row(random, item, rows, number)
            else:
                rows[number] = _edit_row(random, item, rows[number])
        touched.append(item.address)
    return touched


def _move_row(random: Random, item: Collection, rows: dict[int, Row], number: int) -> None:
    """A row goes, or comes a second time where nothing tells rows apart."""
    if item.key or any(column.unique for column in item.columns) or random.randrange(2):
        del rows[number]
    else:
        rows[max(rows) + 1] = dict(rows[number])


def _edit_row(random: Random, item: Collection, row: Row) -> Row:
    able = [column for column in item.columns if column.name not in item.key and not column.unique]
    nested = [column for column in able if column.is_nested and row[column.name] is not None]
    column = random.choice(nested if nested and random.randrange(5) else able)
    if not column.is_nested:
        return {**row, column.name: _edit_cell(random, column, row[column.name])}
    value = row[column.name]
    for _ in range(random.randint(1, 3)):
        value = _edit_inside(random, column, value)
    return {**row, column.name: order_members(value) if column.type == JSONB else value}


def _edit_cell(random: Random, column: Column, value: Any) -> Any:
    name = column.name.removesuffix(ODD)
    if value is None or name == "hidden":
        return value
    return {TEXT: f"{value}!"[-column.length if column.length else None :], INTEGER: 3, REAL: 3.5, BYTES: b"new"}[
        column.type
    ]


def _edit_inside(random: Random, column: Column, value: Any) -> Any:
    """Arrays turn round, gain and lose elements; one value becomes another; what nobody declares changes."""
    spots = list(_spots(value, column))
    if not spots:
        return value
    position, where = random.choice(spots)
    return _replace(value, position, lambda old: _edit(random, where, old))


def _spots(value: Any, column: Column | None, here: Position = ()) -> Any:
    """Every place below with what is declared there, None for nothing."""
    if isinstance(value, list):
        yield here, column
        single = replace(column, array=False) if column and column.type != ANY else column
        for number, element in enumerate(value):
            yield from _spots(element, single, (*here, number))
    elif isinstance(value, dict):
        for name, member in value.items():
            inner = next((one for one in column.fields if one.name == name), None) if column else None
            yield from _spots(member, inner, (*here, name))
    elif here:
        yield here, column


def _edit(random: Random, column: Column | None, value: Any) -> Any:
    if isinstance(value, list):
        return _edit_array(random, column, value)
    if column is None:
        return random.choice(ANYTHING)
    if column.type not in (ANY, JSON, JSONB):
        return f"{value}!" if isinstance(value, str) else draw_inside(random, column)
    return random.choice((*MET, f"{value}!", None))


def _edit_array(random: Random, column: Column | None, value: list[Any]) -> list[Any]:
    more = list(value)
    act = random.randrange(4)
    if act == 0 and more:
        more.pop(random.randrange(len(more)))
    elif act == 1 and more:
        more.insert(random.randint(0, len(more)), random.choice(more))
    elif act == 2 and column is not None:
        drawn = draw_inside(random, column)
        fresh = drawn if isinstance(drawn, list) else [drawn]
        more[random.randint(0, len(more)) : 0] = [one for one in fresh if one is not ... and not isinstance(one, list)]
    else:
        random.shuffle(more)
    return more


def _replace(value: Any, position: Position, change: Callable[[Any], Any]) -> Any:
    if not position:
        return change(value)
    step, rest = position[0], position[1:]
    if isinstance(value, list):
        return [_replace(one, rest, change) if number == step else one for number, one in enumerate(value)]
    return {**value, step: _replace(value[step], rest, change)}
