from collections.abc import Mapping
from typing import Final

import pytest
from google.protobuf.message import Message
from pymilvus.grpc_gen import milvus_pb2, milvus_pb2_grpc
from tests.unit.engine.embedded import lite

from kiteward.engine.base import Access
from kiteward.engine.embedded.database import ServedDatabase
from kiteward.engine.embedded.operations import Execution, LockKey, Rpc, executed, served_rpcs
from kiteward.engine.embedded.servicer import EngineServicer
from kiteward.gateway.operations import OPERATIONS
from kiteward.gateway.operations.engine_rpcs import ENGINE_RPCS

RPCS: Final[Mapping[str, Rpc]] = {rpc.name: rpc for rpc in served_rpcs(EngineServicer, ENGINE_RPCS)}
METHODS: Final = milvus_pb2.DESCRIPTOR.services_by_name["MilvusService"].methods_by_name

WITHOUT_EFFECT: Final = {
    "LoadPartitions": "the engine does not offer it",
    "ReleasePartitions": "the engine does not offer it",
    "ManualCompaction": "nothing is left to compact",
}
"""RPCs that change something in Milvus and nothing here."""

CATALOG_LOCKED: Final = {
    *("CreateCollection", "AlterCollection", "DropCollection", "RenameCollection", "TruncateCollection"),
    *("CreateAlias", "AlterAlias", "DropAlias"),
    *("CreateDatabase", "DropDatabase", "AlterDatabase"),
    "FlushAll",
}
"""Writes that exclude one another within a database."""


def locks(database: ServedDatabase, name: str, request: Message, database_name: str = "default") -> set[LockKey]:
    rule = RPCS[name].locks
    assert rule is not None
    return rule.keys(database, database_name, request)


# What is served


def test_every_rpc_that_is_implemented_and_reaches_an_engine_is_served() -> None:
    generated = milvus_pb2_grpc.MilvusServiceServicer
    implemented = {name for name in METHODS if getattr(EngineServicer, name) is not getattr(generated, name)}
    # The gateway answers these itself.
    assert implemented - RPCS.keys() == {"Connect", "GetVersion", "CheckHealth"}
    assert RPCS.keys() <= ENGINE_RPCS.keys()
    assert all(rpc.request_type.DESCRIPTOR is METHODS[name].input_type for name, rpc in RPCS.items())


def test_what_a_row_says_that_changes_something_holds_locks_and_nothing_else_does() -> None:
    writing = {name for name in RPCS if OPERATIONS[name].changes}
    assert {name for name, rpc in RPCS.items() if rpc.locks is not None} == writing - WITHOUT_EFFECT.keys()
    assert WITHOUT_EFFECT.keys() <= writing


def test_rpcs_that_sound_like_changes_hold_locks() -> None:
    verbs = ("Create", "Drop", "Alter", "Insert", "Upsert", "Delete", "Rename", "Truncate", "Flush")
    changing = {name for name in RPCS if name.startswith(verbs)}
    assert changing | {"LoadCollection", "ReleaseCollection"} == {name for name, rpc in RPCS.items() if rpc.locks}


def test_rpc_that_is_not_listed_is_not_served() -> None:
    assert [rpc.name for rpc in served_rpcs(EngineServicer, {"Search": Access.READ})] == ["Search"]


def test_rpc_that_is_not_implemented_is_not_served() -> None:
    assert served_rpcs(EngineServicer, {"CreateResourceGroup": Access.WRITE, "RunAnalyzer": Access.READ}) == []


def test_name_of_no_rpc_is_refused() -> None:
    with pytest.raises(ValueError, match="no such RPC: Serach"):
        served_rpcs(EngineServicer, {"Serach": Access.READ})


def test_write_without_locks_is_refused() -> None:
    for name in ("GetFlushAllState", "ListDatabases"):
        with pytest.raises(ValueError, match=f"{name} is listed as a write, names no collection and declares no locks"):
            served_rpcs(EngineServicer, {name: Access.WRITE})


