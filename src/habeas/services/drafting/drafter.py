"""Makes the draft of a dataset from a store's sketch: names and types in, proposals out. Pure; reads no value.

The order of the work: categories by name and type, identities among them, directions of keys from there, and at the
end the planner's own answer to what is reached.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from operator import attrgetter

from habeas.domain.dataset import Address, DataType, Field, Reference
from habeas.domain.errors import InputError
from habeas.domain.ports import ColumnSketch, Sketch, TableSketch
from habeas.planning.plan_input import AccessLevel, ConnectionState, PlacedDataset
from habeas.planning.survey import survey_graph
from habeas.services.drafting.categories import ID, Proposal, Surroundings, inside, propose_category, survey_table
from habeas.services.drafting.draft import CollectionDraft, Draft, FieldDraft
from habeas.services.drafting.identities import IdentityProposal, propose_identity, propose_identity_inside
from habeas.services.drafting.keys import find_keys
from habeas.services.drafting.kinds import data_type_of, is_opaque, spell_type
from habeas.services.drafting.links import Roots, Ruling, Verdict, direct_keys, find_owned, find_shared, group_by
from habeas.services.drafting.names import is_of_people, is_of_staff

_DEEPEST = 15
"""Fields inside of fields; a deeper document is more than our reader of YAML takes."""


def draft_dataset(sketch: Sketch, key: str, name: str, schema: str | None = None) -> Draft:
    """The draft of one schema of a store, its default one unless named. Raises InputError when that has no tables."""
    chosen = schema or sketch.default_schema
    elsewhere = Counter(table.schema or "" for table in sketch.tables if table.schema != chosen)
    here = [table for table in sketch.tables if table.schema == chosen]
    if not here:
        where = f"schema {chosen!r} of the store" if chosen else "the store"
        hint = f"choose another with --schema: {', '.join(sorted(elsewhere))}" if elsewhere else "make its tables first"
        raise InputError(f"{where} has no tables to describe", hint=hint)
    named = sorted((table for table in here if _can_be_collection(table.name)), key=attrgetter("name"))
    left_out = sorted(table.name for table in here if not _can_be_collection(table.name))
    drafter = _Drafter([_without_unnameable(table) for table in named], key)
    collections = tuple(
        replace(drafter.draft(table), left_out=tuple(sorted(_find_unnameable(original.columns))))
        for table, original in zip(drafter.tables, named, strict=True)
    )
    return _ask_planner(Draft(key, name, schema, collections, tuple(left_out), dict(sorted(elsewhere.items()))))


class _Drafter:
    """What is known and proposed of all tables together, written down table by table."""

    def __init__(self, tables: Sequence[TableSketch], dataset: str) -> None:
        self.tables = tables
        self._dataset = dataset
        self._keys = find_keys(tables)
        self._around = {table.name: survey_table(table) for table in tables}
        self._proposals = {table.name: self._propose(table) for table in tables}
        self._identities = {table.name: self._identify(table) for table in tables}
        self._withdraw_weak()
        roots = self._find_roots(lambda identity: not identity.candidate)
        rulings = direct_keys(self._keys.followable, roots)
        self._shared = find_shared(rulings)
        self._others = self._find_others(roots)
        self._rulings = group_by(rulings, lambda ruling: (ruling.key.child, ruling.key.column))
        self._types = self._choose_types(rulings)

    def draft(self, table: TableSketch) -> CollectionDraft:
        """One table, whatever is said of its reach."""
        fields = sorted((self._draft_column(table, column) for column in table.columns), key=lambda item: item.path)
        found_by = [ruling.key for item in fields for ruling in item.rulings if ruling.verdict is Verdict.DOWN]
        return CollectionDraft(
            table.name,
            tuple(fields),
            keyless=not table.primary_key,
            blind=_is_blind(table),
            shared=tuple(self._shared.get(table.name, ())),
            found_by=tuple(found_by),
            outside=tuple(sorted(self._keys.others.get(table.name, ()))),
        )

    def _draft_column(self, table: TableSketch, column: ColumnSketch) -> FieldDraft:
        place = (table.name, column.name)
        identity = self._identities[table.name].get(column.name)
        rulings = tuple(self._rulings.get(place, ()))
        bare = _draft_bare(column, (column.name,), self._proposals[table.name].get(column.name), self._types[place])
        members = _draft_members(column, bare.path, self._around[table.name])
        draft = replace(
            bare,
            identity=identity,
            rulings=rulings,
            link=column.name in table.primary_key or column.name in self._keys.columns[table.name],
            parts=members,
            field=replace(
                bare.field,
                primary_key=column.name in table.primary_key,
                identity=identity.kind if identity is not None and not identity.candidate else None,
                references=tuple(self._refer(ruling) for ruling in rulings if ruling.followed),
                fields=tuple(member.field for member in members),
            ),
        )
        return _withhold(draft) if table.name in self._others else draft

    def _refer(self, ruling: Ruling) -> Reference:
        return Reference(Address(self._dataset, ruling.key.parent), ruling.key.target, ruling.direction)

    def _propose(self, table: TableSketch) -> dict[str, Proposal]:
        """Categories by column. A column that points to another table is a link, not an id of this row's person."""
        around, links = self._around[table.name], self._keys.columns[table.name]
        found = {}
        for column in table.columns:
            proposal = propose_category(column, around)
            if proposal is None and table.primary_key == (column.name,) and is_of_people(around.subject):
                proposal = Proposal(ID, f"key of {around.subject[-1]}")
            if proposal is not None and not (column.name in links and proposal.category.startswith(ID)):
                found[column.name] = proposal
        return found

    def _identify(self, table: TableSketch) -> dict[str, IdentityProposal]:
        around, proposals = self._around[table.name], self._proposals[table.name]
        found = {}
        for column in table.columns:
            identity = propose_identity(column, proposals.get(column.name), table, around)
            if identity is not None:
                found[column.name] = identity
        return found

    def _withdraw_weak(self) -> None:
        """Weak identities go where a key finds the rows: those of an address book are other people's."""
        strong = self._find_roots(lambda identity: not identity.candidate and not identity.weak)
        owned = find_owned(self._keys.followable, strong)
        for table in owned:
            for column, identity in self._identities[table].items():
                if identity.weak:
                    withdrawn = identity.withdraw("the row is found by a key already, and this may be another person's")
                    self._identities[table][column] = withdrawn

    def _find_roots(self, counts: Callable[[IdentityProposal], bool]) -> Roots:
        """Tables with an identity that counts."""

        def has_identity(table: TableSketch) -> bool:
            return any(map(counts, self._identities[table.name].values()))

        subjects = {table.name: self._around[table.name].subject for table in self.tables}
        staff = {name for name, subject in subjects.items() if is_of_staff(subject)}
        people = {name for name, subject in subjects.items() if is_of_people(subject)}
        roots = {table.name for table in self.tables if has_identity(table) and not _is_blind(table)}
        return Roots(roots, staff, people - staff)

    def _find_others(self, roots: Roots) -> set[str]:
        """Tables of people who are seldom the ones who ask: looked up from another's rows, or staff without a way in.

        Categories are not proposed there: an erasure would mask the clerk along with the customer.
        """
        staff = {table.name for table in self.tables if is_of_staff(self._around[table.name].subject)}
        people = {table.name for table in self.tables if is_of_people(self._around[table.name].subject)}
        return (people & set(self._shared)) | (staff - find_owned(self._keys.followable, roots))

    def _choose_types(self, rulings: Sequence[Ruling]) -> dict[tuple[str, str], DataType | None]:
        """Declared types by table and column; none at keys between columns of different types: no cast, no loss."""
        linked = {end for ruling in rulings if ruling.followed for end in _ends(ruling)}
        types = {
            (table.name, column.name): data_type_of(column, linked=(table.name, column.name) in linked)
            for table in self.tables
            for column in table.columns
        }
        for ruling in rulings:
            child, parent = _ends(ruling)
            if ruling.followed and types[child] is not types[parent]:
                types[child] = types[parent] = None
        return types


