"""Passwords that may only be used to set another one."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0003"
down_revision: Final = "0002"


def upgrade() -> None:
    """Add whether the password of a user is a one-time password."""
    op.add_column("users", sa.Column("one_time", sa.Boolean(), nullable=False, server_default=sa.false()))
