"""The core of it all through pymilvus' AsyncMilvusClient."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import pytest
from pymilvus import AnnSearchRequest, AsyncMilvusClient, DataType, MilvusException, RRFRanker
from tests.compat import accounts, sample_collection
from tests.support import raw_grpc
from tests.support.server import ROOT_TOKEN, RunningServer


@asynccontextmanager
async def signed_in(uri: str, token: str = ROOT_TOKEN) -> AsyncIterator[AsyncMilvusClient]:
    client = AsyncMilvusClient(uri=uri, token=token, dedicated=True)
    try:
        yield client
    finally:
        await client.close()


async def create(client: AsyncMilvusClient, name: str) -> None:
    vectors = sample_collection.vectors_in(await client.get_server_version())
    schema = AsyncMilvusClient.create_schema(auto_id=False, enable_dynamic_field=len(vectors) == 1)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("title", DataType.VARCHAR, max_length=64)
    schema.add_field("year", DataType.INT32)
    for field in vectors:
        schema.add_field(field, DataType.FLOAT_VECTOR, dim=sample_collection.DIMENSION)
    indexes = AsyncMilvusClient.prepare_index_params()
    for field in vectors:
        indexes.add_index(field, index_type="AUTOINDEX", metric_type="L2")
    await client.create_collection(name, schema=schema, index_params=indexes)
    assert (await client.insert(name, sample_collection.rows(10)))["insert_count"] == 10


async def test_data_calls_answer_as_in_the_plain_client(server: RunningServer) -> None:
    sought = sample_collection.rows(1, first=4)[0]
    async with signed_in(server.uri) as client:
        await create(client, "async_papers")
        found = await client.search("async_papers", [sought["text_vector"]], anns_field="text_vector", limit=3)
        assert sorted(hit["id"] for hit in found[0]) == [3, 4, 5]
        requests = [AnnSearchRequest([sought[field]], field, {}, limit=3) for field in ("text_vector", "image_vector")]
        both = await client.hybrid_search("async_papers", requests, RRFRanker(), limit=1, output_fields=["title"])
        assert both[0][0]["entity"]["title"] == "paper 4"
        await client.upsert("async_papers", [{**sought, "title": "new edition"}])
        assert (await client.get("async_papers", ids=[4], output_fields=["title"]))[0]["title"] == "new edition"
        await client.delete("async_papers", ids=[4])
        assert len(await client.query("async_papers", filter="id >= 0")) == 9
        await client.flush("async_papers")
        await client.create_partition("async_papers", "upper")
        assert await client.list_partitions("async_papers") == ["_default", "upper"]
        await client.create_alias("async_papers", "async_alias")
        assert (await client.describe_alias("async_alias"))["collection_name"] == "async_papers"
        await client.drop_alias("async_alias")
        await client.rename_collection("async_papers", "async_renamed")
        assert "async_renamed" in await client.list_collections()
        await client.drop_collection("async_renamed")


async def test_many_searches_at_once_find_each_their_own(server: RunningServer) -> None:
    async with signed_in(server.uri) as client:
        await create(client, "crowded")

        async def nearest(number: int) -> int:
            vector = sample_collection.rows(1, first=number)[0]["text_vector"]
            found = await client.search("crowded", [vector], anns_field="text_vector", limit=1)
            return int(found[0][0]["id"])

        wanted = [number % 10 for number in range(60)]
        assert await asyncio.gather(*map(nearest, wanted)) == wanted


async def test_users_roles_and_grants_work_and_are_felt_at_once(server: RunningServer) -> None:
    async with signed_in(server.uri) as root:
        await create(root, "async_docs")
        await root.create_user("async_ann", accounts.PASSWORD, description="tests")
        await root.create_role("async_readers", description="read")
        await root.grant_privilege_v2("async_readers", "Query", "async_docs", "default")
        await root.grant_role("async_ann", "async_readers")
        described = await root.describe_user("async_ann")
        assert (described["roles"], described["description"]) == (("async_readers",), "tests")
        async with signed_in(server.uri, accounts.token("async_ann")) as ann:
            assert len(await ann.query("async_docs", filter="id >= 0")) == 10
            assert await ann.list_collections() == ["async_docs"]
            privileges = (await ann.describe_role("async_readers"))["privileges"]
            assert [entry["privilege"] for entry in privileges] == ["Query"]
            with pytest.raises(grpc.RpcError) as caught:
                await ann.insert("async_docs", sample_collection.rows(1))
            assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
            assert caught.value.details() == "PrivilegeInsert: permission deny to async_ann in the `default` database"
            await root.revoke_privilege_v2("async_readers", "Query", "async_docs", "default")
            with pytest.raises(grpc.RpcError) as caught:
                await ann.query("async_docs", filter="id >= 0")
            assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
        await root.create_privilege_group("async_group")
        await root.add_privileges_to_group("async_group", ["Insert"])
        listed = {entry["privilege_group"]: entry["privileges"] for entry in await root.list_privilege_groups()}
        assert list(listed["async_group"]) == ["Insert"]
        await root.drop_privilege_group("async_group")
        await root.drop_role("async_readers", force_drop=True)
        assert "async_readers" not in await root.list_roles()
        await root.drop_user("async_ann")
        assert "async_ann" not in await root.list_users()


async def test_client_is_out_after_changing_its_own_password(server: RunningServer) -> None:
    async with signed_in(server.uri) as root:
        await root.create_user("async_bob", accounts.PASSWORD)
    async with signed_in(server.uri, accounts.token("async_bob")) as bob:
        await bob.update_password("async_bob", accounts.PASSWORD, "An0ther-password")
        with pytest.raises(grpc.RpcError) as caught:
            await bob.describe_user("async_bob")
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert raw_grpc.accepts(server.uri, "async_bob:An0ther-password")
    assert not raw_grpc.accepts(server.uri, accounts.token("async_bob"))


@pytest.mark.parametrize(
    ("token", "what"),
    [
        ("root:wrong", "username and password are"),
        ("nobody:Milvus", "username and password are"),
        ("a-key", "api key is"),
    ],
)
async def test_wrong_credential_is_refused_with_its_sentence(server: RunningServer, token: str, what: str) -> None:
    client = AsyncMilvusClient(uri=server.uri, token=token, dedicated=True)
    with pytest.raises(MilvusException) as caught:
        await client.list_collections(timeout=60)
    await client.close()
    assert caught.value.message == f"auth check failure, please check {what} correct"
