#!/usr/bin/env bash
# Package:   milvus 2.3.5 (the server, from PyPI), through pymilvus 3.0.2.
# Behaviour: an upsert of an existing key into another partition leaves the old row where it was. The collection then has
#            two rows with one key. A query by the key returns one of them, sometimes the old and sometimes the new; one
#            by the old value still finds it.
# Guess:     a primary key is unique after an upsert: the row has moved.
# Seen:      count(*) 2; the same query by the key sometimes returns "old" and sometimes "new"; by the old value: 1 row
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
    schema.add_field("s", DataType.VARCHAR, max_length=8)
    schema.add_field("v", DataType.FLOAT_VECTOR, dim=2)
    index = client.prepare_index_params()
    index.add_index("v", index_type="FLAT", metric_type="L2")
    client.create_collection("c", schema=schema, index_params=index, consistency_level="Strong")
    for write, partition, text in ((client.insert, "one", "old"), (client.upsert, "two", "new")):
        client.create_partition("c", partition)
        write("c", [{"id": 1, "s": text, "v": [1.0, 0.0]}], partition_name=partition)
    count = client.query("c", filter="", output_fields=["count(*)"])[0]["count(*)"]
    by_value = len(client.query("c", filter='s == "old"'))
    by_key = []
    while len(set(by_key)) < 2 and len(by_key) < 100:
        (row,) = client.query("c", filter="id == 1", output_fields=["s"])
        by_key.append(row["s"])
finally:
    server.stop()
print("rows", count, "by the old value", by_value, "by the key, one after another", by_key)
assert (count, by_value, set(by_key)) == (2, 1, {"old", "new"})
PYTHON
