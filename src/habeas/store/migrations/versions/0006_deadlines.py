"""Deadlines that a regulation sets, earlier requests of the same person, and packages whose time is over."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("policy", sa.Column("regulation", sa.String(64)))
    op.add_column("request", sa.Column("duplicate_of", sa.String(64)))
    op.add_column("request", sa.Column("regulation", sa.String(64)))
    op.add_column("request", sa.Column("acknowledge_by", _MOMENT))
    op.add_column("request", sa.Column("extended_at", _MOMENT))
    op.add_column("request", sa.Column("clock_stopped_at", _MOMENT))
    op.add_column("request", sa.Column("clock_stood", sa.Integer(), server_default="0", nullable=False))
    op.create_index("ix_request_duplicate_of", "request", ["duplicate_of"])
    op.add_column("package", sa.Column("deleted_at", _MOMENT))
