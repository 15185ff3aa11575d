"""Creates a collection with its indexes, and loads it, as one step for those who ask for all of it at once."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from kiteward.domain.errors import CollectionNotFound, KitewardError
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

    Milvus keeps the collection when a later step fails. It is dropped again here, so that the same request can be
    repeated. If the caller is not allowed to drop it, it stays. So does one that was there before: Milvus takes a
    request for an equal collection for a success.

    Args:
        send: sends the requests.
        request: the collection.
        indexes: its indexes.
        load: whether it is loaded.

    Raises:
        KitewardError: as `send`; the error is that of the step that failed.
    """
    there_before = bool(indexes or load) and await _is_there(send, request)
    await send(request)
    try:
        for index in indexes:
            await send(index)
        if load:
            await send(
                milvus_pb2.LoadCollectionRequest(db_name=request.db_name, collection_name=request.collection_name)
            )
    except KitewardError:
        if not there_before:
            await _drop_again(send, request)
        raise


async def _is_there(send: Send, request: messages.CreateCollectionRequest) -> bool:
    """Return whether the caller sees a collection with the name. Whoever may drop one sees it."""
    asked = messages.HasCollectionRequest(db_name=request.db_name, collection_name=request.collection_name)
    try:
        return bool((await send(asked)).value)
    except CollectionNotFound:
        return False


async def _drop_again(send: Send, request: messages.CreateCollectionRequest) -> None:
    """Drop the new collection. A failure is ignored: the caller gets the error of the step that failed."""
    try:
        await send(messages.DropCollectionRequest(db_name=request.db_name, collection_name=request.collection_name))
    except KitewardError:
        return
