import asyncio
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.postgresql import PASSWORD, Cluster

from kiteward.bootstrap.store_move import move_store
from kiteward.domain.errors import ConfigurationError, DataDirectoryHeld, StoreUnavailable
from kiteward.domain.identity import Secret
from kiteward.store.data_directory import DataDirectory
from kiteward.store.postgresql.settings import PostgresqlSettings
from kiteward.store.sql import SqlStore


@pytest.fixture
def database(cluster: Cluster, migrated: str) -> Iterator[PostgresqlSettings]:
    with cluster.database(options=migrated) as settings:
        yield settings


@pytest.fixture
async def data(tmp_path: Path) -> Path:
    """A data directory whose store has a user."""
    with DataDirectory.hold(tmp_path / "data") as directory:
        await add(directory.store_path, "alice")
    return tmp_path / "data"


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def files_in(path: Path) -> list[str]:
    return [each.name for each in path.iterdir()]


@pytest.fixture
def open_folder(tmp_path: Path) -> Path:
    """A folder that others may look into, as that of a copy may be."""
    tmp_path.chmod(0o755)
    return tmp_path


async def add(location: Path | PostgresqlSettings, name: str) -> None:
    store = await SqlStore.open(location)
    async with store.transaction() as transaction:
        await transaction.users.add(name, "hash")
        await transaction.commit()
    await store.close()


async def users(location: Path | PostgresqlSettings) -> list[str]:
    store = await SqlStore.open(location)
    names = list(await store.user_names())
    await store.close()
    return names


async def moved(source: str, target: str, password: str = PASSWORD) -> dict[str, int]:
    return await move_store(source, target, password=Secret(password), progress=lambda *_: None)


@pytest.mark.parametrize("form", ["sqlite:{}", "sqlite:{}/store.db", "sqlite:///{}", "sqlite:///{}/store.db"])
async def test_store_is_moved_there_and_back(
    form: str, data: Path, tmp_path: Path, cluster: Cluster, database: PostgresqlSettings
) -> None:
    there, back = cluster.url(database.database), tmp_path / "back"
    assert (await moved(form.format(data), there))["users"] == 1
    assert (await moved(there, form.format(back)))["users"] == 1
    assert await users(database) == await users(back / "store.db") == ["alice"]
    assert mode_of(back / "store.db") == 0o600


async def test_store_that_a_server_holds_is_refused(data: Path, cluster: Cluster, database: PostgresqlSettings) -> None:
    with DataDirectory.hold(data):
        for pair in (
            (f"sqlite:{data}", cluster.url(database.database)),
            (cluster.url(database.database), f"sqlite:{data}"),
        ):
            with pytest.raises(DataDirectoryHeld):
                await moved(*pair)


@pytest.mark.parametrize("back", [False, True])
async def test_database_that_a_server_uses_is_refused(
    back: bool, data: Path, tmp_path: Path, cluster: Cluster, database: PostgresqlSettings
) -> None:
    server = await SqlStore.open(database)
    await server.user("alice")
    pair = (cluster.url(database.database), f"sqlite:{tmp_path / 'new'}")
    with pytest.raises(StoreUnavailable, match="stop them first"):
        await moved(*(pair if back else (f"sqlite:{data}", pair[0])))
    assert await server.user_names() == []
    await server.close()


async def test_nobody_begins_to_use_a_database_while_it_is_filled(
    data: Path, cluster: Cluster, database: PostgresqlSettings
) -> None:
    begun: list[asyncio.Task[SqlStore]] = []

    def begin(*_: object) -> None:
        begun.append(asyncio.create_task(SqlStore.open(database)))

    async with asyncio.TaskGroup() as group:
        moving = group.create_task(
            move_store(f"sqlite:{data}", cluster.url(database.database), password=Secret(PASSWORD), progress=begin)
        )
    assert moving.result()["users"] == 1
    for each in await asyncio.gather(*begun, return_exceptions=True):
        if isinstance(each, SqlStore):  # it came when everything was over
            await each.close()
        else:
            assert "`kiteward store migrate` has the database to itself" in str(each)
    assert await users(database) == ["alice"]


@pytest.mark.parametrize(
    ("source", "target", "sentence"),
    [
        ("sqlite:a", "sqlite:b", "copy its data directory"),
        ("postgresql://k@localhost/a", "postgresql://k@localhost/b", "pg_dump"),
        ("sqlite:absent", "postgresql://k@localhost/b", "--from names no store"),
        ("mysql://k@localhost/a", "sqlite:b", "--from must be like postgresql://"),
        ("postgresql://k@localhost/a", "sqlite:backup.db", "--to must name a data directory"),
        ("postgresql://k:hunter2@localhost/a", "sqlite:b", "without a password"),
    ],
)
async def test_addresses_that_cannot_be_used_are_refused(
    source: str, target: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError) as refusal:
        await moved(source, target)
    assert sentence in str(refusal.value)
    assert "hunter2" not in str(refusal.value)
    assert not files_in(tmp_path)


async def test_copy_outside_of_a_data_directory_can_be_moved_and_its_folder_is_left_alone(
    open_folder: Path, cluster: Cluster, database: PostgresqlSettings
) -> None:
    await add(open_folder / "copy.db", "alice")
    await moved(f"sqlite:{open_folder / 'copy.db'}", cluster.url(database.database))
    assert mode_of(open_folder) == 0o755
    assert "LOCK" not in files_in(open_folder)
