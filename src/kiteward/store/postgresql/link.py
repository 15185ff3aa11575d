"""One session for short statements."""

import asyncio
from typing import Any

from kiteward.store.connections import translated
from kiteward.store.driver_errors import UNCONFIRMED, ConnectionRefused
from kiteward.store.postgresql.session import Limits, Session, connect
from kiteward.store.postgresql.settings import PostgresqlSettings


class Link:
    """One session for short statements, in the order of the calls. It is replaced after any error."""

    def __init__(self, settings: PostgresqlSettings) -> None:
        self._settings = settings
        self._turn = asyncio.Lock()
        self._session: Session | None = None

    async def fetch(self, statement: str, *arguments: Any) -> list[Any]:
        """Return the rows of a statement.

        Raises:
            StoreUnavailable: there is no answer in time, or an error, or a warning that the standby was not waited for.
        """
        with translated("reached"):
            async with asyncio.timeout(self._settings.timeout), self._turn:
                try:
                    if self._session is None or self._session.is_closed():
                        self._session = await connect(self._settings, Limits.of(self._settings.timeout))
                    warnings = self._session.warnings
                    rows: list[Any] = await self._session.fetch(statement, *arguments)
                    _require_confirmed(self._session, warnings)
                except BaseException:
                    self.close()
                    raise
                return rows

    def close(self) -> None:
        """Close the session at once."""
        if self._session is not None:
            self._session.terminate()
        self._session = None


def _require_confirmed(session: Session, warnings: int) -> None:
    """Require that no warning has come: what was changed may not be on the standby, which may take over."""
    if session.warnings > warnings:
        raise ConnectionRefused(UNCONFIRMED)
