"""The brute-force oracle: what a run must find, give and write, worked out row by row and person by person.

It shares no code with planner, engine or connectors (only `derive`, whose own laws are in test_masking).
"""

import base64
import hashlib
import hmac
import re
import string
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from worlds import INTEGER, TEXT, Address, Collection, Column, Link, Person, PolicyFacts, Row, Secrets, World

from habeas.masking.derived import derive, material_of

WHOLE = re.compile(r"[+-]?[0-9]+")
NUMBER = re.compile(r"\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*")
CHARACTERS = string.ascii_lowercase + string.digits
PHONE_NOISE = str.maketrans("", "", " -().")

Found = dict[Address, set[int]]
"""Places of rows by collection."""


class Refused(Exception):
    """No such request may be carried out; the text is part of what its error must say."""


@dataclass(frozen=True)
class Arrow:
    """A link with its direction settled."""

    source: tuple[Address, str]
    target: tuple[Address, str]
    link: Link


class State:
    """All rows of a world as they are now."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.rows: dict[Address, list[Row]] = {
            item.address: [dict(zip((c.name for c in item.columns), row, strict=True)) for row in item.rows]
            for item in world.collections
        }

    # -- who is reached, in which order ------------------------------------------------------------------------

    def roots(self, kinds: Iterable[str]) -> list[Address]:
        wanted = set(kinds)
        return sorted(
            item.address
            for item in self.world.collections
            if any(column.declared and column.identity in wanted for column in item.columns)
        )

    def reach(self, kinds: Iterable[str], *, also_skipped: bool) -> set[Address]:
        skipped = {item.address for item in self.world.collections if item.skipped and not also_skipped}
        reached = set(self.roots(kinds)) - skipped
        while True:
            more = {address for here in reached for address in self._neighbours(here)} - reached - skipped
            if not more:
                return reached
            reached |= more

    def lost(self, kinds: Iterable[str]) -> set[Address]:
        """Collections that no way leads to, not even through those that are left out."""
        everything = {item.address for item in self.world.collections if not item.skipped}
        return everything - self.reach(kinds, also_skipped=True)

    def _neighbours(self, here: Address) -> list[Address]:
        """Where values may go from a collection, by address."""
        found = {link.target[0] for link in self.world.links if link.source[0] == here}
        found |= {link.source[0] for link in self.world.links if link.undirected and link.target[0] == here}
        return sorted(found)

    def waits_for(self, address: Address, among: Iterable[Address]) -> set[Address]:
        before = set(self.world.dataset_after.get(address[0], ()))
        named = set(self.world.collection(address).after)
        return {other for other in among if other in named or other[0] in before}

    def visits(self, kinds: Iterable[str]) -> list[Address]:
        """The order of visits: first found first visited, but after those it is to come after."""
        reached = self.reach(kinds, also_skipped=False)
        known = [address for address in self.roots(kinds) if address in reached]
        order: list[Address] = []
        while True:
            ready = [a for a in known if a not in order and self.waits_for(a, reached) <= set(order)]
            if not ready:
                break
            order.append(ready[0])
            known += [a for a in self._neighbours(ready[0]) if a in reached and a not in known]
        if set(order) != reached:
            raise Refused("cannot be reached in the given order")
        return order

    def arrows(self, kinds: Iterable[str]) -> list[Arrow]:
        """Links between visited collections. Raises Refused when `after` contradicts the links."""
        order = self.visits(kinds)
        arrows = []
        for link in self.world.links:
            if link.source[0] not in order or link.target[0] not in order:
                continue
            back = link.undirected and order.index(link.source[0]) > order.index(link.target[0])
            arrows.append(Arrow(link.target, link.source, link) if back else Arrow(link.source, link.target, link))
        self._check_order(order, arrows)
        return arrows

    def _check_order(self, order: Sequence[Address], arrows: Sequence[Arrow]) -> None:
        """What feeds, or must come before; round about only where values go round too."""
        feeds = _closure({(arrow.source[0], arrow.target[0]) for arrow in arrows})
        waits = {(other, here) for here in order for other in self.waits_for(here, order)}
        apart = {(a, b) for a, b in feeds | waits if a != b and not ({(a, b), (b, a)} <= feeds)}
        before = _closure(apart | {(a, b) for a, b in feeds if (b, a) in feeds})
        if any((b, a) in before for a, b in apart):
            raise Refused("cannot be reached in the given order")

    # -- what is found -----------------------------------------------------------------------------------------

    def find(self, person: Person, arrows: Sequence[Arrow], visited: Iterable[Address]) -> Found:
        """A person's rows: by identity, then along every arrow until nothing is added."""
        found: Found = {address: set() for address in visited}
        for address in found:
            for column in self.world.collection(address).columns:
                if column.declared and column.identity in person:
                    values = list(_spellings(column.identity or "", person[column.identity or ""]))
                    found[address] |= self._seek(address, column, values, column.match)
        while True:
            before = sum(map(len, found.values()))
            for arrow in arrows:
                found[arrow.target[0]] |= self.follow(arrow, found[arrow.source[0]])
            if sum(map(len, found.values())) == before:
                return found

    def follow(self, arrow: Arrow, places: Iterable[int]) -> set[int]:
        """The rows that these rows of the arrow's source lead to."""
        address, name = arrow.source
        values = [self.rows[address][place][name] for place in places]
        return self._seek(arrow.target[0], self.world.collection(arrow.target[0]).column(arrow.target[1]), values, None)

    def _seek(self, address: Address, column: Column, values: Iterable[Any], match: str | None) -> set[int]:
        kind = self.world.database(address).kind
        cast = [value for value in (_cast(value, column.data_type) for value in values) if value is not None]
        return {
            place
            for place, row in enumerate(self.rows[address])
            if row[column.name] is not None
            and any(_equal(row[column.name], value, column, kind, match) for value in cast)
        }

    # -- what is given -----------------------------------------------------------------------------------------

    def package(self, policy: PolicyFacts, found: Found) -> dict[str, list[Row]]:
        """Collection → rows with the covered fields; collections without rows or covered fields are left out."""
        given = {}
        for address, places in found.items():
            covered = [
                c.name for c in self.world.collection(address).columns if c.declared and _covered(c, policy.access)
            ]
            if places and covered:
                rows = [self.rows[address][place] for place in sorted(places)]
                given[":".join(address)] = [{name: _shown(row[name]) for name in sorted(covered)} for row in rows]
        return given

    # -- what is masked ----------------------------------------------------------------------------------------

    def erase(
        self, policy: PolicyFacts, found: Mapping[str, Found], secrets: Mapping[str, Secrets]
    ) -> dict[str, dict[str, tuple[int, int]]]:
        """Mask every row once, with the secrets of its smallest request; request → collection → changed, already."""
        counts: dict[str, dict[str, tuple[int, int]]] = {request: {} for request in found}
        for address in {address for places in found.values() for address in places}:
            item = self.world.collection(address)
            for place, row in enumerate(self.rows[address]):
                owners = sorted(request for request, places in found.items() if place in places[address])
                masked = {} if not owners else self.mask(item, row, policy, secrets.get(owners[0], {}))
                same = all(row[name] == value for name, value in masked.items())
                for request in owners if masked else ():
                    changed, already = counts[request].get(":".join(address), (0, 0))
                    counts[request][":".join(address)] = (changed + (not same), already + same)
                row.update(masked)
        return counts

    def mask(self, item: Collection, row: Row, policy: PolicyFacts, secrets: Secrets) -> Row:
        """The fields of a row that are masked, as they must be afterwards."""
        if self.world.database(item.address).read_only:
            return {}
        names = item.key or [column.name for column in item.columns if column.declared]
        key = [row[name] for name in sorted(names)]
        after = {}
        for column in item.columns:
            rule = next((name for name, categories in policy.erasure.items() if _covered(column, categories)), None)
            if rule is None or not column.declared or column.read_only or column.name in item.key:
                continue
            strategy, configuration = column.override or (rule, policy.configuration)
            if strategy == "preserve":
                continue
            masked = _mask(column, row[column.name], key, strategy, configuration, secrets)
            if masked is not _STAYS:
                after[column.name] = masked
        return after


