"""What administrators see of the servers that share the store: their version, and when each renewed its lease last."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0016"
down_revision: Final = "0015"


def upgrade() -> None:
    """Add the columns. A server of an earlier version that is still running says no version."""
    op.add_column("replicas", sa.Column("renewed_at", sa.Float()))
    op.add_column("replicas", sa.Column("version", sa.Text(), nullable=False, server_default=""))
