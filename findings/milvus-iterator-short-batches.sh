#!/usr/bin/env bash
# Package:   milvus 2.3.5 (the server, from PyPI), through pymilvus 3.0.2.
# Behaviour: a query iterator over a collection in several segments hands out batches that are shorter than `batch_size`
#            although more rows follow: the server stops as soon as one segment has no more. The query behind it may also
#            answer with far more rows than its limit.
# Guess:     only the last batch is short, so that a batch with fewer rows than asked for is the end; no answer exceeds
#            its limit.
# Seen:      430 rows in batches of 50, ..., 50, 26, 1, 1, 1, 1; the query with the limit 50 answers with 246 rows
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check milvus==2.3.5 pymilvus==3.0.2
env/bin/python -W ignore - <<'PYTHON'
import logging
import socket
from pathlib import Path

import milvus
from pymilvus import DataType, MilvusClient


def free():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


logging.disable(logging.CRITICAL)
one, two = (f"http://127.0.0.1:{free()}" for _ in range(2))
etcd = Path("etcd.yaml").absolute()
etcd.write_text(
    f"name: default\nlisten-client-urls: {one}\nadvertise-client-urls: {one}\nlisten-peer-urls: {two}\n"
    f"initial-advertise-peer-urls: {two}\ninitial-cluster: default={two}\n"
)
config = milvus.MilvusServerConfig(data_dir=str(Path("data").absolute()))
config.template_text = config.template_text.replace("\netcd:\n", f"\netcd:\n  config:\n    path: {etcd}\n", 1)
config.configs.update({key: free() for key in config.configurable_items if key.endswith("_port")})
server = milvus.MilvusServer(config)
server.webservice_port = free()
server.start()
try:
    client = MilvusClient(f"http://127.0.0.1:{server.listen_port}")
    schema = client.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("v", DataType.FLOAT_VECTOR, dim=2)
    index = client.prepare_index_params()
    index.add_index("v", index_type="FLAT", metric_type="L2")
    client.create_collection("c", schema=schema, index_params=index, consistency_level="Strong")
    # Five segments: rows of five residues.
    for part in range(5):
        client.insert("c", [{"id": key, "v": [key, 1.0]} for key in range(430) if key % 5 == part])
        client.flush("c")
    batches = []
    rows = client.query_iterator("c", batch_size=50, output_fields=["id"])
    while batch := rows.next():
        batches.append(len(batch))
    in_key_order = {"iterator": "True", "reduce_stop_for_best": "True"}  # as the iterator asks
    answered = len(client.query("c", filter="id >= 0", limit=50, output_fields=["id"], **in_key_order))
finally:
    server.stop()
print("rows", sum(batches), "in batches of", batches, "; with the limit 50:", answered)
assert sum(batches) == 430
assert any(size < 50 for size in batches[:-1])
assert answered > 50
PYTHON
