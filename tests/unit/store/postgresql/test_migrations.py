"""The migrations make the same tables in PostgreSQL as the metadata says."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection
from tests.support.postgresql import Cluster

from kiteward.store import schema
from kiteward.store.postgresql.backend import writing_engine
from kiteward.store.postgresql.session import Limits, connect
from kiteward.store.postgresql.settings import PostgresqlSettings
from kiteward.store.sql import backend_of


def differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
    return list(compare_metadata(context, schema.metadata))


async def created(settings: PostgresqlSettings) -> None:
    engine = writing_engine(lambda: connect(settings, Limits.patient(5.0)))
    async with engine.begin() as connection:
        await connection.run_sync(schema.metadata.create_all)
    await engine.dispose()


async def test_migrating_an_empty_database_gives_exactly_the_metadata(cluster: Cluster) -> None:
    with cluster.database() as settings:
        async with backend_of(settings).alone() as connection:
            assert await connection.run_sync(differences) == []


async def test_migrated_tables_are_dumped_as_those_of_the_metadata(cluster: Cluster) -> None:
    """Collations, checks and cascades are invisible to Alembic's comparison."""
    with cluster.database() as migrated, cluster.database() as made:
        await backend_of(migrated).prepare()
        await created(made)
        left, right = cluster.tables(migrated.database), cluster.tables(made.database)
    assert left == right
    assert sum("CREATE TABLE" in statement for statement in left) == len(schema.metadata.tables)
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
