"""A small shop in memory for engine tests: people, their orders, their items; a chain of three collections."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from engine import Engine
from habeas.connectors.hostile import HostileConnector
from habeas.connectors.memory import MemoryConnector, MemoryStore, MemoryTable
from habeas.domain.errors import SystemUnavailable
from habeas.domain.ports import ColumnSketch, Effect, Erasure, Lookup, Row, TableSketch

EMAIL = "user.contact.email"
NAME = "user.name"


def make_table(name: str, key: str, *columns: str, types: dict[str, str] | None = None) -> MemoryTable:
    kinds = types or {}
    sketches = tuple(
        ColumnSketch(column, kinds.get(column, "text"), kinds.get(column, "text") == "text", nullable=column != key)
        for column in (key, *columns)
    )
    return MemoryTable(TableSketch(name, None, sketches, primary_key=(key,)))


class Shop:
    """Tables `people`, `orders`, `items`; `body` describes them as dataset `shop`."""

    def __init__(self) -> None:
        self.people = make_table("people", "id", "mail", "name", types={"id": "integer"})
        self.orders = make_table("orders", "id", "person", "note", types={"id": "integer", "person": "integer"})
        self.items = make_table("items", "id", "order_id", "label", types={"id": "integer", "order_id": "integer"})
        self.store = MemoryStore(self.people, self.orders, self.items)

    def connector(self) -> MemoryConnector:
        return MemoryConnector(self.store)

    def add_person(self, number: int, orders: int = 2, items: int = 2) -> dict[str, str]:
        """A person with orders and items; returns the identity."""
        mail = f"p{number}@example.com"
        self.people.records.append({"id": number, "mail": mail, "name": f"Name {number}"})
        for order in range(orders):
            order_id = number * 100 + order
            self.orders.records.append({"id": order_id, "person": number, "note": f"note {order_id}"})
            for item in range(items):
                item_id = order_id * 100 + item
                self.items.records.append({"id": item_id, "order_id": order_id, "label": f"label {item_id}"})
        return {"email": mail}

    @staticmethod
    def body() -> dict[str, Any]:
        return {
            "fides_key": "shop",
            "name": "Shop",
            "collections": [
                {
                    "name": "people",
                    "fields": [
                        make_field("id", key=True),
                        make_field("mail", EMAIL, identity="email"),
                        make_field("name", NAME),
                    ],
                },
                {
                    "name": "orders",
                    "fields": [
                        make_field("id", key=True),
                        make_field("person", refers_to="people.id"),
                        make_field("note", "user.content"),
                    ],
                },
                {
                    "name": "items",
                    "fields": [
                        make_field("id", key=True),
                        make_field("order_id", refers_to="orders.id"),
                        make_field("label", "user.behavior"),
                    ],
                },
            ],
        }


def make_field(
    name: str, category: str | None = None, *, key: bool = False, identity: str | None = None, refers_to: str = ""
) -> dict[str, Any]:
    meta: dict[str, Any] = {}
    if key:
        meta["primary_key"] = True
    if identity:
        meta["identity"] = identity
    if refers_to:
        meta["references"] = [{"dataset": "shop", "field": refers_to, "direction": "from"}]
    field: dict[str, Any] = {"name": name, "fides_meta": meta}
    return field if category is None else {**field, "data_categories": [category]}


class Flaky(MemoryConnector):
    """Fails reads or erasures of a table a number of times, or for as long as `failing` holds it."""

    def __init__(self, shop: Shop, error: type[Exception] = SystemUnavailable) -> None:
        super().__init__(shop.store)
        self.failing: dict[str, int] = {}
        self.calls: list[str] = []
        self._error = error

    def _maybe_fail(self, table: str) -> None:
        self.calls.append(table)
        if self.failing.get(table, 0) > 0:
            self.failing[table] -= 1
            raise self._error("the shop does not answer")

    def read(self, lookup: Lookup) -> Iterator[list[Row]]:
        self._maybe_fail(f"read {lookup.table.name}")
        yield from super().read(lookup)

    def erase(self, erasure: Erasure, guard: Callable[[], None]) -> Sequence[Effect]:
        self._maybe_fail(f"erase {erasure.table.name}")
        return super().erase(erasure, guard)


def set_up(engine: Engine, connector: MemoryConnector | HostileConnector) -> None:
    engine.plug("shop", connector)
    engine.describe("shop", Shop.body())
    engine.policy("give", access=["user"])
    engine.policy("forget", erasure={"null_rewrite": [EMAIL], "hash": [NAME], "hmac": ["user.content"]})
