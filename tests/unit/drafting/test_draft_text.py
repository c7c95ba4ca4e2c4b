"""A draft as people read it: the document with its comments, and the list of what to look at."""

from textwrap import dedent

import pytest
import yaml

from habeas.domain.errors import InputError
from habeas.domain.ports import ColumnSketch, ForeignKeySketch, Sketch, TableSketch
from habeas.services.dataset_format import parse_datasets
from habeas.services.drafting.drafter import draft_dataset
from habeas.services.drafting.summary import summarise
from habeas.services.drafting.text import write_draft

ID = ColumnSketch("id", "integer", text=False)


def text(name: str, length: int | None = None) -> ColumnSketch:
    return ColumnSketch(name, "varchar", text=True, length=length)


def number(name: str) -> ColumnSketch:
    return ColumnSketch(name, "integer", text=False)


def table(name: str, *columns: ColumnSketch, keys: tuple[ForeignKeySketch, ...] = ()) -> TableSketch:
    return TableSketch(name, None, (ID, *columns), ("id",), foreign_keys=keys)


def points_to(parent: str, column: str) -> ForeignKeySketch:
    return ForeignKeySketch((column,), None, parent, ("id",))


SHOP = Sketch(
    (
        table("customers", text("email", 80), text("tier")),
        table(
            "orders",
            number("customer_id"),
            number("shop_id"),
            number("packed_by"),
            text("ship_name"),
            keys=(
                points_to("customers", "customer_id"),
                points_to("shops", "shop_id"),
                points_to("customers", "packed_by"),
            ),
        ),
        table("shops", text("name")),
        TableSketch("visits", None, (text("email"), number("order_id")), ()),
    )
)

DOCUMENT = """\
dataset:
  - fides_key: shop_db
    name: Shop
    collections:
      - name: customers
        fields:
          - name: email
            data_categories: [user.contact.email]                         # proposed
            fides_meta: {identity: email, data_type: string, length: 80}  # proposed identity: a row is a person here
          - name: id
            data_categories: [user.unique_id]                             # proposed: reads as customer id
            fides_meta: {primary_key: true, data_type: integer}
          - name: tier                                                    # undecided: no category known for this name
            fides_meta: {data_type: string}

      - name: orders
        fields:
          - name: customer_id
            fides_meta:
              data_type: integer
              references:
                - {dataset: shop_db, field: customers.id, direction: from}  # proposed: rows of customers find these
          - name: id
            fides_meta: {primary_key: true, data_type: integer}
          - name: packed_by
            fides_meta:
              data_type: integer
              # references:
              #   - {dataset: shop_db, field: customers.id}  # undecided: who worked on a row is seldom the one whom it is about
          - name: ship_name
            data_categories: [user.name]  # proposed
            fides_meta: {data_type: string}
          - name: shop_id
            fides_meta:
              data_type: integer
              references:
                - {dataset: shop_db, field: shops.id, direction: to}  # proposed: these look up rows of shops

      - name: shops
        # shared by many? it is only looked up, from orders.shop_id; skip it when it is not about people:
        # fides_meta: {skip_processing: true}
        fields:
          - name: id
            fides_meta: {primary_key: true, data_type: integer}
          - name: name  # undecided: no category known for this name
            fides_meta: {data_type: string}

      - name: visits
        # it has no primary key: its rows are told apart by all their values
        # undecided: no identity or reference leads here; give it one, or skip it when it is not about people:
        # fides_meta: {skip_processing: true}
        fields:
          - name: email
            data_categories: [user.contact.email]  # proposed
            fides_meta:
              data_type: string
              # identity: email                    # undecided: not unique, and a row may be no person here
          - name: order_id
            fides_meta:
              data_type: integer
              # references:
              #   - {dataset: shop_db, field: orders.id, direction: from}  # undecided: the name looks like a key to orders, but the store declares none
"""  # noqa: E501

