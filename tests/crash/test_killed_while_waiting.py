"""Killed around any commit while people are waited for: their forms before the run, rows and word of erasure in it.

What somebody has said before a death counts after it, and once; what was not heard can be said again.
"""

import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from copy import deepcopy
from itertools import count, takewhile
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from moments import AFTER_RECORD, BEFORE_RECORD, die_at, read_moment, run_and_die
from shop import DATASET, PEOPLE, POLICY, EmbeddedShop
from tests.engine import Engine, done, opened

from habeas.domain.errors import InputError
from habeas.domain.request import ActionType, RequestStatus
from habeas.execution.context import Context
from habeas.planning.plan_input import AccessLevel
from habeas.services import connections, forms, manual_webhooks
from habeas.services.connections import ConnectionDraft
from habeas.services.manual_collections import answer, confirm
from habeas.services.manual_webhooks import FieldDraft
from habeas.store import tables
from habeas.store.manual_collections import questions_of

MOMENTS = (BEFORE_RECORD, AFTER_RECORD)
DRAWER = {
    "fides_key": "drawer",
    "name": "Drawer",
    "collections": [
        {
            "name": "cards",
            "fields": [
                {"name": "card", "fides_meta": {"primary_key": True}},
                {"name": "customer", "fides_meta": {"references": [
                    {"dataset": "shop", "field": "customers.id", "direction": "from"}]}},
                {"name": "remark", "data_categories": ["user.contact"]},
                {"name": "order_id"},
            ],
        }
    ],
}  # fmt: skip
CARDS: Sequence[Sequence[Mapping[str, Any]]] = (
    [{"card": 7, "customer": 1, "remark": "sent Eve a gift", "order_id": 3}],
    [],
)
"""What is found about each person; order 3 is found by a card alone."""


def _shop_behind_the_drawer() -> Any:
    """The shop without its payments, whose orders are found by what stands on cards too."""
    body: Any = deepcopy(DATASET)
    del body["collections"][2]
    reference = {"dataset": "drawer", "field": "cards.order_id", "direction": "from"}
    body["collections"][1]["fields"][0]["fides_meta"]["references"] = [reference]
    return body


def _ask_by_form(context: Context, key: str) -> None:
    """From now on people at `key` are asked about each request that comes to its forms."""
    draft = ConnectionDraft(name=key, key=key, connection_type="manual_webhook", access=AccessLevel.WRITE)
    done(connections.save_connections(context, [draft]))
    with suppress(InputError):  # they are already
        manual_webhooks.create_manual_webhook(context, key, [FieldDraft(pii_field="Nickname")])


def _save_access_form(context: Context, request: str, person: int) -> None:
    forms.save_form(context, request, ActionType.ACCESS, "desk", {"nickname": f"Nick {person}"})


def _save_erasure_form(context: Context, request: str, person: int) -> None:
    forms.save_form(context, request, ActionType.ERASURE, "desk", {"nickname": True})


def _resume(context: Context, request: str, person: int) -> None:
    forms.resume(context, request)


def _give_rows(context: Context, request: str, person: int) -> None:
    answer(context, request, CARDS[person])


def _confirm(context: Context, request: str, person: int) -> None:
    confirm(context, request, len(CARDS[person]))


Act = Callable[[Context, str, int], None]
ROUNDS: Sequence[Sequence[Act]] = ((_save_access_form, _save_erasure_form, _resume), (_give_rows,), (_confirm,))
"""What is done with each request, and after what the requests go on."""


