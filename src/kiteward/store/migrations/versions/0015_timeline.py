"""The timeline of the database in which the revision was made."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0015"
down_revision: Final = "0013"


def upgrade() -> None:
    """Add the column; the next change fills it."""
    op.add_column("revision", sa.Column("timeline", sa.Text(), nullable=False, server_default=""))
