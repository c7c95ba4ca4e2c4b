"""Checks of datasets before they are saved: among themselves, and against what the store says of its tables.

The planner uses the same checks, so that what is saved can be planned.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from habeas.domain.dataset import Address, Collection, Dataset, Field
from habeas.domain.errors import DatasetError
from habeas.domain.ports import ColumnSketch, Sketch, TableSketch
from habeas.planning.graph import find_problem, references_of


def check_datasets(datasets: Sequence[Dataset]) -> None:
    """Raise DatasetError for what is wrong within the datasets given: names, references, self-references.

    A reference to a dataset that is not among them is left to the planner.
    """
    check_names(datasets)
    fields = {
        Address(dataset.key, collection.name): collection.paths()
        for dataset in datasets
        for collection in dataset.collections
    }
    given = {dataset.key for dataset in datasets}
    for address, own in fields.items():
        for path, reference in references_of(own):
            if reference.target.dataset not in given:
                continue
            problem = find_problem(address, reference, fields, given)
            if problem is not None:
                where = f"{address.dataset}.{address.collection}.{path}"
                raise DatasetError(problem.message, path=where, hint=problem.hint)


def check_names(datasets: Iterable[Dataset]) -> None:
    """Raise DatasetError for a name that occurs twice or that cannot be part of an address."""
    datasets = tuple(datasets)
    _check_unique("dataset", "", [dataset.key for dataset in datasets])
    for dataset in datasets:
        _check_unique("collection", dataset.key, [collection.name for collection in dataset.collections])
        for collection in dataset.collections:
            _check_fields(f"{dataset.key}.{collection.name}", collection.fields)


def check_against_sketch(dataset: Dataset, sketch: Sketch) -> None:
    """Raise DatasetError when the store lacks a declared table or column, or cannot tell rows of one apart.

    Collections with `skip_processing` are not looked at.
    """
    for collection in dataset.collections:
        if collection.skip_processing:
            continue
        path = f"{dataset.key}.{collection.name}"
        table = sketch.table(dataset.schema, collection.name)
        if table is None:
            schema = dataset.schema or sketch.default_schema
            where = f"schema {schema!r}" if schema else "the store"
            raise DatasetError(
                f"{where} has no table {collection.name!r}",
                path=path,
                hint="correct the name, the schema or the connection, or set skip_processing",
            )
        _check_table(collection, table, path)
    check_composite_keys(dataset, sketch)


def check_composite_keys(dataset: Dataset, sketch: Sketch) -> None:
    """Raise DatasetError where references follow several columns of one composite foreign key.

    References are alternatives: each column alone would find other people's rows.
    """
    declared = set()
    for collection in dataset.collections:
        for path, reference in references_of(collection.paths()):
            if reference.target.dataset == dataset.key:
                here, there = (collection.name, path), (reference.target.collection, reference.field)
                declared |= {(here, there), (there, here)}
    for collection in dataset.collections:
        table = sketch.table(dataset.schema, collection.name)
        for key in table.foreign_keys if table is not None else ():
            pairs = zip(key.columns, key.target_columns, strict=True)
            used = [c for c, t in pairs if ((collection.name, c), (key.target_table, t)) in declared]
            if len(used) > 1:
                raise DatasetError(
                    f"{' and '.join(used)} are one composite foreign key; followed one by one they would find "
                    "other people's rows",
                    path=f"{dataset.key}.{collection.name}",
                    hint="keep only a reference whose column identifies the row by itself, or leave the collection out",
                )


def _check_table(collection: Collection, table: TableSketch, path: str) -> None:
    columns = {column.name: column for column in table.columns}
    for item in collection.fields:
        if item.name not in columns:
            raise DatasetError(
                f"table {collection.name!r} has no column {item.name!r}",
                path=f"{path}.{item.name}",
                hint="correct the name or remove the field",
            )
        _check_form(item, columns[item.name], f"{path}.{item.name}")
    if not collection.key and not table.locatable:
        raise DatasetError(
            "the rows of this table cannot be told apart without a key",
            path=path,
            hint="declare a primary_key, e.g. fides_meta: {primary_key: true}",
        )


def _check_form(item: Field, column: ColumnSketch, path: str) -> None:
    """What the dataset says of a column's form must be possible; documents may have any."""
    if (item.array or item.is_object) and not column.nested:
        raise DatasetError(
            "the store holds no arrays or objects here",
            path=path,
            hint="describe it as a field without sub-fields and without []",
        )
    if item.primary_key and column.nested:
        raise DatasetError(
            "the store holds arrays or objects here, which cannot be a key",
            path=path,
            hint="declare a field with one value as primary_key, or none",
        )
    if column.document:
        return
    if column.fields and not item.is_object and (item.identity is not None or item.references):
        raise DatasetError(
            "the store holds objects here, which are no values to compare",
            path=path,
            hint="describe the sub-fields, and set identity or references on the one that holds the value",
        )
    members = {member.name: member for member in column.fields}
    for inner in item.fields:
        if inner.name not in members:
            raise DatasetError(
                f"the objects here have no member {inner.name!r}",
                path=f"{path}.{inner.name}",
                hint="correct the name or remove the field",
            )
        _check_form(inner, members[inner.name], f"{path}.{inner.name}")


def _check_fields(path: str, fields: Sequence[Field]) -> None:
    _check_unique("field", path, [item.name for item in fields])
    for item in fields:
        if "." in item.name:
            raise DatasetError(
                f"{item.name!r} cannot be the name of a field",
                path=f"{path}.{item.name}",
                hint="a dot stands between an object and a field inside of it",
            )
        _check_fields(f"{path}.{item.name}", item.fields)


def _check_unique(kind: str, path: str, names: Sequence[str]) -> None:
    for name, count in Counter(names).items():
        where = f"{path}.{name}" if path else name
        if not name or (kind != "field" and ":" in name):
            raise DatasetError(
                f"{name!r} cannot be the name of a {kind}", path=where, hint="give it a name without colons"
            )
        if count > 1:
            raise DatasetError(f"{kind} {name!r} is declared {count} times", path=where, hint="keep one of them")