@pytest.mark.parametrize("how", Execution)
def test_declaration_that_contradicts_the_list_is_refused(how: Execution) -> None:
    @executed(how)
    def flush(_servicer: object, _request: Message, _context: object) -> Message:
        return milvus_pb2.FlushResponse()

    access = Access.WRITE if how is Execution.ON_THE_LOOP else Access.READ
    with pytest.raises(ValueError, match=f"Flush is listed as a {access}, which cannot be executed as {how.name}"):
        served_rpcs(type("Servicer", (), {"Flush": flush}), {"Flush": access})


# Locks


def test_alias_and_name_take_the_same_lock(database: ServedDatabase) -> None:
    database.create_collection("docs", lite.schema())
    database.create_alias("docs", "papers")
    taken = [locks(database, "Insert", milvus_pb2.InsertRequest(collection_name=name)) for name in ("docs", "papers")]
    assert taken == [{("default", "docs")}] * 2


def test_write_of_a_collection_holds_it_and_for_a_change_of_the_catalog_that_too(database: ServedDatabase) -> None:
    for name, rpc in RPCS.items():
        fields = rpc.request_type.DESCRIPTOR.fields_by_name
        if rpc.locks and "collection_name" in fields and "alias" not in fields:
            catalog = {("default", "")} if name in CATALOG_LOCKED else set()
            keys = locks(database, name, rpc.request_type(collection_name="docs"))
            assert keys == {("default", "docs")} | catalog, name


def test_writes_of_a_catalog_exclude_one_another_within_a_database(database: ServedDatabase) -> None:
    held = {
        name for name, rpc in RPCS.items() if rpc.locks and ("default", "") in locks(database, name, rpc.request_type())
    }
    # A collection without a name would be locked as the catalogue is.
    unnamed = {name for name, rpc in RPCS.items() if rpc.locks and rpc.locks.names and not rpc.locks.catalog}
    assert held - unnamed == CATALOG_LOCKED


def test_drop_through_an_alias_locks_the_alias_and_its_collection(database: ServedDatabase) -> None:
    database.create_collection("docs", lite.schema())
    database.create_alias("docs", "papers")
    keys = locks(database, "DropCollection", milvus_pb2.DropCollectionRequest(collection_name="papers"))
    assert keys == {("default", name) for name in ("", "docs", "papers")}


def test_rename_locks_both_names(database: ServedDatabase) -> None:
    request = milvus_pb2.RenameCollectionRequest(oldName="docs", newName="more")
    assert locks(database, "RenameCollection", request) == {("default", name) for name in ("", "docs", "more")}


def test_moving_an_alias_locks_its_old_and_its_new_target(database: ServedDatabase) -> None:
    for name in ("docs", "more"):
        database.create_collection(name, lite.schema())
    database.create_alias("docs", "papers")
    request = milvus_pb2.AlterAliasRequest(collection_name="more", alias="papers")
    assert locks(database, "AlterAlias", request) == {("default", name) for name in ("", "docs", "more", "papers")}


def test_flush_locks_every_collection_it_names(database: ServedDatabase) -> None:
    request = milvus_pb2.FlushRequest(collection_names=["b", "a"])
    assert locks(database, "Flush", request) == {("default", "a"), ("default", "b")}


def test_flush_of_everything_locks_every_collection_and_the_catalogue(database: ServedDatabase) -> None:
    for name in ("docs", "more"):
        database.create_collection(name, lite.schema())
    everything = {("default", name) for name in ("", "docs", "more")}
    assert locks(database, "FlushAll", milvus_pb2.FlushAllRequest()) == everything
    assert locks(database, "FlushAll", milvus_pb2.FlushAllRequest(), "absent") == {("absent", "")}


def test_change_of_a_database_locks_its_catalogue(database: ServedDatabase) -> None:
    for name, request in {
        "CreateDatabase": milvus_pb2.CreateDatabaseRequest(db_name="shelf"),
        "AlterDatabase": milvus_pb2.AlterDatabaseRequest(db_name="shelf"),
        "DropDatabase": milvus_pb2.DropDatabaseRequest(db_name="shelf"),
    }.items():
        assert locks(database, name, request, "shelf") == {("shelf", "")}


def test_unknown_database_is_locked_by_the_names_given(database: ServedDatabase) -> None:
    request = milvus_pb2.InsertRequest(collection_name="docs")
    assert locks(database, "Insert", request, "../x") == {("../x", "docs")}
