"""What people set up: connections, datasets, policies, storages, webhooks, messages, settings."""

import sqlalchemy as sa

from habeas.store.columns import Instant, counter, key, sealed, stamps
from habeas.store.tables.metadata import metadata

configuration = sa.Table(
    "configuration",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),  # bumped by every change of a plan's inputs
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

manual_webhooks = sa.Table(
    "manual_webhook",
    metadata,
    sa.Column("connection_key", sa.ForeignKey("connection.key", ondelete="CASCADE"), primary_key=True),
    sa.Column("id", sa.String(64), nullable=False, unique=True),
    sa.Column("fields", sa.JSON, nullable=False),
    *stamps(),
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
