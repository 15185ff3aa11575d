#!/usr/bin/env bash
# Package:   milvus-lite 3.2.2, through pymilvus 3.0.2; no server.
# Behaviour: a range search takes its rows from a few times `limit` of the nearest ones alone. Where those all lie inside
#            the hole that `range_filter` cuts out, the answer is empty although 150 rows are in range.
# Guess:     limit 5 returns the first five of what limit 20 returns.
# Seen:      limit 5: 0 rows, limit 10: 0 rows, limit 20: 20 rows
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
client.insert("c", [{"id": i, "v": [float(i), 0.0]} for i in range(200)])
ring = {"metric_type": "L2", "params": {"radius": 40000.0, "range_filter": 2500.0}}  # ids 50 to 199


def rows(limit):
    return len(client.search("c", data=[[0.0, 0.0]], anns_field="v", limit=limit, search_params=ring)[0])


seen = [rows(limit) for limit in (5, 10, 20)]
client.close()
print("rows for limit 5, 10, 20:", seen)
assert seen == [0, 0, 20], seen
PYTHON
