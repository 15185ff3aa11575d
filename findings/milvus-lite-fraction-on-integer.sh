#!/usr/bin/env bash
# Package:   milvus-lite 3.2.2, through pymilvus 3.0.2; no server.
# Behaviour: with an INVERTED index on an integer field, the filter `n == 1.5` finds the row with n = 1. Without the
#            index the same filter finds nothing.
# Guess:     an index changes how fast a filter is, not what it finds; no integer equals 1.5.
# Seen:      without index [], with index [1]
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check milvus-lite==3.2.2 pymilvus==3.0.2
env/bin/python -W ignore - <<'PYTHON'
from pymilvus import DataType, MilvusClient

client = MilvusClient("lite.db")
schema = client.create_schema()
schema.add_field("id", DataType.INT64, is_primary=True)
schema.add_field("n", DataType.INT64)
schema.add_field("v", DataType.FLOAT_VECTOR, dim=2)
index = client.prepare_index_params()
index.add_index("v", index_type="FLAT", metric_type="L2")
client.create_collection("c", schema=schema, index_params=index)
client.insert("c", [{"id": i, "n": i, "v": [float(i), 0.0]} for i in range(5)])


def found():
    return [row["n"] for row in client.query("c", filter="n == 1.5", output_fields=["n"])]


without = found()
index = client.prepare_index_params()
index.add_index("n", index_type="INVERTED", index_name="n")
client.create_index("c", index)
client.flush("c")
client.release_collection("c")
client.load_collection("c")
seen = (without, found())
client.close()
print("without index", seen[0], "with index", seen[1])
assert seen == ([], [1]), seen
PYTHON