SUMMARY = """\
shop_db: 4 tables with 12 columns; no row was read

identities proposed (1)
  customers.email  email: a row is a person here

identities undecided (1)
  visits.email  email: not unique, and a row may be no person here

categories proposed (4)
  customers.email   user.contact.email
  customers.id      user.unique_id
  orders.ship_name  user.name
  visits.email      user.contact.email

columns undecided (2)
  customers.tier
  shops.name

references undecided (2)
  orders.packed_by -> customers.id  who worked on a row is seldom the one whom it is about
  visits.order_id -> orders.id      the name looks like a key to orders, but the store declares none

tables that nothing leads to: requests fail until you reach or skip them (1)
  visits

tables only looked up: shared by many people? (1)
  shops

tables without a key: rows are told apart by all their values (1)
  visits
"""


def body_of(written: str) -> str:
    """The document without the lines that explain it."""
    return written[written.index("dataset:") :]


def take_in(line: str) -> str:
    """A line as it is once its comment sign is deleted."""
    assert line.lstrip().startswith("# ")
    return line.replace("# ", "", 1)


def test_a_draft_is_written_for_people() -> None:
    assert body_of(write_draft(draft_dataset(SHOP, "shop_db", "Shop"), "shop")) == DOCUMENT


def test_the_first_lines_say_what_it_is_and_what_to_do() -> None:
    head = write_draft(draft_dataset(SHOP, "shop_db", "Shop"), "shop").partition("dataset:")[0]
    for words in ("connection shop", "no row was read", "proposed", "undecided", "habeas dataset validate"):
        assert words in head


def test_the_summary_lists_what_to_look_at() -> None:
    assert summarise(draft_dataset(SHOP, "shop_db", "Shop")) == SUMMARY


@pytest.mark.parametrize(
    ("signs", "expected"),
    [
        (("identity: email  ",), {"identity": "email"}),
        (
            ("references:", "- {dataset: shop_db, field: orders.id"),
            {"references": [{"dataset": "shop_db", "field": "orders.id", "direction": "from"}]},
        ),
        (("fides_meta: {skip_processing",), {"skip_processing": True}),
    ],
)
def test_a_line_that_is_shown_is_taken_in_by_deleting_its_sign(signs: tuple[str, ...], expected: object) -> None:
    lines = DOCUMENT.splitlines()
    start = lines.index("      - name: visits")
    chosen = [
        take_in(line)
        if number > start and any(f"# {sign}" in line or f"#   {sign}" in line for sign in signs)
        else line
        for number, line in enumerate(lines)
    ]
    (dataset,) = yaml.safe_load("\n".join(chosen))["dataset"]
    (visits,) = [item for item in dataset["collections"] if item["name"] == "visits"]
    metas = [visits.get("fides_meta", {}), *(field.get("fides_meta", {}) for field in visits["fields"])]
    assert any(expected.items() <= meta.items() for meta in metas)  # type: ignore[attr-defined]


# nested columns


NESTED = Sketch(
    (
        table(
            "customers",
            ColumnSketch("home", "STRUCT(town VARCHAR)", text=False, fields=(text("town"), text("floor"))),
            ColumnSketch("phones", "VARCHAR[]", text=True, array=True),
            ColumnSketch(
                "contacts",
                'STRUCT(email VARCHAR, "a.b" VARCHAR)[]',
                text=False,
                array=True,
                fields=(text("email"), text("a.b")),
            ),
            ColumnSketch("profile", "JSON", text=False, document=True),
            ColumnSketch("settings", "JSON", text=False, document=True),
        ),
    )
)


