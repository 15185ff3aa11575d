"""API keys that were created with another API key; for existing keys it is not known with which."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0004"
down_revision: Final = "0003"


def upgrade() -> None:
    """Add the key that a key was made with, and an index to find what a key has made."""
    op.add_column("api_keys", sa.Column("made_by_key", sa.Text().with_variant(sa.Text(collation="C"), "postgresql")))
    op.create_index("api_keys_by_maker", "api_keys", ["made_by_key", "key_id"])
