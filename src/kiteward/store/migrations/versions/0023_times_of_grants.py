"""When grants were made; of those that are there already it is not known."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0023"
down_revision: Final = "0022"


def upgrade() -> None:
    """Add the column."""
    op.add_column("grants", sa.Column("granted_at", sa.Float()))