def test_members_of_nested_columns_are_fields_of_their_own() -> None:
    (dataset,) = yaml.safe_load(write_draft(draft_dataset(NESTED, "shop_db", "Shop"), "shop"))["dataset"]
    fields = {field.pop("name"): field for field in dataset["collections"][0]["fields"]}
    assert fields["home"] == {
        "fides_meta": {"data_type": "object"},
        "fields": [
            {"name": "floor", "fides_meta": {"data_type": "string"}},
            {
                "name": "town",
                "data_categories": ["user.contact.address.city"],
                "fides_meta": {"data_type": "string"},
            },
        ],
    }
    assert fields["phones"] == {
        "data_categories": ["user.contact.phone_number"],
        "fides_meta": {"data_type": "string[]"},
    }
    assert fields["contacts"] == {
        "fides_meta": {"data_type": "object[]"},
        "fields": [{"name": "email", "data_categories": ["user.contact.email"], "fides_meta": {"data_type": "string"}}],
    }
    assert fields["profile"] == {}
    assert fields["settings"] == {"data_categories": ["user.account.settings"]}


def test_a_document_too_deep_to_be_read_back_is_cut_and_told() -> None:
    column = text("leaf")
    for _ in range(40):
        column = ColumnSketch("deep", "STRUCT", text=False, fields=(column,))
    draft = draft_dataset(Sketch((table("trees", column),)), "db", "DB")
    assert parse_datasets(write_draft(draft, "db")) == (draft.dataset(),)
    assert "the store does not tell what its struct holds" in write_draft(draft, "db")


def test_arrays_and_objects_are_no_keys() -> None:
    tags = TableSketch("tags", None, (ColumnSketch("words", "text[]", text=True, array=True),), ("words",))
    (collection,) = draft_dataset(Sketch((tags,)), "db", "DB").dataset().collections
    assert collection.key == ()


def test_what_a_store_does_not_tell_of_a_document_is_undecided() -> None:
    draft = draft_dataset(NESTED, "shop_db", "Shop")
    written, summary = write_draft(draft, "shop"), summarise(draft)
    assert "# undecided: the store does not tell what its json holds" in written
    assert "# left out: column contacts.a.b has a name that no field can have" in written
    assert "inside (2)\n  customers.profile   json\n  customers.settings  json\n" in summary
    assert "customers.contacts.email  email: inside a nested column" in summary


# what cannot be written


def test_keys_that_no_reference_can_follow_are_told_and_not_written() -> None:
    legs = TableSketch("legs", "public", (number("a"), number("b")), ("a", "b"))
    trips = TableSketch(
        "trips",
        "public",
        (ID, number("x"), number("y"), number("client_id")),
        ("id",),
        foreign_keys=(
            ForeignKeySketch(("x", "y"), "public", "legs", ("a", "b")),
            ForeignKeySketch(("client_id",), "crm", "clients", ("id",)),
        ),
    )
    draft = draft_dataset(Sketch((legs, trips), "public"), "trips_db", "Trips")
    assert not any(field.field.references for table in draft.collections for field in table.fields)
    for written in (write_draft(draft, "trips"), summarise(draft)):
        assert "key (x, y) to legs (a, b) has several columns, and a reference follows one" in written
        assert "key (client_id) to crm.clients (id) leads out of this dataset" in written


def test_parts_of_a_composite_key_are_no_keys_of_their_own() -> None:
    """The planner refuses references that follow several columns of one key."""
    parts = tuple(ForeignKeySketch((here,), None, "legs", (there,)) for here, there in (("x", "a"), ("y", "b")))
    whole = ForeignKeySketch(("x", "y"), None, "legs", ("a", "b"))
    legs = TableSketch("legs", None, (number("a"), number("b")), ("a", "b"), unique=(("a",), ("b",)))
    trips = TableSketch("trips", None, (ID, number("x"), number("y")), ("id",), foreign_keys=(whole, *parts))
    draft = draft_dataset(Sketch((legs, trips)), "trips_db", "Trips")
    assert not any(field.field.references for table in draft.collections for field in table.fields)


