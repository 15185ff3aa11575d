"""Which users it was SCIM that disabled."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0022"
down_revision: Final = "0021"


def upgrade() -> None:
    """Add the column. Of a user who is not active for SCIM and disabled, it was SCIM so far as is known."""
    op.add_column("scim_users", sa.Column("deactivated", sa.Boolean(), nullable=False, server_default=sa.false()))
    users = sa.table("users", sa.column("name"), sa.column("enabled", sa.Boolean()))
    managed = sa.table(
        "scim_users", sa.column("user_name"), sa.column("active", sa.Boolean()), sa.column("deactivated", sa.Boolean())
    )
    disabled = sa.select(users.c.name).where(sa.not_(users.c.enabled))
    by_scim = sa.and_(sa.not_(managed.c.active), managed.c.user_name.in_(disabled))
    op.execute(sa.update(managed).where(by_scim).values(deactivated=sa.true()))
