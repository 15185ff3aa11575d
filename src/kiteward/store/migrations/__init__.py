"""Brings the tables of a database to the version this program knows.

A new store is made from `kiteward.store.schema`; an older one is changed by the Alembic revisions in `versions`. Tests
prove that all revisions together make the same tables and rows (decision 0089).
"""

from typing import TYPE_CHECKING, Final

from sqlalchemy import Column, Connection, MetaData, PrimaryKeyConstraint, String, Table, insert, inspect, select

from kiteward.domain.errors import StoreUnavailable
from kiteward.store import schema
from kiteward.store.revisions import known, require_known
from kiteward.store.statements import broken_references

if TYPE_CHECKING:
    from alembic.config import Config

_LOCATION: Final = "kiteward.store:migrations"
_AT: Final = Table(
    # As Alembic makes it.
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)


def newest() -> str:
    """Return the name of the newest revision, which the tables of a current store are at."""
    return known()[-1]


def upgrade(connection: Connection) -> None:
    """Make the tables, or run the revisions that are missing, in the transaction of this connection: all, or nothing.

    Raises:
        StoreUnavailable: the database was written by a newer version, or a revision would leave references broken.
    """
    present = revision(connection)
    if present is None:
        _create(connection)
        return
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


def _create(connection: Connection) -> None:
    # Unchecked: a table that is there belongs to somebody else.
    schema.metadata.create_all(connection, checkfirst=False)
    for table, row in schema.FIRST_ROWS:
        connection.execute(insert(table).values(row))
    _AT.create(connection, checkfirst=False)
    connection.execute(insert(_AT).values(version_num=newest()))


def _run(connection: Connection) -> None:
    from alembic import command  # noqa: PLC0415  as above

    command.upgrade(config_for(connection), "head")
