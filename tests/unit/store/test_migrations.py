import sqlite3
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, text

from kiteward.audit.hash_chain import BEGINNING
from kiteward.domain.errors import StoreUnavailable
from kiteward.store import migrations, schema
from kiteward.store.scim_records import ScimSelection
from kiteward.store.sql import SqlStore


async def created(path: Path) -> None:
    await (await SqlStore.open(path)).close()


def upgrade(path: Path, to: str = "head") -> Engine:
    """Run the revisions alone, from an empty database."""
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        command.upgrade(migrations.config_for(connection), to)
    return engine


def content(path: Path) -> dict[str, list[str]]:
    """Return what made each table and index, without differences of layout and of order within a table, and the rows.

    A migration adds columns at the end, so words are sorted.
    """
    connection = sqlite3.connect(path)
    connection.row_factory = sqlite3.Row
    found = {}
    for name, kind, sql in connection.execute("SELECT name, type, sql FROM sqlite_master WHERE sql IS NOT NULL"):
        words = sorted(sql.replace("(", " ( ").replace(")", " ) ").replace(",", " ").split())
        rows = connection.execute(f'SELECT * FROM "{name}"') if kind == "table" else ()  # noqa: S608
        found[name] = [" ".join(words), *(str(sorted(dict(row).items())) for row in rows)]
    connection.close()
    return found


async def test_revisions_make_exactly_the_metadata(tmp_path: Path) -> None:
    engine = upgrade(tmp_path / "store.db")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, schema.metadata) == []
    engine.dispose()


async def test_a_new_store_has_the_same_tables_and_rows_as_one_made_by_all_revisions(tmp_path: Path) -> None:
    """Check constraints, keys without row ids and cascades are invisible to Alembic's comparison."""
    await created(tmp_path / "created.db")
    upgrade(tmp_path / "upgraded.db").dispose()
    new, old = content(tmp_path / "created.db"), content(tmp_path / "upgraded.db")
    assert new == old
    assert set(new) > {*schema.metadata.tables, "alembic_version"}
    with_rows = {name for name, (_, *rows) in new.items() if rows}
    assert with_rows == {"alembic_version", *(table.name for table, _ in schema.FIRST_ROWS)}


async def test_chain_of_a_new_trail_begins_as_the_one_of_a_file(tmp_path: Path) -> None:
    await created(tmp_path / "store.db")
    with sqlite3.connect(tmp_path / "store.db") as connection:
        chains = connection.execute("SELECT before, chain FROM audit_head").fetchall()
    connection.close()
    assert chains == [(BEGINNING, BEGINNING)]


async def test_database_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    await created(path)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StoreUnavailable, match="newer version of Kiteward"):
        await SqlStore.open(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("table", ["intents", "alembic_version"])
async def test_creation_that_fails_leaves_nothing_half_done(tmp_path: Path, table: str) -> None:
    path = tmp_path / "store.db"
    with sqlite3.connect(path) as connection:
        connection.execute(f"CREATE TABLE {table} (version_num TEXT)")  # a table to be created is in the way
    connection.close()
    with pytest.raises(StoreUnavailable):
        await SqlStore.open(path)
    with sqlite3.connect(path) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    connection.close()
    assert tables == [table]


async def test_migration_that_fails_leaves_the_store_at_its_revision(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    engine = upgrade(path, "0012")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE scim_users (id INTEGER)"))  # in the way of 0018
    engine.dispose()
    before = content(path)
    with pytest.raises(StoreUnavailable):
        await SqlStore.open(path)
    assert content(path) == before


async def test_whom_scim_had_deactivated_before_it_was_stored_is_still_scims_to_activate(tmp_path: Path) -> None:
    users = {
        "active": (True, True),
        "deactivated": (False, False),
        "disabled": (True, False),
        "enabled_again": (False, True),
    }
    engine = upgrade(tmp_path / "store.db", "0021")
    with engine.begin() as connection:
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
