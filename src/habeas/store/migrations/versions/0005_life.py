"""What a request may wait for: the person's proof, a reviewer, a message; and its deadlines, notes and kin."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("request", sa.Column("must_verify", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("request", sa.Column("identity_verified_at", _MOMENT))
    op.add_column("request", sa.Column("cancel_reason", sa.Text()))
    op.add_column("request", sa.Column("duplicate_of", sa.String(64)))
    op.add_column("request", sa.Column("regulation", sa.String(64)))
    op.add_column("request", sa.Column("acknowledge_by", _MOMENT))
    op.add_column("request", sa.Column("extended_at", _MOMENT))
    op.add_column("request", sa.Column("clock_stopped_at", _MOMENT))
    op.add_column("request", sa.Column("clock_stood", sa.Integer(), server_default="0", nullable=False))
    op.create_index("ix_request_duplicate_of", "request", ["duplicate_of"])
    op.add_column("policy", sa.Column("regulation", sa.String(64)))
    op.add_column("package", sa.Column("deleted_at", _MOMENT))
    op.create_table(
        "verification",
        sa.Column("request_id", sa.String(256), nullable=False),
        sa.Column("hash", sa.LargeBinary()),
        sa.Column("expires_at", _MOMENT, nullable=False),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("sent", sa.Integer(), server_default="0", nullable=False),
        sa.Column("sent_at", _MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["request_id"], ["request.id"], name="fk_verification_request_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("request_id", name="pk_verification"),
    )
    op.create_table(
        "note",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("request_id", sa.String(256), nullable=False),
        sa.Column("author", sa.String(256), nullable=False),
        sa.Column("sealed_text", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["request_id"], ["request.id"], name="fk_note_request_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_note"),
    )
    op.create_index("ix_note_request_id", "note", ["request_id"])
    op.create_table(
        "message",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("request_id", sa.String(64)),
        sa.Column("event", sa.String(64), nullable=False),
        sa.Column("channel", sa.String(16), nullable=False),
        sa.Column("sealed_recipient", sa.LargeBinary()),
        sa.Column("sealed_variables", sa.LargeBinary()),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("due_at", sa.Double(), nullable=False),
        sa.Column("failure", sa.Text()),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("sent_at", _MOMENT),
        sa.PrimaryKeyConstraint("id", name="pk_message"),
    )
    op.create_index("ix_message_request_id", "message", ["request_id"])
    op.create_index("ix_message_status_due_at", "message", ["status", "due_at"])
    op.create_table(
        "message_provider",
        sa.Column("key", sa.String(256), nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("sealed_secrets", sa.LargeBinary()),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("last_test_at", _MOMENT),
        sa.Column("last_test_succeeded", sa.Boolean()),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("updated_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_message_provider"),
        sa.UniqueConstraint("id", name="uq_message_provider_id"),
        sa.UniqueConstraint("type", name="uq_message_provider_type"),
    )
    op.create_table(
        "message_template",
        sa.Column("event", sa.String(64), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("updated_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("event", name="pk_message_template"),
    )
