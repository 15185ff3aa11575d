"""Brings the tables of a database to the version this program knows, by the Alembic revisions in `versions`."""

from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, Text, column, inspect, select, table

from kiteward.domain.errors import StoreUnavailable
from kiteward.store.revisions import known, require_known
from kiteward.store.statements import broken_references

if TYPE_CHECKING:
    from alembic.config import Config

_LOCATION: Final = "kiteward.store:migrations"
_AT: Final = table("alembic_version", column("version_num", Text))


def newest() -> str:
    """Return the name of the newest revision, which the tables of a current store are at."""
    return known()[-1]


def upgrade(connection: Connection) -> None:
    """Run the revisions that are missing, in the transaction of this connection; none of them when one fails.

    Raises:
        StoreUnavailable: the database was written by a newer version, or a revision would leave references broken.
    """
    present = revision(connection)
    if present == newest():
        return
    require_known(present)
    _run(connection)
    if broken_references(connection):
        raise StoreUnavailable("migrating the store to this version would leave references broken; nothing was changed")


def revision(connection: Connection) -> str | None:
    """Return the revision that the tables of a database are at; None where there are none yet."""
    if not inspect(connection).has_table(_AT.name):
        return None
    return connection.execute(select(_AT.c.version_num)).scalar()


def config_for(connection: Connection) -> "Config":
    """Return the configuration of Alembic for a connection."""
    from alembic.config import Config  # noqa: PLC0415  a large library, which a current store has no need of

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", _LOCATION)
    return config


def _run(connection: Connection) -> None:
    from alembic import command  # noqa: PLC0415  as above

    command.upgrade(config_for(connection), "head")
