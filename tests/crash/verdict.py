"""What must be true when everything has gone through the fire; each function looks at one thing and says what is wrong.

Expectations come from the town's rows as they were before and from what was asked, not from the engine.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mixture import Asked
from town import COLLECTIONS, GIVING, GONE, MASKED, Row, Rows, Town, read_rows

Cell = tuple[str, int, str]
"""A field of a row: (collection, id, field)."""

_UNEVENTFUL = {"retrying", "created", "approved", "finished"}
_HASHED = re.compile(r"[0-9a-f]{64}")


class Verdict:
    """Compares the town, as it is now, with what these requests make of it."""

    def __init__(self, town: Town, asked: Iterable[Asked]) -> None:
        self._town = town
        self._asked = {request.name: request for request in asked}
        self._maskers: dict[Cell, set[str]] = defaultdict(set)
        for request in self._asked.values():
            for cell in self._cells(request):
                self._maskers[cell].add(request.name)
        # A statement sets all masked fields of a row, unless all of them hold the mask (null) already.
        self._written = {cell[:2] for cell in self._maskers if self._before(cell) is not None}

    def check_names(self, names: Sequence[str]) -> None:
        """Each request was created once."""
        created, asked = Counter(names), Counter(self._asked.keys())
        assert created == asked, f"too many: {created - asked}, missing: {asked - created}"

    def check_rows(self) -> None:
        """Each field that was to be masked is masked, every other one is as it was."""
        now = self._town.rows()
        for collection, rows in self._town.before.items():
            assert now[collection].keys() == rows.keys(), f"rows of {collection} have come or gone"
            for number, row in rows.items():
                for field, was in row.items():
                    cell, value = (collection, number, field), now[collection][number][field]
                    right = self._is_masked(cell, value) if cell in self._maskers else value == was
                    assert right, f"{cell} was {was!r} and is {value!r}; to be masked by {self._maskers.get(cell)}"

    def check_writes(self) -> None:
        """The town's triggers saw each field that had to change once, and no other."""
        expected = Counter(cell for cell in self._maskers if cell[:2] in self._written)
        writes = self._town.writes()
        written = Counter((collection, number, field) for collection, number, field, _, _ in writes)
        assert written == expected, f"twice or for nothing: {written - expected}, never: {expected - written}"
        for collection, number, field, before, _ in writes:
            assert before == self._before((collection, number, field)), f"{collection} {number} {field}: {before!r}"

    def check_packages(self, folder: Path, names: Mapping[str, str]) -> None:
        """One file per request that gives, whole, and nothing else; each with exactly its person's rows.

        `names`: request id → external id.
        """
        due = {f"{request}.json" for request, name in names.items() if self._asked[name].policy in GIVING}
        there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
        assert there == due, f"too many: {sorted(there - due)}, missing: {sorted(due - there)}"
        for request, name in names.items():
            if f"{request}.json" in due:
                self._check_package(self._asked[name], read_rows((folder / f"{request}.json").read_bytes()))

    def check_logs(self, logs: Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]]) -> None:
        """Each collection was begun once and completed once for each action; elsewhere there were retries at most.

        `logs`: external id → dataset or title → entries.
        """
        for name, groups in logs.items():
            entries = groups["town"]
            others = {entry["status"] for group, entries in groups.items() if group != "town" for entry in entries}
            assert others <= _UNEVENTFUL, f"{name}: {groups}"
            said = Counter(
                (entry["action_type"], entry["collection_name"], entry["status"])
                for entry in entries
                if entry["status"] != "retrying"
            )
            masked = MASKED[self._asked[name].policy]
            visits = [("access", collection) for collection in COLLECTIONS]
            visits += [("erasure", collection) for collection in masked]
            right = Counter((*visit, status) for visit in visits for status in ("in_processing", "complete"))
            assert said == right, f"{name}: too much: {said - right}, missing: {right - said}"

    def check_reports(self, reports: Mapping[str, Mapping[str, Any]]) -> None:
        """Found and changed rows add up, per request and over all. `reports`: external id → report."""
        changed: Counter[tuple[str, str]] = Counter()
        for name, report in reports.items():
            asked = self._asked[name]
            places = {place["address"].removeprefix("town:"): place for place in report["collections"]}
            assert set(places) == set(COLLECTIONS), f"{name}: {sorted(places)}"
            assert not report["exceptions"], f"{name}: {report['exceptions']}"
            for collection, place in places.items():
                self._check_counts(asked, collection, place)
                changed[asked.email, collection] += place["changed"]
        for (email, collection), count in changed.items():
            written = [number for number in self._owned(email)[collection] if (collection, number) in self._written]
            shared = collection == "addresses"  # whoever lives there too may have been the one to change it
            assert shared or count >= len(written), f"{email} {collection}: {written} changed, only {count} reported"

    def _check_counts(self, asked: Asked, collection: str, place: Mapping[str, Any]) -> None:
        where = f"{asked} {collection}: {place}"
        own = self._owned(asked.email)[collection]
        assert place["reached"], where
        missed = place["found"] == 0 and self._may_be_missing(asked, collection)
        assert place["found"] == len(own) or missed, where
        assert not any(place[count] for count in ("drifted", "absent", "refused")), where
        fields = MASKED[asked.policy].get(collection)
        if fields is None:
            assert place["changed"] == place["already"] == 0 and place["verified"] is None, where
            return
        assert place["verified"] is True, where
        assert place["changed"] + place["already"] == place["found"], where
        if all(self._maskers[collection, number, field] == {asked.name} for number in own for field in fields):
            assert place["changed"] == sum((collection, number) in self._written for number in own), where

    def _check_package(self, asked: Asked, given: Rows) -> None:
        for collection, own in self._owned(asked.email).items():
            rows = given[collection]
            if not rows and own and self._may_be_missing(asked, collection):
                continue
            assert rows.keys() == own.keys(), f"{asked} {collection}: got {sorted(rows)}, owns {sorted(own)}"
            for number, row in rows.items():
                self._check_given(asked, collection, number, row, own[number])

    def _check_given(self, asked: Asked, collection: str, number: int, row: Row, own: Row) -> None:
        assert row.keys() == own.keys(), f"{asked} {collection} {number}: fields {sorted(row)}"
        for field, value in row.items():
            cell = (collection, number, field)
            others = self._maskers.get(cell, set()) - {asked.name}
            right = value == own[field] or (others and self._is_masked(cell, value))
            assert right, f"{asked} {cell}: got {value!r}, was {own[field]!r}; masked by {sorted(others)}"

    def _owned(self, email: str) -> Rows:
        return self._town.owned.get(email) or {name: {} for name in COLLECTIONS}

    def _before(self, cell: Cell) -> object:
        collection, number, field = cell
        return self._town.before[collection][number][field]

    def _may_be_missing(self, asked: Asked, collection: str) -> bool:
        """Whether another request masks the e-mail address that leads there: then who comes later finds nothing."""
        start = "subscriptions" if collection == "subscriptions" else "customers"
        ways = ((start, number, "email") for number in self._owned(asked.email)[start])
        return any(self._maskers.get(way, set()) - {asked.name} for way in ways)

    def _cells(self, asked: Asked) -> Iterable[Cell]:
        for collection, fields in MASKED[asked.policy].items():
            for number in self._owned(asked.email)[collection]:
                for field in fields:
                    yield collection, number, field

    def _is_masked(self, cell: Cell, value: object) -> bool:
        policies = {self._asked[name].policy for name in self._maskers[cell]}
        if policies <= {"forget", "both"}:
            return value is None
        if policies == {"rename"}:
            return value == GONE
        return policies == {"hide"} and isinstance(value, str) and _HASHED.fullmatch(value) is not None
