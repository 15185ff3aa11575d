"""Creates a collection with its indexes, and loads it, as one step for those who ask for all of it at once."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import KitewardError
from kiteward.milvus import messages
from kiteward.milvus.messages import milvus_pb2

Send = Callable[[messages.ProtocolMessage], Awaitable[Any]]
"""Sends a request of the protocol as the caller, and raises where it fails."""


async def create_collection(
    send: Send,
    request: messages.CreateCollectionRequest,
    indexes: Sequence[milvus_pb2.CreateIndexRequest] = (),
    *,
    load: bool,
) -> None:
    """Create a collection and its indexes, and load it.

    The collection stays when a later step fails, as in Milvus, and the error says so. It is never dropped here: Milvus
    takes a request for an equal collection for a success, so that somebody else may use it already (decision 0085).

    Args:
        send: sends the requests.
        request: the collection.
        indexes: its indexes.
        load: whether it is loaded.

    Raises:
        KitewardError: as `send`; the error is that of the step that failed.
    """
    await send(request)
    try:
        for index in indexes:
            await send(index)
        if load:
            await send(
                milvus_pb2.LoadCollectionRequest(db_name=request.db_name, collection_name=request.collection_name)
            )
    except KitewardError as error:
        name = request.collection_name
        error.args = (f"{error}; the collection {name} is kept: add what is missing, or drop it",)
        error.details = (*error.details, ErrorDetail(ErrorCode.COLLECTION_KEPT, {"name": name}))
        raise
