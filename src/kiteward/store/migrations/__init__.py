"""Brings the tables of a database to the version this program knows, by the Alembic revisions in `versions`."""

from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from kiteward.domain.errors import StoreUnavailable
from kiteward.store.statements import broken_references

_LOCATION: Final = "kiteward.store:migrations"


def newest() -> str:
    """Return the name of the newest revision, which the tables of a current store are at."""
    config = Config()
    config.set_main_option("script_location", _LOCATION)
    return str(ScriptDirectory.from_config(config).get_current_head())


def upgrade(connection: Connection) -> None:
    """Run the revisions that are missing, in the transaction of this connection; none of them when one fails.

    Raises:
        StoreUnavailable: the database was written by a newer version, or a revision would leave references broken.
    """
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", _LOCATION)
    scripts = ScriptDirectory.from_config(config)
    present = MigrationContext.configure(connection).get_current_revision()
    if present == scripts.get_current_head():
        return
    if present is not None and present not in {script.revision for script in scripts.walk_revisions()}:
        raise StoreUnavailable(
            f"the store was written by a newer version of Kiteward (tables at `{present}`): "
            "run that version or restore a backup"
        )
    command.upgrade(config, "head")
    if broken_references(connection):
        raise StoreUnavailable("migrating the store to this version would leave references broken; nothing was changed")