def test_half_a_key_is_no_key() -> None:
    """Rows would be taken for one another by the half that can be written."""
    parts = TableSketch("parts", None, (number("no"), number("sub.no")), ("no", "sub.no"))
    (collection,) = draft_dataset(Sketch((parts,)), "parts_db", "Parts").dataset().collections
    assert collection.key == ()


def test_a_view_whose_rows_cannot_be_told_apart_is_skipped_until_it_has_a_key() -> None:
    view = TableSketch("customer_list", None, (text("email"),), locatable=False)
    draft = draft_dataset(Sketch((view,)), "shop_db", "Shop")
    assert draft.dataset().collections[0].skip_processing
    assert "cannot be told apart (1)\n  customer_list\n" in summarise(draft)
    assert "columns undecided" not in summarise(draft)


# schemas and types


def test_one_schema_is_drafted_and_the_others_are_named() -> None:
    tables = [TableSketch(name, schema, (ID,), ("id",)) for schema, name in (("crm", "a"), ("crm", "b"), ("web", "c"))]
    sketch = Sketch(tuple(tables), "web")
    default = draft_dataset(sketch, "store", "Store")
    assert [table.name for table in default.collections] == ["c"]
    assert default.dataset().schema is None
    assert "other schemas: name one with --schema (1)\n  crm  2 tables\n" in summarise(default)
    named = draft_dataset(sketch, "store", "Store", "crm")
    assert [table.name for table in named.collections] == ["a", "b"]
    assert "    fides_meta: {namespace: {schema: crm}}\n" in write_draft(named, "store")
    with pytest.raises(InputError, match="schema 'hr' of the store has no tables") as refused:
        draft_dataset(sketch, "store", "Store", "hr")
    assert refused.value.hint == "choose another with --schema: crm, web"


@pytest.mark.parametrize(
    ("type_", "is_text", "declared"),
    [
        ("character varying", True, "string"),
        ("citext", True, "string"),
        ("uuid", False, "string"),
        ("bigint(20) unsigned", False, "integer"),
        ("HUGEINT", False, "integer"),
        ("tinyint(1)", False, "boolean"),
        ("BOOLEAN", False, "boolean"),
        ("double precision", False, "float"),
        ("DECIMAL(18,3)", False, "float"),
        ("timestamp with time zone", False, None),
        ("interval", False, None),
        ("point", False, None),
        ("integer[]", False, None),
        ("jsonb", False, None),
        ("enum('int','text')", False, None),
        ("bytea", False, None),
        ("hint_level", False, None),
        ("MAP(VARCHAR, INTEGER)", False, None),
        ("UBIGINT", False, "integer"),
        ("unsigned big int", False, "integer"),
        ("TIMESTAMP_S", False, None),
        ("real", False, "float"),
    ],
)
def test_the_declared_type_is_that_of_the_column(type_: str, is_text: bool, declared: str | None) -> None:
    sketch = Sketch((TableSketch("things", None, (ColumnSketch("x", type_, is_text),)),))
    (field,) = draft_dataset(sketch, "store", "Store").dataset().collections[0].fields
    assert field.data_type == declared


@pytest.mark.parametrize(
    ("child", "parent", "declared"),
    [
        (ColumnSketch("user_id", "numeric", False), ColumnSketch("id", "numeric", False), None),
        (ColumnSketch("user_id", "integer", False), ColumnSketch("id", "text", True), None),
        (ColumnSketch("user_id", "tinyint(1)", False), ColumnSketch("id", "tinyint", False), "integer"),
        (ColumnSketch("user_id", "text", True), ColumnSketch("id", "text", True), "string"),
    ],
)
def test_values_that_travel_lose_nothing_by_a_cast(child: ColumnSketch, parent: ColumnSketch, declared: str) -> None:
    users = TableSketch("users", None, (parent, text("email")), ("id",))
    orders = TableSketch("orders", None, (child,), foreign_keys=(points_to("users", "user_id"),))
    by_name = {item.name: item for item in draft_dataset(Sketch((users, orders)), "db", "DB").dataset().collections}
    types = [field.data_type for item in by_name.values() for field in item.fields if field.name in ("id", "user_id")]
    assert types == [declared, declared]


