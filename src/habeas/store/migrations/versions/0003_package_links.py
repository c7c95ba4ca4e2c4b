"""Links that open packages, for as long as they last."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("package", sa.Column("sealed_link", sa.LargeBinary()))
    op.add_column("package", sa.Column("link_expires_at", sa.DateTime(timezone=True)))
