"""Collections and their data through pymilvus' MilvusClient, as an administrator."""

import pytest
from pymilvus import AnnSearchRequest, MilvusClient, MilvusException, RRFRanker
from pymilvus.client.types import LoadState
from tests.compat import sample_collection


def test_collection_made_in_one_call_takes_answers_and_forgets_rows(root: MilvusClient) -> None:
    root.create_collection("quick", dimension=4)
    data = [{"id": number, "vector": [1.0, number, 0.0, 0.0], "tag": f"t{number % 2}"} for number in range(6)]
    assert root.insert("quick", data)["insert_count"] == 6
    found = root.search("quick", data=[[1.0, 5.0, 0.0, 0.0]], limit=2, output_fields=["tag"])
    assert [(hit["id"], hit["entity"]["tag"]) for hit in found[0]] == [(5, "t1"), (4, "t0")]
    assert [row["id"] for row in root.query("quick", filter='tag == "t1"')] == [1, 3, 5]
    assert [row["tag"] for row in root.get("quick", ids=[0, 1])] == ["t0", "t1"]
    root.upsert("quick", [{"id": 0, "vector": [9.0, 9.0, 9.0, 9.0], "tag": "new"}])
    assert root.get("quick", ids=[0])[0]["tag"] == "new"
    root.delete("quick", ids=[1])
    root.delete("quick", filter='tag == "t0"')
    assert [row["id"] for row in root.query("quick", filter="id >= 0")] == [0, 3, 5]
    root.drop_collection("quick")
    assert not root.has_collection("quick")


def test_collection_with_schema_and_indexes_is_described(root: MilvusClient) -> None:
    sample_collection.create(root, "library")
    described = root.describe_collection("library")
    assert [field["name"] for field in described["fields"]] == ["id", "title", "year", "text_vector", "image_vector"]
    assert described["enable_dynamic_field"] is False
    assert sorted(root.list_indexes("library")) == ["image_vector", "text_vector"]
    index = root.describe_index("library", "text_vector")
    assert (index["index_type"], index["metric_type"], index["field_name"]) == ("HNSW", "L2", "text_vector")
    assert root.get_load_state("library") == {"state": LoadState.Loaded}
    root.flush("library")
    assert root.get_collection_stats("library") == {"row_count": 10}


def test_search_is_filtered_and_confined_to_a_radius(root: MilvusClient) -> None:
    sample_collection.create(root, "searched")
    assert sample_collection.nearest(root, "searched", 4) == [4, 3, 5]
    assert sample_collection.nearest(root, "searched", 4, filter="year == 2021") == [3, 5, 1]
    within = {"params": {"radius": 1.5}}
    assert sorted(sample_collection.nearest(root, "searched", 4, limit=10, search_params=within)) == [3, 4, 5]


def test_hybrid_search_joins_the_results_of_two_vectors(root: MilvusClient) -> None:
    sample_collection.create(root, "hybrid")
    sought = sample_collection.rows(1, first=7)[0]
    requests = [
        AnnSearchRequest([sought[field]], field, {"metric_type": "L2"}, limit=3)
        for field in ("text_vector", "image_vector")
    ]
    found = root.hybrid_search("hybrid", requests, RRFRanker(), limit=3, output_fields=["title"])
    assert found[0][0]["entity"]["title"] == "paper 7"
    assert sorted(hit["id"] for hit in found[0]) == [6, 7, 8]


def test_query_iterator_walks_through_all_rows(root: MilvusClient) -> None:
    sample_collection.create(root, "walked", count=25)
    iterator = root.query_iterator("walked", batch_size=10, filter="id >= 0")
    seen = []
    while batch := iterator.next():
        seen += [row["id"] for row in batch]
    iterator.close()
    assert sorted(seen) == list(range(25))


def test_released_collection_is_not_searched_until_it_is_loaded_again(root: MilvusClient) -> None:
    sample_collection.create(root, "released")
    root.release_collection("released")
    assert root.get_load_state("released") == {"state": LoadState.NotLoad}
    with pytest.raises(MilvusException, match="load") as caught:
        sample_collection.nearest(root, "released", 4)
    assert caught.value.code == 101
    root.load_collection("released")
    assert root.get_load_state("released") == {"state": LoadState.Loaded}
    assert sample_collection.nearest(root, "released", 4)[0] == 4


def test_index_is_dropped_and_made_again(root: MilvusClient) -> None:
    sample_collection.create(root, "reindexed")
    root.release_collection("reindexed")
    with pytest.raises(MilvusException, match=r"index not found\[index=voice_vector\]"):
        root.drop_index("reindexed", "voice_vector")
    root.drop_index("reindexed", "image_vector")
    assert root.list_indexes("reindexed") == ["text_vector"]
    root.drop_index("reindexed", "text_vector")
    assert root.list_indexes("reindexed") == []
    root.create_index("reindexed", sample_collection.indexes(root))
    root.load_collection("reindexed")
    assert sorted(root.list_indexes("reindexed")) == ["image_vector", "text_vector"]
    assert sample_collection.nearest(root, "reindexed", 2)[0] == 2


