"""A dataset from a real store to a plan: generated, checked by the command, saved unchanged, and walked."""

import sqlite3
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing
from importlib.resources import files
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from typer.testing import CliRunner, Result

from engine import Engine, opened
from habeas import bootstrap
from habeas.cli.main import app
from habeas.demo.company import build_company
from habeas.domain.category import covers
from habeas.domain.errors import InputError, NeedsHuman, NotFound
from habeas.services import datasets
from habeas.services.datasets import read_yaml_bodies
from habeas.services.drafts import GeneratedDataset, generate_dataset
from habeas.services.requests import make_preview
from servers.postgres import PostgresServer

CANARY = "canary-3f9a"

SCHEMA = """
CREATE TABLE countries (code CHAR(2) PRIMARY KEY, name VARCHAR(40));
CREATE TABLE customers (
    id INTEGER PRIMARY KEY, email VARCHAR(80) UNIQUE, first_name VARCHAR(40), birth_date DATE,
    country CHAR(2) REFERENCES countries (code));
CREATE TABLE orders (
    id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL REFERENCES customers (id), delivery_note TEXT,
    packed_by INTEGER REFERENCES customers (id));
CREATE TABLE order_items (order_id INTEGER REFERENCES orders (id), product_id INTEGER, quantity INTEGER);
CREATE TABLE "Order Photos" (
    "Id" INTEGER PRIMARY KEY, "Order" INTEGER REFERENCES orders (id), "taken: where" VARCHAR(20));
CREATE VIEW customer_list AS SELECT email FROM customers;
"""

ROWS = f"""
INSERT INTO countries VALUES ('FR', '{CANARY}-country');
INSERT INTO customers VALUES (1, '{CANARY}@example.com', '{CANARY}', '1970-01-01', 'FR');
INSERT INTO orders VALUES (1, 1, '{CANARY} note', 1);
INSERT INTO order_items VALUES (1, 7, 3);
INSERT INTO "Order Photos" VALUES (1, 1, '{CANARY}');
"""

REACHED = {"countries", "customers", "order_items", "orders", "Order Photos"}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with opened(tmp_path / "data", f"sqlite:///{tmp_path}/data/{bootstrap.LEDGER}") as made:
        yield made


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path, engine: Engine) -> str:
    """A connection to a filled database of each kind."""
    if request.param == "sqlite":
        with closing(sqlite3.connect(tmp_path / "store.db")) as database:
            database.executescript(SCHEMA + ROWS)
        engine.connect("store", "sqlite", {"path": str(tmp_path / "store.db")})
    else:
        server: PostgresServer = request.getfixturevalue("postgres_server")
        name = f"store_{uuid.uuid4().hex}"
        with psycopg.connect(server.create_database(name), autocommit=True) as database:
            database.execute((SCHEMA + ROWS).encode())
        engine.connect("store", "postgres", server.secrets(name))
    return "store"


def run(*arguments: str | Path, data_dir: Path) -> Result:
    """A command on the engine's ledger."""
    return CliRunner().invoke(app, [*map(str, arguments), "--data-dir", str(data_dir)])


def preview(engine: Engine, *kinds: str) -> dict[str, set[str]]:
    """What a request with these identities would return and skip: collections by what becomes of them."""
    plan, _, _ = make_preview(engine.context, "give", list(kinds), None)
    return {
        "visited": {node.address.collection for node in plan.nodes},
        "skipped": {item.address.collection for item in plan.skipped},
    }


def test_a_generated_dataset_is_valid_saved_unchanged_and_reached(engine: Engine, store: str, tmp_path: Path) -> None:
    file = tmp_path / "store.yml"
    data_dir = engine.context.settings.data_dir
    generated = run("dataset", "generate", store, "--output", file, data_dir=data_dir)
    assert generated.exit_code == 0, generated.output
    assert generated.stdout == ""
    checked = CliRunner().invoke(app, ["dataset", "validate", str(file)])
    assert checked.exit_code == 0, checked.output
    assert "collections 6" in checked.stdout
    bodies = read_yaml_bodies(file.read_text(encoding="utf-8"))
    result = datasets.save_datasets(engine.context, store, bodies)
    assert not result.failed
    assert datasets.find_dataset(engine.context, store, store) == bodies[0]
    engine.policy("give", access=["user"])
    assert preview(engine, "email") == {"visited": REACHED, "skipped": {"customer_list"}}


