#!/usr/bin/env bash
# Package:   milvus-lite 3.2.2, through pymilvus 3.0.2; no server.
# Behaviour: with an HNSW index, a search whose filter leaves 20 of 5,000 rows finds only some of them: the graph is walked as if
#            there were no filter, and the walk ends after `ef` rows (64 unless given), most of which the filter leaves out.
# Guess:     limit 10 returns ten rows, because twenty pass the filter; at least a query with that filter finds them.
# Seen:      a query finds 20 rows, 20 searches with limit 10 find 94 instead of 200
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check milvus-lite==3.2.2 pymilvus==3.0.2
env/bin/python -W ignore - <<'PYTHON'
import numpy
from pymilvus import DataType, MilvusClient

client = MilvusClient("lite.db")
schema = client.create_schema()
schema.add_field("id", DataType.INT64, is_primary=True)
schema.add_field("v", DataType.FLOAT_VECTOR, dim=16)
index = client.prepare_index_params()
index.add_index("v", index_type="HNSW", metric_type="L2", params={"M": 16, "efConstruction": 200})
client.create_collection("c", schema=schema)
drawn = numpy.random.default_rng(1)
client.insert("c", [{"id": i, "v": v} for i, v in enumerate(drawn.standard_normal((5000, 16)).tolist())])
client.flush("c")
client.create_index("c", index)
client.load_collection("c")
passing = len(client.query("c", filter="id < 20"))
asked = drawn.standard_normal((20, 16)).tolist()
found = sum(len(hits) for hits in client.search("c", data=asked, anns_field="v", filter="id < 20", limit=10))
client.close()
print("a query finds", passing, "rows,", len(asked), "searches with limit 10 find", found, "instead of", 10 * len(asked))
assert passing == 20 and found < 150, (passing, found)
PYTHON
