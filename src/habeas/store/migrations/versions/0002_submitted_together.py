"""How many requests came in one submission: small ones are not to wait for large ones."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("request", sa.Column("submitted_together", sa.Integer(), server_default="1", nullable=False))
