"""VectorDBBench's client of Milvus: vectordbbench.py HOST:PORT. It knows no database but `default`."""

from typing import Any

import trials
from trials import TEXTS
from vectordb_bench.backend.clients.api import MetricType
from vectordb_bench.backend.clients.milvus.config import FLATConfig
from vectordb_bench.backend.clients.milvus.milvus import Milvus
from vectordb_bench.backend.filter import NonFilter


def bench(collection: str, *, drop_old: bool = False) -> Milvus:
    connection = {"uri": trials.URI, "token": trials.TOKEN}
    case = FLATConfig(metric_type=MetricType.COSINE)
    return Milvus(trials.DIMENSION, connection, case, collection_name=collection, drop_old=drop_old)


def create(collection: str) -> Any:
    bench(collection)


def insert(collection: str) -> Any:
    mine = bench(collection)
    with mine.init():
        count, error = mine.insert_embeddings([trials.vector(text) for text in TEXTS], [0, 1])
    if error is not None:
        raise error
    return count


def search(collection: str) -> Any:
    mine = bench(collection)
    mine.prepare_filter(NonFilter())
    with mine.init():
        return mine.search_embedding(trials.vector(TEXTS[0]), k=1)


def optimize(collection: str) -> Any:
    mine = bench(collection)
    with mine.init():
        mine.optimize()


def rebuild(collection: str) -> Any:
    bench(collection, drop_old=True)


if __name__ == "__main__":
    trials.run({"create": create, "search": search, "insert": insert, "optimize": optimize, "rebuild": rebuild})
