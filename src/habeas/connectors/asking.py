"""Collections that no program can look into: people are asked (`manual`), or told by e-mail to erase (`email`).

Contacts nobody: answers come with the look-up, and e-mails are sent by whoever carries the run.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

from habeas.domain.ports import (
    Capabilities,
    ConnectionType,
    Connector,
    Effect,
    Erasure,
    Key,
    Limits,
    Lookup,
    Outcome,
    Row,
    Sketch,
    SystemType,
    Value,
    Waiting,
)


class ManualConnector:
    """Rows are what people have answered. Whoever is asked for and has no answer waits."""

    capabilities = Capabilities()

    def __init__(self, limits: Limits) -> None:
        self._batch_rows = limits.batch_rows

    def check(self) -> None:
        """People are always there."""

    def describe(self) -> None:
        """Nothing is known of what they look into."""

    def explain(self, what: Lookup | Erasure) -> str:
        """What a person is asked for, without values."""
        return f"asked of a person: {_describe(what)}"

    def count(self, lookup: Lookup) -> int:
        """Rows that were answered."""
        return sum(len(lookup.answers.get(ordinal, ())) for ordinal in _asked_for(lookup))

    def read(self, lookup: Lookup) -> Iterator[list[Row]]:
        """The answered rows of each person; then Waiting for those who have no answer."""
        asked = _asked_for(lookup)
        rows = [
            Row(_key(lookup, ordinal, number, row), _values(lookup.table.columns, row), (ordinal,))
            for ordinal in asked
            for number, row in enumerate(lookup.answers.get(ordinal, ()))
        ]
        for start in range(0, len(rows), self._batch_rows):
            yield rows[start : start + self._batch_rows]
        if waiting := [ordinal for ordinal in asked if ordinal not in lookup.answers]:
            raise Waiting(waiting)

    def erase(self, erasure: Erasure, guard: Callable[[], None]) -> Sequence[Effect]:
        """A person erases, and says so."""
        if erasure.changes:
            raise Waiting
        return ()

    def close(self) -> None:
        """Nothing is open."""


class EmailConnector:
    """Nothing can be read. Erasing is somebody else's, who was asked."""

    capabilities = Capabilities()

    def check(self) -> None:
        """Whether mail arrives shows only when some is sent."""

    def describe(self) -> None:
        """Nothing is known of what the recipient holds."""

    def explain(self, what: Lookup | Erasure) -> str:
        """What the recipient is asked for, without values."""
        if isinstance(what, Lookup):
            return f"not read: {_describe(what)} is known to the recipient of the e-mail alone"
        return f"asked by e-mail: {_describe(what)}"

    def count(self, lookup: Lookup) -> int:
        """None that can be seen."""
        return 0

    def read(self, lookup: Lookup) -> Iterator[list[Row]]:
        """No row, ever."""
        return iter(())

    def erase(self, erasure: Erasure, guard: Callable[[], None]) -> Sequence[Effect]:
        """Every row is the recipient's business."""
        guard()
        return [Effect(change.key, Outcome.SUBMITTED, rows=change.copies) for change in erasure.changes]

    def close(self) -> None:
        """Nothing is open."""


def connect_manual(secrets: Mapping[str, str], limits: Limits, sketch: Sketch | None = None) -> Connector:
    """A connector to people."""
    return ManualConnector(limits)


def connect_email(secrets: Mapping[str, str], limits: Limits, sketch: Sketch | None = None) -> Connector:
    """A connector to whoever reads the mail at the secret `to_email`."""
    return EmailConnector()


def connection_types() -> tuple[ConnectionType, ...]:
    """The connection types this module serves."""
    mailed = {"to_email": True, "test_email": False}
    return (
        ConnectionType("manual", {}, connect_manual, title="Manual look-up", system=SystemType.MANUAL),
        ConnectionType(
            "email",
            mailed,
            connect_email,
            title="Erasure by e-mail",
            system=SystemType.EMAIL,
            plain=frozenset(mailed),
            gives=False,
        ),
    )


def _describe(what: Lookup | Erasure) -> str:
    table = what.table
    if isinstance(what, Erasure):
        done = "delete rows" if what.delete else f"set {', '.join(f'{name} = ?' for name in what.columns)}"
        return f"{done} of {table.name} by {', '.join(table.key or table.columns)} = ?"
    ways = (f"{'.'.join(entry.path)} {'in (?, …)' if len(entry.pairs) > 1 else '= ?'}" for entry in what.entries)
    return f"{', '.join(table.columns)} of {table.name} where {' or '.join(ways)}"


def _asked_for(lookup: Lookup) -> list[int]:
    return sorted({ordinal for entry in lookup.entries for ordinal, _ in entry.pairs})


def _key(lookup: Lookup, ordinal: int, number: int, row: Mapping[str, Value]) -> Key:
    return _values(lookup.table.key, row) if lookup.table.key else (ordinal, number)


def _values(names: Sequence[str], row: Mapping[str, Value]) -> tuple[Value, ...]:
    return tuple(row.get(name) for name in names)
