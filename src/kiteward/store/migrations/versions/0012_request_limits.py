"""Limits of the requests of users, API keys and holders of roles."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0012"
down_revision: Final = "0010"


def upgrade() -> None:
    """Add the columns of limits; NULL stands for none."""
    for table in ("users", "roles", "api_keys"):
        op.add_column(table, sa.Column("limit_rate", sa.Float()))
        op.add_column(table, sa.Column("limit_burst", sa.Integer()))
        op.add_column(table, sa.Column("limit_concurrent", sa.Integer()))
