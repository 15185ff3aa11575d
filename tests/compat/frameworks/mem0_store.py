"""mem0's vector store on Milvus: mem0_store.py HOST:PORT."""

import os
from typing import Any

import trials
from trials import TEXTS

os.environ["MEM0_TELEMETRY"] = "False"  # read on import

from mem0.vector_stores.milvus import MilvusDB


def store(collection: str) -> MilvusDB:
    return MilvusDB(
        url=trials.URI,
        token=trials.TOKEN,
        collection_name=collection,
        embedding_model_dims=trials.DIMENSION,
        metric_type="COSINE",
        db_name=trials.DATABASE,
    )


def write(collection: str) -> Any:
    store(collection).insert(
        ids=["1", "2"], vectors=[trials.vector(text) for text in TEXTS], payloads=[{"data": text} for text in TEXTS]
    )


def search(collection: str) -> Any:
    found = store(collection).search(query=TEXTS[0], vectors=trials.vector(TEXTS[0]), top_k=1)
    return [each.payload["data"] for each in found]


def get(collection: str) -> Any:
    return store(collection).get("1").payload["data"]


def update(collection: str) -> Any:
    store(collection).update("1", vector=trials.vector(TEXTS[0]), payload={"data": TEXTS[0]})


def delete(collection: str) -> Any:
    store(collection).delete("2")


def reset(collection: str) -> Any:
    store(collection).reset()


if __name__ == "__main__":
    trials.run(
        {
            "create": write,
            "search": search,
            "get": get,
            "insert": write,
            "update": update,
            "delete": delete,
            "rebuild": reset,
        }
    )
