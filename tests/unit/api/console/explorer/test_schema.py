"""The page of a collection: all that its schema says, and what its reader may not see is not asked for."""

from tests.unit.api.console.explorer.exploring import HERE, TYPES, exploring, rows, schema, shown

from kiteward.audit.events import Outcome
from kiteward.domain.errors import EngineLacksOperation
from kiteward.milvus import messages
from kiteward.milvus.messages import common_pb2, milvus_pb2, schema_pb2


def counted(number: int) -> bytes:
    found = messages.QueryResults(status=messages.Status())
    found.fields_data.add(field_name="count(*)").scalars.long_data.data.append(number)
    return bytes(found.SerializeToString())


def rich(answers: dict[str, bytes]) -> None:
    described = messages.DescribeCollectionResponse.FromString(schema())
    fields = described.schema.fields
    tags = fields.add(name="tags", data_type=TYPES.Array, element_type=TYPES.VarChar, is_partition_key=True)
    tags.type_params.add(key="max_capacity", value="9")
    fields.add(name="stars", data_type=TYPES.Int64, is_clustering_key=True).default_value.long_data = 5
    fields.add(name="words", data_type=TYPES.SparseFloatVector, is_function_output=True)
    described.schema.functions.add(
        name="bm25", type=schema_pb2.FunctionType.BM25, input_field_names=["title"], output_field_names=["words"]
    )
    described.properties.add(key="mmap.enabled", value="true")
    answers["DescribeCollection"] = described.SerializeToString()
    answers["Query"] = counted(1_234)
    state = milvus_pb2.GetLoadStateResponse(status=messages.Status(), state=common_pb2.LoadState.LoadStateLoaded)
    answers["GetLoadState"] = state.SerializeToString()
    aliases = messages.ListAliasesResponse(status=messages.Status(), aliases=["latest"])
    answers["ListAliases"] = aliases.SerializeToString()


async def test_everything_that_a_schema_says_is_shown() -> None:
    async with exploring(answers=rich) as browser:
        page = shown((await browser.open(HERE)).text)
        for said in (
            "id Primary key Int64",
            "title Nullable VarChar At most 500 bytes",
            "vector FloatVector Dimension 4 HNSW fast M 16 L2",
            "tags Partition key Array<VarChar> At most 9 elements",
            "stars Clustering key Int64 5",
            "words Function output SparseFloatVector",
            "bm25 BM25 title words",
            "mmap.enabled true",
            "Load state Loaded",
            "Rows 1,234",
            "Dynamic field Yes",
            "Shards 2",
            "latest",
        ):
            assert said in page, said


async def test_what_the_reader_may_not_see_is_not_asked_for() -> None:
    async with exploring("Insert", answers=rich) as browser:
        page = shown((await browser.open(HERE)).text)
        assert "Load state Not shown to you Rows Not shown to you" in page
        assert "latest" not in page
        for operation in ("GetLoadState", "Query", "GetCollectionStatistics", "ShowPartitions"):
            assert not browser.harness.engine.called(operation), operation
        assert [event.operation for event in browser.harness.trail.events if event.outcome is Outcome.REFUSED] == []


async def test_who_may_not_query_sees_the_stored_count_with_the_privilege_for_it() -> None:
    statistics = milvus_pb2.GetCollectionStatisticsResponse(status=messages.Status())
    statistics.stats.add(key="row_count", value="77")
    answers = {"GetCollectionStatistics": statistics.SerializeToString()}
    async with exploring("GetStatistics", answers=lambda held: held.update(answers)) as browser:
        assert "Rows 77" in shown((await browser.open(HERE)).text)


async def test_a_page_is_shown_without_what_the_engine_lacks() -> None:
    async with exploring(answers=lambda held: held.update({"Query": rows([])})) as browser:
        for operation in ("GetLoadState", "DescribeIndex", "ListAliases", "ShowPartitions", "GetCollectionStatistics"):
            browser.harness.engine.failures[operation] = EngineLacksOperation(f"no {operation}")
        page = await browser.open(HERE)
        assert (page.status_code, "FloatVector" in page.text) == (200, True)


async def test_a_collection_under_an_alias_says_which_it_is() -> None:
    async with exploring("Query") as browser:
        await browser.harness.succeed("CreateAlias", collection_name="docs", alias="latest")
        page = shown((await browser.open("collections/default/latest")).text)
        assert "latest alias of docs" in page
