import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.unit.engine.embedded import lite
from tests.unit.engine.embedded.conftest import OpenDatabase

from kiteward.engine.embedded.durability import whole_file_writer, write_whole
from kiteward.engine.embedded.sync_mode import SyncMode


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths given to fsync, as they were named then."""
    paths: list[str] = []
    fsync = os.fsync

    def record(descriptor: int) -> None:
        paths.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", record)
    return paths


def test_each_write_is_synced_before_it_returns(open_at: OpenDatabase, synced: list[str]) -> None:
    collection = open_at("batch").create_collection("docs", lite.schema())
    for key in range(3):
        synced.clear()
        collection.insert(lite.records([key]))
        assert any(path.endswith("wal/wal_data_000001.arrow") for path in synced)
        synced.clear()
        collection.delete([key])
        assert any(path.endswith("wal/wal_delta_000001.arrow") for path in synced)


def test_new_log_file_is_entered_durably_into_its_directory(open_at: OpenDatabase, synced: list[str]) -> None:
    collection = open_at("batch").create_collection("docs", lite.schema())
    synced.clear()
    collection.insert(lite.records([1]))
    assert [Path(path).name for path in synced] == ["wal_data_000001.arrow", "wal"]
    synced.clear()
    collection.insert(lite.records([2]))
    assert [Path(path).name for path in synced] == ["wal_data_000001.arrow"]


@pytest.mark.parametrize("sync_mode", ["close", "none"])
def test_weaker_modes_do_not_sync_each_write(open_at: OpenDatabase, synced: list[str], sync_mode: SyncMode) -> None:
    collection = open_at(sync_mode).create_collection("docs", lite.schema())
    synced.clear()
    collection.insert(lite.records([1]))
    assert synced == []


def test_flushed_rows_are_durable_before_their_log_is_deleted(
    open_at: OpenDatabase, synced: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    collection = open_at("batch").create_collection("docs", lite.schema())
    collection.insert(lite.records([1]))
    remove = os.remove

    def delete(path: str) -> None:
        if path.endswith("wal_data_000001.arrow"):
            synced.append("deleted")
        remove(path)

    monkeypatch.setattr(os, "remove", delete)
    synced.clear()
    collection.flush()
    before = [Path(path).name for path in synced[: synced.index("deleted")]]
    assert "data_000001_000001.parquet" in before
    assert {"data", "_default", "partitions", "docs"} <= set(before)


def test_new_collection_is_durable_on_return(open_at: OpenDatabase, synced: list[str], tmp_path: Path) -> None:
    open_at("batch").create_collection("docs", lite.schema())
    assert {str(tmp_path / "data/collections"), str(tmp_path / "data/collections/docs")} <= set(synced)


def test_alias_and_load_state_are_durable_on_return(open_at: OpenDatabase, synced: list[str], tmp_path: Path) -> None:
    database = open_at("batch")
    collection = database.create_collection("docs", lite.schema())
    synced.clear()
    database.create_alias("docs", "papers")
    assert synced == [str(tmp_path / "data/aliases.json.draft"), str(tmp_path / "data")]
    synced.clear()
    collection.create_index("vector", lite.INDEX)
    assert synced[-2:] == [
        str(tmp_path / "data/collections/docs/LOADED.draft"),
        str(tmp_path / "data/collections/docs"),
    ]
    synced.clear()
    collection.release()
    assert synced == [str(tmp_path / "data/collections/docs")]


def test_data_file_appears_only_when_it_is_complete(tmp_path: Path) -> None:
    table = pa.table({"id": [1]})
    (tmp_path / "data").mkdir()
    final = tmp_path / "data/rows"
    final.write_text("as it was")

    def die(table: Any, directory: str, seq_min: int, seq_max: int) -> str:
        (Path(directory) / "data").mkdir(parents=True)
        (Path(directory) / "data/rows").write_text("to")
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        whole_file_writer(die, "batch")(table, str(tmp_path), 1, 1)
    assert final.read_text() == "as it was"


def test_replaced_file_holds_the_old_or_the_new_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_whole(path, b"old", synced=True)

    def die(descriptor: int) -> None:
        raise OSError("gone")

    monkeypatch.setattr(os, "fsync", die)
    with pytest.raises(OSError, match="gone"):
        write_whole(path, b"new", synced=True)
    assert path.read_bytes() == b"old"
