"""Who may do what, and what was done: users, names of tokens, settings by the API, a chained audit log."""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("client", sa.Column("description", sa.Text()))
    op.add_column("client", sa.Column("secret_made_by", sa.String(length=256)))
    op.create_index(op.f("ix_client_secret_made_by"), "client", ["secret_made_by"])
    op.create_table(
        "user",
        sa.Column("id", sa.String(length=256), nullable=False),
        sa.Column("username", sa.String(length=256), nullable=False),
        sa.Column("email_hash", sa.LargeBinary()),
        sa.Column("sealed_profile", sa.LargeBinary(), nullable=False),
        sa.Column("password_hash", sa.Text()),
        sa.Column("roles", sa.JSON(), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("last_login_at", _MOMENT),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("updated_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user")),
        sa.UniqueConstraint("username", name=op.f("uq_user_username")),
        sa.UniqueConstraint("email_hash", name=op.f("uq_user_email_hash")),
    )
    op.create_table(
        "user_code",
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=256), nullable=False),
        sa.Column("purpose", sa.String(length=16), nullable=False),
        sa.Column("expires_at", _MOMENT, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name=op.f("fk_user_code_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_user_code")),
    )
    op.create_index(op.f("ix_user_code_user_id"), "user_code", ["user_id"])
    op.create_table(
        "login_try",
        sa.Column("name_hash", sa.LargeBinary(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("locked_until", _MOMENT),
        sa.Column("tried_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("name_hash", name=op.f("pk_login_try")),
    )
    op.create_index(op.f("ix_login_try_tried_at"), "login_try", ["tried_at"])
    op.create_table(
        "setting_override",
        sa.Column("section", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.Column("updated_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("section", "name", name=op.f("pk_setting_override")),
    )
    _add_onetrust()
    _name_tokens()
    _widen_audit_log()
    _make_status_webhooks()


def _add_onetrust() -> None:
    op.create_table(
        "onetrust_subtask",
        sa.Column("storage_key", sa.String(length=256), nullable=False),
        sa.Column("subtask_id", sa.String(length=256), nullable=False),
        sa.Column("queue_ref", sa.String(length=256), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("told", sa.String(length=16)),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("due_at", sa.Double(), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("storage_key", "subtask_id", name=op.f("pk_onetrust_subtask")),
        sa.UniqueConstraint("request_id", name=op.f("uq_onetrust_subtask_request_id")),
    )
    op.create_table(
        "onetrust_poll",
        sa.Column("storage_key", sa.String(length=256), nullable=False),
        sa.Column("due_at", sa.Double(), nullable=False),
        sa.Column("polled_at", _MOMENT),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("failure", sa.Text()),
        sa.ForeignKeyConstraint(
            ["storage_key"], ["storage.key"], name=op.f("fk_onetrust_poll_storage_key"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("storage_key", name=op.f("pk_onetrust_poll")),
    )


def _name_tokens() -> None:
    op.add_column("token", sa.Column("id", sa.String(length=64)))
    op.add_column("token", sa.Column("kind", sa.String(length=16), server_default="access", nullable=False))
    tokens = sa.table("token", sa.column("hash"), sa.column("id"))
    connection = op.get_bind()
    for token in connection.scalars(sa.select(tokens.c.hash)).all():
        fresh = f"tok_{secrets.token_hex(16)}"
        connection.execute(tokens.update().where(tokens.c.hash == token).values(id=fresh))
    with op.batch_alter_table("token") as batch:
        batch.alter_column("id", existing_type=sa.String(length=64), nullable=False)
        batch.alter_column("kind", existing_type=sa.String(length=16), server_default=None, existing_nullable=False)
        batch.create_unique_constraint(op.f("uq_token_id"), ["id"])


def _widen_audit_log() -> None:
    op.drop_index("ix_audit_log_request_id", "audit_log")
    op.execute("UPDATE audit_log SET request_id = '' WHERE request_id IS NULL")
    with op.batch_alter_table("audit_log") as batch:
        batch.alter_column(
            "request_id", new_column_name="object_id", existing_type=sa.String(length=64), type_=sa.String(length=512),
            nullable=False,
        )  # fmt: skip
        batch.add_column(
            sa.Column("object_kind", sa.String(length=32), server_default="privacy_request", nullable=False)
        )
        batch.add_column(sa.Column("actor_kind", sa.String(length=16)))
        batch.add_column(sa.Column("origin", sa.String(length=16)))
        batch.add_column(sa.Column("position", sa.BigInteger()))
        batch.add_column(sa.Column("link", sa.LargeBinary()))
        batch.add_column(sa.Column("seal", sa.LargeBinary()))
    with op.batch_alter_table("audit_log") as batch:
        batch.alter_column(
            "object_kind", existing_type=sa.String(length=32), server_default=None, existing_nullable=False
        )
        batch.create_unique_constraint(op.f("uq_audit_log_position"), ["position"])
        batch.create_unique_constraint(op.f("uq_audit_log_seal"), ["seal"])
    op.create_index(op.f("ix_audit_log_object_id"), "audit_log", ["object_id"])
    op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("seal", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_head")),
    )


def _make_status_webhooks() -> None:
    op.create_table(
        "status_webhook",
        sa.Column("id", sa.String(length=256), nullable=False),
        sa.Column("holder_id", sa.String(length=256), nullable=False),
        sa.Column("sealed_details", sa.LargeBinary(), nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("failure", sa.Text()),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("rests_until", sa.Double()),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("updated_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_status_webhook")),
    )
    op.create_index(op.f("ix_status_webhook_holder_id"), "status_webhook", ["holder_id"])
    op.create_table(
        "status_webhook_filter",
        sa.Column("webhook_id", sa.String(length=256), nullable=False),
        sa.Column("field", sa.String(length=16), nullable=False),
        sa.Column("value", sa.String(length=256), nullable=False),
        sa.ForeignKeyConstraint(
            ["webhook_id"],
            ["status_webhook.id"],
            name=op.f("fk_status_webhook_filter_webhook_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("webhook_id", "field", "value", name=op.f("pk_status_webhook_filter")),
    )
    op.create_table(
        "status_delivery",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("webhook_id", sa.String(length=256), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("policy_key", sa.String(length=256), nullable=False),
        sa.Column("happened_at", _MOMENT, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("since", sa.Double(), nullable=False),
        sa.Column("due_at", sa.Double(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("http_status", sa.Integer()),
        sa.Column("failure", sa.Text()),
        sa.Column("tried_at", _MOMENT),
        sa.ForeignKeyConstraint(
            ["webhook_id"], ["status_webhook.id"], name=op.f("fk_status_delivery_webhook_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_status_delivery")),
        sa.UniqueConstraint("id", name=op.f("uq_status_delivery_id")),
    )
    op.create_index("ix_status_delivery_webhook_id_state_due_at", "status_delivery", ["webhook_id", "state", "due_at"])
    op.create_index(
        "ix_status_delivery_webhook_id_request_id_number", "status_delivery", ["webhook_id", "request_id", "number"]
    )