def test_partition_holds_its_own_rows(root: MilvusClient) -> None:
    sample_collection.create(root, "shelves")
    root.create_partition("shelves", "upper")
    assert root.list_partitions("shelves") == ["_default", "upper"]
    assert root.has_partition("shelves", "upper")
    root.insert("shelves", sample_collection.rows(3, first=100), partition_name="upper")
    assert sorted(sample_collection.nearest(root, "shelves", 4, limit=10, partition_names=["upper"])) == [100, 101, 102]
    assert len(root.query("shelves", filter="id >= 0")) == 13
    root.release_collection("shelves")
    root.drop_partition("shelves", "upper")
    assert not root.has_partition("shelves", "upper")
    root.load_collection("shelves")
    assert len(root.query("shelves", filter="id >= 0")) == 10


def test_alias_stands_for_its_collection(root: MilvusClient) -> None:
    sample_collection.create(root, "first_edition")
    sample_collection.create(root, "second_edition", count=1)
    root.create_alias("first_edition", "current")
    assert root.describe_alias("current") == {"alias": "current", "collection_name": "first_edition"}
    assert root.list_aliases("first_edition")["aliases"] == ["current"]
    assert root.describe_collection("current")["collection_name"] == "first_edition"
    assert sample_collection.nearest(root, "current", 5)[0] == 5
    root.alter_alias("second_edition", "current")
    assert sample_collection.nearest(root, "current", 5) == [0]
    root.drop_alias("current")
    assert not root.has_collection("current")
    with pytest.raises(MilvusException):
        root.describe_alias("current")


def test_rename_keeps_the_rows(root: MilvusClient) -> None:
    sample_collection.create(root, "draft")
    root.rename_collection("draft", "published")
    assert not root.has_collection("draft")
    assert sample_collection.nearest(root, "published", 3)[0] == 3
    sample_collection.create(root, "occupied", count=0)
    with pytest.raises(MilvusException):
        root.rename_collection("published", "occupied")
    assert root.has_collection("published")


def test_flush_truncation_and_compaction_leave_the_right_rows(root: MilvusClient) -> None:
    sample_collection.create(root, "compacted")
    root.flush("compacted")
    root.delete("compacted", ids=list(range(5)))
    root.flush("compacted")
    job = root.compact("compacted")
    assert root.get_compaction_state(job) == "Completed"
    assert [row["id"] for row in root.query("compacted", filter="id >= 0")] == [5, 6, 7, 8, 9]
    root.truncate_collection("compacted")
    assert root.query("compacted", filter="id >= 0") == []
    assert root.get_collection_stats("compacted") == {"row_count": 0}


def test_missing_collection_is_reported_by_its_code(root: MilvusClient) -> None:
    assert not root.has_collection("missing")
    with pytest.raises(MilvusException) as caught:
        root.describe_collection("missing")
    assert caught.value.code == 100


def test_rows_that_do_not_fit_the_schema_are_refused_and_nothing_is_kept(root: MilvusClient) -> None:
    sample_collection.create(root, "strict", count=0)
    with pytest.raises(MilvusException):
        root.insert("strict", [{**sample_collection.rows(1)[0], "text_vector": [1.0, 2.0]}])
    with pytest.raises(MilvusException):
        root.insert("strict", [{**sample_collection.rows(1)[0], "unheard_of": 1}])
    assert root.query("strict", filter="id >= 0") == []


def test_databases_keep_collections_apart(root: MilvusClient) -> None:
    root.create_database("annex")
    assert set(root.list_databases()) >= {"default", "annex"}
    assert root.describe_database("annex")["name"] == "annex"
    sample_collection.create(root, "everywhere", count=1)
    root.use_database("annex")
    try:
        assert root.list_collections() == []
        sample_collection.create(root, "everywhere", count=5)
        assert len(root.query("everywhere", filter="id >= 0")) == 5
        with pytest.raises(MilvusException):
            root.drop_database("annex")
        root.drop_collection("everywhere")
    finally:
        root.use_database("default")
    assert len(root.query("everywhere", filter="id >= 0")) == 1
    root.drop_database("annex")
    assert "annex" not in root.list_databases()
    with pytest.raises(MilvusException) as caught:
        root.use_database("annex")
    assert caught.value.code == 800


def test_server_tells_its_version(root: MilvusClient) -> None:
    version = root.get_server_version()
    assert "kiteward" in version
    assert root.get_server_version(detail=True)["version"] == version


def test_loading_again_ends_and_deleting_tells_how_many(root: MilvusClient) -> None:
    root.create_collection("counted", dimension=4)
    root.insert("counted", [{"id": number, "vector": [1.0, number, 0.0, 0.0]} for number in range(6)])
    root.refresh_load("counted", timeout=60)
    assert root.delete("counted", filter="id < 2")["delete_count"] == 2
    assert root.delete("counted", ids=[2])["delete_count"] == 1
    assert root.describe_collection("counted")["created_timestamp"] > 0
    root.drop_collection("counted")


def test_flushing_a_missing_collection_fails(root: MilvusClient) -> None:
    with pytest.raises(MilvusException) as caught:
        root.flush("no_such_collection")
    assert caught.value.code == 100


def test_what_the_engine_lacks_is_said_with_the_code_of_milvus(root: MilvusClient) -> None:
    with pytest.raises(MilvusException) as caught:
        root.list_resource_groups()
    assert (caught.value.code, caught.value.message) == (
        10,
        "the engine does not implement `ListResourceGroups`: service unimplemented",
    )
