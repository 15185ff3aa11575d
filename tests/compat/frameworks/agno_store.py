"""agno's vector database on Milvus: agno_store.py HOST:PORT."""

from dataclasses import dataclass
from typing import Any

import trials
from agno.knowledge.document import Document
from agno.knowledge.embedder.base import Embedder
from agno.vectordb.milvus import Milvus
from trials import TEXTS


@dataclass
class Letters(Embedder):  # type: ignore[misc]  # the types are in the environment that runs this
    dimensions: int | None = trials.DIMENSION

    def get_embedding(self, text: str) -> list[float]:
        vector: list[float] = trials.vector(text)
        return vector

    def get_embedding_and_usage(self, text: str) -> tuple[list[float], dict[str, Any] | None]:
        return trials.vector(text), None


def store(collection: str) -> Milvus:
    return Milvus(
        collection=collection, uri=trials.URI, token=trials.TOKEN, embedder=Letters(), db_name=trials.DATABASE
    )


def documents() -> list[Document]:
    return [Document(content=text, name="note", content_id="note") for text in TEXTS]


def create(collection: str) -> Any:
    mine = store(collection)
    mine.create()
    mine.insert("first", documents())


def search(collection: str) -> Any:
    return [found.content for found in store(collection).search(TEXTS[0], limit=1)]


def name_exists(collection: str) -> Any:
    return store(collection).name_exists("note")


def insert(collection: str) -> Any:
    return store(collection).insert("second", documents())


def upsert(collection: str) -> Any:
    return store(collection).upsert("first", documents())


def delete(collection: str) -> Any:
    return store(collection).delete_by_name("note")


if __name__ == "__main__":
    trials.run(
        {
            "create": create,
            "search": search,
            "name_exists": name_exists,
            "insert": insert,
            "upsert": upsert,
            "delete_by_name": delete,
        }
    )
