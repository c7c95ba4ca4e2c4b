"""The SQL connector: reads by seek, erases by classify, set and verify. One for every dialect.

Knows no store by name. Of the rows it streams it keeps only what tells them apart.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from habeas.connectors.sql import erasing, explaining
from habeas.connectors.sql.comparing import readable, readers_of
from habeas.connectors.sql.copies import Copies
from habeas.connectors.sql.dialect import Dialect
from habeas.connectors.sql.failures import scrubbed
from habeas.connectors.sql.identity import identity_of, is_by_content, locators_of, proves, refuse_nested
from habeas.connectors.sql.nested import compile_nested, holds_nothing, leads_inside, leaf
from habeas.connectors.sql.statements import Inside, Seek, Statement, compile_select, resolve
from habeas.domain.dataset import Match
from habeas.domain.documents import Position
from habeas.domain.errors import Fault, HabeasError, NeedsHuman
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


@dataclass(frozen=True, slots=True)
class _Search:
    """A look-up against the store's own sketch; `columns` are read, `locators` before them where rows need them."""

    table: Table
    sketch: TableSketch
    columns: tuple[ColumnSketch, ...]
    seeks: Sequence[Seek]
    locators: tuple[str, ...]
    outputs: Sequence[str]

    @property
    def nested(self) -> bool:
        return any(seek.inside is not None for seek in self.seeks)


