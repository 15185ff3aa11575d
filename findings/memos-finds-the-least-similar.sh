#!/usr/bin/env bash
# Package:   memoryos 2.0.33 (MemOS) with pymilvus 2.6.17; Milvus Lite 3.2.2 in place of a server.
# Behaviour: with the metric "cosine", which MemOS itself sets, its Milvus store takes the similarity for a distance: the score is 0
#            for the same text, and 2 for the opposite. MemOS sorts by the highest score. So a search for preferences, which
#            fetches twice as many as it is asked for, returns the least similar half of them, unless a model ranks them again.
#            And a preference that is added again is compared with the least similar one, and stored twice.
# Guess:     as with "euclidean": the most similar, in the order of the engine, and the old preference is replaced. The field
#            is described as "Similarity score".
# Seen:      of tea, coffee, trains and cars, the two nearest to tea are "cars" and "trains", and there are five rows after
#            tea is added again; with "euclidean" these are "tea" and "coffee", and four rows
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check --no-compile memoryos==2.0.33 pymilvus==2.6.17 milvus-lite==3.2.2
cat >try.py <<'PYTHON'
import logging

logging.disable()

from memos.configs.vec_db import MilvusVecDBConfig
from memos.memories.textual.item import PreferenceTextualMemoryMetadata, TextualMemoryItem
from memos.memories.textual.prefer_text_memory.adder import NaiveAdder
from memos.memories.textual.prefer_text_memory.retrievers import NaiveRetriever
from memos.reranker.noop import NoopReranker
from memos.vec_dbs.milvus import MilvusVecDB

VECTORS = {"tea": [1.0, 0.0], "coffee": [0.8, 0.6], "trains": [0.0, 1.0], "cars": [-1.0, 0.0]}
KINDS = ["explicit_preference", "implicit_preference"]


class Embedder:
    def embed(self, texts):
        return [VECTORS[text] for text in texts]


def preference(text):
    metadata = PreferenceTextualMemoryMetadata(
        preference_type=KINDS[1], user_id="ann", preference=text, original_text=text, embedding=VECTORS[text]
    )
    return TextualMemoryItem(memory=text, metadata=metadata)


def tried(metric):
    store = MilvusVecDB(
        MilvusVecDBConfig(uri=f"{metric}.db", collection_name=KINDS, vector_dimension=2, distance_metric=metric)
    )
    adder = NaiveAdder(vector_db=store)  # without a model MemOS compares the texts
    for text in VECTORS:
        adder.add([preference(text)])
    hits = store.search(VECTORS["tea"], "tea", KINDS[1], 4)
    retriever = NaiveRetriever(embedder=Embedder(), reranker=NoopReranker(), vector_db=store)
    nearest = retriever.retrieve("tea", 2, {"user_id": "ann"}, {"user_id": "ann"})
    adder.add([preference("tea")])
    return (
        {hit.memory: round(hit.score, 3) for hit in hits},
        [item.memory for item in nearest],
        len(store.get_all(KINDS[1])),
    )


seen = {metric: tried(metric) for metric in ("cosine", "euclidean")}
for metric, (scores, nearest, rows) in seen.items():
    print(f"{metric}: scores for tea {scores}, the nearest two {nearest}, rows {rows}")
assert seen == {
    "cosine": ({"tea": 0.0, "coffee": 0.2, "trains": 1.0, "cars": 2.0}, ["cars", "trains"], 5),
    "euclidean": ({"tea": 1.0, "coffee": 0.6, "trains": -1.0, "cars": -3.0}, ["tea", "coffee"], 4),
}, seen
PYTHON
env/bin/python -W ignore try.py
