#!/usr/bin/env bash
# Package:   milvus 2.3.5 (the server, from PyPI), through pymilvus 3.0.2.
# Behaviour: a connection for a database sends its name as the metadata `dbname`. Aliases are created and used in that
#            database, but listed and described in "default": for a collection of the same name there, the aliases of that one
#            are listed. Only with `db_name` in the request the right ones are.
# Guess:     the database of the connection is that of all its requests.
# Seen:      client of "sales": its alias finds its row; list_aliases ["of_default"]; describe_alias of its alias fails;
#            db_name in the request ["of_sales"]
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check milvus==2.3.5 pymilvus==3.0.2
env/bin/python -W ignore - <<'PYTHON'
import logging
import socket
from pathlib import Path

import grpc
import milvus
from pymilvus import MilvusClient, MilvusException
from pymilvus.grpc_gen import milvus_pb2, milvus_pb2_grpc


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
    address = f"127.0.0.1:{server.listen_port}"
    default = MilvusClient(f"http://{address}")
    default.create_database("sales")
    sales = MilvusClient(f"http://{address}", db_name="sales")
    for client, alias in ((default, "of_default"), (sales, "of_sales")):
        client.create_collection("c", dimension=2)
        client.create_alias("c", alias)
    sales.insert("of_sales", [{"id": 1, "vector": [1.0, 0.0]}])
    try:
        described = sales.describe_alias("of_sales")["collection_name"]
    except MilvusException:
        described = None
    with grpc.insecure_channel(address) as channel:
        stub = milvus_pb2_grpc.MilvusServiceStub(channel)
        asked = milvus_pb2.ListAliasesRequest
        by_metadata = stub.ListAliases(asked(collection_name="c"), metadata=(("dbname", "sales"),))
        by_request = stub.ListAliases(asked(db_name="sales", collection_name="c"))
    rows = [len(client.query("c", filter="id == 1", consistency_level="Strong")) for client in (default, sales)]
    listed = [list(aliases) for aliases in (sales.list_aliases("c")["aliases"], by_metadata.aliases, by_request.aliases)]
finally:
    server.stop()
print("rows in default and sales", rows, "described", described)
print("listed by the client", listed[0], "by metadata", listed[1], "by the request", listed[2])
assert (rows, described, listed) == ([0, 1], None, [["of_default"], ["of_default"], ["of_sales"]])
PYTHON
