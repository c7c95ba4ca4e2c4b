"""Where a request can wait, and what it tells: codes, notes, messages, webhooks, forms, failures."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)
_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "failure",
        sa.Column("id", _SERIAL, nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("reported_at", _MOMENT),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_failure")),
    )
    op.create_index(op.f("ix_failure_request_id"), "failure", ["request_id"])
    op.create_table(
        "message",
        sa.Column("id", sa.String(length=256), nullable=False),
        sa.Column("request_id", sa.String(length=64)),
        sa.Column("event", sa.String(length=64), nullable=False),
        sa.Column("part", sa.String(length=256)),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("sealed_recipient", sa.LargeBinary()),
        sa.Column("sealed_variables", sa.LargeBinary()),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("due_at", sa.Double(), nullable=False),
        sa.Column("failure", sa.Text()),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("sent_at", _MOMENT),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_message")),
    )
    op.create_index(op.f("ix_message_request_id"), "message", ["request_id"])
    op.create_index("ix_message_status_due_at", "message", ["status", "due_at"])
    op.create_table(
        "message_provider",
        sa.Column("key", sa.String(length=256), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("type", sa.String(length=64), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("sealed_secrets", sa.LargeBinary()),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("last_test_at", _MOMENT),
        sa.Column("last_test_succeeded", sa.Boolean()),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("updated_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_message_provider")),
        sa.UniqueConstraint("id", name=op.f("uq_message_provider_id")),
        sa.UniqueConstraint("type", name=op.f("uq_message_provider_type")),
    )
    op.create_table(
        "message_template",
        sa.Column("event", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("sms", sa.Text()),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("updated_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("event", name=op.f("pk_message_template")),
        sa.UniqueConstraint("id", name=op.f("uq_message_template_id")),
    )
    op.create_table(
        "staff_notice",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("sealed_addresses", sa.LargeBinary(), nullable=False),
        sa.Column("after_failures", sa.Integer(), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("updated_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff_notice")),
    )
    op.create_table(
        "manual_webhook",
        sa.Column("connection_key", sa.String(length=256), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("fields", sa.JSON(), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("updated_at", _MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["connection_key"], ["connection.key"], name=op.f("fk_manual_webhook_connection_key"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("connection_key", name=op.f("pk_manual_webhook")),
        sa.UniqueConstraint("id", name=op.f("uq_manual_webhook_id")),
    )
    op.create_table(
        "webhook",
        sa.Column("key", sa.String(length=256), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("policy_key", sa.String(length=256), nullable=False),
        sa.Column("phase", sa.String(length=16), nullable=False),
        sa.Column("connection_key", sa.String(length=256), nullable=False),
        sa.Column("direction", sa.String(length=16), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("updated_at", _MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["connection_key"], ["connection.key"], name=op.f("fk_webhook_connection_key"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["policy_key"], ["policy.key"], name=op.f("fk_webhook_policy_key"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_webhook")),
        sa.UniqueConstraint("id", name=op.f("uq_webhook_id")),
    )
    op.create_index(op.f("ix_webhook_connection_key"), "webhook", ["connection_key"])
    op.create_index(op.f("ix_webhook_policy_key"), "webhook", ["policy_key"])
    op.create_table(
        "derived_identity",
        sa.Column("request_id", sa.String(length=256), nullable=False),
        sa.Column("kind", sa.String(length=128), nullable=False),
        sa.Column("sealed_value", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["request_id"], ["request.id"], name=op.f("fk_derived_identity_request_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("request_id", "kind", name=op.f("pk_derived_identity")),
    )
    op.create_table(
        "form",
        sa.Column("request_id", sa.String(length=256), nullable=False),
        sa.Column("action", sa.String(length=16), nullable=False),
        sa.Column("place", sa.String(length=512), nullable=False),
        sa.Column("sealed_question", sa.LargeBinary()),
        sa.Column("labels", sa.JSON()),
        sa.Column("sealed_answers", sa.LargeBinary()),
        sa.Column("saved_at", _MOMENT),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["request_id"], ["request.id"], name=op.f("fk_form_request_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("request_id", "action", "place", name=op.f("pk_form")),
    )
    op.create_table(
        "note",
        sa.Column("id", _SERIAL, nullable=False),
        sa.Column("request_id", sa.String(length=256), nullable=False),
        sa.Column("author", sa.String(length=256), nullable=False),
        sa.Column("sealed_text", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["request_id"], ["request.id"], name=op.f("fk_note_request_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_note")),
    )
    op.create_index(op.f("ix_note_request_id"), "note", ["request_id"])
    op.create_table(
        "verification",
        sa.Column("request_id", sa.String(length=256), nullable=False),
        sa.Column("hash", sa.LargeBinary()),
        sa.Column("expires_at", _MOMENT, nullable=False),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("sent", sa.Integer(), server_default="0", nullable=False),
        sa.Column("sent_at", _MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["request_id"], ["request.id"], name=op.f("fk_verification_request_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("request_id", name=op.f("pk_verification")),
    )
    op.create_table(
        "webhook_call",
        sa.Column("id", sa.String(length=256), nullable=False),
        sa.Column("request_id", sa.String(length=256), nullable=False),
        sa.Column("webhook_key", sa.String(length=256), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("answered_at", _MOMENT),
        sa.ForeignKeyConstraint(
            ["request_id"], ["request.id"], name=op.f("fk_webhook_call_request_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_call")),
        sa.UniqueConstraint(
            "request_id", "webhook_key", "round", name=op.f("uq_webhook_call_request_id_webhook_key_round")
        ),
    )
    op.add_column("package", sa.Column("outdated", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("outcome", sa.Column("submitted", sa.Integer(), server_default="0", nullable=False))
    op.add_column("request", sa.Column("must_verify", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("request", sa.Column("identity_verified_at", _MOMENT))
    op.add_column("request", sa.Column("paused_at", _MOMENT))
    op.add_column("request", sa.Column("waits_until", _MOMENT))
    op.add_column("request", sa.Column("derived_kinds", sa.JSON()))
    op.add_column("request", sa.Column("webhook_round", sa.Integer(), server_default="0", nullable=False))
    op.create_index(op.f("ix_request_plan_digest"), "request", ["plan_digest"])
    op.create_index(op.f("ix_run_plan_digest"), "run", ["plan_digest"])
