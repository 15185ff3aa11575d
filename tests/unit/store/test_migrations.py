import sqlite3
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text

from kiteward.domain.errors import StoreUnavailable
from kiteward.store import schema
from kiteward.store.scim_records import ScimSelection
from kiteward.store.sql import SqlStore


async def migrated(path: Path) -> None:
    await (await SqlStore.open(path)).close()


def statements(path: Path) -> set[str]:
    """Return what made each table and index, without differences of layout and of order within a table."""
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE '%alembic%'")
    words = [sorted(sql.replace("(", " ( ").replace(")", " ) ").replace(",", " ").split()) for (sql,) in rows]
    connection.close()
    return {" ".join(each) for each in words}


async def test_migrating_an_empty_database_gives_exactly_the_metadata(tmp_path: Path) -> None:
    await migrated(tmp_path / "store.db")
    engine = create_engine(f"sqlite:///{tmp_path / 'store.db'}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, schema.metadata) == []
    engine.dispose()


async def test_migrated_tables_are_made_by_the_same_statements_as_the_metadata(tmp_path: Path) -> None:
    """Check constraints, keys without row ids and cascades are invisible to Alembic's comparison."""
    await migrated(tmp_path / "migrated.db")
    engine = create_engine(f"sqlite:///{tmp_path / 'created.db'}")
    schema.metadata.create_all(engine)
    engine.dispose()
    assert statements(tmp_path / "migrated.db") == statements(tmp_path / "created.db")
    assert len(statements(tmp_path / "migrated.db")) > len(schema.metadata.tables)


async def test_database_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    await migrated(path)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StoreUnavailable, match="newer version of Kiteward"):
        await SqlStore.open(path)
    assert path.read_bytes() == before


async def test_migration_that_fails_leaves_nothing_half_done(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE intents (id INTEGER)")  # the last table to be created is in the way
    connection.close()
    with pytest.raises(StoreUnavailable):
        await SqlStore.open(path)
    with sqlite3.connect(path) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    connection.close()
    assert tables == ["intents"]


async def test_whom_scim_had_deactivated_before_it_was_stored_is_still_scims_to_activate(tmp_path: Path) -> None:
    users = {
        "active": (True, True),
        "deactivated": (False, False),
        "disabled": (True, False),
        "enabled_again": (False, True),
    }
    engine = create_engine(f"sqlite:///{tmp_path / 'store.db'}")
    with engine.begin() as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", "kiteward.store:migrations")
        command.upgrade(config, "0021")
        rows = [{"name": name, "active": active, "enabled": enabled} for name, (active, enabled) in users.items()]
        connection.execute(
            text(
                "INSERT INTO users (name, password_hash, credential_id, description, created_at, changed_at, enabled) "
                "VALUES (:name, '!', 'id', '', 0, 0, :enabled)"
            ),
            rows,
        )
        connection.execute(
            text(
                "INSERT INTO scim_users (scim_id, user_name, login, login_key, active, attributes, created_at, "
                "changed_at) VALUES (:name, :name, :name, :name, :active, '{}', 0, 0)"
            ),
            rows,
        )
    engine.dispose()
    store = await SqlStore.open(tmp_path / "store.db")
    try:
        found = await store.scim.users(ScimSelection())
        assert {each.user_name: each.deactivated for each in found} == {name: name == "deactivated" for name in users}
    finally:
        await store.close()


def test_revisions_form_one_line() -> None:
    config = Config()
    config.set_main_option("script_location", "kiteward.store:migrations")
    scripts = ScriptDirectory.from_config(config)
    assert len(scripts.get_heads()) == 1
    assert all(not script.is_branch_point and not script.is_merge_point for script in scripts.walk_revisions())
