"""Rows at rest between access and the end of a request: encoded, compressed, sealed.

A chunk holds rows of one attempt at one task for one bucket of members. Values come back as the exact
types the driver gave, because erasure compares with them.
"""

import datetime as dt
import decimal
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec
import sqlalchemy as sa
import zstandard

from habeas.domain.ports import Row
from habeas.store.columns import place_of
from habeas.store.ledger import Ledger
from habeas.store.sealing import Sealer
from habeas.store.tables import chunks

BUCKET = 16
"""Members per bucket: packaged together, so that one pass over their own chunks is enough."""

_ROWS_AT_ONCE = 2000
"""Rows fetched together, unless a single chunk has more."""

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


_PLAIN = frozenset({type(None), str, bool, int, float, bytes})
"""Types that MessagePack holds as they are; whole numbers only up to 64 bits."""


def _pack_all(values: Sequence[object]) -> Sequence[object]:
    return values if _PLAIN.issuperset(map(type, values)) else [_pack(value) for value in values]


def _pack(value: object) -> object:
    """Give types that MessagePack lacks a tag of their own; unknown types become their text."""
    kind = type(value)
    if value is None or kind in (str, bool, float, bytes, msgspec.msgpack.Ext):
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


_Packed: TypeAlias = tuple[tuple[object, ...], tuple[object, ...], tuple[int, ...], tuple[tuple[str | int, ...], ...]]
_decoder = msgspec.msgpack.Decoder(list[_Packed], ext_hook=_unpack)


def encode_rows(rows: Iterable[Row]) -> bytes:
    """Compressed MessagePack of the rows' keys, values, ordinals and positions."""
    packed = [(_pack_all(row.key), _pack_all(row.values), row.ordinals, row.matched) for row in rows]
    try:
        plain = _encoder.encode(packed)
    except OverflowError:  # a whole number beyond 64 bits
        plain = _encoder.encode(
            [(list(map(_pack, key)), list(map(_pack, values)), *rest) for key, values, *rest in packed]
        )
    return zstandard.compress(plain, 1)


def decode_rows(data: bytes) -> list[Row]:
    """The rows as they were encoded."""
    return [Row(*parts) for parts in _decoder.decode(zstandard.decompress(data))]


@dataclass(frozen=True, slots=True)
class Source:
    """Where rows of one bucket of members are kept: those of one attempt at one task."""

    task_id: int
    attempt: int
    bucket: int


def seal_chunk(sealer: Sealer, source: Source, rows: Sequence[Row]) -> dict[str, Any]:
    """A chunk ready to be written. It counts once an outcome names its attempt."""
    return {
        "task_id": source.task_id,
        "attempt": source.attempt,
        "bucket": source.bucket,
        "size": len(rows),
        "sealed_rows": sealer.seal(encode_rows(rows), _place(source)),
    }


def write_chunks(connection: sa.Connection, sealer: Sealer, sealed: Sequence[Mapping[str, Any]]) -> None:
    """Store sealed chunks; those that have been held since before there was a new data key are renewed."""
    if sealed:
        renewed = [
            {**chunk, "sealed_rows": sealer.renew(chunk["sealed_rows"], place_of(chunks.c.sealed_rows, **chunk))}
            for chunk in sealed
        ]
        connection.execute(chunks.insert(), renewed)


_CHUNKS = sa.select(chunks.c.id, chunks.c.sealed_rows)
_SIZES = sa.select(chunks.c.id, chunks.c.task_id, chunks.c.attempt, chunks.c.bucket, chunks.c.size)


def read_chunks(ledger: Ledger, sources: Sequence[Source]) -> Iterator[tuple[Source, list[Row]]]:
    """The chunks of these sources, source by source, in the order written; fetched a few at a time."""
    for portion in _portions(_list_chunks(ledger, sources)):
        with ledger.read() as connection:
            sealed = {row.id: row.sealed_rows for row in connection.execute(_CHUNKS.where(chunks.c.id.in_(portion)))}
        for chunk_id, source in portion.items():
            if chunk_id in sealed:
                yield source, decode_rows(ledger.sealer.open(sealed[chunk_id], _place(source)))


def _list_chunks(ledger: Ledger, sources: Sequence[Source]) -> list[tuple[int, Source, int]]:
    """(id, source, rows) of every chunk of these sources, in their order."""
    wanted: dict[Source, list[tuple[int, Source, int]]] = {source: [] for source in sources}
    tasks = sorted({source.task_id for source in sources})
    buckets = sorted({source.bucket for source in sources})
    query = _SIZES.where(chunks.c.task_id.in_(tasks), chunks.c.bucket.in_(buckets)).order_by(chunks.c.id)
    with ledger.read() as connection:
        for row in connection.execute(query):
            source = Source(row.task_id, row.attempt, row.bucket)
            if source in wanted:
                wanted[source].append((row.id, source, row.size))
    return [chunk for found in wanted.values() for chunk in found]


def _portions(found: Iterable[tuple[int, Source, int]]) -> Iterator[dict[int, Source]]:
    """Chunk ids with their sources, grouped so that a group's rows are few."""
    portion: dict[int, Source] = {}
    rows = 0
    for chunk_id, source, size in found:
        if portion and rows + size > _ROWS_AT_ONCE:
            yield portion
            portion, rows = {}, 0
        portion[chunk_id] = source
        rows += size
    if portion:
        yield portion


def _place(source: Source) -> str:
    return place_of(chunks.c.sealed_rows, task_id=source.task_id, attempt=source.attempt, bucket=source.bucket)