class Office:
    """Two requests that are submitted and not begun, and the clerk they need; `restore` brings that moment back."""

    def __init__(self, folder: Path) -> None:
        self._now, self._then, self._note = folder / "now", folder / "then", folder / "died at"
        self._shop = EmbeddedShop(folder / "shop.db")
        self._now.mkdir()
        with self._open() as engine:
            engine.connect("drawer", "manual", {})
            engine.describe("drawer", DRAWER)
            self._shop.connect(engine)
            engine.describe("shop_db", _shop_behind_the_drawer())
            engine.policy(POLICY, access=["user"], erasure={"null_rewrite": ["user.contact"]})
            _ask_by_form(engine.context, "desk")
            self.requests = engine.submit(POLICY, *PEOPLE)
        shutil.copytree(self._now, self._then)

    @contextmanager
    def _open(self) -> Iterator[Engine]:
        """A fresh process's engine; the leases of the dead are over."""
        with opened(self._now, f"sqlite:///{self._now}/habeas.db", visits=1) as engine:
            with engine.context.ledger.write() as connection:
                connection.execute(tables.runs.update().values(lease_until=None))
            yield engine

    def restore(self) -> None:
        shutil.rmtree(self._now)
        shutil.copytree(self._then, self._now)
        self._shop.reset()

    def die(self, number: int, doing: Act | None = None) -> str | None:
        """Go on in a process that is killed at its `number`-th moment, counted from this act on; which that was."""

        def work() -> None:
            with self._open() as engine:
                if doing is None:
                    die_at(engine, number, MOMENTS, self._note)
                self._go_on(engine, lambda act: die_at(engine, number, MOMENTS, self._note) if act is doing else None)

        return read_moment(self._note).kind if run_and_die(work) else None

    def finish(self) -> dict[str, Any]:
        """Go on to the end in the next process; what there is to see then."""
        with self._open() as engine:
            self._go_on(engine)
            return {**self._see(engine), "rows": self._shop.rows(), "writes": self._shop.writes()}

    def _go_on(self, engine: Engine, before: Callable[[Act], None] = lambda act: None) -> None:
        """The clerk does everything, even again: nobody knows what the dead process has heard. Only late comes a form
        that nobody is asked for any more.
        """
        engine.run()
        _ask_by_form(engine.context, "attic")
        for acts in ROUNDS:
            for person, request in enumerate(self.requests):
                for act in acts:
                    before(act)
                    with suppress(InputError):
                        act(engine.context, request, person)
            engine.run()

    def _see(self, engine: Engine) -> dict[str, Any]:
        form, audit, ledger = tables.forms.c, tables.audits.c, engine.context.ledger
        asked = sa.select(form.request_id, form.action, form.place, form.labels)
        audited = sa.select(audit.object_id, audit.actor, audit.action, audit.message)
        with ledger.read() as connection:
            return {
                **{request: self._see_request(engine, request) for request in self.requests},
                "forms": sorted(map(repr, connection.execute(asked))),
                "questions": [
                    questions_of(connection, ledger.sealer, action, self.requests, answered=True)
                    for action in (ActionType.ACCESS, ActionType.ERASURE)
                ],
                # a form may be saved again, in place of what was saved before
                "audits": Counter(
                    connection.execute(
                        audited.where(audit.object_id.in_(self.requests), audit.message.not_like("% form of %"))
                    ).all()
                ),
            }

    def _see_request(self, engine: Engine, request: str) -> dict[str, Any]:
        """Which of them went on together can be seen in statements alone."""
        counts = engine.counts(request)
        for one in counts.values():
            del one["statement_digest"]
        package = self._shop.open(engine.package_bytes(request, f"{POLICY}-give"))
        return {
            "status": engine.view(request).status,
            "log": engine.log(request),
            "counts": counts,
            "package": package,
        }


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Office:
    return Office(tmp_path_factory.mktemp("office"))


@pytest.fixture(scope="module")
def undisturbed(office: Office) -> dict[str, Any]:
    """What there is to see when nobody dies."""
    seen = office.finish()
    assert {seen[request]["status"] for request in office.requests} == {RequestStatus.COMPLETE}
    assert "attic" not in str(seen["forms"])
    packages = [seen[request]["package"] for request in office.requests]
    assert [package["desk"] for package in packages] == [[{"nickname": "Nick 0"}], [{"nickname": "Nick 1"}]]
    assert [package.get("drawer:cards") for package in packages] == [[{"remark": "sent Eve a gift"}], None]
    assert seen["writes"] == [("customers", 1), ("customers", 2), *(("orders", number) for number in (1, 2, 3, 4))]
    return seen


@pytest.mark.parametrize("act", [act for acts in ROUNDS for act in acts], ids=lambda act: act.__name__)
def test_killed_right_after_somebody_was_heard_it_counts_once(
    act: Act, office: Office, undisturbed: dict[str, Any]
) -> None:
    office.restore()
    assert office.die(2, act) == AFTER_RECORD
    assert office.finish() == undisturbed


@pytest.mark.parametrize("later", [1, 3])
def test_killed_again_and_again_it_comes_to_the_same_end(
    later: int, office: Office, undisturbed: dict[str, Any]
) -> None:
    """Every process lives a little longer than the one before it, until one lives to see the end."""
    office.restore()
    died = list(takewhile(bool, map(office.die, count(2, later))))
    assert set(died) == set(MOMENTS)
    assert len(died) > 8
    assert office.finish() == undisturbed
