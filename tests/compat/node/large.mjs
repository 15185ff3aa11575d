// Inserts 1,000 rows of 120 bytes, in one message, with an official Node SDK: node large.mjs PACKAGE HOST:PORT
//
// grpc-js ends a message by an empty frame, which some of its versions hold back while the stream's window is closed.
const [sdk, address] = process.argv.slice(2);
const { DataType, MilvusClient } = (await import(sdk)).default;
const client = new MilvusClient({ address, token: "root:Milvus", logLevel: "error" });
await client.connectPromise;
const collection_name = `large_${sdk.replace(/[^0-9a-z]/g, "_")}`;
const created = await client.createCollection({
  collection_name,
  fields: [
    { name: "id", data_type: DataType.Int64, is_primary_key: true, autoID: false },
    { name: "vector", data_type: DataType.FloatVector, dim: 30 },
  ],
});
if (created.error_code !== "Success") {
  throw new Error(created.reason);
}
const data = Array.from({ length: 1_000 }, (_, id) => ({ id, vector: Array(30).fill(id) }));
const answer = await client.insert({ collection_name, data });
process.stdout.write(JSON.stringify(Number(answer.insert_cnt)) + "\n");
await client.closeConnection();
