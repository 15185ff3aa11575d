#!/usr/bin/env bash
# Package:   @zilliz/milvus2-sdk-node 3.0.6; a gRPC server without a single method.
# Behaviour: every call to a method that the server does not have resolves with {}. There is no error code in it, so that
#            a program that looks for one takes `createUser` for done.
# Guess:     the promise rejects with UNIMPLEMENTED, as with every other SDK of Milvus.
# Seen:      createUser resolved with {}
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
cat >package.json <<'JSON'
{ "private": true, "type": "module", "overrides": { "thrift": { "uuid": "11.1.1" } } }
JSON
npm install --silent --no-audit --no-fund --ignore-scripts @zilliz/milvus2-sdk-node@3.0.6 @grpc/grpc-js@1.14.1
cat >try.mjs <<'NODE'
import grpc from "@grpc/grpc-js";
import sdk from "@zilliz/milvus2-sdk-node";

const server = new grpc.Server();
const port = await new Promise((resolve, reject) =>
  server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) =>
    error ? reject(error) : resolve(bound)));
const client = new sdk.MilvusClient({ address: `127.0.0.1:${port}`, token: "root:x", logLevel: "error" });
client.connectPromise.catch(() => {});
let seen;
try {
  seen = "resolved with " + JSON.stringify(await client.createUser({ username: "ann", password: "Str0ng-enough" }));
} catch (error) {
  seen = "rejected: " + error.message;
}
console.log("createUser", seen);
process.exit(seen === "resolved with {}" ? 0 : 1);
NODE
node try.mjs
