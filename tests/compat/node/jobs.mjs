// The official Node SDK goes through trials: node jobs.mjs PACKAGE HOST:PORT

import { address, checked, database, run, token } from "../frameworks/trials.mjs";

const { DataType, MilvusClient } = (await import(process.argv[2])).default;
let connected;

// One client, made in the first trial, as a program makes one at its start.
function client() {
  if (connected === undefined) {
    connected = new MilvusClient({ address, token, database, logLevel: "error" });
    connected.connectPromise.catch(() => {});
  }
  return connected;
}

const rows = (...ids) => ids.map((id) => ({ id, vector: [1, id, 0, 0] }));
const ids = (found) => found.map((row) => Number(row.id));

await run({
  async create(collection_name) {
    const fields = [
      { name: "id", data_type: DataType.Int64, is_primary_key: true },
      { name: "vector", data_type: DataType.FloatVector, dim: 4 },
    ];
    const index = { field_name: "vector", index_type: "HNSW", metric_type: "L2", params: { M: 8, efConstruction: 64 } };
    checked(await client().createCollection({ collection_name, fields }));
    checked(await client().createIndex({ collection_name, ...index }));
    checked(await client().loadCollectionSync({ collection_name }));
    checked(await client().insert({ collection_name, data: rows(1, 2) }));
  },
  async search(collection_name) {
    const found = await client().search({ collection_name, data: [1, 1, 0, 0], anns_field: "vector", limit: 1 });
    return ids(checked(found).results);
  },
  async query(collection_name) {
    const found = await client().query({ collection_name, filter: "id == 1", output_fields: ["id"] });
    return ids(checked(found).data);
  },
  insert: async (collection_name) => void checked(await client().insert({ collection_name, data: rows(3) })),
  upsert: async (collection_name) => void checked(await client().upsert({ collection_name, data: rows(3) })),
  delete: async (collection_name) => void checked(await client().delete({ collection_name, ids: [3] })),
  statistics: async (collection_name) => void checked(await client().getCollectionStatistics({ collection_name })),
  load: async (collection_name) => void checked(await client().loadCollectionSync({ collection_name })),
  exists: async (collection_name) => checked(await client().hasCollection({ collection_name })).value,
  list: async () => checked(await client().listCollections()).data.map((each) => each.name),
  drop: async (collection_name) => void checked(await client().dropCollection({ collection_name })),
});
