"""The requests that are sent over and over, recorded once as a client sends them."""

import base64
import struct
from dataclasses import dataclass
from typing import Any, Final

from pymilvus.client.prepare import Prepare
from pymilvus.grpc_gen import milvus_pb2

COLLECTION: Final = "documents"
DIMENSION: Final = 64
LIMIT: Final = 10
INDEX: Final = {"index_type": "HNSW", "metric_type": "L2", "params": {"M": 16, "efConstruction": 200}}
SEARCH: Final = {"metric_type": "L2", "params": {"ef": 64}}

_SERVICE: Final = "milvus.proto.milvus.MilvusService"


def framed(payload: bytes) -> bytes:
    """Return a message as gRPC puts it on an HTTP/2 stream: one byte for `not compressed`, four for the length."""
    return struct.pack(">BI", 0, len(payload)) + payload


def authorization(token: str) -> str:
    """Return the metadata value that presents `user:password`."""
    return base64.b64encode(token.encode()).decode()


@dataclass(frozen=True, slots=True)
class Recorded:
    """One request.

    Attributes:
        operation: the RPC.
        payload: the serialised request.
        answer: the class of its response.
        control: whether it is about users and roles, which the bare engine has not.
    """

    operation: str
    payload: bytes
    answer: Any
    control: bool = False

    @property
    def path(self) -> str:
        """The RPC as HTTP/2 names it."""
        return f"/{_SERVICE}/{self.operation}"


def recorded(role: str) -> tuple[Recorded, ...]:
    """Return the requests, built by the client library's own builders.

    Args:
        role: the role that is described.
    """
    query = [0.5] * DIMENSION
    search = Prepare.search_requests_with_expr(
        COLLECTION, anns_field="vector", param=SEARCH, limit=LIMIT, data=[query], output_fields=["id"]
    )
    describe = milvus_pb2.SelectRoleRequest(role=milvus_pb2.RoleEntity(name=role), include_user_info=True)
    has = milvus_pb2.HasCollectionRequest(collection_name=COLLECTION)
    return (
        Recorded("ListCredUsers", b"", milvus_pb2.ListCredUsersResponse, control=True),
        Recorded("SelectRole", describe.SerializeToString(), milvus_pb2.SelectRoleResponse, control=True),
        Recorded("HasCollection", has.SerializeToString(), milvus_pb2.BoolResponse),
        Recorded("Search", search.SerializeToString(), milvus_pb2.SearchResults),
    )
