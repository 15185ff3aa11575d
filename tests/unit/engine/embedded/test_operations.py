from pymilvus.grpc_gen import milvus_pb2, milvus_pb2_grpc
from tests.unit.engine.embedded import lite

from kiteward.engine.embedded.database import ServedDatabase
from kiteward.engine.embedded.operations import MUTATIONS, ON_THE_LOOP, READS
from kiteward.engine.embedded.servicer import EngineServicer
from kiteward.gateway.operations import OPERATIONS


def test_every_rpc_that_is_implemented_is_declared_read_or_mutation() -> None:
    service = milvus_pb2.DESCRIPTOR.services_by_name["MilvusService"]
    generated = milvus_pb2_grpc.MilvusServiceServicer
    names = [method.name for method in service.methods]
    implemented = {name for name in names if getattr(EngineServicer, name) is not getattr(generated, name)}
    assert READS | MUTATIONS.keys() == implemented
    assert not READS & MUTATIONS.keys()


def test_rpcs_that_sound_like_changes_are_mutations() -> None:
    verbs = ("Create", "Drop", "Alter", "Insert", "Upsert", "Delete", "Rename", "Truncate", "Flush")
    changing = {name for name in READS | MUTATIONS.keys() if name.startswith(verbs)}
    assert changing | {"LoadCollection", "ReleaseCollection"} == MUTATIONS.keys()


def test_alias_and_name_take_the_same_lock(database: ServedDatabase) -> None:
    database.create_collection("docs", lite.schema())
    database.create_alias("docs", "papers")
    taken = [
        MUTATIONS["Insert"](database, "default", milvus_pb2.InsertRequest(collection_name=name))
        for name in ("docs", "papers")
    ]
    assert taken == [{("default", "docs")}] * 2


def test_moving_an_alias_locks_its_old_and_its_new_target(database: ServedDatabase) -> None:
    for name in ("docs", "more"):
        database.create_collection(name, lite.schema())
    database.create_alias("docs", "papers")
    request = milvus_pb2.AlterAliasRequest(collection_name="more", alias="papers")
    expected = {("default", name) for name in ("", "docs", "more", "papers")}
    assert MUTATIONS["AlterAlias"](database, "default", request) == expected


def test_flush_locks_every_collection_it_names(database: ServedDatabase) -> None:
    request = milvus_pb2.FlushRequest(collection_names=["b", "a"])
    assert MUTATIONS["Flush"](database, "default", request) == {("default", "a"), ("default", "b")}


def test_unknown_database_is_locked_by_the_names_given(database: ServedDatabase) -> None:
    request = milvus_pb2.InsertRequest(collection_name="docs")
    assert MUTATIONS["Insert"](database, "../x", request) == {("../x", "docs")}


WITHOUT_EFFECT = {
    "LoadPartitions": "the engine does not offer it",
    "ReleasePartitions": "the engine does not offer it",
    "ManualCompaction": "nothing is left to compact",
}
"""RPCs that change something in Milvus and nothing here."""


def test_reads_and_mutations_are_those_of_the_rows_of_the_gateway() -> None:
    changing = {name for name in READS | MUTATIONS.keys() if OPERATIONS[name].changes}
    assert changing - MUTATIONS.keys() == WITHOUT_EFFECT.keys()
    assert MUTATIONS.keys() <= changing
    assert READS >= ON_THE_LOOP
