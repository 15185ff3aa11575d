#!/usr/bin/env bash
# Package:   @zilliz/milvus2-sdk-node 3.0.6; milvus-lite 3.2.2, which takes pymilvus 3.0.2, as the server.
# Behaviour: `get` and `query` write the filter that they make of `ids` into the caller's request, as `expr`, and `expr` comes
#            before `ids`. A request object that is used again with other `ids` reads the rows of the first ones, without an
#            error: a loop over batches of ids has the first batch each time. `delete` copies its request.
# Guess:     the caller's object stays as it is, and each call reads the ids that it names.
# Seen:      get 1 finds 1, get 2 finds 1; with a new object get 2 finds 2; after a get of 1, a delete of 2 with the same object
#            deletes 2
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check milvus-lite==3.2.2 pymilvus==3.0.2
cat >package.json <<'JSON'
{ "private": true, "type": "module", "overrides": { "thrift": { "uuid": "11.1.1" } } }
JSON
npm install --silent --no-audit --no-fund --ignore-scripts @zilliz/milvus2-sdk-node@3.0.6
cat >try.mjs <<'NODE'
import assert from "node:assert/strict";
import sdk from "@zilliz/milvus2-sdk-node";

const client = new sdk.MilvusClient({ address: process.argv[2], logLevel: "error" });
await client.createCollection({
  collection_name: "c",
  fields: [
    { name: "id", data_type: "Int64", is_primary_key: true },
    { name: "v", data_type: "FloatVector", dim: 2 },
  ],
  index_params: [{ field_name: "v", index_type: "FLAT", metric_type: "L2" }],
});
await client.insert({ collection_name: "c", data: ["1", "2", "3"].map((id) => ({ id, v: [1, 0] })) });
const found = async (request) => (await client.get(request)).data.map((row) => row.id);

const request = { collection_name: "c", ids: ["1"], output_fields: ["id"] };
const first = await found(request);
request.ids = ["2"];
const again = await found(request);
const fresh = await found({ collection_name: "c", ids: ["2"], output_fields: ["id"] });
await client.delete(request);
const left = (await client.query({ collection_name: "c", filter: "id > 0", output_fields: ["id"] })).data.map((row) => row.id);
console.log("get 1 finds", first, "get 2 finds", again, "with a new object", fresh, "left after the delete of 2", left);
assert.deepEqual([first, again, fresh, left], [["1"], ["1"], ["2"], ["1", "3"]]);
process.exit(0);
NODE
env/bin/python - <<'PYTHON'
import subprocess

from milvus_lite.server_manager import server_manager_instance

address = server_manager_instance.start_and_get_uri("lite.db").removeprefix("http://")
subprocess.run(["node", "try.mjs", address], check=True)
PYTHON
