// What the answers of a server look like to an official Node SDK: node answers.mjs PACKAGE HOST:PORT
//
// Prints one line of JSON: of each call what it resolved with, or what it threw.
const [sdk, address] = process.argv.slice(2);
const { DataType, MilvusClient } = (await import(sdk)).default;
const client = new MilvusClient({ address, token: "root:Milvus", logLevel: "error" });
await client.connectPromise;
const collection_name = `answers_${sdk.replace(/[^0-9a-z]/g, "_")}`;
const seen = {};

async function note(name, call, show) {
  try {
    seen[name] = show(await call());
  } catch (error) {
    seen[name] = `thrown: ${error.details ?? error.message}`;
  }
}

const failure = (answer) => {
  const status = answer.status ?? answer;
  return [status.error_code, status.code, status.reason];
};

async function rows(batches, id) {
  const found = [];
  for await (const batch of await batches) {
    found.push(...batch.map((row) => Number(row[id])));
  }
  return found.sort((one, other) => one - other);
}

await client.createCollection({
  collection_name,
  fields: [
    { name: "id", data_type: DataType.Int64, is_primary_key: true, autoID: false },
    { name: "vector", data_type: DataType.FloatVector, dim: 4 },
  ],
});
await client.createIndex({ collection_name, field_name: "vector", index_type: "FLAT", metric_type: "L2" });
await client.loadCollectionSync({ collection_name });
await client.insert({ collection_name, data: Array.from({ length: 25 }, (_, id) => ({ id, vector: [1, id, 0, 0] })) });

await note("lacking_list", () => client.listResourceGroups(), failure);
await note("lacking_change", () => client.createResourceGroup({ resource_group: "group" }), failure);
await note("partitions", () => client.loadPartitions({ collection_name, partition_names: ["_default"] }), failure);
await note("flush_missing", () => client.flush({ collection_names: ["no_such_collection"] }), (answer) => failure(answer)[1]);
await note("created", () => client.describeCollection({ collection_name }), (answer) => Number(answer.created_utc_timestamp) > 1.7e12);
await note("loaded_again", () => client.refreshLoad?.({ collection_name }) ?? { error_code: "Success" }, (answer) => failure(answer)[0]);
if (client.queryIterator) {
  const all = { collection_name, expr: "id >= 0", output_fields: ["id"], batchSize: 10 };
  await note("queried", () => rows(client.queryIterator(all), "id"), (found) => found);
}
if (client.searchIterator) {
  const near = { collection_name, data: [1, 0, 0, 0], anns_field: "vector", batchSize: 10, limit: 25 };
  await note("searched", () => rows(client.searchIterator(near), "id"), (found) => found);
}
await note("deleted", () => client.deleteEntities({ collection_name, expr: "id < 5" }), (answer) => Number(answer.delete_cnt));
process.stdout.write(JSON.stringify(seen) + "\n");
await client.closeConnection();
