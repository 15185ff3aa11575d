"""Limits of the protocol."""

from typing import Final

MAX_MESSAGE_BYTES: Final = 256 * 1024 * 1024
"""Size of the largest message that Milvus takes; its `proxy.grpc.serverMaxRecvSize`."""
