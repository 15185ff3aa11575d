#!/usr/bin/env bash
# Package:   milvus-lite 3.2.2, through pymilvus 3.0.2; no server.
# Behaviour: `n not in [1]` finds the row whose n is null. With `or j["x"] == 1` after it, which is true of no row, that row
#            is not found any more: a term about JSON changes what a null means in the whole filter.
# Guess:     `a or b` finds at least what `a` finds.
# Seen:      alone [2, 3], with `or` [2]
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check milvus-lite==3.2.2 pymilvus==3.0.2
env/bin/python -W ignore - <<'PYTHON'
from pymilvus import DataType, MilvusClient

client = MilvusClient("lite.db")
schema = client.create_schema()
schema.add_field("id", DataType.INT64, is_primary=True)
schema.add_field("n", DataType.INT64, nullable=True)
schema.add_field("j", DataType.JSON)
schema.add_field("v", DataType.FLOAT_VECTOR, dim=2)
index = client.prepare_index_params()
index.add_index("v", index_type="FLAT", metric_type="L2")
client.create_collection("c", schema=schema, index_params=index)
client.insert("c", [{"id": i, "n": n, "j": {"x": 0}, "v": [1.0, 0.0]} for i, n in enumerate((1, 2, None), 1)])


def found(filter):
    return [row["id"] for row in client.query("c", filter=filter)]


seen = (found("n not in [1]"), found('j["x"] == 1'), found('n not in [1] or j["x"] == 1'))
client.close()
print("a finds", seen[0], "b finds", seen[1], "a or b finds", seen[2])
assert seen == ([2, 3], [], [2]), seen
PYTHON
