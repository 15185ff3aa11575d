"""What the doctor asks a PostgreSQL server about itself."""

from dataclasses import dataclass
from typing import Final

from kiteward.store import migrations
from kiteward.store.connections import translated
from kiteward.store.postgresql.session import Limits, Session, connect, prove_sessions
from kiteward.store.postgresql.settings import PostgresqlSettings

_ABOUT: Final = """
SELECT current_setting('server_version'),
       current_setting('fsync') = 'on',
       coalesce((SELECT rolsuper FROM pg_roles WHERE rolname = current_user), false),
       to_regclass('alembic_version') IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a server says about itself.

    Attributes:
        version: as it writes it.
        fsync: whether what is committed is on its disk.
        superuser: whether our user may do everything there.
        tables: the version of the tables of the store; empty where there are none.
    """

    version: str
    fsync: bool
    superuser: bool
    tables: str

    @property
    def current(self) -> bool:
        """Whether the tables are those of this version."""
        return self.tables == migrations.newest()


async def examine(settings: PostgresqlSettings) -> Facts:
    """Ask a server about itself; it is changed in nothing.

    Raises:
        StoreUnavailable: it cannot be used; the message says why.
        ConfigurationError: a file of the settings cannot be used.
    """
    with translated(f"reached at `{settings}`"):
        await prove_sessions(settings)
        session = await connect(settings, Limits.of(settings.timeout), read_only=True)
        try:
            return await _facts(session)
        finally:
            session.terminate()


async def _facts(session: Session) -> Facts:
    ((version, fsync, superuser, made),) = await session.fetch(_ABOUT)
    tables = await session.fetchval("SELECT version_num FROM alembic_version") if made else None
    return Facts(version, fsync, superuser, tables or "")
