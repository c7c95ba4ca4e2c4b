"""Rows at rest between access and the end of a request: encoded, compressed, sealed.

A chunk holds rows of one attempt at one task for one bucket of members. Values come back as the exact
types the driver gave, because erasure compares with them.
"""

import datetime as dt
import decimal
import uuid
from collections.abc import Callable, Iterable, Iterator

import msgspec
import sqlalchemy as sa
import zstandard

from habeas.domain.ports import Row
from habeas.store.ledger import Ledger
from habeas.store.tables import chunks

BUCKET = 16
"""Members per bucket: packaged together, so that one pass over their own chunks is enough."""

_INTEGER, _DECIMAL, _UUID, _DATETIME, _DATE, _TIME, _DURATION = range(1, 8)
_encoder = msgspec.msgpack.Encoder()


def _duration(text: str) -> dt.timedelta:
    days, seconds, microseconds = text.split(",")
    return dt.timedelta(int(days), int(seconds), int(microseconds))


_TAGS: dict[type, tuple[int, Callable[..., str]]] = {
    decimal.Decimal: (_DECIMAL, str),
    uuid.UUID: (_UUID, str),
    dt.datetime: (_DATETIME, dt.datetime.isoformat),
    dt.date: (_DATE, dt.date.isoformat),
    dt.time: (_TIME, dt.time.isoformat),
    dt.timedelta: (_DURATION, lambda value: f"{value.days},{value.seconds},{value.microseconds}"),
}
_READERS: dict[int, Callable[[str], object]] = {
    _INTEGER: int,
    _DECIMAL: decimal.Decimal,
    _UUID: uuid.UUID,
    _DATETIME: dt.datetime.fromisoformat,
    _DATE: dt.date.fromisoformat,
    _TIME: dt.time.fromisoformat,
    _DURATION: _duration,
}


def _pack(value: object) -> object:
    """Give types that MessagePack lacks a tag of their own; unknown types become their text."""
    kind = type(value)
    if value is None or kind in (str, bool, float, bytes):
        return value
    if kind is int:
        return value if -(2**63) <= value < 2**63 else _tagged(_INTEGER, str(value))  # type: ignore[operator]
    if kind in _TAGS:
        tag, write = _TAGS[kind]
        return _tagged(tag, write(value))
    if isinstance(value, dict):
        return {str(name): _pack(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_pack(item) for item in value]
    if isinstance(value, memoryview | bytearray):
        return bytes(value)
    return str(value)


def _tagged(tag: int, text: str) -> msgspec.msgpack.Ext:
    return msgspec.msgpack.Ext(tag, text.encode())


def _unpack(tag: int, data: memoryview) -> object:
    return _READERS[tag](bytes(data).decode())


_decoder = msgspec.msgpack.Decoder(
    list[tuple[tuple[object, ...], tuple[object, ...], tuple[int, ...]]], ext_hook=_unpack
)


def encode_rows(rows: Iterable[Row]) -> bytes:
    """Compressed MessagePack of the rows' keys, values and ordinals."""
    packed = [([_pack(part) for part in row.key], [_pack(value) for value in row.values], row.ordinals) for row in rows]
    return zstandard.ZstdCompressor(level=1).compress(_encoder.encode(packed))


def decode_rows(data: bytes) -> list[Row]:
    """The rows as they were encoded."""
    return [Row(*parts) for parts in _decoder.decode(zstandard.ZstdDecompressor().decompress(data))]


def write_chunk(connection: sa.Connection, ledger: Ledger, where: tuple[int, int, int], rows: bytes, size: int) -> None:
    """Store `size` encoded rows under (task, attempt, bucket). They count once an outcome names the attempt."""
    task_id, attempt, bucket = where
    sealed = ledger.sealer.seal(rows, _place(task_id, attempt, bucket))
    connection.execute(
        chunks.insert().values(task_id=task_id, attempt=attempt, bucket=bucket, size=size, sealed_rows=sealed)
    )


def read_chunks(ledger: Ledger, task_id: int, attempt: int, bucket: int) -> Iterator[list[Row]]:
    """The chunks of (task, attempt, bucket) in the order written; each is fetched when it is asked for."""
    with ledger.read() as connection:
        wanted = sa.select(chunks.c.id).where(
            chunks.c.task_id == task_id, chunks.c.attempt == attempt, chunks.c.bucket == bucket
        )
        ids = connection.scalars(wanted.order_by(chunks.c.id)).all()
    for chunk_id in ids:
        with ledger.read() as connection:
            sealed = connection.scalar(sa.select(chunks.c.sealed_rows).where(chunks.c.id == chunk_id))
        if sealed is not None:
            yield decode_rows(ledger.sealer.open(sealed, _place(task_id, attempt, bucket)))


def _place(task_id: int, attempt: int, bucket: int) -> str:
    return f"chunk:{task_id}:{attempt}:{bucket}"
