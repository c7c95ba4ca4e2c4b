"""Requests, and what belongs to each: identities, secrets, forms, packages, logs."""

import sqlalchemy as sa

from habeas.store.columns import Instant, counter, key, sealed, serial, stamps
from habeas.store.tables.metadata import metadata

plans = sa.Table(
    "plan",
    metadata,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("body", sa.LargeBinary, nullable=False),  # JSON of planning.plan.Plan: names only
    sa.Column("created_at", Instant, nullable=False),
)

requests = sa.Table(
    "request",
    metadata,
    key("id"),
    sa.Column("external_id", sa.Text, index=True),
    sa.Column("policy_key", sa.ForeignKey("policy.key"), nullable=False, index=True),
    sa.Column("status", sa.String(32), nullable=False, index=True),
    sa.Column("identity_kinds", sa.JSON, nullable=False),
    sa.Column("dataset_keys", sa.JSON),
    sa.Column("client_id", sa.String(256)),
    sa.Column("requested_at", Instant, nullable=False),
    sa.Column("due_at", Instant),
    sa.Column("reviewed_at", Instant),
    sa.Column("reviewed_by", sa.String(256)),
    sa.Column("started_at", Instant),
    sa.Column("finished_at", Instant),
    sa.Column("encrypted", sa.Boolean, nullable=False),  # an encryption key was given
    sealed("sealed_encryption_key", "request.encryption_key:{id}"),  # gone once the packages are uploaded
    sa.Column("plan_digest", sa.ForeignKey("plan.digest"), index=True),
    sa.Column("next_step", sa.String(32)),
    sa.Column("failed_collection", sa.Text),
    sa.Column("failure", sa.Text),
    sa.Column("run_id", sa.String(64), index=True),  # the one run that carries it now
    *stamps(),
    sa.Column("submitted_together", sa.Integer, nullable=False, server_default="1"),  # requests in its submission
    sa.Column("cancel_reason", sa.Text),
    sa.Column("duplicate_of", sa.String(64), index=True),  # an earlier request of the same person under its policy
    sa.Column("regulation", sa.String(64)),  # whose deadlines count
    sa.Column("acknowledge_by", Instant),
    sa.Column("extended_at", Instant),
    sa.Column("clock_stopped_at", Instant),  # since when the person is asked for clarification
    counter("clock_stood"),  # seconds of earlier stops, already in `due_at`
    sa.Column("must_verify", sa.Boolean, nullable=False, server_default=sa.false()),  # never carried out before that
    sa.Column("identity_verified_at", Instant),
    sa.Column("paused_at", Instant),
    sa.Column("waits_until", Instant),  # when waiting for somebody ends in `error`
    sa.Column("derived_kinds", sa.JSON(none_as_null=True)),  # of the identities that webhooks have added
    counter("webhook_round"),  # rises with every retry: all webhooks of the phase are called anew
)

identities = sa.Table(
    "identity",
    metadata,
    serial(),
    sa.Column("request_id", sa.ForeignKey("request.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("kind", sa.String(128), nullable=False),
    sa.Column("label", sa.Text),
    sa.Column("hash", sa.LargeBinary, nullable=False, index=True),  # keyed, over kind and normal form
    sealed("sealed_value", "identity:{request_id}:{kind}", nullable=False),
)

masking_secrets = sa.Table(
    "masking_secret",
    metadata,
    sa.Column("request_id", sa.ForeignKey("request.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("strategy", sa.String(64), primary_key=True),
    sa.Column("kind", sa.String(32), primary_key=True),
    sealed("sealed_secret", "masking_secret:{request_id}:{strategy}:{kind}", nullable=False),
)

packages = sa.Table(
    "package",
    metadata,
    sa.Column("request_id", sa.ForeignKey("request.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("rule_key", sa.String(256), primary_key=True),
    sa.Column("storage_key", sa.String(256), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("location", sa.Text, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sealed("sealed_link", "package.link:{request_id}:{rule_key}"),  # opens the package for whoever has it
    sa.Column("link_expires_at", Instant),
    sa.Column("deleted_at", Instant),  # from its storage, when its time was over
    sa.Column("outdated", sa.Boolean, nullable=False, server_default=sa.false()),  # to be made again
)

logs = sa.Table(
    "execution_log",
    metadata,
    serial(),
    sa.Column("request_id", sa.String(64), nullable=False, index=True),  # logs outlive requests: no cascade
    sa.Column("connection_key", sa.String(256)),
    sa.Column("dataset_name", sa.String(256)),
    sa.Column("collection_name", sa.String(256)),
    sa.Column("action_type", sa.String(16), nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
)

onetrust_subtasks = sa.Table(
    "onetrust_subtask",
    metadata,
    sa.Column("storage_key", sa.String(256), primary_key=True),  # no foreign keys: what was taken in once stays known
    sa.Column("subtask_id", sa.String(256), primary_key=True),
    sa.Column("queue_ref", sa.String(256), nullable=False),  # the request in OneTrust's queue
    sa.Column("request_id", sa.String(64), nullable=False, unique=True),
    sa.Column("told", sa.String(16)),  # the last status that OneTrust was told
    counter("attempts"),  # to tell it the next one
    sa.Column("due_at", sa.Double, nullable=False),  # epoch seconds; moving it forward is the claim
    sa.Column("created_at", Instant, nullable=False),
)

verifications = sa.Table(
    "verification",
    metadata,
    sa.Column("request_id", sa.ForeignKey("request.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("hash", sa.LargeBinary),  # keyed, of the code; gone when it can succeed no more
    sa.Column("expires_at", Instant, nullable=False),
    counter("tries"),
    counter("sent"),  # codes
    sa.Column("sent_at", Instant, nullable=False),
)

notes = sa.Table(
    "note",
    metadata,
    serial(),
    sa.Column("request_id", sa.ForeignKey("request.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("author", sa.String(256), nullable=False),
    sealed("sealed_text", "note:{request_id}", nullable=False),
    sa.Column("created_at", Instant, nullable=False),
)

webhook_calls = sa.Table(
    "webhook_call",
    metadata,
    key("id"),  # tells the receiver that it is the same call again
    sa.Column("request_id", sa.ForeignKey("request.id", ondelete="CASCADE"), nullable=False),
    sa.Column("webhook_key", sa.String(256), nullable=False),
    sa.Column("round", sa.Integer, nullable=False),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("status", sa.String(16), nullable=False),  # intended | answered | halted | resumed
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("answered_at", Instant),  # from when its resume token counts
    sa.UniqueConstraint("request_id", "webhook_key", "round"),
)

derived_identities = sa.Table(
    "derived_identity",
    metadata,
    sa.Column("request_id", sa.ForeignKey("request.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("kind", sa.String(128), primary_key=True),
    sealed("sealed_value", "derived_identity:{request_id}:{kind}", nullable=False),
)

forms = sa.Table(
    "form",
    metadata,
    sa.Column("request_id", sa.ForeignKey("request.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("action", sa.String(16), primary_key=True),
    sa.Column("place", sa.String(512), primary_key=True),  # key of a manual webhook's connection, or a collection
    sealed("sealed_question", "form.question:{request_id}:{action}:{place}"),  # where to look in it, and for what
    sa.Column("labels", sa.JSON(none_as_null=True)),  # what was answered; null: nothing yet
    sealed("sealed_answers", "form:{request_id}:{action}:{place}"),
    sa.Column("saved_at", Instant),
    sa.Column("created_at", Instant, nullable=False),
)
