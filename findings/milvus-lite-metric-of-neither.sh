#!/usr/bin/env bash
# Package:   milvus-lite 3.2.2, through pymilvus 3.0.2; no server.
# Behaviour: a search with another metric_type than the index's is answered. While the rows are in memory, the metric of the
#            search is used. After a flush, the score of the index is converted as if it were of that metric. With an index
#            for IP and a search for L2, the scores are squares of the products and the farthest row comes first.
# Guess:     the search is refused, as by Milvus; if not, then a flush does not change the order of its results.
# Seen:      before a flush (1, 1.25), (3, 6.25), (2, 49.25); after it (2, 324.0), (1, 4.0), (3, 1.0)
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
index.add_index("v", index_type="FLAT", metric_type="IP")
client.create_collection("c", schema=schema, index_params=index)
client.insert("c", [{"id": 1, "v": [1.0, 0.0]}, {"id": 2, "v": [9.0, 0.0]}, {"id": 3, "v": [0.0, 2.0]}])


def found():
    hits = client.search("c", data=[[2.0, 0.5]], limit=3, search_params={"metric_type": "L2"})[0]
    return [(hit["id"], round(hit["distance"], 2)) for hit in hits]


before = found()
client.flush("c")
client.release_collection("c")
client.load_collection("c")
seen = (before, found())
client.close()
print("before a flush", seen[0], "after it", seen[1])
assert seen == ([(1, 1.25), (3, 6.25), (2, 49.25)], [(2, 324.0), (1, 4.0), (3, 1.0)]), seen
PYTHON
