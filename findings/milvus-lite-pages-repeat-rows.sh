#!/usr/bin/env bash
# Package:   milvus-lite 3.2.2, through pymilvus 3.0.2; no server.
# Behaviour: rows at the same distance come in another order for each limit + offset, also with an exact index (FLAT). Pages by
#            offset therefore return some rows twice and others never.
# Guess:     ten pages of ten hold each of 100 rows once.
# Seen:      100 rows in ten pages, 83 different ones
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check milvus-lite==3.2.2 pymilvus==3.0.2
env/bin/python -W ignore - <<'PYTHON'
from pymilvus import DataType, MilvusClient

client = MilvusClient("lite.db")
schema = client.create_schema()
schema.add_field("id", DataType.INT64, is_primary=True)
schema.add_field("v", DataType.FLOAT_VECTOR, dim=2)
index = client.prepare_index_params()
index.add_index("v", index_type="FLAT", metric_type="L2")
client.create_collection("c", schema=schema, index_params=index)
client.insert("c", [{"id": i, "v": [float(i % 5), 0.0]} for i in range(100)])
seen = []
for offset in range(0, 100, 10):
    seen += [hit["id"] for hit in client.search("c", data=[[0.0, 0.0]], anns_field="v", limit=10, offset=offset)[0]]
client.close()
print(len(seen), "rows in ten pages,", len(set(seen)), "different ones")
assert len(seen) == 100 and len(set(seen)) < 100, seen
PYTHON
