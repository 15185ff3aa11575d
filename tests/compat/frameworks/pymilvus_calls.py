"""pymilvus of any line from 2.4 on: pymilvus_calls.py HOST:PORT."""

from typing import Any

import trials
from pymilvus import DataType, MilvusClient

CLIENTS: list[MilvusClient] = []


def client() -> MilvusClient:
    """Return the client; one is made in the first trial, as a program makes one at its start."""
    if not CLIENTS:
        CLIENTS.append(MilvusClient(uri=trials.URI, token=trials.TOKEN, db_name=trials.DATABASE))
    return CLIENTS[0]


def rows(*keys: int) -> list[dict[str, Any]]:
    return [{"id": key, "vector": [1.0, float(key), 0.0, 0.0]} for key in keys]


def create(collection: str) -> Any:
    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=trials.DIMENSION)
    index = MilvusClient.prepare_index_params()
    index.add_index("vector", index_type="HNSW", metric_type="L2", params={"M": 8, "efConstruction": 64})
    client().create_collection(collection, schema=schema, index_params=index)
    client().insert(collection, rows(1, 2))


def search(collection: str) -> Any:
    return [hit["id"] for hit in client().search(collection, data=[[1.0, 1.0, 0.0, 0.0]], limit=1)[0]]


def query(collection: str) -> Any:
    found = client().query(collection, filter="id == 1", output_fields=["id"], consistency_level="Strong")
    return [row["id"] for row in found]


def insert(collection: str) -> Any:
    client().insert(collection, rows(3))


def upsert(collection: str) -> Any:
    client().upsert(collection, rows(3))


def delete(collection: str) -> Any:
    client().delete(collection, ids=[3])


def count(collection: str) -> Any:
    client().get_collection_stats(collection)


def load(collection: str) -> Any:
    client().load_collection(collection)


def exists(collection: str) -> Any:
    return client().has_collection(collection)


def listing(collection: str) -> Any:
    return list(client().list_collections())


def drop(collection: str) -> Any:
    client().drop_collection(collection)


if __name__ == "__main__":
    trials.run(
        {
            "create": create,
            "search": search,
            "query": query,
            "insert": insert,
            "upsert": upsert,
            "delete": delete,
            "statistics": count,
            "load": load,
            "exists": exists,
            "list": listing,
            "drop": drop,
        }
    )
