#!/usr/bin/env bash
# Package:   @zilliz/milvus2-sdk-node 3.0.6; milvus-lite 3.2.2 as the server, read with pymilvus 3.0.2 too.
# Behaviour: `queryIterator` reads the rows of each answer and not its status. When the server refuses a page, as when the
#            collection was released meanwhile, `for await` ends as at the last row, without an error, and an export is complete
#            as far as its program can tell. `query` with the same filter has the refusal in its status.
# Guess:     the loop throws, as that of Python does.
# Seen:      100 rows, released after two pages of 20: Node read 40 and ended, Python read 40 and raised
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

const client = new sdk.MilvusClient({ address: process.argv[2], logLevel: "error" });
const question = { collection_name: "c", filter: "id >= 0", output_fields: ["id"] };
let [rows, pages, end] = [0, 0, "ended"];
try {
  for await (const page of await client.queryIterator({ ...question, batchSize: 20 })) {
    rows += page.length;
    if (++pages === 2) await client.releaseCollection({ collection_name: "c" });
  }
} catch {
  end = "raised";
}
console.log(JSON.stringify([rows, end, (await client.query(question)).status.error_code === "Success"]));
process.exit(0);
NODE
cat >try.py <<'PYTHON'
import json
import logging
import subprocess

from milvus_lite.server_manager import server_manager_instance
from pymilvus import MilvusClient, MilvusException

logging.disable()
address = server_manager_instance.start_and_get_uri("lite.db")
client = MilvusClient(address)
client.create_collection("c", dimension=2)
client.insert("c", [{"id": n, "vector": [1.0, 0.0]} for n in range(100)])
node = json.loads(subprocess.check_output(["node", "try.mjs", address.removeprefix("http://")]))

client.load_collection("c")
iterator = client.query_iterator("c", filter="id >= 0", output_fields=["id"], batch_size=20)
rows, end = len(iterator.next()) + len(iterator.next()), "ended"
client.release_collection("c")
try:
    while page := iterator.next():
        rows += len(page)
except MilvusException:
    end = "raised"
print(f"of 100 rows Node read {node[0]} and {node[1]}, a query then succeeds: {node[2]}; Python read {rows} and {end}")
assert (node, rows, end) == ([40, "ended", False], 40, "raised"), (node, rows, end)
PYTHON
env/bin/python -W ignore try.py
