"""The upload step: one package per access rule and member, streamed from the kept rows.

Sixteen members are packaged at a time (the bucket of the spool), several buckets in parallel; where a package of a
bucket is refused, one by one. A package that was to be encrypted and whose key is gone is never written in the clear.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from itertools import groupby
from operator import itemgetter
from uuid import UUID

import sqlalchemy as sa

from habeas.delivery.csv_package import Title
from habeas.delivery.naming import package_name
from habeas.delivery.package import Package, write_package
from habeas.delivery.section import Section
from habeas.domain.errors import DataFault, Fault, HabeasError, LeaseLost, NeedsHuman, TryAgain
from habeas.domain.ports import Destination, Row
from habeas.domain.request import ActionType, LogStatus
from habeas.execution.attempts import name_fault, try_again
from habeas.execution.destinations import connect_storage
from habeas.execution.expiry import remove_package
from habeas.execution.overrides import present_settings
from habeas.execution.run import Done, Failed, Run
from habeas.execution.spooled import Spools, read_rows
from habeas.log_fields import adopt, current
from habeas.planning.plan import AccessRule, Selection
from habeas.store import configurations, journal, manual_webhooks, progress, requests
from habeas.store.configurations import Record
from habeas.store.journal import Entry
from habeas.store.packages import Uploaded, add_packages, forget_outdated, packages_of
from habeas.store.spool import BUCKET
from habeas.store.tables import storages

_ROWS_IN_MEMORY = 5_000
_COMPARABLE = frozenset({int, str, bytes, Decimal, UUID, date})

PLACE = (None, "Access package upload", "")
"""Where the execution log files this step (data-plane §8)."""


def perform(run: Run) -> Done | Failed:
    """Write the packages that are missing or outdated; afterwards the packages' keys are forgotten."""
    with run.context.ledger.read() as connection:
        is_answered = manual_webhooks.has_answers(connection, run.id, ActionType.ACCESS)
    _remove_outdated(run)
    for rule in run.plan.access:
        try:
            _upload_rule(run, rule, is_answered)
        except LeaseLost:
            raise
        except Exception as problem:
            error = name_fault(problem, f"uploading packages of rule {rule.rule}")
            with run.commit() as connection:
                _log(run, connection, LogStatus.ERROR, str(error), run.living(connection))
            return Failed(error)
    return Done(partial(_conclude, run))


