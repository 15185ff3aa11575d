#!/usr/bin/env bash
# Package:   milvus-lite 3.2.2, through pymilvus 3.0.2; no server.
# Behaviour: a delete by filter or by keys that names a partition deletes the rows of all partitions. A query with the same
#            filter and partition finds only the rows of that one.
# Guess:     a delete with a partition deletes what a query with that partition finds.
# Seen:      by filter: found [1], deleted [1, 2]; by keys: found [1], deleted [1, 2]
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check milvus-lite==3.2.2 pymilvus==3.0.2
env/bin/python -W ignore - <<'PYTHON'
from pymilvus import DataType, MilvusClient

client = MilvusClient("lite.db")
seen = []
for name, how in (("f", {"filter": "id > 0"}), ("k", {"ids": [1, 2]})):
    schema = client.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("v", DataType.FLOAT_VECTOR, dim=2)
    index = client.prepare_index_params()
    index.add_index("v", index_type="FLAT", metric_type="L2")
    client.create_collection(name, schema=schema, index_params=index)
    for id_, partition in enumerate(("one", "two"), 1):
        client.create_partition(name, partition)
        client.insert(name, [{"id": id_, "v": [1.0, 0.0]}], partition_name=partition)

    def rows(**where):
        return [row["id"] for row in client.query(name, filter="id > 0", **where)]

    found, before = rows(partition_names=["one"]), rows()
    client.delete(name, partition_name="one", **how)
    after = rows()
    seen.append((found, [id_ for id_ in before if id_ not in after]))
client.close()
print("found and deleted, by filter", *seen[0], "by keys", *seen[1])
assert seen == [([1], [1, 2])] * 2, seen
PYTHON
