#!/usr/bin/env bash
# Package:   milvus-lite 3.2.2, through pymilvus 3.0.2; no server.
# Behaviour: a full-text search (BM25) counts how rare a word is in each segment by itself. Rows with the same text have
#            different scores when a flush came between them, and a row with one of two words precedes one with both.
# Guess:     one statistic for all rows of the collection; when they were flushed does not matter.
# Seen:      flushed once: 1, 5, 6 with the same score, then 2; flushed in between: 1, 2, and then 5 and 6 with another score
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check milvus-lite==3.2.2 pymilvus==3.0.2
env/bin/python -W ignore - <<'PYTHON'
from pymilvus import DataType, Function, FunctionType, MilvusClient

client = MilvusClient("lite.db")
older = ["red apple", "red car", "blue sky", "green grass"]
newer = ["red apple", "red apple"]
rows = [{"id": i, "text": text} for i, text in enumerate(older + newer, 1)]


def found(name, *batches):
    schema = client.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("text", DataType.VARCHAR, max_length=100, enable_analyzer=True)
    schema.add_field("words", DataType.SPARSE_FLOAT_VECTOR)
    schema.add_function(Function("bm25", FunctionType.BM25, ["text"], ["words"]))
    index = client.prepare_index_params()
    index.add_index("words", index_type="SPARSE_INVERTED_INDEX", metric_type="BM25")
    client.create_collection(name, schema=schema, index_params=index)
    for batch in batches:
        client.insert(name, batch)
        client.flush(name)
    hits = client.search(name, data=["red apple"], anns_field="words", limit=9)[0]
    return [(hit["id"], round(abs(hit["distance"]), 3)) for hit in hits]


one, two = found("one", rows), found("two", rows[: len(older)], rows[len(older) :])
client.close()
print("flushed once", one)
print("flushed in between", two)
scores = dict(two)
assert [each for each, _ in one] == [1, 5, 6, 2] and len({score for _, score in one[:3]}) == 1, one
assert [each for each, _ in two] == [1, 2, 5, 6] and scores[1] > scores[2] > scores[5] == scores[6], two
PYTHON
