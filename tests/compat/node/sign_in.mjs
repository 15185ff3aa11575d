// Signs in with tokens by the official Node SDK, searches and lists: node sign_in.mjs PACKAGE HOST:PORT COLLECTION
//
// Each line of the standard input is a token. For each, a client of its own searches the collection for its first row and
// lists what it may see, and one line of JSON says what it got, or the sentence by which it was refused.

import { createInterface } from "node:readline";

const [sdk, address, collection_name] = process.argv.slice(2);
const { MilvusClient } = (await import(sdk)).default;

// Answers carry their failure, if any, as a status beside the data; transport errors are thrown.
function checked(answer) {
  if (answer.status?.error_code !== undefined && answer.status.error_code !== "Success") {
    throw new Error(answer.status.reason);
  }
  return answer;
}

async function signIn(token) {
  const client = new MilvusClient({ address, token, logLevel: "error", timeout: 30_000 });
  // What goes wrong while connecting comes out of the first call too.
  client.connectPromise.catch(() => {});
  try {
    // Without it a search says of a collection that is not visible only that it cannot read its fields.
    checked(await client.describeCollection({ collection_name }));
    const request = { collection_name, data: [[1, 0, 0, 0]], anns_field: "vector", limit: 1, output_fields: ["id"] };
    const { results } = checked(await client.search(request));
    const listed = checked(await client.listCollections());
    const rows = Array.isArray(results[0]) ? results[0] : results;
    return { found: rows.map((row) => Number(row.id)), collections: listed.data.map((each) => each.name).sort() };
  } catch (error) {
    return { refused: error.code === undefined ? error.message : `${error.code}: ${error.details ?? error.message}` };
  } finally {
    await client.closeConnection();
  }
}

for await (const token of createInterface({ input: process.stdin })) {
  const begun = performance.now();
  const seen = await signIn(token);
  process.stdout.write(JSON.stringify({ ...seen, seconds: (performance.now() - begun) / 1000 }) + "\n");
}