_STAYS = object()


def _mask(
    column: Column, value: Any, key: Sequence[Any], strategy: str, configuration: Mapping[str, Any], secrets: Secrets
) -> Any:
    """`key` tells the row apart: its key, or all that is declared of it."""
    text = column.type == TEXT and column.data_type in (None, "string")
    lengths = [length for length in (column.length, column.declared_length) if length is not None]
    length = min(lengths) if lengths else None
    if strategy == "null_rewrite" or not text:
        if column.nullable:
            return None
        if not text or strategy != "null_rewrite":
            return _STAYS
        return _derive(value, key, secrets, {}, length)
    if value is None and strategy not in ("string_rewrite", "random_string_rewrite"):
        return None
    suffix = str(configuration.get("format_preservation", {}).get("suffix", ""))
    cramped = length is not None and length - len(suffix) < 12
    if column.unique and (strategy == "string_rewrite" or cramped):
        if column.nullable and length is not None and length < 12:
            return None
        return _derive(value, key, secrets, {} if cramped else configuration, length)
    if strategy == "string_rewrite":
        return _end(configuration["rewrite_value"], configuration, length)
    if strategy == "random_string_rewrite":
        origin = material_of(None, key) if value is None else value
        stream = _characters(secrets[strategy]["key"].encode(), f"value{origin}".encode())
        return _end("".join(islice(stream, configuration["length"])), configuration, length)
    if strategy == "aes_encrypt":
        return _end(_encrypt(str(value).encode(), secrets[strategy]), configuration, length)
    algorithm = configuration.get("algorithm", "SHA-256").replace("-", "").lower()
    salt = secrets[strategy]["salt"].encode()
    data = str(value).encode() + salt
    if strategy == "hash":
        return _end(hashlib.new(algorithm, data).hexdigest(), configuration, length)
    return _end(hmac.new(secrets[strategy]["key"].encode(), data, algorithm).hexdigest(), configuration, length)