def _ends(ruling: Ruling) -> tuple[tuple[str, str], tuple[str, str]]:
    return (ruling.key.child, ruling.key.column), (ruling.key.parent, ruling.key.target)


def _draft_members(column: ColumnSketch, path: tuple[str, ...], around: Surroundings) -> tuple[FieldDraft, ...]:
    """Fields of the members of a nested column. People are found by them only when a person says so."""
    if len(path) >= _DEEPEST:
        return ()
    within = inside(column, around)
    members = sorted(column.fields, key=attrgetter("name"))
    return tuple(_draft_member(member, (*path, member.name), within) for member in members)


def _draft_member(member: ColumnSketch, path: tuple[str, ...], around: Surroundings) -> FieldDraft:
    proposal = propose_category(member, around)
    bare = _draft_bare(member, path, proposal, data_type_of(member, linked=False))
    members = _draft_members(member, path, around)
    return replace(
        bare,
        identity=propose_identity_inside(member, proposal),
        parts=members,
        field=replace(bare.field, fields=tuple(part.field for part in members)),
    )


def _draft_bare(
    column: ColumnSketch, path: tuple[str, ...], proposal: Proposal | None, data_type: DataType | None
) -> FieldDraft:
    """What is said of a column alone."""
    field = Field(
        column.name,
        categories=(proposal.category,) if proposal is not None else (),
        data_type=data_type,
        length=column.length or None,
        array=column.array and data_type is not None,
    )
    opaque = is_opaque(column) or (bool(column.fields) and len(path) >= _DEEPEST)
    return FieldDraft(field, path, spell_type(column), proposal, opaque=opaque)


