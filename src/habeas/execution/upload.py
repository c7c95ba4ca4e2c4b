"""The upload step: one package per access rule and member, streamed from the kept rows.

Sixteen members are packaged at a time (the bucket of the spool). A package that was to be encrypted and
whose key is gone is never written in the clear.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial

import sqlalchemy as sa

from habeas.delivery.encryption import EncryptingWriter
from habeas.delivery.package import JsonPackage, filter_row, package_name
from habeas.domain.dataset import Address
from habeas.domain.errors import Fault, LeaseLost, NeedsHuman, TryAgain
from habeas.domain.ports import Destination
from habeas.domain.request import ActionType, LogStatus
from habeas.execution.attempts import name_fault, try_again
from habeas.execution.run import Done, Failed, Run
from habeas.execution.spooled import Spools, find_spools, read_rows
from habeas.planning.plan import AccessRule
from habeas.store import configurations, requests, runs
from habeas.store.spool import BUCKET
from habeas.store.tables import storages

PLACE = (None, "Access package upload", "")
"""Where the execution log files this step (data-plane §8)."""


def perform(run: Run) -> Done | Failed:
    """Write the packages that are missing; afterwards the packages' keys are forgotten."""
    for rule in run.plan.access:
        try:
            _upload_rule(run, rule)
        except LeaseLost:
            raise
        except Exception as problem:
            error = name_fault(problem, f"uploading packages of rule {rule.rule}")
            with run.commit() as connection:
                _log(run, connection, LogStatus.ERROR, str(error), run.living(connection))
            return Failed(error)
    with run.commit() as connection:
        requests.forget_encryption_keys(connection, run.request_ids(run.living(connection)))
    return Done()


def _upload_rule(run: Run, rule: AccessRule) -> None:
    storage_key, destination = _find_destination(run, rule)
    for ordinals in _buckets(_lacking(run, rule)):
        keys = _open_keys(run, ordinals)
        safe = [ordinal for ordinal in ordinals if ordinal in keys]
        upload = partial(_upload, run, rule, storage_key, destination, {ordinal: keys[ordinal] for ordinal in safe})
        try_again(run, upload, partial(_report_retry, run, safe))


def _find_destination(run: Run, rule: AccessRule) -> tuple[str, Destination]:
    key = rule.storage or run.context.settings.storage.default_key
    with run.context.ledger.read() as connection:
        record = configurations.find(connection, storages, key) if key else None
    if record is None:
        raise NeedsHuman(
            f"access rule {rule.rule!r} has no storage", hint="give the rule a storage or set storage.default_key"
        )
    return key, run.context.storage_types[record.type].connect(record.details)


def _lacking(run: Run, rule: AccessRule) -> list[int]:
    """Living members without a package of this rule."""
    with run.context.ledger.read() as connection:
        living = run.living(connection)
        packaged = {
            row.request_id
            for row in requests.packages_of(connection, run.request_ids(living))
            if row.rule_key == rule.rule
        }
    return sorted(ordinal for ordinal in living if run.members[ordinal].request_id not in packaged)


def _buckets(ordinals: Sequence[int]) -> Iterator[list[int]]:
    buckets: dict[int, list[int]] = {}
    for ordinal in ordinals:
        buckets.setdefault(ordinal // BUCKET, []).append(ordinal)
    yield from buckets.values()


def _upload(
    run: Run, rule: AccessRule, storage_key: str, destination: Destination, keys: Mapping[int, bytes | None]
) -> None:
    """Write and record the packages of one bucket of members, with their keys."""
    ordinals = sorted(keys)
    several = len(run.plan.access) > 1
    names = {
        ordinal: package_name(run.members[ordinal].request_id, rule.rule if several else None, "json")
        for ordinal in ordinals
    }
    with run.context.ledger.read() as connection:
        spools = find_spools(connection, run, ordinals)
    with ExitStack() as open_files:
        sinks = {}
        for ordinal in ordinals:
            file = open_files.enter_context(destination.write(names[ordinal]))
            key = keys[ordinal]
            sinks[ordinal] = file if key is None else EncryptingWriter(file, key)
        packages = {ordinal: JsonPackage(sink) for ordinal, sink in sinks.items()}
        for selection in rule.selections:
            own = spools.get(str(selection.address), {})
            _write_collection(run, selection.address, selection.fields, own, packages)
        for ordinal, package in packages.items():
            package.close()
            sink = sinks[ordinal]
            if isinstance(sink, EncryptingWriter):
                sink.close()
        run.guard()
    with run.commit() as connection:
        now = run.context.clock.now()
        runs.add_packages(
            connection,
            [
                {
                    "request_id": run.members[ordinal].request_id,
                    "rule_key": rule.rule,
                    "storage_key": storage_key,
                    "name": names[ordinal],
                    "location": destination.location(names[ordinal]),
                    "created_at": now,
                }
                for ordinal in ordinals
            ],
        )


def _open_keys(run: Run, ordinals: Sequence[int]) -> dict[int, bytes | None]:
    """Package keys by member, None for a package in the clear. A member whose key is gone leaves in `error`."""
    keys: dict[int, bytes | None] = {}
    lost = []
    with run.context.ledger.read() as connection:
        for ordinal in ordinals:
            member = run.members[ordinal]
            keys[ordinal] = None
            if member.encrypted:
                record = requests.find_request(connection, member.request_id)
                key = requests.open_encryption_key(run.context.ledger.sealer, record) if record else None
                if key is None:
                    lost.append(ordinal)
                keys[ordinal] = key
    if lost:
        error = NeedsHuman(
            "the package's encryption key is gone; nothing was written in the clear",
            hint="submit the request again with its encryption_key",
        )
        with run.commit() as connection:
            _log(run, connection, LogStatus.ERROR, str(error), lost)
            run.fail(connection, lost, error, None)
    return {ordinal: key for ordinal, key in keys.items() if ordinal not in lost}


def _write_collection(
    run: Run, address: Address, fields: Sequence[str], spools: Spools, packages: Mapping[int, JsonPackage]
) -> None:
    columns = run.plan.node(address).table.columns
    if set(packages) - set(spools):
        raise Fault(f"{address} was not visited for a member that is to be packaged")
    for rows in read_rows(run.context.ledger, spools):
        run.check()
        for row in rows:
            selected = filter_row(dict(zip(columns, row.values, strict=True)), fields)
            for ordinal in row.ordinals:
                packages[ordinal].add(address, selected)


def _report_retry(run: Run, ordinals: Sequence[int], number: int, error: TryAgain) -> None:
    with run.commit() as connection:
        _log(run, connection, LogStatus.RETRYING, f"try {number} again: {error}", ordinals)


def _log(
    run: Run, connection: sa.Connection, status: LogStatus, message: str, ordinals: Sequence[int] | set[int]
) -> None:
    run.log(connection, PLACE, ActionType.ACCESS, status, message, ordinals)