def _derive(
    value: Any, key: Sequence[Any], secrets: Secrets, configuration: Mapping[str, Any], length: int | None
) -> str:
    whole = derive(material_of(value, key), secrets["derived"]["key"])
    return _end(whole, configuration, length)


def _characters(key: bytes, origin: bytes) -> Iterator[str]:
    """From the bytes of one HMAC after the other, those that do not favour a character."""
    for block in range(1 << 32):
        for byte in hmac.new(key, block.to_bytes(4, "big") + origin, "sha256").digest():
            if byte < 7 * 36:
                yield CHARACTERS[byte % 36]


def _encrypt(text: bytes, secrets: Mapping[str, str]) -> str:
    key = base64.urlsafe_b64decode(secrets["key"] + "=")
    nonce = hmac.new(secrets["key_hmac"].encode(), text + secrets["salt_hmac"].encode(), "sha256").digest()[:12]
    return base64.b64encode(AESGCM(key).encrypt(nonce, text, nonce)).decode()


def _end(text: str, configuration: Mapping[str, Any], length: int | None) -> str:
    """The suffix survives the cut unless nothing else would."""
    suffix = str(configuration.get("format_preservation", {}).get("suffix", ""))
    if length is None:
        return text + suffix
    return text[: length - len(suffix)] + suffix if length > len(suffix) else (text + suffix)[:length]


def _covered(column: Column, targets: Sequence[str] | None) -> bool:
    parts = (column.category or "").split(".")
    return any(parts[: len(target.split("."))] == target.split(".") for target in targets or ())


def _shown(value: Any) -> Any:
    return {"$base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def _spellings(kind: str, values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        yield value
        if kind == "email":
            yield value.strip().lower()
        if kind == "phone_number":
            yield value.translate(PHONE_NOISE)


def _cast(value: Any, data_type: str | None) -> Any:
    if value is None or data_type is None:
        return value
    if data_type == "string":
        return str(value)
    if isinstance(value, str):
        pattern, read = (WHOLE, int) if data_type == "integer" else (NUMBER, float)
        return read(value) if pattern.fullmatch(value.strip()) else None
    if data_type == "float":
        return float(value)
    return int(value) if int(value) == value else None


def _equal(cell: Any, value: Any, column: Column, store: str, match: str | None) -> bool:
    """Whether the store finds the cell equal to a value it is given."""
    if match == "casefold":
        return _fold(str(cell), store) == _fold(str(value), store)
    if match == "phone":
        return str(cell).translate(PHONE_NOISE) == str(value).translate(PHONE_NOISE)
    if column.type == TEXT:
        return bool(cell == str(value))
    if not isinstance(value, str):
        return bool(cell == value)
    if column.type == INTEGER and store != "sqlite":
        return WHOLE.fullmatch(value) is not None and cell == int(value)
    return NUMBER.fullmatch(value) is not None and cell == float(value)


def _fold(text: str, store: str) -> str:
    """SQLite lowers ASCII only."""
    return text.lower() if store != "sqlite" else "".join(c.lower() if c.isascii() else c for c in text)


def _closure(pairs: set[tuple[Address, Address]]) -> set[tuple[Address, Address]]:
    while True:
        more = {(a, d) for a, b in pairs for c, d in pairs if b == c} - pairs
        if not more:
            return pairs
        pairs = pairs | more
