#!/usr/bin/env bash
# Package:   @zilliz/milvus2-sdk-node 3.0.6; a server in Python that keeps what it is asked, with the messages of pymilvus 3.0.2.
# Behaviour: a list in `exprValues` is sent in the type of its first value. If that is a whole number, the fractions of the others
#            are cut off: `price in {prices}` with [1, 2.5] looks for 1 and 2, finds rows that were not meant and misses those
#            that were, without an error. In the other order the list is sent as it is.
# Guess:     the order of a list does not matter to `in`, and a list with a fraction in it is one of doubles, or refused.
# Seen:      [1, 2.5] is sent as the integers 1, 2; [2.5, 1] as the doubles 2.5, 1; from Python [1, 2.5] as the JSON values 1, 2.5
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check pymilvus==3.0.2
cat >package.json <<'JSON'
{ "private": true, "type": "module", "overrides": { "thrift": { "uuid": "11.1.1" } } }
JSON
npm install --silent --no-audit --no-fund --ignore-scripts @zilliz/milvus2-sdk-node@3.0.6
cat >try.mjs <<'NODE'
import sdk from "@zilliz/milvus2-sdk-node";

const client = new sdk.MilvusClient({ address: process.argv[2], logLevel: "error" });
for (const prices of [[1, 2.5], [2.5, 1]])
  await client.query({ collection_name: "c", filter: "price in {prices}", exprValues: { prices }, output_fields: ["id"] });
process.exit(0);
NODE
cat >try.py <<'PYTHON'
import subprocess
from concurrent.futures import ThreadPoolExecutor

import grpc
from pymilvus import MilvusClient
from pymilvus.grpc_gen import milvus_pb2, milvus_pb2_grpc, schema_pb2

sent = []


class Server(milvus_pb2_grpc.MilvusServiceServicer):
    def Connect(self, request, context):
        return milvus_pb2.ConnectResponse(identifier=1)

    def Query(self, request, context):
        array = request.expr_template_values["prices"].array_val
        kind = array.WhichOneof("data")
        sent.append((kind, list(getattr(array, kind).data)))
        ids = schema_pb2.FieldData(field_name="id", type=schema_pb2.Int64)
        ids.scalars.long_data.data.append(1)
        return milvus_pb2.QueryResults(fields_data=[ids])


server = grpc.server(ThreadPoolExecutor())
milvus_pb2_grpc.add_MilvusServiceServicer_to_server(Server(), server)
address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
server.start()
subprocess.run(["node", "try.mjs", address], check=True)
client = MilvusClient(f"http://{address}")
client.query("c", "price in {prices}", filter_params={"prices": [1, 2.5]}, output_fields=["id"])
client.close()
server.stop(None).wait()
for program, kind in zip(("Node, [1, 2.5]:", "Node, [2.5, 1]:", "Python, [1, 2.5]:"), sent, strict=True):
    print(program, *kind)
assert sent == [("long_data", [1, 2]), ("double_data", [2.5, 1.0]), ("json_data", [b"1", b"2.5"])], sent
PYTHON
GRPC_VERBOSITY=NONE env/bin/python -W ignore try.py