def test_names_that_yaml_would_misread_are_quoted_and_none_breaks_out_of_a_comment() -> None:
    names = ("no", "12", "null", "a, b", "x #y", "{z}", "- q", "line\u2028break", "tab\tbed")
    sketch = Sketch((TableSketch("true", None, tuple(map(text, names))),))
    draft = draft_dataset(sketch, "db", "yes: no")
    written = write_draft(draft, "db")
    (dataset,) = yaml.safe_load(written)["dataset"]
    assert dataset["name"] == "yes: no"
    (collection,) = dataset["collections"]
    assert collection["name"] == "true"
    assert {field["name"] for field in collection["fields"]} == set(names) - {"tab\tbed"}
    assert r'# left out: column "tab\tbed"' in written


def test_a_key_to_a_table_that_is_not_there_is_told() -> None:
    orphan = TableSketch(
        "orphan", None, (ID, number("x")), ("id",), foreign_keys=(ForeignKeySketch(("x",), None, "gone", ()),)
    )
    draft = draft_dataset(Sketch((orphan,)), "db", "DB")
    assert "leads out of this dataset" in summarise(draft)


def test_an_empty_store_is_refused() -> None:
    with pytest.raises(InputError, match="the store has no tables"):
        draft_dataset(Sketch(), "db", "DB")


def test_explanations_do_not_move_with_long_lines() -> None:
    """Comments of a table stand in one column; a longer line has its own behind it."""
    lines = dedent(DOCUMENT).splitlines()
    customers = lines[lines.index("      - name: customers") : lines.index("      - name: orders")]
    columns = {line.index("# ") for line in customers if "# " in line}
    assert len(columns) == 1


# other people's rows


def test_no_category_is_proposed_for_the_clerk_whom_a_customer_leads_to() -> None:
    """An erasure of the customer would mask the clerk along."""
    agents = table("agents", text("name"))
    customers = table("customers", text("email"), number("agent_no"), keys=(points_to("agents", "agent_no"),))
    draft = draft_dataset(Sketch((agents, customers)), "shop_db", "Shop")
    fields = {item.name: item for item in draft.dataset().collections[0].fields}
    assert fields["name"].categories == ()
    assert "# data_categories: [user.name]" in write_draft(draft, "shop")
    assert "columns undecided (2)\n  agents.id\n  agents.name\n" in summarise(draft)


def test_another_persons_number_is_no_identity() -> None:
    people = table(
        "employees", text("email"), text("emergency_contact_phone"), text("manager_email"), text("email_hash")
    )
    (collection,) = draft_dataset(Sketch((people,)), "hr", "HR").dataset().collections
    assert {item.name for item in collection.fields if item.identity} == {"email"}


@pytest.mark.parametrize(
    ("column", "category"),
    [
        (ColumnSketch("email", "boolean", text=False), None),
        (ColumnSketch("email", "timestamp", text=False), None),
        (ColumnSketch("phone", "bigint", text=False), "user.contact.phone_number"),
        (ColumnSketch("seen_from", "inet", text=False), "user.device.ip_address"),
        (ColumnSketch("birth_date", "date", text=False), "user.demographic.date_of_birth"),
        (ColumnSketch("birth_date", "boolean", text=False), None),
        (ColumnSketch("gender", "enum('f','m')", text=False), "user.demographic.gender"),
    ],
)
def test_the_type_must_fit_the_category(column: ColumnSketch, category: str | None) -> None:
    (collection,) = draft_dataset(Sketch((table("people", column),)), "db", "DB").dataset().collections
    (field,) = (item for item in collection.fields if item.name == column.name)
    assert field.categories == ((category,) if category else ())
    assert field.identity is None
