"""The engine's id of the collection that an intent is about."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0006"
down_revision: Final = "0005"


def upgrade() -> None:
    """Add the id, which differs from that of another collection that others gave its name."""
    op.add_column("intents", sa.Column("object_id", sa.BigInteger()))