def _conclude(run: Run, connection: sa.Connection) -> None:
    """Forget the packages' keys; of whose packages the log tells trouble it tells the end too."""
    living = run.living(connection)
    requests.forget_encryption_keys(connection, run.request_ids(living))
    _log(run, connection, LogStatus.COMPLETE, "success", living & journal.logged_ordinals(connection, run.id, PLACE[1]))


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the packages of a rule go, and in which format."""

    storage: str
    format: str
    destination: Destination


@dataclass(frozen=True, slots=True)
class _Bucket:
    """What the packages of some members are made of: their keys (None: in the clear), where their rows are, and what
    people have answered by connection and label."""

    keys: Mapping[int, bytes | None]
    spools: Mapping[str, Spools]
    answers: Mapping[int, Mapping[str, Mapping[str, object]]]


def _upload_rule(run: Run, rule: AccessRule, is_answered: bool) -> None:
    place = _find_place(run, rule)

    def upload_bucket(ordinals: Sequence[int]) -> None:
        bucket = _open_bucket(run, ordinals, is_answered)
        if not bucket.keys:
            return
        upload = partial(_upload, run, rule, place, bucket)
        try:
            try_again(run, (), upload, partial(_report_retry, run, sorted(bucket.keys)))
        except DataFault as error:
            if len(bucket.keys) == 1:
                _drop(run, list(bucket.keys), error)
                return
            for ordinal in sorted(bucket.keys):
                upload_bucket([ordinal])

    buckets = _buckets(_lacking(run, rule))
    if len(buckets) == 1:
        upload_bucket(buckets[0])
        return
    with ThreadPoolExecutor(run.context.settings.execution.visits, "upload", adopt, (current(),)) as pool:
        for _ in pool.map(upload_bucket, buckets):
            run.check()


def _find_place(run: Run, rule: AccessRule) -> _Place:
    hint = "give the rule a storage or set storage.default_key"
    with run.context.ledger.read() as connection:
        key = rule.storage or present_settings(run.context, connection).storage.default_key
        record = configurations.find(connection, storages, key)
    if not key:
        raise NeedsHuman(f"access rule {rule.rule!r} has no storage", hint=hint)
    if record is None:
        raise NeedsHuman(f"access rule {rule.rule!r} names storage {key!r}, which is gone", hint=f"make it, or {hint}")
    return _Place(key, record.format, connect_storage(run.context, record))


def has_outdated(run: Run) -> bool:
    """Whether there are packages to remove, also where no rule makes any now."""
    return bool(_find_outdated(run))


def _find_outdated(run: Run) -> list[Record]:
    with run.context.ledger.read() as connection:
        found = packages_of(connection, run.request_ids(run.living(connection)))
    return [package for package in found if package.outdated]


def _remove_outdated(run: Run) -> None:
    """Remove packages that are to be made again, under another name or in another place, or by a rule that is gone.

    They are forgotten before there are new ones, of which some may have their names.
    """
    outdated = _find_outdated(run)
    for package in outdated:
        run.check()
        remove_package(run.context, package)
    if outdated:
        with run.commit() as connection:
            forget_outdated(connection, [package.request_id for package in outdated])


def _lacking(run: Run, rule: AccessRule) -> list[int]:
    """Living members without a package of this rule."""
    with run.context.ledger.read() as connection:
        living = run.living(connection)
        found = packages_of(connection, run.request_ids(living))
    packaged = {row.request_id for row in found if row.rule_key == rule.rule}
    return sorted(ordinal for ordinal in living if run.members[ordinal].request_id not in packaged)


def _buckets(ordinals: Sequence[int]) -> list[list[int]]:
    buckets: dict[int, list[int]] = {}
    for ordinal in ordinals:
        buckets.setdefault(ordinal // BUCKET, []).append(ordinal)
    return list(buckets.values())


def _upload(run: Run, rule: AccessRule, place: _Place, bucket: _Bucket) -> None:
    """Write and record the packages of one bucket of members."""
    several = len(run.plan.access) > 1
    names = {
        ordinal: package_name(run.members[ordinal].request_id, rule.rule if several else None, place.format)
        for ordinal in sorted(bucket.keys)
    }
    with ExitStack() as open_files:
        packages: dict[int, Package] = {}
        for ordinal, name in names.items():
            file = open_files.enter_context(place.destination.write(name))
            title = Title(run.members[ordinal].request_id, rule.rule)
            packages[ordinal] = write_package(place.format, file, title, bucket.keys[ordinal])
            open_files.callback(packages[ordinal].discard)
        _write_rows(run, rule, bucket.spools, packages)
        for ordinal, answers in bucket.answers.items():
            _write_answers(packages[ordinal], answers)
        for package in packages.values():
            package.close()
        run.guard()
    now = run.context.clock.now()
    life = run.context.settings.security.subject_request_download_link_ttl_seconds
    uploaded = [
        Uploaded(
            request_id=run.members[ordinal].request_id,
            rule_key=rule.rule,
            storage_key=place.storage,
            name=name,
            location=place.destination.location(name),
            link=place.destination.link(name, life),
            link_expires_at=now + timedelta(seconds=life),
        )
        for ordinal, name in names.items()
    ]
    with run.commit(progress=True) as connection:
        add_packages(connection, run.context.ledger.sealer, uploaded, now)


def _open_bucket(run: Run, ordinals: Sequence[int], is_answered: bool) -> _Bucket:
    """What these members' packages are made of. A member whose key is gone leaves in `error`."""
    sealer = run.context.ledger.sealer
    with run.context.ledger.read() as connection:
        spools = progress.spools_of(connection, run.id, (ordinals[0], ordinals[-1]))
        living = run.living(connection)
        ordinals = [ordinal for ordinal in ordinals if ordinal in living]
        encrypted = run.request_ids(ordinal for ordinal in ordinals if run.members[ordinal].encrypted)
        records = requests.find_requests(connection, encrypted) if encrypted else []
        own = run.request_ids(ordinals) if is_answered else []
        answers = manual_webhooks.answers_of(connection, sealer, own, ActionType.ACCESS) if own else {}
    opened = {record.id: requests.open_encryption_key(sealer, record) for record in records}
    keys = {ordinal: opened.get(run.members[ordinal].request_id) for ordinal in ordinals}
    lost = [ordinal for ordinal in ordinals if run.members[ordinal].encrypted and keys[ordinal] is None]
    if lost:
        error = NeedsHuman(
            "the package's encryption key is gone; nothing was written in the clear",
            hint="submit the request again with its encryption_key",
        )
        _drop(run, lost, error)
    kept = {ordinal: key for ordinal, key in keys.items() if ordinal not in lost}
    return _Bucket(kept, spools, {ordinal: answers.get(run.members[ordinal].request_id, {}) for ordinal in kept})


