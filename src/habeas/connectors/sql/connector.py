"""The SQL connector: reads by seek, erases by classify, set and verify. One for every dialect.

Knows no store by name. Of the rows it streams it keeps only what tells them apart.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, text

from habeas.connectors.sql import erasing
from habeas.connectors.sql.dialect import Dialect
from habeas.connectors.sql.failures import scrubbed
from habeas.connectors.sql.statements import Seek, Statement, compile_select, resolve
from habeas.domain.dataset import Match
from habeas.domain.errors import HabeasError, NeedsHuman
from habeas.domain.ports import (
    Capabilities,
    ColumnSketch,
    Effect,
    Entry,
    Erasure,
    Key,
    Limits,
    Lookup,
    Row,
    Sketch,
    Table,
    TableSketch,
    Value,
)

_CONNECTION = "the connection"


class SqlConnector:
    """A database through SQLAlchemy Core. Connects on first use; safe for several threads."""

    def __init__(
        self, dialect: Dialect, secrets: Mapping[str, str], limits: Limits, sketch: Sketch | None = None
    ) -> None:
        self.capabilities = Capabilities(fenced=dialect.fenced, max_parallel=limits.pool_size)
        self._dialect = dialect
        self._engines = dialect.engines(secrets, limits)
        self._limits = limits
        self._stored = sketch or Sketch()
        self._tables: dict[tuple[str | None, str], TableSketch] = {}

    def check(self) -> None:
        """Connect and ask for one value."""
        with self._connect(self._engines.read, _CONNECTION) as connection, self._scrubbed(_CONNECTION):
            connection.execute(text("SELECT count(*) FROM (SELECT 1 AS one) AS t")).one()

    def describe(self) -> Sketch:
        """All user tables and views, from the store's own catalog."""
        with self._connect(self._engines.read, _CONNECTION) as connection, self._scrubbed(_CONNECTION):
            return self._dialect.sketch(connection)

    def explain(self, what: Lookup | Erasure) -> str:
        """One line of SQL with `?` for values, from the stored sketch; columns it does not know count as text."""
        sketch = self._stored.table(what.table.schema, what.table.name)
        if isinstance(what, Erasure):
            key, columns = _assume(sketch, what.table.key), _assume(sketch, what.columns)
            seek = Seek(key, [(0, ("",) * len(key))])
            return self._dialect.update(what.table, seek, columns, [("",) * len(columns)]).shown()
        seeks = [
            Seek(_assume(sketch, [entry.column]), [(0, ("",))] * (2 if len(entry.pairs) > 1 else 1), entry.match)
            for entry in what.entries
        ]
        outputs = [self._dialect.output(column) for column in _assume(sketch, what.table.columns)]
        return "; ".join(one.shown() for one in compile_select(self._dialect, what.table, outputs, seeks))

    def count(self, lookup: Lookup) -> int:
        """How many distinct rows match; only what tells them apart is fetched."""
        found = self._matches(lookup, lookup.table.key)
        return len({identity for batch in found for _, identity, _ in batch})

    def read(self, lookup: Lookup) -> Iterator[list[Row]]:
        """Stream matching rows; a row that several people match comes once for each of them."""
        table = lookup.table
        places = [table.columns.index(name) for name in table.key]
        for batch in self._matches(lookup, table.columns):
            yield [
                Row(tuple(values[place] for place in places) if places else identity, values, (ordinal,))
                for ordinal, identity, values in batch
            ]

    def erase(self, erasure: Erasure, guard: Callable[[], None]) -> Sequence[Effect]:
        """Lock, classify, set and re-read in one transaction. Raises Fault when keys repeat or there are none."""
        erasing.check_keys(erasure)
        where = str(erasure.table.address)
        sketch = self._sketch(erasure.table)
        with self._connect(self._engines.write, where) as connection:
            with self._scrubbed(where):
                effects = erasing.erase(self._dialect, connection, erasure, sketch)
                if any(effect.reason for effect in effects):
                    connection.rollback()
                    return effects
            guard()
            with self._scrubbed(where):
                connection.commit()
        return effects

    def close(self) -> None:
        """Close pooled connections; a later call simply connects again."""
        self._engines.write.dispose()
        self._engines.read.dispose()

    def _matches(self, lookup: Lookup, columns: Sequence[str]) -> Iterator[list[tuple[int, Key, tuple[Value, ...]]]]:
        """Batches of (ordinal, what identifies the row, values); each pair of ordinal and row once."""
        table, where = lookup.table, str(lookup.table.address)
        sketch = self._sketch(table)
        read = resolve(sketch, table, columns)
        locators = self._locators(table, sketch)
        outputs = [*locators, *(self._dialect.output(column) for column in read)]
        given = self._dialect.reader(read)
        seeks = [self._seek(table, sketch, entry) for entry in lookup.entries]
        statements = compile_select(self._dialect, table, outputs, seeks)
        if not statements:
            return
        width = 1 + len(locators)
        identifying = list(range(1, width)) or [width + columns.index(name) for name in table.key]
        seen: dict[tuple[int, Key], int] = {}
        certain = bool(locators) or _proves(sketch, table.key)
        repeats = self._may_repeat(seeks)
        for statement in statements:
            for rows in self._fetch(statement, where):
                batch = []
                for row in rows:
                    match = (row[0], tuple(row[place] for place in identifying))
                    values = given(row[width:])
                    if match in seen:
                        if not certain and seen[match] != hash(repr(values)):
                            raise NeedsHuman(
                                f"{where}: two rows have one key", hint="declare the fields that tell its rows apart"
                            )
                        continue
                    if repeats:
                        seen[match] = 0 if certain else hash(repr(values))
                    batch.append((*match, values))
                if batch:
                    yield batch

    def _may_repeat(self, seeks: Sequence[Seek]) -> bool:
        """True when a row can match twice for one person: by two values of theirs."""
        if sum(len(seek.rows) for seek in seeks) == len({row[0] for seek in seeks for row in seek.rows}):
            return False
        return len(seeks) > 1 or seeks[0].match is not Match.EXACT or not self._dialect.is_exact(seeks[0].columns[0])

    def _fetch(self, statement: Statement, where: str) -> Iterator[Sequence[Sequence[Any]]]:
        """Batches of rows. Where streaming costs round trips, a small result comes at once."""
        size, stream = self._limits.batch_rows, self._engines.stream
        if stream is not None:
            some = text(f"{statement.text} LIMIT {size + 1}")
            with self._connect(self._engines.read, where) as connection, self._scrubbed(where):
                rows = connection.execute(some, statement.parameters).fetchall()
            if len(rows) <= size:
                yield rows
                return
        whole = text(statement.text).execution_options(stream_results=True, yield_per=size)
        with (
            self._connect(stream or self._engines.read, where) as connection,
            self._scrubbed(where),
            connection.execute(whole, statement.parameters) as result,
        ):
            yield from result.partitions(size)

    def _seek(self, table: Table, sketch: TableSketch, entry: Entry) -> Seek:
        """The entry's values in bound form; those the column can never hold match nothing and are left out."""
        columns = resolve(sketch, table, [entry.column])
        forms = ((ordinal, self._dialect.form(value, columns[0], entry.match)) for ordinal, value in entry.pairs)
        # told apart by spelling: 1 and 1.0 find different texts
        rows = {(ordinal, repr(form)): (ordinal, (form,)) for ordinal, form in forms if form is not None}
        return Seek(columns, list(rows.values()), entry.match)

    def _locators(self, table: Table, sketch: TableSketch) -> tuple[str, ...]:
        """The store's own row ids, unless the declared key is proven to tell rows apart."""
        if table.key and (not sketch.locatable or _proves(sketch, table.key)):
            return ()
        if not sketch.locatable:
            raise NeedsHuman(
                f"{table.address}: rows cannot be told apart without a key", hint="declare a primary_key in the dataset"
            )
        return self._dialect.locator(sketch)

    def _sketch(self, table: Table) -> TableSketch:
        """What the store says of a table, asked once, and again when a declared column is not among it."""
        place = (table.schema, table.name)
        known = self._tables.get(place)
        if known is None or not all(known.column(name) for name in table.columns):
            where = str(table.address)
            with self._connect(self._engines.read, where) as connection, self._scrubbed(where):
                known = self._dialect.sketch_table(connection, table)
            if known is None:
                raise NeedsHuman(
                    f"{where}: the store has no table or view of this name",
                    hint="correct the collection's name, the dataset's schema, or create the table",
                )
            self._tables[place] = known
        return known

    def _connect(self, engine: Engine, where: str) -> Connection:
        with self._scrubbed(where):
            return engine.connect()

    @contextmanager
    def _scrubbed(self, where: str) -> Iterator[None]:
        """Driver errors become ours; what is known of tables is asked anew after one."""
        try:
            with scrubbed(self._dialect.diagnose, where):
                yield
        except HabeasError:
            self._tables.clear()
            raise


def _assume(sketch: TableSketch | None, names: Sequence[str]) -> tuple[ColumnSketch, ...]:
    known = ((name, sketch.column(name) if sketch else None) for name in names)
    return tuple(column or ColumnSketch(name, "text", text=True) for name, column in known)


def _proves(sketch: TableSketch, key: Sequence[str]) -> bool:
    """True when a constraint over never-null columns, all within `key`, makes it unique."""
    filled = {column.name for column in sketch.columns if not column.nullable}
    return any(names and set(names) <= filled & set(key) for names in (sketch.primary_key, *sketch.unique))
