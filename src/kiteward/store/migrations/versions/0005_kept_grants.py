"""Grants on a dropped collection that are kept for the user who dropped it, and who an intent is for."""

from typing import Final

import sqlalchemy as sa
from alembic import op
from sqlalchemy.types import TypeEngine

revision: Final = "0005"
down_revision: Final = "0004"


def upgrade() -> None:
    """Add for whom a grant is kept, and who drops or creates what an intent is about."""
    op.add_column("grants", sa.Column("kept_for", _name()))
    op.create_index("grants_kept", "grants", ["kept_for"], sqlite_where=sa.text("kept_for IS NOT NULL"))
    op.add_column("intents", sa.Column("claimant", _name()))
    op.add_column("intents", sa.Column("claimant_roles", sa.Text()))


def _name() -> TypeEngine[str]:
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
