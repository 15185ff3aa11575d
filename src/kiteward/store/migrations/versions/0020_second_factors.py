"""Second factors of the console's sign-in: authenticator apps, passkeys, recovery codes, and what waits for one."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0020"
down_revision: Final = "0019"


def _name() -> sa.types.TypeEngine[str]:
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def _user() -> sa.Column[str]:
    return sa.Column("user_name", _name(), sa.ForeignKey("users.name", ondelete="CASCADE"), nullable=False)


def upgrade() -> None:
    """Create the tables. Sessions that there are began without a second factor."""
    op.add_column("sessions", sa.Column("factor", sa.Text(), nullable=False, server_default=""))
    _add_factors()
    _add_what_waits()


def _add_factors() -> None:
    op.create_table(
        "second_factors",
        sa.Column("factor_id", _name(), primary_key=True),
        _user(),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("confirmed_at", sa.Float()),
        sa.Column("used_at", sa.Float()),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("last_step", sa.BigInteger(), nullable=False),
        sa.Column("credential_id", _name(), unique=True),
        sa.Column("public_key", sa.Text(), nullable=False),
        sa.Column("sign_count", sa.BigInteger(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("second_factors_by_user", "second_factors", ["user_name", "confirmed_at"])
    op.create_table(
        "recovery_codes",
        sa.Column("user_name", _name(), sa.ForeignKey("users.name", ondelete="CASCADE"), primary_key=True),
        sa.Column("code_digest", _name(), primary_key=True),
        sqlite_with_rowid=False,
    )


def _add_what_waits() -> None:
    op.create_table(
        "sign_in_tickets",
        sa.Column("token_digest", _name(), primary_key=True),
        _user(),
        sa.Column("verified_id", sa.Text(), nullable=False),
        sa.Column("current_id", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("ends_at", sa.Float(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("sign_in_tickets_by_user", "sign_in_tickets", ["user_name", "ends_at"])
    op.create_table(
        "passkey_challenges",
        sa.Column("challenge_digest", _name(), primary_key=True),
        _user(),
        sa.Column("holder", _name(), nullable=False),
        sa.Column("ends_at", sa.Float(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("passkey_challenges_by_holder", "passkey_challenges", ["holder", "ends_at"])
    op.create_index("passkey_challenges_by_user", "passkey_challenges", ["user_name"])
