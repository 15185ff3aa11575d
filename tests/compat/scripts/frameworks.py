"""What users of LangChain and Haystack do, run by their own Python against a running server: frameworks.py URI.

Tokens come in KITEWARD_AUTHOR and KITEWARD_READER. The author may create collections, write and read `langchain` and
`haystack`, and knows nothing of `others`, which is there; the reader may read those two. Each scenario prints its name
once it has passed; the first that fails ends the script with its error.
"""

import os
import sys
from collections.abc import Callable
from typing import Any

from haystack import Document
from haystack.utils import Secret
from langchain_core.embeddings import Embeddings
from langchain_milvus import Milvus
from milvus_haystack import MilvusDocumentStore
from milvus_haystack.milvus_embedding_retriever import MilvusEmbeddingRetriever

TEXTS = ["apples grow on trees", "whales swim in the sea", "cats sleep all day"]
INDEX = {"index_type": "FLAT", "metric_type": "COSINE", "params": {}}
AUTHOR, READER = "KITEWARD_AUTHOR", "KITEWARD_READER"
TAKEN = "collection 'others' already exists"
"""What the author hears of a name that is taken by what it may not see."""


def vector(text: str) -> list[float]:
    """Return a vector made here: how often each letter occurs."""
    return [float(text.count(chr(ord("a") + number))) for number in range(26)]


class Letters(Embeddings):  # type: ignore[misc]  # the types are in the environment that runs this
    """Lets LangChain make the same vectors."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [vector(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return vector(text)


def refused(sentence: str, call: Callable[[], Any]) -> None:
    """Expect the sentence of the server in what a framework raises."""
    try:
        call()
    except Exception as error:
        # pymilvus says of a failed sign-in that it cannot connect, and keeps the server's sentence as the cause.
        if sentence in f"{error} {error.__cause__}":
            return
        raise
    raise AssertionError(f"not refused with {sentence!r}")


def denied(privilege: str, call: Callable[[], Any]) -> None:
    """Expect the refusal of a user who may only read."""
    refused(f"Privilege{privilege}: permission deny to reader in the `default` database", call)


def langchain(uri: str) -> None:
    def store(collection: str, who: str = AUTHOR) -> Milvus:
        return Milvus(
            Letters(),
            collection_name=collection,
            connection_args={"uri": uri, "token": os.environ[who]},
            index_params=INDEX,
            consistency_level="Strong",
        )

    mine = store("langchain")
    assert mine.add_texts(TEXTS, ids=["1", "2", "3"]) == ["1", "2", "3"]
    assert [found.page_content for found in mine.similarity_search(TEXTS[1], k=1)] == [TEXTS[1]]
    assert mine.delete(ids=["2"])
    assert {found.page_content for found in mine.similarity_search(TEXTS[1], k=3)} == {TEXTS[0], TEXTS[2]}
    refused(TAKEN, lambda: store("others").add_texts(["x"], ids=["1"]))
    read = store("langchain", READER)
    assert [found.page_content for found in read.similarity_search(TEXTS[2], k=1)] == [TEXTS[2]]
    denied("Insert", lambda: read.add_texts(["x"], ids=["4"]))
    denied("Delete", lambda: read.delete(ids=["1"]))


def haystack(uri: str) -> None:
    def store(collection: str, who: str = AUTHOR) -> MilvusDocumentStore:
        return MilvusDocumentStore(
            collection_name=collection,
            connection_args={"uri": uri, "token": Secret.from_env_var(who)},
            index_params=INDEX,
            consistency_level="Strong",
        )

    mine = store("haystack")
    documents = [Document(id=str(number), content=text, embedding=vector(text)) for number, text in enumerate(TEXTS)]
    assert mine.write_documents(documents) == len(TEXTS)
    assert mine.count_documents() == len(TEXTS)
    mine.delete_documents(["1"])
    assert mine.count_documents() == len(TEXTS) - 1
    refused(TAKEN, lambda: store("others").write_documents(documents))
    read = store("haystack", READER)
    retriever = MilvusEmbeddingRetriever(document_store=read, top_k=1)
    assert [found.content for found in retriever.run(query_embedding=vector(TEXTS[2]))["documents"]] == [TEXTS[2]]
    denied("Insert", lambda: read.write_documents(documents))
    denied("Delete", lambda: read.delete_documents(["0"]))


def wrong_password(uri: str) -> None:
    connection = {"uri": uri, "token": "author:Wr0ng-guess"}
    refused(
        "auth check failure, please check username and password are correct",
        lambda: Milvus(Letters(), collection_name="langchain", connection_args=connection),
    )


SCENARIOS = (langchain, haystack, wrong_password)

if __name__ == "__main__":
    for scenario in SCENARIOS:
        scenario(sys.argv[1])
        sys.stdout.write(f"{scenario.__name__}\n")
