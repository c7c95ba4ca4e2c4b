"""Every table of the ledger, in one schema for SQLite and PostgreSQL.

Columns named `sealed_…` hold ciphertext (`sealing.py`), bound to the place that they name. No other column may hold
an identity, a row value, a key or a secret.
"""

import sqlalchemy as sa

from habeas.store.columns import Instant, counter, key, sealed, serial, stamps

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


data_keys = sa.Table(
    "data_key",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("purpose", sa.String(16), nullable=False),  # data | index
    sa.Column("wrapped_by", sa.String(64), nullable=False),
    sa.Column("wrapped", sa.LargeBinary, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
)

configuration = sa.Table(
    "configuration",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),  # bumped by every change of a plan's inputs
)

clients = sa.Table(
    "client",
    metadata,
    key("id"),
    sa.Column("name", sa.Text),
    sa.Column("secret_hash", sa.Text, nullable=False),
    sa.Column("scopes", sa.JSON, nullable=False),
    *stamps(),
    sa.Column("description", sa.Text),
    sa.Column("secret_made_by", sa.String(256), index=True),
)

users = sa.Table(
    "user",
    metadata,
    key("id"),
    sa.Column("username", sa.String(256), nullable=False, unique=True),
    sa.Column("email_hash", sa.LargeBinary, unique=True),  # keyed
    sealed("sealed_profile", "user.profile:{id}", nullable=False),  # e-mail address, first and last name
    sa.Column("password_hash", sa.Text),  # null: none has been chosen yet
    sa.Column("roles", sa.JSON, nullable=False),
    sa.Column("scopes", sa.JSON, nullable=False),  # beside those of the roles
    sa.Column("disabled", sa.Boolean, nullable=False),
    sa.Column("last_login_at", Instant),
    *stamps(),
)

login_tries = sa.Table(
    "login_try",
    metadata,
    sa.Column("name_hash", sa.LargeBinary, primary_key=True),  # keyed; of any name, whether somebody has it or not
    sa.Column("failed", sa.Integer, nullable=False),  # since the last good one
    sa.Column("locked_until", Instant),
    sa.Column("tried_at", Instant, nullable=False, index=True),
)

