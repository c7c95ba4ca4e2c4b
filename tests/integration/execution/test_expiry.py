"""Packages leave their storages when their time is over, and keys and salts when a request has ended."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from memory_shop import Shop, set_up

from engine import Engine, done
from habeas.domain.errors import NotFound
from habeas.execution import expiry
from habeas.execution.expiry import expire_packages
from habeas.execution.housekeeping import JOBS
from habeas.services import packages, storages
from habeas.store import tables
from servers.s3 import S3Server

Start = Callable[..., Engine]
LIFE = {"storage": {"package_ttl_seconds": 3600}, "security": {"outgoing_allow_list": ["127.0.0.1"]}}


def files(folder: Path) -> list[Path]:
    return [path for path in (folder / "data" / "packages").rglob("*") if path.is_file()]


def make_packages(engine: Engine, people: int = 1) -> list[str]:
    shop = Shop()
    set_up(engine, shop.connector())
    made = engine.submit("give", *(shop.add_person(number) for number in range(people)))
    engine.run()
    return made


def let_pass(engine: Engine, **time: int) -> None:
    with engine.context.ledger.write() as connection:
        connection.execute(tables.packages.update().values(created_at=datetime.now(UTC) - timedelta(**time)))


def test_a_package_stays_until_its_time_is_over(start: Start, tmp_path: Path) -> None:
    engine = start(sections=LIFE)
    (made,) = make_packages(engine)
    rule = engine.view(made).policy.rules[0].key
    assert expire_packages(engine.context) == 0
    assert engine.package(made, rule) and packages.access_results(engine.context, made)
    let_pass(engine, minutes=61)
    assert JOBS["expire_packages"](engine.context) == 1
    assert files(tmp_path) == []
    assert packages.access_results(engine.context, made) == []
    with pytest.raises(NotFound, match="deleted on"):
        engine.package(made, rule)
    assert expire_packages(engine.context) == 0


def test_packages_are_kept_where_no_time_is_set(start: Start, tmp_path: Path) -> None:
    engine = start()
    make_packages(engine)
    let_pass(engine, days=9000)
    assert expire_packages(engine.context) == 0
    assert len(files(tmp_path)) == 1


def test_what_was_killed_between_removing_and_recording_is_done_again(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = start(sections=LIFE)
    made = make_packages(engine, people=5)
    let_pass(engine, minutes=61)
    (tmp_path / "data" / "packages" / ".parts" / f"{min(made)}.json.0123").write_text("half")
    monkeypatch.setattr(expiry, "_AT_ONCE", 2)
    with monkeypatch.context() as killed:
        killed.setattr(expiry.store, "mark_deleted", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            expire_packages(engine.context)
    assert len(files(tmp_path)) == 3
    assert expire_packages(engine.context) == 5
    assert files(tmp_path) == []


def test_one_that_cannot_be_removed_keeps_no_other_and_stays_recorded(start: Start, tmp_path: Path) -> None:
    engine = start(sections=LIFE)
    made = make_packages(engine, people=3)
    let_pass(engine, minutes=61)
    with engine.context.ledger.write() as connection:
        elsewhere = tables.packages.c.request_id == made[1]
        connection.execute(tables.packages.update().where(elsewhere).values(location="/other/place"))
    assert expire_packages(engine.context) == 2
    assert [path.name for path in files(tmp_path)] == [f"{made[1]}.json"]
    assert packages.access_results(engine.context, made[1]) == ["/other/place"]


def test_nothing_is_left_in_a_bucket(start: Start, s3_server: S3Server) -> None:
    engine = start(sections=LIFE)
    bucket = s3_server.create_bucket(f"expiry-{uuid.uuid4().hex}")
    draft = storages.StorageDraft(
        name="bucket", key="bucket", type="s3", format="json", details=s3_server.details(bucket)
    )
    done(storages.save_storages(engine.context, [draft]))
    storages.save_storage_secrets(
        engine.context, "bucket", {"aws_access_key_id": "any", "aws_secret_access_key": "any"}
    )
    shop = Shop()
    set_up(engine, shop.connector())
    engine.policy("away", access=["user"], storage="bucket")
    (made,) = engine.submit("away", shop.add_person(0))
    engine.run()
    assert list(s3_server.objects(bucket)) == [f"{made}.json"]
    s3_server.begin_upload(bucket, f"{made}.json")
    let_pass(engine, minutes=61)
    assert expire_packages(engine.context) == 1
    assert (s3_server.objects(bucket), s3_server.unfinished(bucket)) == ({}, [])
