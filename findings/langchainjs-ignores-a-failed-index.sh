#!/usr/bin/env bash
# Package:   @langchain/community 0.3.59 with @langchain/core 0.3.80; no server: a client in its place that answers.
# Behaviour: `Milvus.createCollection` does not look at the answer to CreateIndex. When that is a failure, such as an
#            index type that the engine lacks, the call still resolves, and the collection stays without
#            an index, so that it cannot be loaded.
# Guess:     it rejects, as it does when CreateCollection fails.
# Seen:      createIndex answered "invalid index type", createCollection resolved
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
cat >package.json <<'JSON'
{ "private": true, "type": "module", "overrides": { "thrift": { "uuid": "11.1.1" } } }
JSON
npm install --silent --no-audit --no-fund --ignore-scripts --legacy-peer-deps \
    @langchain/community@0.3.59 @langchain/core@0.3.80 @zilliz/milvus2-sdk-node@2.6.5
cat >try.mjs <<'NODE'
import { Milvus } from "@langchain/community/vectorstores/milvus";
import { FakeEmbeddings } from "@langchain/core/utils/testing";
import { Document } from "@langchain/core/documents";

const store = new Milvus(new FakeEmbeddings(), { collectionName: "c", clientConfig: { address: "127.0.0.1:9" } });
store.client.connectPromise?.catch(() => {});
const asked = [];
store.client = {
  createCollection: async () => (asked.push("createCollection"), { error_code: "Success", reason: "" }),
  createIndex: async () => (asked.push("createIndex"), { error_code: "UnexpectedError", reason: "invalid index type" }),
};
await store.createCollection([[1, 2]], [new Document({ pageContent: "apples", metadata: {} })]);
console.log("asked for", asked.join(", "), "and resolved");
process.exit(asked.includes("createIndex") ? 0 : 1);
NODE
node try.mjs