user_codes = sa.Table(
    "user_code",
    metadata,
    sa.Column("hash", sa.String(64), primary_key=True),  # of what an invitation or a reset mail holds
    sa.Column("user_id", sa.ForeignKey("user.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("purpose", sa.String(16), nullable=False),  # invite | reset
    sa.Column("expires_at", Instant, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
)

tokens = sa.Table(
    "token",
    metadata,
    sa.Column("hash", sa.String(64), primary_key=True),
    sa.Column("client_id", sa.String(256), nullable=False, index=True),  # or a user's id
    sa.Column("scopes", sa.JSON, nullable=False),
    sa.Column("expires_at", Instant, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("id", sa.String(64), nullable=False, unique=True),  # names the token, and opens nothing (jti)
    sa.Column("kind", sa.String(16), nullable=False),  # access | session
)

setting_overrides = sa.Table(
    "setting_override",
    metadata,
    sa.Column("section", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("value", sa.JSON, nullable=False),
    sa.Column("updated_at", Instant, nullable=False),
)

connections = sa.Table(
    "connection",
    metadata,
    key(),
    sa.Column("id", sa.String(64), nullable=False, unique=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("type", sa.String(64), nullable=False),
    sa.Column("access", sa.String(16), nullable=False),
    sa.Column("disabled", sa.Boolean, nullable=False),
    sa.Column("description", sa.Text),
    sealed("sealed_secrets", "connection.secrets:{key}"),
    sa.Column("sketch", sa.LargeBinary),  # JSON of domain.ports.Sketch: names and types only
    sa.Column("last_test_at", Instant),
    sa.Column("last_test_succeeded", sa.Boolean),
    *stamps(),
    sa.Column("paused_at", Instant),  # nothing is asked of it; what needs it waits
)

datasets = sa.Table(
    "dataset",
    metadata,
    key(),
    sa.Column("connection_key", sa.ForeignKey("connection.key", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("body", sa.JSON, nullable=False),  # the API form, fides_meta spelling
    sa.Column("definition", sa.LargeBinary),  # JSON of domain.dataset.Dataset
    *stamps(),
)

storages = sa.Table(
    "storage",
    metadata,
    key(),
    sa.Column("id", sa.String(64), nullable=False, unique=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("type", sa.String(64), nullable=False),
    sa.Column("format", sa.String(16), nullable=False),
    sa.Column("details", sa.JSON, nullable=False),
    sealed("sealed_secrets", "storage.secrets:{key}"),
    *stamps(),
)

policies = sa.Table(
    "policy",
    metadata,
    key(),
    sa.Column("id", sa.String(64), nullable=False, unique=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("drp_action", sa.String(64), unique=True),
    sa.Column("execution_timeframe", sa.Integer),
    sa.Column("on_unreachable", sa.String(16), nullable=False),
    sa.Column("shared_rows", sa.String(16), nullable=False),
    *stamps(),
    sa.Column("regulation", sa.String(64)),
)

rules = sa.Table(
    "rule",
    metadata,
    key(),
    sa.Column("id", sa.String(64), nullable=False, unique=True),
    sa.Column("policy_key", sa.ForeignKey("policy.key", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("action_type", sa.String(16), nullable=False),
    sa.Column("storage_key", sa.ForeignKey("storage.key")),
    sealed("sealed_masking", "rule.masking:{key}"),
    *stamps(),
)

targets = sa.Table(
    "target",
    metadata,
    key(),
    sa.Column("id", sa.String(64), nullable=False, unique=True),
    sa.Column("rule_key", sa.ForeignKey("rule.key", ondelete="CASCADE"), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("data_category", sa.String(256), nullable=False),
    *stamps(),
    sa.UniqueConstraint("rule_key", "data_category"),
)

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

audits = sa.Table(
    "audit_log",
    metadata,
    serial(),
    sa.Column("object_id", sa.String(512), nullable=False, index=True),
    sa.Column("actor", sa.String(256), nullable=False),
    sa.Column("action", sa.String(32), nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("object_kind", sa.String(32), nullable=False),
    sa.Column("actor_kind", sa.String(16)),  # null: written before kinds were kept
    sa.Column("origin", sa.String(16)),
    sa.Column("position", sa.BigInteger, unique=True),  # in the chain; null: not linked yet
    sa.Column("link", sa.LargeBinary),  # of the entry and of the link before
    sa.Column("seal", sa.LargeBinary, unique=True),  # of the entry alone, made when it was written
)

audit_heads = sa.Table(
    "audit_head",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("seal", sa.LargeBinary, nullable=False),  # of the last position and link
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

messages = sa.Table(
    "message",
    metadata,
    key("id"),  # also what tells the provider that it is the same one again
    sa.Column("request_id", sa.String(64), index=True),
    sa.Column("event", sa.String(64), nullable=False),
    sa.Column("part", sa.String(256)),  # the dataset that an erasure e-mail is about
    sa.Column("channel", sa.String(16), nullable=False),  # email | sms
    sealed("sealed_recipient", "message.recipient:{id}"),  # gone when it is sent, as are its variables
    sealed("sealed_variables", "message.variables:{id}"),
    sa.Column("status", sa.String(16), nullable=False),  # intended | due | sent | failed
    counter("attempts"),
    sa.Column("due_at", sa.Double, nullable=False),  # epoch seconds; moving it forward is the claim
    sa.Column("failure", sa.Text),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("sent_at", Instant),
    sa.Index("ix_message_status_due_at", "status", "due_at"),
)

message_providers = sa.Table(
    "message_provider",
    metadata,
    key(),
    sa.Column("id", sa.String(64), nullable=False, unique=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("type", sa.String(64), nullable=False, unique=True),
    sa.Column("details", sa.JSON, nullable=False),
    sealed("sealed_secrets", "message_provider.secrets:{key}"),
    sa.Column("active", sa.Boolean, nullable=False),
    sa.Column("last_test_at", Instant),
    sa.Column("last_test_succeeded", sa.Boolean),
    *stamps(),
)

message_templates = sa.Table(
    "message_template",
    metadata,
    sa.Column("event", sa.String(64), primary_key=True),
    sa.Column("id", sa.String(64), nullable=False, unique=True),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("sms", sa.Text),  # null: the one that is shipped
    sa.Column("enabled", sa.Boolean, nullable=False),
    *stamps(),
)

staff_notices = sa.Table(
    "staff_notice",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sealed("sealed_addresses", "staff_notice.addresses", nullable=False),  # whom to tell of requests in `error`
    sa.Column("after_failures", sa.Integer, nullable=False),
    *stamps(),
)

failures = sa.Table(
    "failure",
    metadata,
    serial(),
    sa.Column("request_id", sa.String(64), nullable=False, index=True),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("reported_at", Instant),  # to the staff
)

webhooks = sa.Table(
    "webhook",
    metadata,
    key(),
    sa.Column("id", sa.String(64), nullable=False, unique=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("policy_key", sa.ForeignKey("policy.key", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("phase", sa.String(16), nullable=False),  # pre | post: before or after execution
    sa.Column("connection_key", sa.ForeignKey("connection.key", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("direction", sa.String(16), nullable=False),  # one_way | two_way
    sa.Column("position", sa.Integer, nullable=False),
    *stamps(),
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
    sa.Column("created_at", Instant, nullable=False),  # from when its resume token counts
    sa.Column("answered_at", Instant),
    sa.UniqueConstraint("request_id", "webhook_key", "round"),
)

derived_identities = sa.Table(
    "derived_identity",
    metadata,
    sa.Column("request_id", sa.ForeignKey("request.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("kind", sa.String(128), primary_key=True),
    sealed("sealed_value", "derived_identity:{request_id}:{kind}", nullable=False),
)

manual_webhooks = sa.Table(
    "manual_webhook",
    metadata,
    sa.Column("connection_key", sa.ForeignKey("connection.key", ondelete="CASCADE"), primary_key=True),
    sa.Column("id", sa.String(64), nullable=False, unique=True),
    sa.Column("fields", sa.JSON, nullable=False),
    *stamps(),
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

status_webhooks = sa.Table(
    "status_webhook",
    metadata,
    key("id"),
    sa.Column("holder_id", sa.String(256), nullable=False, index=True),  # the client or user whose it is
    sealed("sealed_details", "status_webhook.details:{id}", nullable=False),  # URL and secrets
    sa.Column("disabled", sa.Boolean, nullable=False),
    sa.Column("failure", sa.Text),  # why Habeas itself disabled it
    counter("failures"),  # of calls since the last that was taken
    sa.Column("rests_until", sa.Double),  # epoch seconds; nobody is called before
    *stamps(),
)

status_webhook_filters = sa.Table(
    "status_webhook_filter",
    metadata,
    sa.Column("webhook_id", sa.ForeignKey("status_webhook.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("field", sa.String(16), primary_key=True),  # status | policy_key; without a row of it all are wanted
    sa.Column("value", sa.String(256), primary_key=True),
)

deliveries = sa.Table(
    "status_delivery",
    metadata,
    serial("number"),  # those of one request are sent in this order
    sa.Column("id", sa.String(64), nullable=False, unique=True),  # tells the receiver that it is the same again
    sa.Column("webhook_id", sa.ForeignKey("status_webhook.id", ondelete="CASCADE"), nullable=False),
    sa.Column("request_id", sa.String(64), nullable=False),
    sa.Column("status", sa.String(32), nullable=False),  # that the request came to
    sa.Column("policy_key", sa.String(256), nullable=False),
    sa.Column("happened_at", Instant, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),  # due | delivered | failed
    sa.Column("since", sa.Double, nullable=False),  # epoch seconds: when it was first due, or replayed
    sa.Column("due_at", sa.Double, nullable=False),  # moving it forward is the claim
    counter("attempts"),
    sa.Column("http_status", sa.Integer),  # of the last answer
    sa.Column("failure", sa.Text),
    sa.Column("tried_at", Instant),
    sa.Index("ix_status_delivery_webhook_id_state_due_at", "webhook_id", "state", "due_at"),
    sa.Index("ix_status_delivery_webhook_id_request_id_number", "webhook_id", "request_id", "number"),
)