def test_a_person_is_found_by_what_was_generated(engine: Engine, store: str) -> None:
    bodies = read_yaml_bodies(generate_dataset(engine.context, store).text)
    engine.describe(store, *bodies)
    engine.policy("give", access=["user"])
    (request,) = engine.submit("give", {"email": f"{CANARY}@example.com"})
    engine.run()
    counts = engine.counts(request)
    assert {name: counts[f"{store}:{name}"]["found"] for name in REACHED} == dict.fromkeys(REACHED, 1)
    assert f"{CANARY} note" in engine.package(request, "give-give")


def test_the_document_goes_to_standard_output_and_the_summary_to_the_other(engine: Engine, store: str) -> None:
    done = run("dataset", "generate", store, "--key", "crm", data_dir=engine.context.settings.data_dir)
    assert done.exit_code == 0, done.output
    (body,) = yaml.safe_load(done.stdout)["dataset"]
    assert body["fides_key"] == "crm"
    assert "identities proposed (1)\n  customers.email  email: a row is a person here\n" in done.stderr
    assert "columns undecided" in done.stderr


def test_no_value_of_a_row_is_in_the_output(engine: Engine, store: str) -> None:
    done = run("dataset", "generate", store, data_dir=engine.context.settings.data_dir)
    for text in (done.stdout, done.stderr):
        assert "customers" in text
        for value in (CANARY, "1970", "FR"):
            assert value not in text


def test_it_needs_no_right_to_read_a_row(engine: Engine, postgres_server: PostgresServer) -> None:
    name = f"store_{uuid.uuid4().hex}"
    with psycopg.connect(postgres_server.create_database(name), autocommit=True) as database:
        database.execute(SCHEMA.encode())
        database.execute(f"CREATE ROLE \"{name}\" LOGIN PASSWORD 'draft-password'".encode())
    secrets = postgres_server.secrets(name) | {"username": name, "password": "draft-password"}
    engine.connect("store", "postgres", secrets)
    generated = generate_dataset(engine.context, "store")
    assert {table.name for table in generated.draft.collections} == {*REACHED, "customer_list"}


def test_the_same_store_gives_the_same_text(engine: Engine, store: str) -> None:
    first = generate_dataset(engine.context, store)
    assert generate_dataset(engine.context, store).text == first.text


def test_what_people_decided_is_not_overwritten(engine: Engine, store: str, tmp_path: Path) -> None:
    file = tmp_path / "store.yml"
    file.write_text("decided")
    done = run("dataset", "generate", store, "-o", file, data_dir=engine.context.settings.data_dir)
    assert isinstance(done.exception, InputError)
    assert "exists already" in str(done.exception)
    assert file.read_text() == "decided"


def test_a_schema_of_its_own_is_named_in_the_dataset(engine: Engine, postgres_server: PostgresServer) -> None:
    name = f"store_{uuid.uuid4().hex}"
    with psycopg.connect(postgres_server.create_database(name), autocommit=True) as database:
        database.execute(b"CREATE SCHEMA crm; SET search_path TO crm")
        database.execute(SCHEMA.encode())
        database.execute(
            b"CREATE TABLE public.letters (id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES crm.customers (id))"
        )
    engine.connect("store", "postgres", postgres_server.secrets(name))
    generated = generate_dataset(engine.context, "store", schema="crm")
    (body,) = read_yaml_bodies(generated.text)
    assert (body["fides_key"], body["fides_meta"]) == ("store_crm", {"namespace": {"schema": "crm"}})
    engine.describe("store", body)
    engine.policy("give", access=["user"])
    assert preview(engine, "email")["visited"] == REACHED
    default = generate_dataset(engine.context, "store")
    assert "key (customer_id) to crm.customers (id) leads out of this dataset" in default.text
    assert "crm  6 tables" in default.summary
    with pytest.raises(InputError, match="has no tables") as refused:
        generate_dataset(engine.context, "store", schema="hr")
    assert refused.value.hint == "choose another with --schema: crm, public"


