#!/usr/bin/env bash
# Package:   @zilliz/milvus2-sdk-node 3.0.6; milvus-lite 3.2.2 as the server, read with pymilvus 3.0.2 too.
# Behaviour: with `round_decimal` the server rounds the scores, and the SDK then cuts their decimal text after so many digits. A
#            rounded score whose float lies just below it comes out one lower in the last digit. A small one is written with an
#            exponent, which is cut off with the rest: 0.000001, the smallest above 0 with six digits, becomes 9.999999.
# Guess:     the score that the server rounded, as in Python.
# Seen:      two digits: 0.57, 0.5, 0.29 in Python and 0.56, 0.5, 0.28 in Node; six digits: 0.000001 in Python and 9.999999 in Node
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check milvus-lite==3.2.2 pymilvus==3.0.2
cat >package.json <<'JSON'
{ "private": true, "type": "module", "overrides": { "thrift": { "uuid": "11.1.1" } } }
JSON
npm install --silent --no-audit --no-fund --ignore-scripts @zilliz/milvus2-sdk-node@3.0.6
cat >try.mjs <<'NODE'
import sdk from "@zilliz/milvus2-sdk-node";

const [address, digits] = process.argv.slice(2);
const client = new sdk.MilvusClient({ address, logLevel: "error" });
const search = { collection_name: "c", data: [1, 0], limit: 4, params: { round_decimal: Number(digits) } };
console.log(JSON.stringify((await client.search(search)).results.map((hit) => hit.score)));
process.exit(0);
NODE
cat >try.py <<'PYTHON'
import json
import subprocess

from milvus_lite.server_manager import server_manager_instance
from pymilvus import MilvusClient

address = server_manager_instance.start_and_get_uri("lite.db")
client = MilvusClient(address)
client.create_collection("c", dimension=2, metric_type="IP")
client.insert("c", [{"id": n, "vector": [x, 0.0]} for n, x in enumerate([0.571, 0.5, 0.293, 0.0000012])])
seen = {}
for digits in (2, 6):
    hits = client.search("c", [[1.0, 0.0]], limit=4, round_decimal=digits)[0]
    node = subprocess.check_output(["node", "try.mjs", address.removeprefix("http://"), str(digits)])
    seen[digits] = [float(f"{hit['distance']:.7g}") for hit in hits], json.loads(node)
    print(f"{digits} digits: Python {seen[digits][0]}, Node {seen[digits][1]}")
assert seen == {
    2: ([0.57, 0.5, 0.29, 0.0], [0.56, 0.5, 0.28, 0]),
    6: ([0.571, 0.5, 0.293, 0.000001], [0.570999, 0.5, 0.293, 9.999999]),
}, seen
PYTHON
env/bin/python -W ignore try.py
