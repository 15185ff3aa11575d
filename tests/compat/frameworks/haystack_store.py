"""Haystack's document store for Milvus: haystack_store.py HOST:PORT."""

import os
from typing import Any

import trials
from haystack import Document
from haystack.utils import Secret
from milvus_haystack import MilvusDocumentStore
from milvus_haystack.milvus_embedding_retriever import MilvusEmbeddingRetriever
from trials import TEXTS

DOCUMENTS = [Document(id=str(number), content=text, embedding=trials.vector(text)) for number, text in enumerate(TEXTS)]


def store(collection: str, **options: Any) -> MilvusDocumentStore:
    return MilvusDocumentStore(
        collection_name=collection,
        connection_args={
            "uri": trials.URI,
            "token": Secret.from_env_var("KITEWARD_TOKEN"),
            "db_name": os.environ["KITEWARD_DATABASE"],
        },
        index_params={"index_type": "FLAT", "metric_type": "COSINE", "params": {}},
        consistency_level="Strong",
        **options,
    )


def write(collection: str) -> Any:
    return store(collection).write_documents(DOCUMENTS)


def search(collection: str) -> Any:
    retriever = MilvusEmbeddingRetriever(document_store=store(collection), top_k=1)
    return [found.content for found in retriever.run(query_embedding=trials.vector(TEXTS[0]))["documents"]]


def count(collection: str) -> Any:
    return store(collection).count_documents()


def rebuild(collection: str) -> Any:
    return store(collection, drop_old=True).write_documents(DOCUMENTS)


if __name__ == "__main__":
    trials.run({"create": write, "search": search, "count": count, "insert": write, "rebuild": rebuild})
