#!/usr/bin/env bash
# Package:   milvus-lite 3.2.2, through pymilvus 3.0.2; no server.
# Behaviour: an upsert that is not partial keeps the dynamic keys that the new row does not have. A declared field that the
#            row leaves out is null afterwards, so that the result is neither the old row nor the new one.
# Guess:     without partial_update, an upsert deletes the old row and stores the new one.
# Seen:      n is null, size is 4 as upserted, and color is still red
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check milvus-lite==3.2.2 pymilvus==3.0.2
env/bin/python -W ignore - <<'PYTHON'
from pymilvus import DataType, MilvusClient

client = MilvusClient("lite.db")
schema = client.create_schema(enable_dynamic_field=True)
schema.add_field("id", DataType.INT64, is_primary=True)
schema.add_field("n", DataType.INT64, nullable=True)
schema.add_field("v", DataType.FLOAT_VECTOR, dim=2)
index = client.prepare_index_params()
index.add_index("v", index_type="FLAT", metric_type="L2")
client.create_collection("c", schema=schema, index_params=index)
client.insert("c", [{"id": 1, "v": [1.0, 0.0], "n": 5, "color": "red", "size": 3}])
client.upsert("c", [{"id": 1, "v": [2.0, 0.0], "size": 4}], partial_update=False)
row = client.query("c", filter="id == 1")[0]
seen = [row.get(key) for key in ("v", "n", "size", "color")]
client.close()
print("v, n, size, color:", seen)
assert seen == [[2.0, 0.0], None, 4, "red"], seen
PYTHON
