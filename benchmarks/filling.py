"""The same vectors, index, users and roles for every server."""

import random
from typing import Final

from pymilvus import DataType, MilvusClient

from benchmarks.frames import COLLECTION, DIMENSION, INDEX
from benchmarks.peers import CALLER, CALLER_PASSWORD, ROOT_TOKEN, Peer

ROWS: Final = 10_000
USERS: Final = 10
DESCRIBED_ROLE: Final = "searching"
_BATCH: Final = 1_000
_SEED: Final = 20_260

_ROLES: Final = {
    DESCRIBED_ROLE: (("Collection", "Search", COLLECTION), ("Global", "DescribeCollection", "*")),
    "writing": (("Collection", "Insert", COLLECTION), ("Collection", "Delete", COLLECTION)),
    "listing": (("Global", "SelectOwnership", "*"),),
}


def fill(peer: Peer) -> None:
    """Give a fresh server the vectors and, where it has users, ten of them; the caller holds three roles."""
    client = MilvusClient(uri=f"http://{peer.address}", token=ROOT_TOKEN if peer.token else "")
    try:
        _collection(client)
        if peer.token:
            _users(client)
    finally:
        client.close()


def add_searcher(peer: Peer, collection: str) -> None:
    """Create the caller with one role, which grants Search on one collection."""
    client = MilvusClient(uri=f"http://{peer.address}", token=ROOT_TOKEN)
    try:
        client.create_user(CALLER, CALLER_PASSWORD)
        client.create_role(DESCRIBED_ROLE)
        client.grant_privilege(DESCRIBED_ROLE, "Collection", "Search", collection)
        client.grant_role(CALLER, DESCRIBED_ROLE)
    finally:
        client.close()


def vectors(rows: int) -> list[dict[str, object]]:
    """Return rows of random vectors, the same each time."""
    drawn = random.Random(_SEED)
    return [{"id": row, "vector": [drawn.random() for _ in range(DIMENSION)]} for row in range(rows)]


def _collection(client: MilvusClient) -> None:
    schema = client.create_schema(auto_id=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIMENSION)
    client.create_collection(COLLECTION, schema=schema)
    rows = vectors(ROWS)
    for start in range(0, ROWS, _BATCH):
        client.insert(COLLECTION, rows[start : start + _BATCH])
    client.flush(COLLECTION)
    index = client.prepare_index_params()
    index.add_index("vector", **INDEX)
    client.create_index(COLLECTION, index)
    client.load_collection(COLLECTION)


def _users(client: MilvusClient) -> None:
    others = [f"reader{number}" for number in range(1, USERS - 1)]
    for name in (CALLER, *others):
        client.create_user(name, CALLER_PASSWORD)
    for role, grants in _ROLES.items():
        client.create_role(role)
        for object_type, privilege, name in grants:
            client.grant_privilege(role, object_type, privilege, name)
        client.grant_role(CALLER, role)