def _drop(run: Run, ordinals: Sequence[int], error: HabeasError) -> None:
    """End members in `error` on whose account alone their package cannot be uploaded."""
    with run.commit() as connection:
        _log(run, connection, LogStatus.ERROR, str(error), ordinals)
        run.fail(connection, ordinals, error, None)


def _write_answers(package: Package, answers: Mapping[str, Mapping[str, object]]) -> None:
    """What people have answered, whatever the rule's targets are; one row for each of their connections."""
    for connection_key, said in answers.items():
        package.add(Section(connection_key, list(said), list(said)), said)


def _write_rows(run: Run, rule: AccessRule, spools: Mapping[str, Spools], packages: Mapping[int, Package]) -> None:
    """Each person's rows, collection by collection, in the order of the rule; of which nothing is left are left out."""
    wanted: dict[Selection, Spools] = {}
    for selection in rule.selections:
        own = spools.get(str(selection.address), {})
        if set(packages) - set(own):
            raise Fault(f"{selection.address} was not visited for a member that is to be packaged")
        wanted[selection] = {ordinal: own[ordinal] for ordinal in packages}
    for selection, rows in _ordered(read_rows(run.context.ledger, wanted)):
        run.check()
        section = Section(selection.address, selection.fields, run.plan.node(selection.address).table.columns)
        for row in rows:
            if selected := section.pick(row.values):
                for ordinal in row.ordinals:
                    packages[ordinal].add(section, selected)


def _ordered(read: Iterable[tuple[Selection, list[Row]]]) -> Iterator[tuple[Selection, list[Row]]]:
    """The rows of each collection by key, whatever order the store had; too many come in portions as they were kept."""
    for selection, portions in groupby(read, key=itemgetter(0)):
        held: list[Row] = []
        for _, rows in portions:
            held += rows
            if len(held) > _ROWS_IN_MEMORY:
                yield selection, sorted(held, key=_place_of)
                held = []
        yield selection, sorted(held, key=_place_of)


def _place_of(row: Row) -> list[tuple[str, object]]:
    """A key that compares with any other: by type first, and by text where values of a type may not compare."""
    return [(type(part).__name__, part if type(part) in _COMPARABLE else repr(part)) for part in row.key]


def _report_retry(run: Run, ordinals: Sequence[int], number: int, error: TryAgain) -> None:
    with run.commit() as connection:
        _log(run, connection, LogStatus.RETRYING, f"try {number} again: {error}", ordinals)


def _log(run: Run, connection: sa.Connection, status: LogStatus, message: str, ordinals: Collection[int]) -> None:
    run.log(connection, ordinals, Entry(PLACE, ActionType.ACCESS, status, message))
