"""API keys that services get in exchange for a credential of their owner."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0019"
down_revision: Final = "0018"


def _name() -> sa.types.TypeEngine[str]:
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add the table, empty."""
    op.create_table(
        "exchanged_keys",
        sa.Column("key_id", _name(), sa.ForeignKey("api_keys.key_id", ondelete="CASCADE"), primary_key=True),
        sa.Column("actor", _name(), sa.ForeignKey("users.name"), nullable=False),
        sa.Column("actor_key", _name()),
        sa.Column("actor_issuer", sa.Text()),
        sa.Column("actor_issued_at", sa.Float()),
        sa.Column("subject_issuer", sa.Text()),
        sa.Column("subject_issued_at", sa.Float()),
        sa.Column("subject_rights", sa.Text()),
        sa.Column("kept_tags", sa.Text(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("exchanged_keys_by_actor", "exchanged_keys", ["actor", "key_id"])
    op.create_index("exchanged_keys_by_actor_key", "exchanged_keys", ["actor_key", "key_id"])