def _withhold(draft: FieldDraft) -> FieldDraft:
    """The same without categories that speak of a person, at every depth."""
    parts = tuple(map(_withhold, draft.parts))
    field = replace(draft.field, fields=tuple(part.field for part in parts))
    if draft.proposal is None or not draft.proposal.category.startswith("user"):
        return replace(draft, field=field, parts=parts)
    return replace(draft, field=replace(field, categories=()), withheld=True, parts=parts)


def _is_blind(table: TableSketch) -> bool:
    return not table.primary_key and not table.locatable


def _can_be_collection(name: str) -> bool:
    return _can_be_field(name) and ":" not in name


def _can_be_field(name: str) -> bool:
    """Names that `dataset_format` takes and that a path can hold."""
    return name != "" and "." not in name and not any(ord(character) < 32 for character in name)


def _without_unnameable(table: TableSketch) -> TableSketch:
    """The table without columns that no field can have. Half a key is no key, nor is one of arrays or objects."""
    columns = _nameable(table.columns)
    single = {column.name for column in columns if not column.nested}
    key = table.primary_key if single.issuperset(table.primary_key) else ()
    return replace(table, columns=columns, primary_key=key)


def _nameable(columns: Sequence[ColumnSketch]) -> tuple[ColumnSketch, ...]:
    """Those that a field can be; an object none of whose members can is one of free form."""
    return tuple(map(_with_nameable, (column for column in columns if _can_be_field(column.name))))


def _with_nameable(column: ColumnSketch) -> ColumnSketch:
    members = _nameable(column.fields)
    return replace(column, fields=members, document=column.document or (bool(column.fields) and not members))


def _find_unnameable(columns: Sequence[ColumnSketch], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for column in columns:
        if not _can_be_field(column.name):
            yield (*above, column.name)
        else:
            yield from _find_unnameable(column.fields, (*above, column.name))


def _ask_planner(draft: Draft) -> Draft:
    """The draft with the planner's own word on what is reached when all proposed identities are given."""
    placed = PlacedDataset(draft.dataset(), ConnectionState("draft", "draft", AccessLevel.READ))
    kinds = {item.field.identity for table in draft.collections for item in table.fields if item.field.identity}
    unreached = {address.collection for address in survey_graph([placed], kinds).unreached}
    return replace(
        draft, collections=tuple(replace(item, reached=item.name not in unreached) for item in draft.collections)
    )
