"""Processes that show signs of life, connections that are paused and runs that wait for them, when jobs last ran."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "worker",
        sa.Column("id", sa.String(128), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("version", sa.String(32), nullable=False),
        sa.Column("threads", sa.Integer(), nullable=False),
        sa.Column("keys", sa.JSON(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_worker"),
    )
    op.add_column("connection", sa.Column("paused_at", sa.DateTime(timezone=True)))
    op.add_column("run", sa.Column("waits_for", sa.String(256)))
    op.add_column("schedule", sa.Column("ran_at", sa.DateTime(timezone=True)))
    op.add_column("schedule", sa.Column("done", sa.Integer()))
