#!/usr/bin/env bash
# Package:   datapizza-ai-vectorstores-milvus 0.0.2 with datapizza-ai-core 0.1.3 and pymilvus 3.0.2; milvus-lite 3.2.2 as the server.
# Behaviour: a value in the metadata of a chunk that is a list of fractions, an empty list, or an object whose keys and values are
#            numbers is read back as an embedding of the chunk, and is not in its metadata. `retrieve` and `search` do so alike, without
#            an error. The row in the collection has every value as it was given.
# Guess:     metadata is read as metadata, whatever its values look like: the schema says which fields are vectors.
# Seen:      team "red", fractions as prices, no tags, sales {"2024": 3, "2025": 5}, counts [1, 2]: the metadata is team and counts; the
#            embeddings are vector, prices and tags (dense) and sales (sparse, 3.0 and 5.0 at 2024 and 2025)
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check \
    datapizza-ai-vectorstores-milvus==0.0.2 datapizza-ai-core==0.1.3 pymilvus==3.0.2 milvus-lite==3.2.2
cat >try.py <<'PYTHON'
from datapizza.type import Chunk, DenseEmbedding
from datapizza.vectorstores.milvus import MilvusVectorstore
from pymilvus import DataType

METADATA = {"team": "red", "prices": [1.5, 2.25], "tags": [], "sales": {"2024": 3, "2025": 5}, "counts": [1, 2]}
store = MilvusVectorstore(uri="lite.db")
client = store.get_client()
schema = client.create_schema(enable_dynamic_field=True)
schema.add_field("id", DataType.VARCHAR, is_primary=True, max_length=64)
schema.add_field("text", DataType.VARCHAR, max_length=64)
schema.add_field("vector", DataType.FLOAT_VECTOR, dim=2)
index = client.prepare_index_params()
index.add_index("vector", index_type="FLAT", metric_type="COSINE")
client.create_collection("c", schema=schema, index_params=index)
vector = DenseEmbedding(name="vector", vector=[1.0, 0.0])
store.add(Chunk(id="a", text="text", embeddings=[vector], metadata=METADATA), "c")
[stored] = client.get("c", ids=["a"])
assert {name: stored[name] for name in METADATA} == METADATA, stored
[read] = store.retrieve("c", ["a"])
[found] = store.search("c", [1.0, 0.0], vector_name="vector", output_fields=["vector", *METADATA])
expected = {
    "vector": {"name": "vector", "vector": [1.0, 0.0]},
    "prices": {"name": "prices", "vector": [1.5, 2.25]},
    "tags": {"name": "tags", "vector": []},
    "sales": {"name": "sales", "indices": [2024, 2025], "values": [3.0, 5.0]},
}
for chunk in (read, found):
    embeddings = {each.name: vars(each) for each in chunk.embeddings}
    print("metadata", chunk.metadata, "embeddings", sorted(embeddings))
    assert chunk.metadata == {"team": "red", "counts": [1, 2]}, chunk.metadata
    assert embeddings == expected, embeddings
PYTHON
env/bin/python -W ignore try.py
