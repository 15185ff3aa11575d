"""The command that moves a store; what it does is tested with `kiteward.bootstrap.store_move`."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.postgresql import PASSWORD, Cluster

from kiteward.cli.main import main
from kiteward.store.postgresql.settings import PostgresqlSettings
from kiteward.store.sql import SqlStore


async def add(path: Path, name: str) -> None:
    store = await SqlStore.open(path)
    async with store.transaction() as transaction:
        await transaction.users.add(name, "hash")
        await transaction.commit()
    await store.close()


@pytest.fixture
def database(cluster: Cluster, migrated: str) -> Iterator[PostgresqlSettings]:
    with cluster.database(options=migrated) as settings:
        yield settings


@pytest.mark.parametrize("given", ["option", "configuration"])
def test_store_is_moved_with_a_password_from_a_file_or_the_configuration(
    given: str, tmp_path: Path, cluster: Cluster, database: PostgresqlSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(add(tmp_path / "store.db", "alice"))
    url = cluster.url(database.database)
    words = ["store", "migrate", "--from", f"sqlite:{tmp_path / 'store.db'}", "--to", url]
    if given == "option":
        (tmp_path / "password").write_text(f"{PASSWORD}\n", encoding="utf-8")
        words += ["--password-file", str(tmp_path / "password")]
    else:
        store = {"url": url, "password": PASSWORD}
        (tmp_path / "kiteward.yaml").write_text(json.dumps({"kiteward": {"store": store}}), encoding="utf-8")
        words += ["--config", str(tmp_path / "kiteward.yaml"), "--json"]
    assert main(words) == 0
    shown = capsys.readouterr()
    if given == "option":
        assert "both stores hold the same" in shown.out
    else:
        moved = json.loads(shown.out)
        assert moved["tables"]["users"] == 1
        assert moved["rows"] == sum(moved["tables"].values())
    assert "The source is unchanged" in shown.err


def test_refusal_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["store", "migrate", "--from", f"sqlite:{tmp_path / 'absent'}", "--to", "postgresql://k@localhost/b"]
    assert main(words) == 1
    shown = capsys.readouterr()
    assert (shown.out, shown.err.count("\n")) == ("", 1)
    assert shown.err.startswith("kiteward: --from names no store")
