#!/usr/bin/env bash
# Package:   milvus-lite 3.2.2, through pymilvus 3.0.2; no server.
# Behaviour: scores of a full-text search (BM25) have a minus sign, unlike those of IP and COSINE. `radius`, the least score
#            of a hit, keeps the hits with less: 1.0 keeps all, and with a `range_filter` above it none is left. In a
#            hybrid search the same scores are positive.
# Guess:     more is better, from 0 upwards, as in Milvus, and `radius` leaves out what matches badly.
# Seen:      scores -1.897 and -0.693; with radius 1.0 the same; with range_filter 5.0 also, none; in a hybrid search
#            1.897 and 0.693
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check milvus-lite==3.2.2 pymilvus==3.0.2
env/bin/python -W ignore - <<'PYTHON'
from pymilvus import AnnSearchRequest, DataType, Function, FunctionType, MilvusClient, WeightedRanker

client = MilvusClient("lite.db")
schema = client.create_schema()
schema.add_field("id", DataType.INT64, is_primary=True)
schema.add_field("text", DataType.VARCHAR, max_length=100, enable_analyzer=True)
schema.add_field("words", DataType.SPARSE_FLOAT_VECTOR)
schema.add_function(Function("bm25", FunctionType.BM25, ["text"], ["words"]))
index = client.prepare_index_params()
index.add_index("words", index_type="SPARSE_INVERTED_INDEX", metric_type="BM25")
client.create_collection("c", schema=schema, index_params=index)
texts = ["red apple", "red car", "blue sky", "green grass"]
client.insert("c", [{"id": i, "text": text} for i, text in enumerate(texts, 1)])


def shown(hits):
    return [(hit["id"], round(hit["distance"], 3)) for hit in hits]


def found(**bounds):
    return shown(client.search("c", data=["red apple"], anns_field="words", limit=9, search_params={"params": bounds})[0])


part = AnnSearchRequest(data=["red apple"], anns_field="words", param={}, limit=9)
hybrid = shown(client.hybrid_search("c", [part], ranker=WeightedRanker(1.0, norm_score=False), limit=9)[0])
alone, least, between = found(), found(radius=1.0), found(radius=1.0, range_filter=5.0)
client.close()
print("alone", alone, "radius 1", least, "radius 1 to 5", between, "hybrid", hybrid)
assert alone == [(1, -1.897), (2, -0.693)], alone
assert least == alone and between == [], (least, between)
assert hybrid == [(1, 1.897), (2, 0.693)], hybrid
PYTHON
