"""What to look at in a draft, as text for the terminal: counts first, then every proposal and open question by name."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from habeas.services.drafting.draft import CollectionDraft, Draft, FieldDraft
from habeas.services.drafting.links import Ruling, is_decided
from habeas.services.drafting.text import explain, explain_other, show

Entry: TypeAlias = tuple[str, str]
"""A name, and what is said of it."""

_WIDEST = 60


def summarise(draft: Draft) -> str:
    """Sections without entries are left out; ends with a line break."""
    columns = sum(len(collection.fields) for collection in draft.collections)
    blocks = [f"{draft.key}: {len(draft.collections)} tables with {columns} columns; no row was read\n"]
    for title, entries in _sections(draft):
        if entries:
            blocks.append(f"\n{title} ({len(entries)})\n" + _table(entries))
    return "".join(blocks)


def _table(entries: Sequence[Entry]) -> str:
    """One entry a line, what is said of it in a column of its own."""
    width = min(max(len(name) for name, _ in entries), _WIDEST)
    return "".join(f"  {name:<{width}}  {said}".rstrip() + "\n" for name, said in entries)


def _sections(draft: Draft) -> Iterator[tuple[str, Sequence[Entry]]]:
    collections = draft.collections
    seen = [(table, item) for table in collections if not table.blind for item in table.walk()]
    rulings = [ruling for _, item in seen for ruling in item.rulings]

    def tables(chosen: Callable[[CollectionDraft], object]) -> list[Entry]:
        return [(show(table.name), "") for table in collections if chosen(table)]

    yield "identities proposed", [_identity(*pair) for pair in seen if pair[1].field.identity is not None]
    yield "identities undecided", [_identity(*pair) for pair in seen if pair[1].candidate]
    yield "categories proposed", [(_path(*pair), category) for pair in seen for category in pair[1].field.categories]
    yield "columns undecided", [(_path(*pair), "") for pair in seen if pair[1].undecided]
    yield (
        "columns of which the store does not tell what is inside",
        [(_path(*pair), show(pair[1].type)) for pair in seen if pair[1].opaque],
    )
    yield "references undecided", [_ruling(ruling) for ruling in rulings if not is_decided(ruling)]
    yield (
        "keys that no reference can follow",
        [(show(table.name), explain_other(other)) for table in collections for other in table.outside],
    )
    yield "tables that nothing leads to: requests fail until you reach or skip them", tables(lambda t: not t.reached)
    yield "tables only looked up: shared by many people?", tables(lambda t: t.shared)
    yield "tables found in several ways: all the same person's?", tables(lambda t: t.ambiguous)
    yield "tables without a key: rows are told apart by all their values", tables(lambda t: t.keyless and not t.blind)
    yield "tables and views skipped: without a key their rows cannot be told apart", tables(lambda t: t.blind)
    yield "left out: names that a dataset cannot hold", [*_left_out(draft)]
    yield (
        "other schemas: name one with --schema",
        [(show(schema), f"{count} tables") for schema, count in draft.elsewhere.items()],
    )


def _path(table: CollectionDraft, item: FieldDraft) -> str:
    return show(table.name, *item.path)


def _identity(table: CollectionDraft, item: FieldDraft) -> Entry:
    assert item.identity is not None  # the caller chose these
    return _path(table, item), f"{show(item.identity.kind)}: {item.identity.reason}"


def _ruling(ruling: Ruling) -> Entry:
    key = ruling.key
    return f"{show(key.child, key.column)} -> {show(key.parent, key.target)}", explain(ruling)


def _left_out(draft: Draft) -> Iterator[Entry]:
    yield from ((show(name), "table") for name in draft.left_out)
    for collection in draft.collections:
        yield from ((show(collection.name, *path), "column") for path in collection.left_out)
