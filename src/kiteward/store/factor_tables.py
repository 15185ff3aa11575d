"""The tables of second factors, beside those in `schema`, with which they share their rules and their metadata."""

from typing import Final

from sqlalchemy import BigInteger, Column, Float, ForeignKey, Index, Table, Text

from kiteward.store.schema import metadata, users

_NAME: Final = users.c.name.type

second_factors: Final = Table(
    # One that is not confirmed counts for nothing. The secret of an app is sealed; a passkey has a public key alone.
    "second_factors",
    metadata,
    Column("factor_id", _NAME, primary_key=True),
    Column("user_name", _NAME, ForeignKey("users.name", ondelete="CASCADE"), nullable=False),
    Column("kind", Text(), nullable=False),
    Column("label", Text(), nullable=False),
    Column("created_at", Float(), nullable=False),
    Column("confirmed_at", Float()),
    Column("used_at", Float()),
    Column("sealed", Text(), nullable=False),
    Column("last_step", BigInteger(), nullable=False),
    Column("credential_id", _NAME, unique=True),
    Column("public_key", Text(), nullable=False),
    Column("sign_count", BigInteger(), nullable=False),
    Index("second_factors_by_user", "user_name", "confirmed_at"),
    sqlite_with_rowid=False,
)

recovery_codes: Final = Table(
    # A code that was used is gone.
    "recovery_codes",
    metadata,
    Column("user_name", _NAME, ForeignKey("users.name", ondelete="CASCADE"), primary_key=True),
    Column("code_digest", _NAME, primary_key=True),
    sqlite_with_rowid=False,
)

sign_in_tickets: Final = Table(
    # Sign-ins whose password was right and whose second factor is still to come. A token is here as its digest alone.
    "sign_in_tickets",
    metadata,
    Column("token_digest", _NAME, primary_key=True),
    Column("user_name", _NAME, ForeignKey("users.name", ondelete="CASCADE"), nullable=False),
    Column("verified_id", Text(), nullable=False),
    Column("current_id", Text(), nullable=False),
    Column("address", Text(), nullable=False),
    Column("description", Text(), nullable=False),
    Column("ends_at", Float(), nullable=False),
    Index("sign_in_tickets_by_user", "user_name", "ends_at"),
    sqlite_with_rowid=False,
)

passkey_challenges: Final = Table(
    # What a passkey has to sign, for one session or one ticket. It is gone with the first response to it.
    "passkey_challenges",
    metadata,
    Column("challenge_digest", _NAME, primary_key=True),
    Column("user_name", _NAME, ForeignKey("users.name", ondelete="CASCADE"), nullable=False),
    Column("holder", _NAME, nullable=False),
    Column("ends_at", Float(), nullable=False),
    Index("passkey_challenges_by_holder", "holder", "ends_at"),
    Index("passkey_challenges_by_user", "user_name"),
    sqlite_with_rowid=False,
)
