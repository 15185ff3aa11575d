"""The tables of the console's sessions."""

from typing import Final

from sqlalchemy import Column, Float, ForeignKey, Index, Table, Text

from kiteward.store.columns import METADATA, name

sessions: Final = Table(
    # Sessions of the console, where replicas share the store. A token is here under its digest alone.
    "sessions",
    METADATA,
    Column("token_digest", name(), primary_key=True),
    Column("session_id", name(), nullable=False, unique=True),
    Column("user_name", name(), ForeignKey("users.name", ondelete="CASCADE"), nullable=False),
    Column("verified_id", Text(), nullable=False),
    Column("current_id", Text(), nullable=False),
    Column("address", Text(), nullable=False),
    Column("description", Text(), nullable=False),
    Column("began_at", Float(), nullable=False),
    Column("used_at", Float(), nullable=False),
    Column("factor", Text(), nullable=False, server_default=""),
    # Of a sign-in at an identity provider; empty for one with a password.
    Column("issuer", name(), nullable=False, server_default=""),
    Column("subject", name(), nullable=False, server_default=""),
    Column("provider_session", name(), nullable=False, server_default=""),
    Column("issued_at", Float(), nullable=False, server_default="0"),
    Column("rights", Text(), nullable=False, server_default=""),
    Index("sessions_by_user", "user_name", "used_at"),
    Index("sessions_by_subject", "issuer", "subject"),
    Index("sessions_by_provider_session", "issuer", "provider_session"),
    sqlite_with_rowid=False,
)

provider_logouts: Final = Table(
    # Notices of identity providers that a user has signed out there: a sign-in that is in progress ends with it.
    "provider_logouts",
    METADATA,
    Column("issuer", name(), primary_key=True),
    Column("subject", name(), primary_key=True),
    Column("provider_session", name(), primary_key=True),
    Column("issued_at", Float(), primary_key=True),
    Column("noted_at", Float(), nullable=False),
    Index("provider_logouts_by_time", "noted_at"),
    sqlite_with_rowid=False,
)

secrets_shown: Final = Table(
    # Secrets that wait to be shown once, sealed for the browser of one session.
    "secrets_shown",
    METADATA,
    Column("ticket_digest", name(), primary_key=True),
    Column("session_id", name(), ForeignKey("sessions.session_id", ondelete="CASCADE"), nullable=False),
    Column("sealed", Text(), nullable=False),
    Column("ends_at", Float(), nullable=False),
    Index("secrets_shown_by_session", "session_id", "ends_at"),
    sqlite_with_rowid=False,
)
