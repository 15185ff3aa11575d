"""LangChain's vector store for Milvus: langchain.py HOST:PORT."""

from typing import Any

import trials
from langchain_core.embeddings import Embeddings
from langchain_milvus import Milvus
from trials import TEXTS


class Letters(Embeddings):  # type: ignore[misc]  # the types are in the environment that runs this
    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [trials.vector(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        vector: list[float] = trials.vector(text)
        return vector


def store(collection: str, **options: Any) -> Milvus:
    return Milvus(
        Letters(),
        collection_name=collection,
        connection_args={"uri": trials.URI, "token": trials.TOKEN, "db_name": trials.DATABASE},
        index_params={"index_type": "FLAT", "metric_type": "COSINE", "params": {}},
        consistency_level="Strong",
        **options,
    )


def create(collection: str) -> Any:
    return store(collection).add_texts(TEXTS, ids=["1", "2"])


def search(collection: str) -> Any:
    return [found.page_content for found in store(collection).similarity_search(TEXTS[0], k=1)]


def search_diverse(collection: str) -> Any:
    return len(store(collection).max_marginal_relevance_search(TEXTS[0], k=1))


def insert(collection: str) -> Any:
    return store(collection).add_texts(TEXTS, ids=["3", "4"])


def delete(collection: str) -> Any:
    return store(collection).delete(ids=["3"])


def rebuild(collection: str) -> Any:
    return store(collection, drop_old=True).add_texts(TEXTS, ids=["1", "2"])


if __name__ == "__main__":
    trials.run(
        {
            "create": create,
            "search": search,
            "mmr search": search_diverse,
            "insert": insert,
            "delete": delete,
            "rebuild": rebuild,
        }
    )
