// Does what a user confined to one collection of a database may do: node confined.mjs PACKAGE HOST:PORT DATABASE TOKEN
import semver from "semver";

const [sdk, address, database, token] = process.argv.slice(2);
const { MilvusClient } = (await import(sdk)).default;
const collection_name = "notes";
const client = new MilvusClient({ address, token, database, logLevel: "error" });

function checked(answer) {
  const status = answer.status ?? answer;
  if (status.error_code !== "Success") {
    throw new Error(status.reason);
  }
  return answer;
}

const described = checked(await client.describeCollection({ collection_name }));
const found = checked(await client.search({ collection_name, data: [1, 1, 0, 0], anns_field: "vector", limit: 1 }));
const queried = checked(await client.query({ collection_name, filter: "id < 10", output_fields: ["id"] }));
const inserted = checked(await client.insert({ collection_name, data: [{ id: 10, vector: [9, 9, 9, 9] }] }));
const listed = checked(await client.showCollections());
const { version } = checked(await client.getVersion());
const seen = {
  described: described.schema.fields.map((field) => field.name),
  found: found.results.map((hit) => Number(hit.id)),
  queried: queried.data.map((row) => Number(row.id)).sort(),
  inserted: Number(inserted.insert_cnt),
  listed: listed.data.map((each) => each.name),
  recent: semver.gt(version, "2.6.0") && semver.lt(version, "3.0.1"),
};
process.stdout.write(JSON.stringify(seen) + "\n");
await client.closeConnection();