class SqlConnector:
    """A database through SQLAlchemy Core. Connects on first use; safe for several threads.

    `permit` is asked before each session and raises InputError where none may be opened.
    """

    def __init__(
        self,
        dialect: Dialect,
        secrets: Mapping[str, str],
        limits: Limits,
        sketch: Sketch | None = None,
        permit: Callable[[], None] = lambda: None,
    ) -> None:
        self.capabilities = Capabilities(fenced=dialect.fenced, max_parallel=limits.pool_size)
        self._dialect = dialect
        self._engines = dialect.engines(secrets, limits)
        self._limits = limits
        self._permit = permit
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
        return "; ".join(one.shown() for one in explaining.statements(self._dialect, what, sketch))

    def count(self, lookup: Lookup) -> int:
        """How many distinct rows match; only what tells them apart is fetched."""
        search = self._search(lookup, lookup.table.key)
        if search.nested:
            return len({identity for batch in self._places(search) for _, identity, _, _ in batch})
        return len({identity for batch in self._matches(search) for _, identity, _ in batch})

    def read(self, lookup: Lookup) -> Iterator[list[Row]]:
        """Stream matching rows; a row that several people match comes once for each of them."""
        table = lookup.table
        places = [table.columns.index(name) for name in table.key]
        search = self._search(lookup, table.columns)
        if search.nested:
            for found in self._places(search):
                yield [
                    Row(tuple(values[place] for place in places) if places else identity, values, (ordinal,), matched)
                    for ordinal, identity, values, matched in found
                ]
            return
        for batch in self._matches(search):
            yield [
                Row(tuple(values[place] for place in places) if places else identity, values, (ordinal,))
                for ordinal, identity, values in batch
            ]

    def erase(self, erasure: Erasure, guard: Callable[[], None]) -> Sequence[Effect]:
        """Lock, classify, set and re-read in one transaction. Raises Fault when keys repeat or there are none."""
        erasing.check_keys(erasure)
        where = str(erasure.table.address)
        sketch = self._sketch(erasure.table)
        if sketch.obstacle:
            raise NeedsHuman(f"{where}: {sketch.obstacle}", hint="alter the table, or make its fields read-only")
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
        for engine in (self._engines.write, self._engines.read, self._engines.stream):
            if engine is not None:
                engine.dispose()

    def _search(self, lookup: Lookup, columns: Sequence[str]) -> _Search:
        """What to look for, and by what its rows are told apart."""
        table = lookup.table
        sketch = self._sketch(table)
        refuse_nested(table, resolve(sketch, table, table.key))
        found = resolve(sketch, table, columns)
        seeks = [self._seek(table, sketch, entry) for entry in lookup.entries]
        locators = locators_of(self._dialect, table, sketch)
        return _Search(table, sketch, found, seeks, locators, [*locators, *map(self._dialect.output, found)])

    def _matches(self, search: _Search) -> Iterator[list[tuple[int, Key, tuple[Value, ...]]]]:
        """Batches of (ordinal, what identifies the row, values); each pair of ordinal and row once."""
        table, where, locators = search.table, str(search.table.address), search.locators
        if is_by_content(self._dialect, table, search.sketch):
            yield from self._copies(search)
            return
        names = [column.name for column in search.columns]
        statements = compile_select(self._dialect, table, search.outputs, search.seeks)
        width = 1 + len(locators)
        identifying = list(range(1, width)) or [width + names.index(name) for name in table.key]
        seen: dict[tuple[int, Key], int] = {}
        certain = bool(locators) or proves(search.sketch, table.key)
        repeats = self._may_repeat(search.seeks)
        readers = readers_of(self._dialect, search.columns)
        for statement in statements:
            for rows in self._fetch(statement, where):
                batch = []
                for row in rows:
                    match = (row[0], tuple(row[place] for place in identifying))
                    values = tuple(row[width:])
                    if match in seen:
                        if not certain and seen[match] != hash(repr(values)):
                            raise _two_rows_have_one_key(where)
                        continue
                    if repeats:
                        seen[match] = 0 if certain else hash(repr(values))
                    batch.append((*match, values))
                if readers:
                    batch = [(ordinal, key, readable(values, readers)) for ordinal, key, values in batch]
                if batch:
                    yield batch

    def _copies(self, search: _Search) -> Iterator[list[tuple[int, Key, tuple[Value, ...]]]]:
        """As `_matches`, in a table whose rows only what they hold tells apart."""
        table, width = search.table, 1 + len(search.columns)
        entered = {column.name: column for seek in search.seeks for column in seek.columns}
        others = [column for name, column in sorted(entered.items()) if column not in search.columns]
        outputs = [*search.outputs, *map(self._dialect.output, others)]
        readers = readers_of(self._dialect, search.columns)
        copies = Copies(search.seeks)
        for statement in compile_select(self._dialect, table, outputs, copies.seeks):
            for rows in self._fetch(statement, str(table.address)):
                found = ((copies.identify(row[0], row[1:]), row) for row in rows)
                batch = [(*match, readable(row[1:width], readers)) for match, row in found if match is not None]
                if batch:
                    yield batch

    def _places(self, search: _Search) -> Iterator[list[tuple[int, Key, tuple[Value, ...], tuple[Position, ...]]]]:
        """As `_matches`, and where inside the row's arrays the ordinal's values stand."""
        table, where, nesting = search.table, str(search.table.address), self._dialect.nesting
        names = [column.name for column in search.columns]
        identity, certain = identity_of(self._dialect, table, search.sketch)
        if nesting is None:
            raise Fault(f"{where}: nested columns in a store without", hint="report this as a bug")
        statement = compile_nested(self._dialect, nesting, table, identity, search.outputs, search.seeks)
        if statement is None:
            return
        width = 2 + len(search.locators)
        identifying = list(range(2, width)) or [width + names.index(name) for name in table.key]
        readers = readers_of(self._dialect, search.columns)
        seen: dict[tuple[int, Key], int] = {}
        for rows in self._fetch(statement, where, at_once=False):
            batch = []
            for row in rows:
                ordinal, key = row[0], tuple(row[place] for place in identifying)
                values = readable(row[width:], readers)
                if not certain:
                    spelled = hash(repr(values))
                    if seen.setdefault((ordinal, key), spelled) != spelled:
                        raise _two_rows_have_one_key(where)
                batch.append((ordinal, key, values, _in_arrays(nesting.positions(row[1]))))
            yield batch

    def _may_repeat(self, seeks: Sequence[Seek]) -> bool:
        """True when a row can match twice for one person: by two values of theirs."""
        if sum(len(seek.rows) for seek in seeks) == len({row[0] for seek in seeks for row in seek.rows}):
            return False
        return len(seeks) > 1 or seeks[0].match is not Match.EXACT or not self._dialect.is_exact(seeks[0].columns[0])

    def _fetch(self, statement: Statement, where: str, *, at_once: bool = True) -> Iterator[Sequence[Sequence[Any]]]:
        """Batches of rows. Where streaming costs round trips, a small result comes at once if it may."""
        size, stream = self._limits.batch_rows, self._engines.stream
        if stream is not None and at_once:
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
        if leads_inside(columns[0], entry.inside):
            return self._nested_seek(table, columns[0], entry)
        forms = ((ordinal, self._dialect.form(value, columns[0], entry.match)) for ordinal, value in entry.pairs)
        # told apart by spelling: 1 and 1.0 find different texts
        rows = {(ordinal, repr(form)): (ordinal, (form,)) for ordinal, form in forms if form is not None}
        return Seek(columns, list(rows.values()), entry.match)

    def _nested_seek(self, table: Table, column: ColumnSketch, entry: Entry) -> Seek:
        inner, nesting = leaf(column, entry.inside), self._dialect.nesting
        if inner is None or nesting is None:
            raise holds_nothing(table, entry.path)
        forms = ((ordinal, nesting.form(value, inner, entry.match)) for ordinal, value in entry.pairs)
        rows = {(ordinal, repr(form)): (ordinal, (form,)) for ordinal, form in forms if form is not None}
        return Seek((inner,), list(rows.values()), entry.match, inside=Inside(column, entry.inside))

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

    @contextmanager
    def _connect(self, engine: Engine, where: str) -> Iterator[Connection]:
        """A session. That it cannot be opened, or was ended by the store while nothing was asked, is a failure too."""
        self._permit()
        with self._scrubbed(where):
            connection = engine.connect()
        try:
            yield connection
        except BaseException:
            with suppress(DBAPIError):
                connection.close()
            raise
        with self._scrubbed(where):
            connection.close()

    @contextmanager
    def _scrubbed(self, where: str) -> Iterator[None]:
        """Driver errors become ours; what is known of tables is asked anew after one."""
        try:
            with scrubbed(self._dialect.diagnose, where):
                yield
        except HabeasError:
            self._tables.clear()
            raise


def _in_arrays(positions: Iterable[Position]) -> tuple[Position, ...]:
    """Those that lie in an array, each once, in one order whatever the store's."""
    found = {position for position in positions if any(isinstance(step, int) for step in position)}
    return tuple(sorted(found, key=lambda position: [(isinstance(step, str), step) for step in position]))


def _two_rows_have_one_key(where: str) -> NeedsHuman:
    return NeedsHuman(f"{where}: two rows have one key", hint="declare the fields that tell its rows apart")
