"""A collection is created with its indexes and loaded, or is not left behind."""

from typing import Any

import pytest

from kiteward.domain.errors import AccessDenied, CollectionNotFound, KitewardError, ResponseFailed
from kiteward.gateway.new_collections import create_collection
from kiteward.milvus import messages
from kiteward.milvus.messages import milvus_pb2

REQUEST = messages.CreateCollectionRequest(db_name="research", collection_name="papers")
INDEXES = [
    milvus_pb2.CreateIndexRequest(db_name="research", collection_name="papers", field_name=name) for name in "ab"
]


class Sending:
    """Records what is sent, and fails at the given types of requests."""

    def __init__(self, *, there: bool | None = False, **failures: KitewardError) -> None:
        """Take whether the collection is there, or None if the engine reports an error where it is not."""
        self.sent: list[str] = []
        self._there = there
        self._failures = failures

    async def __call__(self, request: Any) -> Any:
        name = type(request).__name__.removesuffix("Request")
        assert (request.db_name, request.collection_name) == ("research", "papers")
        self.sent.append(name)
        if name in self._failures:
            raise self._failures[name]
        if name == "HasCollection" and self._there is None:
            raise CollectionNotFound("papers")
        return messages.BoolResponse(value=bool(self._there))


async def test_indexes_follow_the_collection_and_loading_follows_them() -> None:
    sending = Sending()
    await create_collection(sending, REQUEST, INDEXES, load=True)
    assert sending.sent == ["HasCollection", "CreateCollection", "CreateIndex", "CreateIndex", "LoadCollection"]
    sending = Sending()
    await create_collection(sending, REQUEST, load=False)
    assert sending.sent == ["CreateCollection"]


@pytest.mark.parametrize("step", ["CreateIndex", "LoadCollection"])
async def test_a_collection_of_which_a_step_failed_is_dropped_and_the_error_is_that_of_the_step(step: str) -> None:
    for there, dropping in ((False, {}), (None, {}), (False, {"DropCollection": AccessDenied("not you")})):
        sending = Sending(there=there, **{step: ResponseFailed("refused"), **dropping})
        with pytest.raises(ResponseFailed):
            await create_collection(sending, REQUEST, INDEXES, load=True)
        assert sending.sent[-2:] == [step, "DropCollection"]


@pytest.mark.parametrize("step", ["CreateIndex", "LoadCollection"])
async def test_a_collection_that_was_there_before_is_not_dropped(step: str) -> None:
    sending = Sending(there=True, **{step: ResponseFailed("refused")})
    with pytest.raises(ResponseFailed):
        await create_collection(sending, REQUEST, INDEXES, load=True)
    assert sending.sent[-1] == step


async def test_a_collection_that_was_not_created_is_not_dropped() -> None:
    sending = Sending(CreateCollection=ResponseFailed("it is there already"))
    with pytest.raises(ResponseFailed):
        await create_collection(sending, REQUEST, INDEXES, load=True)
    assert sending.sent == ["HasCollection", "CreateCollection"]
