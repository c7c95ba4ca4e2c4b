"""The place in which the conformance suite meets MariaDB."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

from harnesses import LIMITS, STORE

from habeas.connectors.conformance import Column, Kind, Need, TableSpec
from habeas.connectors.sql import connect_mariadb
from habeas.domain.ports import Connector, Limits, Value
from servers.mariadb import MariaDbServer


class MariaDbHarness:
    """A database of the session's server. `folding`: how its FOLDING columns fold case."""

    lacks: Mapping[Need, str] = {**STORE, **dict.fromkeys((Need.DOCUMENTS, Need.ARRAYS), "no nested values")}

    def __init__(self, server: MariaDbServer, folding: str) -> None:
        self.server = server
        self.folding = folding
        self.connectors: list[Connector] = []
        self.undo = ExitStack()
        self.url = server.create_database("conformance")

    def create(self, spec: TableSpec) -> None:
        parts = [self._column(column, column.name in spec.key) for column in spec.columns]
        parts += [_reference(column) for column in spec.columns if column.references]
        if spec.key:
            parts.append(f"PRIMARY KEY ({', '.join(map(quoted, spec.key))})")
        self.server.run(f"CREATE TABLE {quoted(spec.name)} ({', '.join(parts)})", dbname="conformance")
        self.fill(spec, spec.rows)

    def connect(self, limits: Limits = LIMITS) -> Connector:
        self.connectors.append(connect_mariadb({"url": self.url}, limits))
        return self.connectors[-1]

    def rows(self, spec: TableSpec) -> list[tuple[Value, ...]]:
        with self.server.connect("conformance") as session, session.cursor() as cursor:
            cursor.execute(f"SELECT * FROM {quoted(spec.name)}")
            return list(cursor.fetchall())

    def fill(self, spec: TableSpec, rows: Sequence[tuple[Value, ...]]) -> None:
        marks = ", ".join("%s" for _ in spec.columns)
        with self.server.connect("conformance") as session, session.cursor() as cursor:
            session.begin()
            cursor.execute(f"DELETE FROM {quoted(spec.name)}")
            for row in rows:
                cursor.execute(f"INSERT INTO {quoted(spec.name)} VALUES ({marks})", row)
            session.commit()

    def spoil(self, spec: TableSpec, column: str) -> None:
        trigger = f"CREATE TRIGGER spoiler BEFORE UPDATE ON {quoted(spec.name)} FOR EACH ROW"
        self.server.run(f"{trigger} SET NEW.{quoted(column)} = 'spoiled'", dbname="conformance")

    def keep(self, spec: TableSpec) -> None:
        """No trigger of MariaDB keeps a row in silence: a DELETE of the connector's own sessions does nothing."""
        from habeas.connectors.sql.mariadb_sessions import Session

        send = Session.query

        def query(session: Session, sql: str | bytes, unbuffered: bool = False) -> Any:
            begins = sql.encode() if isinstance(sql, str) else sql
            return send(session, "DO 0" if begins.startswith(b"DELETE") else sql, unbuffered)

        self.undo.enter_context(mock.patch.object(Session, "query", query))

    @contextmanager
    def lock(self, spec: TableSpec) -> Iterator[None]:
        with self.server.connect("conformance") as session, session.cursor() as cursor:
            cursor.execute("START TRANSACTION")
            cursor.execute(f"SELECT * FROM {quoted(spec.name)} FOR UPDATE")
            yield
            cursor.execute("ROLLBACK")

    def close(self) -> None:
        self.undo.close()
        for connector in self.connectors:
            connector.close()

    def _column(self, column: Column, in_key: bool) -> str:
        kind = f"varchar({column.length})" if column.length else "varchar(60)" if in_key else "longtext"
        if column.kind is Kind.INTEGER:
            kind = "integer"
        elif column.kind is Kind.FOLDING:
            kind += f" {self.folding}"
        else:
            kind += " COLLATE utf8mb4_nopad_bin"
        parts = [quoted(column.name), kind, "" if column.nullable else "NOT NULL"]
        return " ".join([*(part for part in parts if part), "UNIQUE" if column.unique else ""])


def quoted(name: str) -> str:
    return f"`{name.replace('`', '``')}`"


def _reference(column: Column) -> str:
    table, name = column.references or ("", "")
    return f"FOREIGN KEY ({quoted(column.name)}) REFERENCES {quoted(table)} ({quoted(name)})"
