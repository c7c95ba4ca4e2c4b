"""Runs, what they have done, and the processes and jobs around them."""

import sqlalchemy as sa

from habeas.store.columns import Instant, counter, key, sealed, serial, stamps
from habeas.store.tables.metadata import metadata

runs = sa.Table(
    "run",
    metadata,
    key("id"),
    sa.Column("phase", sa.String(16), nullable=False),
    sa.Column("status", sa.String(16), nullable=False, index=True),  # ready | done
    sa.Column("plan_digest", sa.ForeignKey("plan.digest"), nullable=False, index=True),
    sa.Column("next_step", sa.String(32), nullable=False),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("due_at", Instant, nullable=False),  # the earliest deadline among its members: dispatch order
    sa.Column("worker", sa.String(128)),
    counter("fence"),
    counter("claims"),  # since something was last finished: a run that kills its workers is stopped
    sa.Column("lease_until", sa.Double),  # epoch seconds by the ledger's clock
    *stamps(),
    sa.Column("waits_for", sa.String(256)),  # not due while this connection is paused
)

members = sa.Table(
    "member",
    metadata,
    sa.Column("run_id", sa.ForeignKey("run.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("ordinal", sa.Integer, primary_key=True),
    sa.Column("request_id", sa.ForeignKey("request.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("living", sa.Boolean, nullable=False),
)

tasks = sa.Table(
    "task",
    metadata,
    serial(),
    sa.Column("run_id", sa.ForeignKey("run.id", ondelete="CASCADE"), nullable=False),
    sa.Column("action", sa.String(16), nullable=False),
    sa.Column("collection", sa.Text, nullable=False),
    counter("attempts"),
    sa.UniqueConstraint("run_id", "action", "collection"),
)

outcomes = sa.Table(
    "outcome",
    metadata,
    sa.Column("request_id", sa.ForeignKey("request.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("action", sa.String(16), primary_key=True),
    sa.Column("collection", sa.String(512), primary_key=True),
    sa.Column("complete", sa.Boolean, nullable=False),  # false: an erasure has begun here
    sa.Column("task_id", sa.BigInteger),  # where the rows are: chunks of (task, attempt) under this ordinal
    sa.Column("attempt", sa.Integer),
    sa.Column("ordinal", sa.Integer),
    *(counter(name) for name in ("found", "changed", "drifted", "already", "absent", "refused", "shared")),
    sa.Column("statement_digest", sa.String(64)),
    sa.Column("skipped", sa.Text),  # why nothing was done here, decided after the plan was made
    counter("submitted"),  # rows that somebody else was asked to erase
    sa.Index("ix_outcome_task_id", "task_id"),
)

chunks = sa.Table(
    "chunk",
    metadata,
    serial(),
    sa.Column("task_id", sa.ForeignKey("task.id", ondelete="CASCADE"), nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("bucket", sa.Integer, nullable=False),  # ordinal // BUCKET: members packaged together
    sa.Column("size", sa.Integer, nullable=False),  # rows
    sealed("sealed_rows", "chunk:{task_id}:{attempt}:{bucket}", nullable=False),
    sa.Index("ix_chunk_task_id_attempt_bucket", "task_id", "attempt", "bucket"),
)

onetrust_polls = sa.Table(
    "onetrust_poll",
    metadata,
    sa.Column("storage_key", sa.ForeignKey("storage.key", ondelete="CASCADE"), primary_key=True),
    sa.Column("due_at", sa.Double, nullable=False),  # not before, in epoch seconds; moving it forward is the claim
    sa.Column("polled_at", Instant),  # when the last one began that came to its end
    counter("failures"),  # since then
    sa.Column("failure", sa.Text),
)

schedules = sa.Table(
    "schedule",
    metadata,
    key("job"),
    sa.Column("due_at", sa.Double, nullable=False),  # epoch seconds; moving it forward is the claim
    sa.Column("ran_at", Instant),  # when it last came to its end
    sa.Column("done", sa.Integer),  # how much it did then
)

workers = sa.Table(
    "worker",
    metadata,
    sa.Column("id", sa.String(128), primary_key=True),
    sa.Column("kind", sa.String(16), nullable=False),  # server | worker
    sa.Column("version", sa.String(32), nullable=False),
    sa.Column("threads", sa.Integer, nullable=False),  # runs it carries at once; 0: it only serves
    sa.Column("keys", sa.JSON, nullable=False),  # of the encryption keys it has: name → fingerprint
    sa.Column("started_at", Instant, nullable=False),
    sa.Column("seen_at", sa.Double, nullable=False),  # epoch seconds by the ledger's clock
)