def test_what_stands_in_the_way_is_said(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="nowhere"):
        generate_dataset(engine.context, "nowhere")
    engine.connect("gone", "sqlite", {"path": str(tmp_path / "gone.db")})
    with pytest.raises(NeedsHuman, match="cannot be opened"):
        generate_dataset(engine.context, "gone")
    with closing(sqlite3.connect(tmp_path / "empty.db")) as database:
        database.execute("PRAGMA user_version = 1")
    engine.connect("empty", "sqlite", {"path": str(tmp_path / "empty.db")})
    with pytest.raises(InputError, match="the store has no tables"):
        generate_dataset(engine.context, "empty")
    with pytest.raises(InputError, match="'a b' is no dataset key"):
        generate_dataset(engine.context, "empty", key="a b")


# the sample company


LEAST_AGREED = 0.7
"""Of the categories in the sample company's own datasets, the share that a draft must name, or the one above."""


def categories(body: Mapping[str, Any]) -> dict[str, str]:
    return {
        f"{collection['name']}.{field['name']}": field["data_categories"][0]
        for collection in body["collections"]
        for field in collection["fields"]
        if field.get("data_categories")
    }


def references(body: Mapping[str, Any]) -> set[tuple[str, str, str]]:
    return {
        (f"{collection['name']}.{field['name']}", reference["field"], reference.get("direction", ""))
        for collection in body["collections"]
        for field in collection["fields"]
        for reference in field.get("fides_meta", {}).get("references", ())
        if reference["dataset"] == body["fides_key"]
    }


def identities(body: Mapping[str, Any]) -> set[tuple[str, str]]:
    return {
        (f"{collection['name']}.{field['name']}", field["fides_meta"]["identity"])
        for collection in body["collections"]
        for field in collection["fields"]
        if "identity" in field.get("fides_meta", {})
    }


@pytest.fixture
def shop(engine: Engine, tmp_path: Path) -> GeneratedDataset:
    build_company(tmp_path / "company", people=50)
    engine.connect("shop_db", "sqlite", {"path": str(tmp_path / "company" / "shop.db")})
    return generate_dataset(engine.context, "shop_db", key="shop")


def test_the_draft_of_the_sample_shop_says_nearly_what_its_people_wrote(shop: GeneratedDataset) -> None:
    own = yaml.safe_load(files("habeas.demo").joinpath("datasets/shop.yml").read_text(encoding="utf-8"))["dataset"][0]
    (drafted,) = yaml.safe_load(shop.text)["dataset"]
    by_people, proposed = categories(own), categories(drafted)
    both = by_people.keys() & proposed.keys()
    assert [path for path in sorted(both) if not covers(proposed[path], by_people[path])] == []
    agreed = len(both) / len(by_people)
    print(f"categories of the shop: {len(by_people)} by its people, {len(both)} of them proposed ({agreed:.0%})")
    assert agreed >= LEAST_AGREED
    assert set(proposed) - set(by_people) <= {"addresses.country"}
    assert identities(drafted) == identities(own) - {("visits.email", "email")}
    assert references(own) - references(drafted) == {("visits.email", "customers.email", "from")}
    assert references(drafted) - references(own) == {("reviews.product_id", "products.id", "to")}


def test_the_draft_of_the_sample_shop_says_what_it_left_undecided(shop: GeneratedDataset) -> None:
    assert "tables that nothing leads to: requests fail until you reach or skip them (1)\n  visits\n" in shop.summary
    assert "identities undecided (1)\n  visits.email  email" in shop.summary
    assert "tables without a key: rows are told apart by all their values (1)\n  order_items\n" in shop.summary
    assert "shared by many people? (2)\n  addresses\n  products\n" in shop.summary
