"""LlamaIndex's vector store for Milvus: llama_index_store.py HOST:PORT."""

from typing import Any

import trials
from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores.types import VectorStoreQuery
from llama_index.vector_stores.milvus import MilvusVectorStore
from trials import TEXTS


def store(collection: str, **options: Any) -> MilvusVectorStore:
    return MilvusVectorStore(
        uri=trials.URI,
        token=trials.TOKEN,
        collection_name=collection,
        dim=trials.DIMENSION,
        consistency_level="Strong",
        use_async_client=False,
        db_name=trials.DATABASE,
        **options,
    )


def nodes() -> list[TextNode]:
    source = {NodeRelationship.SOURCE: RelatedNodeInfo(node_id="book")}
    return [
        TextNode(id_=str(number), text=text, embedding=trials.vector(text), relationships=source)
        for number, text in enumerate(TEXTS)
    ]


def write(collection: str) -> Any:
    return store(collection).add(nodes())


def search(collection: str) -> Any:
    question = VectorStoreQuery(query_embedding=trials.vector(TEXTS[0]), similarity_top_k=1)
    return store(collection).query(question).ids


def get_nodes(collection: str) -> Any:
    return len(store(collection).get_nodes(node_ids=["0"]))


def delete(collection: str) -> Any:
    return store(collection).delete("book")


def rebuild(collection: str) -> Any:
    return store(collection, overwrite=True).add(nodes())


if __name__ == "__main__":
    trials.run(
        {
            "create": write,
            "search": search,
            "get_nodes": get_nodes,
            "insert": write,
            "delete": delete,
            "rebuild": rebuild,
        }
    )
