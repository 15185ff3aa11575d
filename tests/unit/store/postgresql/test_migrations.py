"""The migrations make the same tables in PostgreSQL as the metadata says."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection
from tests.support.postgresql import Cluster

from kiteward.store import migrations, schema
from kiteward.store.postgresql.backend import writing_engine
from kiteward.store.postgresql.session import Limits, connect
from kiteward.store.postgresql.settings import PostgresqlSettings
from kiteward.store.sql import backend_of


def differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
    return list(compare_metadata(context, schema.metadata))


async def upgraded(settings: PostgresqlSettings) -> None:
    """Run the revisions alone, in an empty database."""
    engine = writing_engine(lambda: connect(settings, Limits.patient(5.0)))
    async with engine.begin() as connection:
        await connection.run_sync(lambda each: command.upgrade(migrations.config_for(each), "head"))
    await engine.dispose()


async def test_revisions_make_exactly_the_metadata(cluster: Cluster) -> None:
    with cluster.database() as settings:
        await upgraded(settings)
        async with backend_of(settings).alone() as connection:
            assert await connection.run_sync(differences) == []


async def test_a_new_store_is_dumped_as_one_made_by_all_revisions(cluster: Cluster) -> None:
    """Collations, checks and cascades are invisible to Alembic's comparison."""
    with cluster.database() as new, cluster.database() as old:
        await backend_of(new).prepare()
        await upgraded(old)
        left, right = cluster.tables(new.database), cluster.tables(old.database)
    assert left == right
    assert sum("CREATE TABLE" in statement for statement in left) == len(schema.metadata.tables) + 1
    assert sum("INSERT INTO" in statement for statement in left) == len(schema.FIRST_ROWS) + 1
    assert any('\nkey_id text NOT NULL COLLATE pg_catalog."C"\n' in statement for statement in left)


async def test_servers_that_start_together_make_the_tables_once(cluster: Cluster) -> None:
    with cluster.database() as settings:
        backend = backend_of(settings)

        def prepare(_: int) -> None:
            asyncio.run(backend.prepare())

        with ThreadPoolExecutor() as threads:
            await asyncio.gather(
                *(asyncio.get_running_loop().run_in_executor(threads, prepare, number) for number in range(3))
            )
        made = cluster.sql("SELECT count(*) FROM revision", database=settings.database)
    assert made == "1"
