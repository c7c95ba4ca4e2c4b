"""Who may do what, and what was done: clients, users, tokens, the audit log, keys."""

import sqlalchemy as sa

from habeas.store.columns import GuardedBytes, GuardedInstant, Instant, key, sealed, serial, stamps
from habeas.store.tables.metadata import metadata

data_keys = sa.Table(
    "data_key",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("purpose", sa.String(16), nullable=False),  # data | index
    sa.Column("wrapped_by", sa.String(64), nullable=False),
    sa.Column("wrapped", sa.LargeBinary, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
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

audits = sa.Table(
    "audit_log",
    metadata,
    serial(),
    sa.Column("object_id", sa.String(512), nullable=False, index=True),
    sa.Column("actor", sa.String(256), nullable=False),
    sa.Column("action", sa.String(32), nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("created_at", GuardedInstant, nullable=False),
    sa.Column("object_kind", sa.String(32), nullable=False),
    sa.Column("actor_kind", sa.String(16)),  # null: written before kinds were kept
    sa.Column("origin", sa.String(16)),
    sa.Column("position", sa.BigInteger, unique=True),  # in the chain; null: not linked yet
    sa.Column("link", GuardedBytes),  # of the entry and of the link before
    sa.Column("seal", GuardedBytes, unique=True),  # of the entry alone, made when it was written
)

audit_heads = sa.Table(
    "audit_head",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("seal", sa.LargeBinary, nullable=False),  # of the last position and link
)
