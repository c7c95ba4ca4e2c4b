"""A draft as YAML that people edit: what is certain as it is, what is proposed or undecided with a comment beside it.

The text without its comments is what `Draft.dataset` holds. Names are quoted where YAML would take them for something
else; in comments those that a terminal or a line break would betray.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import yaml

from habeas.services.drafting.categories import Proposal
from habeas.services.drafting.draft import CollectionDraft, Draft, FieldDraft
from habeas.services.drafting.keys import OtherKey
from habeas.services.drafting.links import Key, Ruling, is_decided
from habeas.services.drafting.names import split_words

_WIDEST = 76
"""Comments stand in one column, at most this far right."""

_HEAD = """\
# A draft, made from the names and types of connection {connection} alone: no row was read.
#   proposed    a guess: confirm or correct it, then delete the comment
#   undecided   yours to decide: add data_categories, or leave it when it says nothing about a person
# To take in a line that begins with "# ", delete just that.
# `habeas dataset validate` checks this file.
"""


def write_draft(draft: Draft, connection: str) -> str:
    """The whole document, ending with a line break; equal drafts give equal text."""
    head = _HEAD.format(connection=show(connection))
    return head + "".join(f"{line}\n" for line in _document(draft))


def scalar(text: str) -> str:
    """Text on one line as YAML reads it back, also within `[]` and `{}`."""
    plain = text.isprintable()
    style = None if plain else '"'
    dumped = yaml.safe_dump([text], default_flow_style=True, default_style=style, allow_unicode=plain, width=10**9)
    return dumped.strip()[1:-1]


def show(*path: str) -> str:
    """A name, or names joined by dots, for people and for comments."""
    return ".".join(name if name.isprintable() else scalar(name) for name in path)


def explain(ruling: Ruling) -> str:
    """What is said of a key, in words."""
    key = ruling.key
    return ruling.verdict.format(child=show(key.child), parent=show(key.parent))


def explain_other(other: OtherKey) -> str:
    """Why no reference follows a key."""
    here, there = ", ".join(map(show, other.columns)), ", ".join(map(show, other.targets))
    parent = show(other.schema, other.parent) if other.schema else show(other.parent)
    return f"key ({here}) to {parent} ({there}) {other.hindrance}"


@dataclass(frozen=True, slots=True)
class _Line:
    """A line and the comment behind it; those of one collection stand in one column unless the line is `apart`."""

    text: str
    comment: str = ""
    apart: bool = False


def _document(draft: Draft) -> Iterator[str]:
    yield "dataset:"
    yield f"  - fides_key: {scalar(draft.key)}"
    yield f"    name: {scalar(draft.name)}"
    if draft.schema is not None:
        yield f"    fides_meta: {{namespace: {{schema: {scalar(draft.schema)}}}}}"
    for name in draft.left_out:
        yield f"    # left out: table {show(name)} has a name that no collection can have"
    yield "    collections:" if draft.collections else "    collections: []"
    for number, collection in enumerate(draft.collections):
        if number:
            yield ""
        yield from _aligned(list(_collection(collection, draft.key)))


def _aligned(lines: Sequence[_Line]) -> Iterator[str]:
    column = min(max((len(line.text) for line in lines if line.comment and not line.apart), default=0), _WIDEST)
    for line in lines:
        width = 0 if line.apart else column
        yield f"{line.text:<{width}}  # {line.comment}" if line.comment else line.text


def _collection(draft: CollectionDraft, dataset: str) -> Iterator[_Line]:
    yield _Line(f"      - name: {scalar(draft.name)}")
    for remark in _remarks(draft):
        yield _Line(f"        # {remark}")
    if draft.blind:
        yield _Line("        fides_meta: {skip_processing: true}")
    elif draft.shared or not draft.reached:
        yield _Line("        # fides_meta: {skip_processing: true}")
    yield _Line("        fields:" if draft.fields else "        fields: []")
    for item in draft.fields:
        yield from _field(item, " " * 10, dataset)


def _remarks(draft: CollectionDraft) -> Iterator[str]:
    """What a reader should know of a table before its fields."""
    if draft.blind:
        yield "undecided: its rows cannot be told apart without a key, so it is skipped until you set primary_key: true"
    elif draft.keyless:
        yield "it has no primary key: its rows are told apart by all their values"
    if draft.ambiguous:
        yield f"found in several ways, each of them enough: {_list(draft.found_by)}; are all the same person's?"
    for other in draft.outside:
        yield f"undecided: {explain_other(other)}"
    for path in draft.left_out:
        yield f"left out: column {show(*path)} has a name that no field can have"
    if draft.shared:
        yield f"shared by many? it is only looked up, from {_list(draft.shared)}; skip it when it is not about people:"
    if not draft.reached:
        yield "undecided: no identity or reference leads here; give it one, or skip it when it is not about people:"


def _list(keys: Iterable[Key], most: int = 2) -> str:
    names = [show(key.child, key.column) for key in keys]
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _field(draft: FieldDraft, indent: str, dataset: str) -> Iterator[_Line]:
    yield _Line(f"{indent}- name: {scalar(draft.field.name)}", _undecided(draft))
    if draft.proposal is not None:
        line = f"data_categories: [{draft.proposal.category}]"
        if draft.withheld:
            yield _Line(f"{indent}  # {line}", "undecided: another person's?")
        else:
            yield _Line(f"{indent}  {line}", _proposed(draft.field.name, draft.proposal))
    if draft.opaque and not draft.undecided:
        yield _Line(f"{indent}  # undecided: {_what_is_inside(draft)}")
    yield from _meta(draft, f"{indent}  ", dataset)
    if draft.parts:
        yield _Line(f"{indent}  fields:")
        for part in draft.parts:
            yield from _field(part, f"{indent}    ", dataset)


def _proposed(name: str, proposal: Proposal) -> str:
    """What spoke for the category, unless it is the name as it stands."""
    same = proposal.phrase == " ".join(split_words(name))
    return "proposed" if same else f"proposed: reads as {show(proposal.phrase)}"


def _undecided(draft: FieldDraft) -> str:
    if not draft.undecided or draft.withheld:
        return ""
    return f"undecided: {_what_is_inside(draft)}" if draft.opaque else "undecided: no category known for this name"


def _what_is_inside(draft: FieldDraft) -> str:
    return f"the store does not tell what its {show(draft.type)} holds"


def _meta(draft: FieldDraft, indent: str, dataset: str) -> Iterator[_Line]:
    """`fides_meta` on one line, or on several when a person has something to choose in it."""
    entries = list(_entries(draft))
    shown = [*_candidate(draft), *_references(draft.rulings, dataset)]
    if not shown:
        if entries:
            comment = "".join(entry.comment for entry in entries)
            yield _Line(f"{indent}fides_meta: {{{', '.join(entry.text for entry in entries)}}}", comment)
        return
    if entries or any(not line.text.startswith("#") for line in shown):
        yield _Line(f"{indent}fides_meta:")
        yield from (replace(line, text=f"{indent}  {line.text}") for line in (*entries, *shown))
    else:
        yield _Line(f"{indent}# fides_meta:")
        yield from (replace(line, text=f"{indent}#   {line.text.removeprefix('# ')}") for line in shown)


def _entries(draft: FieldDraft) -> Iterator[_Line]:
    field = draft.field
    if field.primary_key:
        yield _Line("primary_key: true")
    if field.identity is not None and draft.identity is not None:
        yield _Line(f"identity: {scalar(field.identity)}", f"proposed identity: {draft.identity.reason}")
    if field.data_type is not None:
        data_type = f"{field.data_type}[]" if field.array else field.data_type.value
        yield _Line(f"data_type: {scalar(data_type)}")
    if field.length is not None:
        yield _Line(f"length: {field.length}")


def _candidate(draft: FieldDraft) -> Iterator[_Line]:
    """An identity that is only shown."""
    if draft.identity is not None and draft.candidate:
        yield _Line(f"# identity: {scalar(draft.identity.kind)}", f"undecided: {draft.identity.reason}")


def _references(rulings: Sequence[Ruling], dataset: str) -> Iterator[_Line]:
    """The list of references; those not followed are comments, the whole list when none is."""
    followed = [ruling for ruling in rulings if ruling.followed]
    if rulings:
        yield _Line("references:" if followed else "# references:")
    for ruling in (*followed, *(ruling for ruling in rulings if not ruling.followed)):
        mark = "proposed" if is_decided(ruling) else "undecided"
        item = f"- {{{', '.join(f'{name}: {value}' for name, value in _reference(ruling, dataset))}}}"
        start = "  " if ruling.followed else ("  # " if followed else "#   ")
        yield _Line(f"{start}{item}", f"{mark}: {explain(ruling)}", apart=True)


def _reference(ruling: Ruling, dataset: str) -> Iterator[tuple[str, str]]:
    yield "dataset", scalar(dataset)
    yield "field", scalar(f"{ruling.key.parent}.{ruling.key.target}")
    if ruling.direction is not None:
        yield "direction", ruling.direction.value
