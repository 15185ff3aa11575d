"""A collection is created with its indexes and loaded; what was made stays when a step fails, and the error says so."""

from typing import Any

import pytest

from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import AccessDenied, KitewardError, ResponseFailed
from kiteward.gateway.new_collections import create_collection
from kiteward.milvus import messages
from kiteward.milvus.messages import milvus_pb2

REQUEST = messages.CreateCollectionRequest(db_name="research", collection_name="papers")
INDEXES = [
    milvus_pb2.CreateIndexRequest(db_name="research", collection_name="papers", field_name=name) for name in "ab"
]


class Sending:
    """Records what is sent, and fails at the given types of requests."""

    def __init__(self, **failures: KitewardError) -> None:
        self.sent: list[str] = []
        self._failures = failures

    async def __call__(self, request: Any) -> Any:
        name = type(request).__name__.removesuffix("Request")
        assert (request.db_name, request.collection_name) == ("research", "papers")
        self.sent.append(name)
        if name in self._failures:
            raise self._failures[name]
        return messages.Status()


async def test_indexes_follow_the_collection_and_loading_follows_them() -> None:
    sending = Sending()
    await create_collection(sending, REQUEST, INDEXES, load=True)
    assert sending.sent == ["CreateCollection", "CreateIndex", "CreateIndex", "LoadCollection"]
    sending = Sending()
    await create_collection(sending, REQUEST, load=False)
    assert sending.sent == ["CreateCollection"]


@pytest.mark.parametrize("step", ["CreateIndex", "LoadCollection"])
@pytest.mark.parametrize("kind", [ResponseFailed, AccessDenied])
async def test_a_collection_of_which_a_step_failed_is_kept_and_the_error_is_that_of_the_step(
    step: str, kind: type[KitewardError]
) -> None:
    failure = kind("refused")
    details = failure.details
    sending = Sending(**{step: failure})
    with pytest.raises(kind) as failed:
        await create_collection(sending, REQUEST, INDEXES, load=True)
    assert sending.sent[-1] == step
    assert failed.value is failure
    assert str(failure) == "refused; the collection papers is kept: add what is missing, or drop it"
    assert failure.details == (*details, ErrorDetail(ErrorCode.COLLECTION_KEPT, {"name": "papers"}))
    assert failure.code is details[0].code


async def test_a_collection_that_was_not_created_is_not_said_to_be_kept() -> None:
    sending = Sending(CreateCollection=ResponseFailed("it is there already"))
    with pytest.raises(ResponseFailed) as failed:
        await create_collection(sending, REQUEST, INDEXES, load=True)
    assert str(failed.value) == "it is there already"
    assert sending.sent == ["CreateCollection"]
